"""Derivatives of JAX arrays and of every function of JAX and the libraries built on it.

A function of JAX is a *leaf*: its derivative is JAX's own. Eagerly, the forward pass and its
residuals are one compiled function, cached by the callee, its static arguments and the shapes;
inside a compiled function, `jax.vjp` is traced in place.
"""

from __future__ import annotations

import functools
import os
from functools import partial
from types import FunctionType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from flux.ad import registry
from flux.ad.cotangents import dense, deposit
from flux.ad.indexed import SCATTER, Indexed
from flux.ad.registry import AUGMENTED, inert
from flux.ad.runtime import call, nothing
from flux.ad.spaces import LOOKUPS, Space, project
from flux.rules.captured import captured_arrays, with_captured

__all__ = ["leaf"]

ROOTS = frozenset(
    "jax jaxlib optax diffrax equinox lineax optimistix flax haiku distrax chex numpyro".split()
)
PACKAGE = os.path.dirname(jax.__file__) + os.sep
Tracer = jax.core.Tracer


# -- the space of JAX arrays ----------------------------------------------------------------------


def is_inexact(x) -> bool:
    return jnp.issubdtype(x.dtype, jnp.inexact)


def zero(x):
    return jnp.zeros_like(x) if is_inexact(x) else None


def project_array(ct, x):
    """Sum over broadcast axes, then cast to the dtype of `x`."""
    if not is_inexact(x):
        return None
    ct = jnp.asarray(ct)
    if ct.shape != x.shape:
        extra = ct.ndim - x.ndim
        axes = tuple(
            i for i, size in enumerate(ct.shape) if i < extra or x.shape[i - extra] != size
        )
        ct = ct.sum(axes) if axes else ct
        ct = jnp.broadcast_to(ct.reshape(ct.shape or ()), x.shape) if ct.ndim == 0 else ct
        ct = ct.reshape(x.shape)
    if jnp.iscomplexobj(ct) and not jnp.iscomplexobj(x):
        ct = ct.real
    return ct if ct.dtype == x.dtype else ct.astype(x.dtype)


JAX_SPACE = Space(zero, project_array)


def lookup(kind: type) -> Space | None:
    """JAX's arrays, concrete or traced, are one space."""
    if not issubclass(kind, jax.Array | Tracer):
        return None
    registry.INDEXERS[kind] = getitem
    SCATTER[kind] = scatter
    return JAX_SPACE


LOOKUPS.append(lookup)


def getitem(x, index):
    """`x[index]`: the cotangent is kept as a read until the whole is needed."""

    def back(ct, store):
        if ct is None or not is_inexact(x):
            return None, None
        return Indexed(x, index, dense(ct)), None

    return x[index], back


def scatter(like, reads):
    if len(reads) > 1 and all(isinstance(i, int) for i, _ in reads):
        places = jnp.asarray([i % like.shape[0] for i, _ in reads])
        return jnp.zeros_like(like).at[places].add(jnp.stack([ct for _, ct in reads]))
    total = jnp.zeros_like(like)
    for index, ct in reads:
        total = total.at[index].add(ct)
    return total


# -- leaves -----------------------------------------------------------------------------------------


def differs(x) -> bool:
    """Is `x` an argument that JAX differentiates?"""
    if isinstance(x, float | complex):
        return True
    if isinstance(x, jax.Array | Tracer | np.ndarray | np.generic):
        return is_inexact(x)
    return False


def is_array(x) -> bool:
    return isinstance(x, jax.Array | Tracer | np.ndarray | np.generic)


class Static:
    """The arguments of a call without their arrays: a key for the cache, and a way to call again.

    Attributes:
        f: the callee.
        treedef: of the positional and keyword arguments.
        leaves: the static leaves; a place for each array.
        captured: arrays found in callables among them, each with its owner.
    """

    __slots__ = ("captured", "f", "key", "leaves", "treedef")

    def __init__(self, f, treedef, leaves, captured):
        self.f, self.treedef, self.leaves, self.captured = f, treedef, leaves, captured
        self.key = (by_value(f), treedef, tuple(map(by_value, leaves)))

    def __hash__(self):
        return hash(self.key)

    def __eq__(self, other):
        return isinstance(other, Static) and self.key == other.key

    def call(self, arrays):
        """Call `f` with `arrays` at their places."""
        rest = iter(arrays)
        f, leaves = self.f, [next(rest) if leaf is ARRAY else leaf for leaf in self.leaves]
        if self.captured:
            f, leaves = with_captured((f, leaves), self.captured, list(rest))
        args, keywords = jax.tree_util.tree_unflatten(self.treedef, leaves)
        return f(*args, **keywords)


class Place:
    """Stands where an array was."""

    def __repr__(self):
        return "array"


ARRAY = Place()


def by_value(x):
    """A hashable stand-in that tells apart what is not equal in type and value."""
    try:
        hash(x)
    except TypeError:
        return (id(x),)
    return (type(x), x)


