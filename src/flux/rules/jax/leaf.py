"""A function of JAX as a leaf: its derivative is JAX's own, compiled once for each signature.

A *record* belongs to a callee, its static arguments and the types of its arrays. It holds the
forward pass and the pullback as compiled functions. Residuals that are arguments are not returned
by the forward pass: the caller's own objects take their places, so that a loop can see which
residuals do not change.
"""

from __future__ import annotations

import itertools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import tree_flatten, tree_unflatten

from flux.ad.cotangents import dense, deposit
from flux.ad.inert import nothing
from flux.ad.registry import inert
from flux.ad.spaces import project
from flux.rules.captured import captured_arrays, with_captured
from flux.rules.copies import applied
from flux.rules.foreign import refuse_foreign
from flux.rules.jax.space import ARRAYS, ArrayImpl, is_inexact
from flux.rules.jax.trees import leaf_cotangents

__all__ = ["Leaf", "Pull", "is_own"]

CONFIG: Any = jax.config  # JAX makes its attributes at run time
NUMBERS = (float, complex)
ROOTS = frozenset(
    "jax jaxlib optax diffrax equinox lineax optimistix flax haiku distrax chex numpyro".split()
)
LIMIT = 256
"""Records of one callee; beyond, the oldest are forgotten."""


def is_own(f) -> bool:
    """Is `f` defined by JAX or a library built on it, at the top of a module?

    Such a function captured nothing.
    """
    module = getattr(f, "__module__", None)
    if not isinstance(module, str) or module.partition(".")[0] not in ROOTS:
        return False
    return "<locals>" not in getattr(f, "__qualname__", "<locals>")


# -- the arguments of a call -----------------------------------------------------------------------


class Array:
    """Stands where an array was."""

    def __repr__(self):
        return "array"


ARRAY = Array()


def sorted_out(leaves):
    """Static leaves with places for the arrays, the key of a record, and which arrays move.

    The key is `None` if a record must not be kept: a callable that is nobody's but the user's may
    do something else at the next call.
    """
    static, key, moving = [], [], []
    cached = True
    for x in leaves:
        if is_array(x):
            static.append(ARRAY)
            key.append(signature(x))
            moving.append(type(x) in NUMBERS or is_inexact(x))
        else:
            refuse_foreign(x, "JAX")
            static.append(x)
            key.append(by_value(x))
            cached = cached and (not callable(x) or is_own(x) or isinstance(x, type))
    return static, tuple(key) if cached else None, tuple(moving)


def is_array(x) -> bool:
    """Is `x` an array or number, to be handed to the compiled function?"""
    if type(x) is ArrayImpl or type(x) in NUMBERS or isinstance(x, ARRAYS):
        return True
    return isinstance(x, np.ndarray | np.inexact) and x.dtype.kind not in "OSUMm"


def signature(x):
    if type(x) in NUMBERS:
        return type(x)
    return x.aval if hasattr(x, "aval") else (x.shape, x.dtype)


def by_value(x):
    """A hashable stand-in that tells apart what is not equal in type and value."""
    kind = type(x)
    if kind is slice:
        return kind, x.start, x.stop, x.step
    try:
        hash(x)
    except TypeError:
        return kind, id(x)
    return kind, x


# -- records ---------------------------------------------------------------------------------------