def split(static: Static, arrays, moved):
    """Call with the differentiable arrays `moved`, the others fixed."""
    rest = iter(moved)
    return static.call([next(rest) if differs(a) else a for a in arrays])


@functools.lru_cache(maxsize=4096)
def compiled(static: Static, moving: tuple[bool, ...]):
    """The forward pass and its pullback, as one compiled function of all arrays."""

    def forward(*arrays):
        def of_moving(*moved):
            rest = iter(moved)
            return static.call(
                [next(rest) if m else a for a, m in zip(arrays, moving, strict=True)]
            )

        return jax.vjp(of_moving, *[a for a, m in zip(arrays, moving, strict=True) if m])

    return jax.jit(forward)


@jax.jit
def apply(pull, ct):
    return pull(ct)


def leaf(f):
    """The augmented form of a function of JAX."""
    own = is_module_level(f)

    def augmented(*args, **keywords):
        leaves, treedef = jax.tree_util.tree_flatten((args, keywords))
        arrays = [x for x in leaves if is_array(x) or isinstance(x, float | complex)]
        kept = [ARRAY if is_array(x) or isinstance(x, float | complex) else x for x in leaves]
        captured = captured_arrays((None if own else f, kept))
        values = arrays + [c.value for c in captured]
        moving = tuple([differs(v) for v in values])
        if not any(moving):
            return f(*args, **keywords), nothing(len(args) + len(keywords))
        static = Static(f, treedef, kept, captured)
        traced = any([isinstance(v, Tracer) for v in values]) or bool(captured)
        if traced:
            moved = [v for v, m in zip(values, moving, strict=True) if m]
            y, pull = jax.vjp(lambda *m: split(static, values, m), *moved)
        else:
            y, pull = compiled(static, moving)(*values)
        give = partial(give_back, args, keywords, leaves, treedef, captured, moving)

        def back(ct, store):
            whole = cotangent_of(y, ct, store)
            if whole is None:
                return (None,) * (len(args) + len(keywords))
            return give(apply_pull(pull, whole, traced), store)

        return y, back

    return augmented


def is_module_level(f) -> bool:
    """Is `f` a function that a library defines at its top, and that captured nothing?"""
    module = getattr(f, "__module__", None) or ""
    return module.partition(".")[0] in ROOTS and "<locals>" not in getattr(f, "__qualname__", "<locals>")


def apply_pull(pull, whole, traced):
    """Run JAX's pullback, compiled unless it is being traced."""
    return pull(whole) if traced else apply(pull, whole)


def apply_again(pull, whole, traced):
    """JAX's pullback is a function of JAX: a second differentiation takes it as a leaf."""
    y, inner = leaf(lambda p, w: p(w))(pull, whole)

    def back(ct, store):
        return (*inner(ct, store), None)

    return y, back


AUGMENTED[apply_pull] = apply_again


def give_back(args, keywords, leaves, treedef, captured, moving, cts, store):
    """Cotangents of the arrays as cotangents of the arguments; containers keep theirs in the store."""
    found = iter(cts)
    parts = [next(found) if m else None for m in moving]
    places = iter(parts)
    full = [
        project(next(places), x) if is_array(x) or isinstance(x, float | complex) else None
        for x in leaves
    ]
    for owner, part in zip(captured, parts[len(parts) - len(captured) :], strict=True):
        store.add(owner.owner, owner.key, part)
    ct_args, ct_keywords = structure(args, keywords, full, treedef)
    positional = [deposit(v, c, store) for v, c in zip(args, ct_args, strict=True)]
    named = [deposit(keywords[name], ct_keywords[name], store) for name in keywords]
    return (*positional, *named)


def structure(args, keywords, full, treedef):
    return jax.tree_util.tree_unflatten(treedef, full)


def cotangent_of(y, ct, store):
    """The whole cotangent of a leaf's result, as JAX wants it; `None` if it is zero."""
    leaves, treedef = jax.tree_util.tree_flatten(y)
    parts = collect(y, ct, store)
    if all([part is None for part in parts]):
        return None
    return jax.tree_util.tree_unflatten(
        treedef, [seed(part, x) for part, x in zip(parts, leaves, strict=True)]
    )


def seed(part, x):
    if not is_inexact(x):
        return np.zeros(x.shape, jax.dtypes.float0)
    return jnp.zeros_like(x) if part is None else project_array(dense(part), x)


def collect(y, ct, store) -> list:
    """The cotangents of the leaves of `y`, in JAX's order."""
    if isinstance(y, tuple):
        cts = ct or (None,) * len(y)
        return [part for v, c in zip(y, cts, strict=True) for part in collect(v, c, store)]
    if isinstance(y, list):
        return [p for i, v in enumerate(y) for p in collect(v, store.take(y, i), store)]
    if isinstance(y, dict):
        return [p for k in sorted(y) for p in collect(y[k], store.take(y, k), store)]
    if y is None:
        return []
    count = len(jax.tree_util.tree_leaves(y))
    return [ct] if count == 1 else [None] * count


# -- which callees are leaves -------------------------------------------------------------------------

OBJECTS = (type(jax.jit(lambda x: x)), jax.custom_jvp, jax.custom_vjp, jnp.ufunc)


def finder(f) -> Any:
    """Functions of JAX and of libraries built on it, and what JAX's transformations made."""
    if isinstance(f, OBJECTS):
        return leaf(f)
    if isinstance(f, FunctionType) and f.__code__.co_filename.startswith(PACKAGE):
        return leaf(f)
    if isinstance(f, type):
        return None
    module = getattr(f, "__module__", None)
    return leaf(f) if isinstance(module, str) and module.partition(".")[0] in ROOTS else None


registry.FINDERS.append(finder)
inert(
    jnp.shape, jnp.ndim, jnp.size, jnp.result_type, jnp.issubdtype, jnp.iscomplexobj, jnp.isscalar,
    jnp.argmax, jnp.argmin, jnp.argsort, jnp.isnan, jnp.isfinite, jnp.isinf, jnp.equal,
    jnp.not_equal, jnp.less, jnp.less_equal, jnp.greater, jnp.greater_equal, jnp.zeros, jnp.ones,
    jnp.zeros_like, jnp.ones_like, jnp.arange, jnp.eye, jnp.array_equal, jnp.allclose,
    jnp.searchsorted, jnp.nonzero, jnp.any, jnp.all, jnp.dtype,
)  # fmt: skip
# Transformations hand back a function; what it captured is found when that function is called.
inert(
    jax.jit, jax.vmap, jax.grad, jax.value_and_grad, jax.checkpoint, jax.remat, jax.jacfwd,
    jax.jacrev, jax.hessian, jax.named_call, jax.custom_jvp, jax.custom_vjp, jnp.vectorize,
    jax.default_device, jax.named_scope, jax.ensure_compile_time_eval,
)  # fmt: skip


# -- methods and attributes ---------------------------------------------------------------------------

INERT_METHODS = frozenset("argmax argmin argsort any all tolist block_until_ready devices".split())
INERT_ATTRIBUTES = frozenset(
    "shape ndim size dtype nbytes itemsize weak_type sharding aval device".split()
)


@functools.cache
def method(name: str):
    """The method `name` of an array, as a function."""

    def function(x, *args, **keywords):
        return getattr(x, name)(*args, **keywords)

    function.__name__ = name
    return function


def is_jax(kind: type) -> bool:
    return issubclass(kind, jax.Array | Tracer)


def find_method(kind: type, name: str):
    if not is_jax(kind):
        return None
    if name in INERT_METHODS:
        return lambda x, *a, **k: (getattr(x, name)(*a, **k), nothing(1 + len(a) + len(k)))
    if name == "item":
        return AUGMENTED[float]
    return leaf(method(name))


@functools.cache
def attribute(name: str):
    def function(x):
        return getattr(x, name)

    return function


def find_attribute(kind: type, name: str):
    if not is_jax(kind):
        return None
    if name in INERT_ATTRIBUTES:
        return lambda x: (getattr(x, name), nothing(1))
    if name == "at":
        return lambda x: call(At, x)
    if name in ("T", "mT", "real", "imag"):
        return leaf(attribute(name))
    return None


registry.METHOD_FINDERS.append(find_method)
registry.ATTRIBUTE_FINDERS.append(find_attribute)


class At:
    """`x.at` under differentiation: indexing it gives the place to be updated."""

    def __init__(self, array):
        self.array = array

    def __getitem__(self, index):
        return AtIndex(self.array, index)


class AtIndex:
    """`x.at[index]`: `set`, `add` and their like return the updated array."""

    def __init__(self, array, index):
        self.array, self.index = array, index

    def get(self, **options):
        return UPDATES["get"](self.array, self.index, **options)

    def set(self, value, **options):
        return UPDATES["set"](self.array, self.index, value, **options)

    def add(self, value, **options):
        return UPDATES["add"](self.array, self.index, value, **options)

    def multiply(self, value, **options):
        return UPDATES["multiply"](self.array, self.index, value, **options)

    mul = multiply

    def divide(self, value, **options):
        return UPDATES["divide"](self.array, self.index, value, **options)

    def power(self, value, **options):
        return UPDATES["power"](self.array, self.index, value, **options)

    def min(self, value, **options):
        return UPDATES["min"](self.array, self.index, value, **options)

    def max(self, value, **options):
        return UPDATES["max"](self.array, self.index, value, **options)


def update(name: str):
    def function(array, index, *value, **options):
        return getattr(array.at[index], name)(*value, **options)

    AUGMENTED[function] = leaf(function)
    return function


UPDATES = {
    name: update(name) for name in "get set add multiply divide power min max".split()
}
AUGMENTED[abs, "jax"] = leaf(jnp.abs)