class Record:
    """The forward pass and the pullback of a callee for one signature.

    Attributes:
        forward: compiled; all arrays to the leaves of the result and the residuals.
        pull: compiled; residuals and cotangents to the cotangents of the arrays that move.
        places: where each residual is found, among the outputs (`n`) or the arguments (`~n`).
        outs: shapes and dtypes of the leaves of the result; `tree`: their structure.
    """

    __constant__ = True

    __slots__ = (
        "call", "forward", "moving", "outs", "places", "pull", "pull_tree", "single", "tree",
    )  # fmt: skip

    def __init__(self, call, moving):
        self.call, self.moving = call, moving
        self.forward: Any = jax.jit(self.traced_forward, inline=True)
        self.pull: Any = jax.jit(self.traced_pull, inline=True)
        self.places: tuple[int, ...] = ()
        self.outs: list = []
        self.tree = self.pull_tree = None
        self.single = False

    def traced_forward(self, *arrays):
        moved = [a for a, moves in zip(arrays, self.moving, strict=True) if moves]

        def of_moving(*values):
            rest = iter(values)
            pairs = zip(arrays, self.moving, strict=True)
            return self.call([next(rest) if moves else a for a, moves in pairs])

        y, pull = jax.vjp(of_moving, *moved)
        outs, self.tree = tree_flatten(y)
        self.single = jax.tree_util.treedef_is_leaf(self.tree)
        residuals, self.pull_tree = tree_flatten(pull)
        given = {id(a): ~i for i, a in enumerate(arrays)}
        fresh = [r for r in residuals if id(r) not in given]
        count = itertools.count(len(outs))
        self.places = tuple(given[id(r)] if id(r) in given else next(count) for r in residuals)
        self.outs = [jax.ShapeDtypeStruct(jnp.shape(o), jnp.result_type(o)) for o in outs]
        return [*outs, *fresh]

    def traced_pull(self, residuals, cts):
        outs = [
            np.zeros(o.shape, jax.dtypes.float0) if not jnp.issubdtype(o.dtype, jnp.inexact)
            else jnp.zeros(o.shape, o.dtype) if ct is None else jnp.asarray(ct, o.dtype)
            for o, ct in zip(self.outs, cts, strict=True)
        ]  # fmt: skip
        return tree_unflatten(self.pull_tree, residuals)(tree_unflatten(self.tree, outs))

    def __repr__(self):
        return f"<record of {getattr(self.call, '__name__', self.call)}>"


class Direct(Record):
    """A record for one call: what the callee captured may be another thing next time."""

    __slots__ = ()

    def __init__(self, call, moving, captured=0):
        super().__init__(call, (*moving, *[True] * captured))
        self.forward, self.pull = self.traced_forward, self.traced_pull


class Pull:
    """A pullback as a pytree: the record is static, the residuals are its children."""

    __slots__ = ("record", "residuals")

    def __init__(self, record, residuals):
        self.record, self.residuals = record, residuals

    def __call__(self, cts):
        """The cotangents of the arrays that move, from those of the leaves of the result."""
        return self.record.pull(self.residuals, cts)


jax.tree_util.register_pytree_node(
    Pull, lambda p: (p.residuals, p.record), lambda record, parts: Pull(record, list(parts))
)


def forward(record, arrays):
    """The leaves of the result and the residuals."""
    outs = record.forward(*arrays)
    count = len(record.outs)
    return outs[:count], [arrays[~p] if p < 0 else outs[p] for p in record.places]


def backward(record, residuals, cts):
    """The cotangents of the arrays that move."""
    return record.pull(residuals, cts)


# -- leaves ----------------------------------------------------------------------------------------


class Leaf:
    """The augmented form of a function of JAX.

    Attributes:
        f: the function.
        own: it belongs to a library and captured nothing.
        records: by signature.
    """

    __slots__ = ("__weakref__", "f", "own", "records")

    def __init__(self, f, own: bool | None = None):
        self.f = f
        self.own = is_own(f) if own is None else own
        self.records: dict[Any, Record | None] = {}

    def __call__(self, *args, **keywords):
        return applied(self.of, args, keywords)

    def of(self, *args, **keywords):
        """The same, of arguments that stay as they are."""
        count = len(args) + len(keywords)
        leaves, treedef = tree_flatten((args, keywords))
        static, key, moving = sorted_out(leaves)
        captured = [] if self.own and key is not None else captured_arrays((self.f, static))
        if not any(moving) and not captured:
            return self.f(*args, **keywords), nothing(count)
        arrays = [x for x, place in zip(leaves, static, strict=True) if place is ARRAY]
        if captured:
            arrays = arrays + [c.value for c in captured]
        record = self.record(treedef, key, static, moving, arrays, captured)
        outs, residuals = forward(record, arrays)
        give = Give(args, keywords, leaves, treedef, record.moving, captured)
        return finish(record, outs, residuals, give)

    def record(self, treedef, key, static, moving, arrays, captured) -> Record:
        """The record of a signature, or one for this call alone."""
        if key is None or captured:
            return Direct(caller(self.f, treedef, static, captured), moving, len(captured))
        key = (treedef, key, CONFIG.jax_enable_x64)
        record = self.records.get(key)
        if record is None:
            while len(self.records) >= LIMIT:
                self.records.pop(next(iter(self.records)))
            record = self.records[key] = kept_record(
                caller(self.f, treedef, static, []), moving, arrays
            )
        return record


class Once(Leaf):
    """A leaf that keeps no record. What its function captured is among its arguments."""

    __slots__ = ()

    def __init__(self, f):
        super().__init__(f, own=True)

    def record(self, treedef, key, static, moving, arrays, captured) -> Record:
        return Direct(caller(self.f, treedef, static, []), moving)


def kept_record(call, moving, arrays) -> Record:
    """A record, traced; a direct one where the function wants to see the numbers."""
    record = Record(call, moving)
    try:
        record.forward.eval_shape(*arrays)
    except Exception:  # whatever it is: the direct call raises it again, if it is an error
        return Direct(call, moving)
    return record


def caller(f, treedef, static, captured):
    """Call `f` with arrays in their places, and in those that `f` captured."""

    def call(arrays):
        rest = iter(arrays)
        g, leaves = f, [next(rest) if leaf is ARRAY else leaf for leaf in static]
        if captured:
            g, leaves = with_captured((f, leaves), captured, list(rest))
        args, keywords = tree_unflatten(treedef, leaves)
        return g(*args, **keywords)

    return call


class Give:
    """How the cotangents of arrays are given back to the arguments that they came from.

    Attributes:
        args, keywords: of the call; `leaves` and `treedef`: the same, flattened.
        slots: for each leaf, which of the moving arrays it is, or `None`.
        captured: arrays that the callee captured; they are the last of those that move.
        plain: is every argument a leaf?
    """

    __slots__ = ("args", "captured", "first", "keywords", "leaves", "plain", "slots", "treedef")

    def __init__(self, args, keywords, leaves, treedef, moving, captured):
        self.args, self.keywords, self.leaves, self.treedef = args, keywords, leaves, treedef
        self.captured = captured
        moves = iter(moving)
        count = itertools.count()
        self.slots = [next(count) if is_array(x) and next(moves) else None for x in leaves]
        self.first = next(count)
        self.plain = len(leaves) == len(args) + len(keywords) == treedef.num_nodes - 3


def finish(record, outs, residuals, give):
    """The result in its structure, and the pullback of the call."""
    single = record.single
    y = outs[0] if single else tree_unflatten(record.tree, outs)
    pull = Pull(record, residuals)
    kept = None if single else y

    def back(ct, store):
        cts = [ct] if single else leaf_cotangents(kept, ct, store)
        if all([part is None for part in cts]):
            return (None,) * (len(give.args) + len(give.keywords))
        found = backward(pull.record, pull.residuals, [dense(part) for part in cts])
        return given_back(give, found, store)

    return y, back


def given_back(give, found, store):
    """One cotangent for each argument; containers keep theirs in the store."""
    full = [
        None if slot is None else as_kind(found[slot], x)
        for slot, x in zip(give.slots, give.leaves, strict=True)
    ]
    for i, owner in enumerate(give.captured):
        store.add(owner.owner, owner.key, found[give.first + i])
    if give.plain and len(give.keywords) < 2:  # several are flattened in the order of their names
        return tuple(full)
    ct_args, ct_keywords = tree_unflatten(give.treedef, full)
    positional = [deposit(v, c, store) for v, c in zip(give.args, ct_args, strict=True)]
    named = [deposit(v, ct_keywords[k], store) for k, v in give.keywords.items()]
    return (*positional, *named)


def as_kind(ct, x):
    """JAX's cotangents fit JAX's arrays; those of numbers and NumPy arrays are brought there."""
    if ct is None or type(x) is ArrayImpl or isinstance(x, ARRAYS):
        return ct
    return project(ct, x)


inert(
    is_array, sorted_out, signature, by_value, is_own, Leaf.record, Once.record, Give,
)  # fmt: skip
