"""Which callees are JAX's: the leaves, what has no derivative, and second derivatives of leaves."""

from __future__ import annotations

import os
import weakref
from types import FunctionType
from typing import Any

import jax
import jax.numpy as jnp

from flux.ad import registry
from flux.ad.registry import AUGMENTED, inert
from flux.rules.jax.leaf import (
    ROOTS,
    Direct,
    Leaf,
    Once,
    as_kind,
    backward,
    forward,
)  # fmt: skip

__all__ = ["finder", "leaf"]

PACKAGE = os.path.dirname(jax.__file__) + os.sep
COMPILED = (type(jax.jit(lambda x: x)), jax.custom_jvp, jax.custom_vjp, jnp.ufunc)
LEAVES: weakref.WeakKeyDictionary[Any, Leaf] = weakref.WeakKeyDictionary()


def leaf(f) -> Leaf:
    """The leaf of `f`; remembered as long as `f` lives."""
    known = LEAVES.get(f)
    if known is None:
        known = Leaf(f)
        if known.own:
            AUGMENTED[f] = known
        else:
            LEAVES[f] = known
    return known


def finder(f) -> Any:
    """Functions of JAX and of libraries built on it, and what JAX's transformations made."""
    if isinstance(f, type):
        return None
    if isinstance(f, COMPILED):
        return leaf(f)
    if isinstance(f, FunctionType):
        library = is_of_library(f) or f.__code__.co_filename.startswith(PACKAGE)
        return leaf(f) if library else None
    if not callable(f) or not (is_of_library(f) or is_of_library(type(f))):
        return None
    if jax.tree_util.treedef_is_leaf(jax.tree_util.tree_structure(f)):
        return Leaf(f)
    return module_leaf(f)


def is_of_library(f) -> bool:
    module = getattr(f, "__module__", None)
    return isinstance(module, str) and module.partition(".")[0] in ROOTS


def module_leaf(f):
    """An object that is a pytree (a layer of another library): one more argument of its call."""

    def augmented(*args, **keywords):
        y, inner = APPLIED(f, *args, **keywords)

        def back(ct, store):
            return inner(ct, store)[1:]

        return y, back

    return augmented


def applied(f, /, *args, **keywords):
    return f(*args, **keywords)


APPLIED = Leaf(applied, own=True)
registry.FINDERS.append(finder)


# -- a second derivative: a leaf's passes are functions of JAX themselves --------------------------


def pass_of(record, function) -> Leaf:
    """The leaf of a record's forward pass or pullback."""
    return Once(function) if isinstance(record, Direct) else Leaf(function, own=True)


def forward_again(record, arrays):
    """The forward pass is a function of its arrays; its results are lists, kept in the store."""
    leaf_of = pass_of(record, record.forward)
    outs, inner = leaf_of(*arrays)
    count = len(record.outs)
    pair = outs[:count], [arrays[~p] if p < 0 else outs[p] for p in record.places]

    def back(ct, store):
        for i in range(count):
            store.add(outs, i, store.take(pair[0], i))
        passed = [None for _ in arrays]
        for i, place in enumerate(record.places):
            part = store.take(pair[1], i)
            if place < 0:
                passed[~place] = part if passed[~place] is None else passed[~place] + part
            else:
                store.add(outs, place, part)
        cts = inner(None, store)
        for i, (part, other) in enumerate(zip(cts, passed, strict=True)):
            store.add(arrays, i, part)
            store.add(arrays, i, other)
        return None, None

    return pair, back


def backward_again(record, residuals, cts):
    """The pullback is a function of its residuals and of the cotangents."""
    leaf_of = pass_of(record, record.pull)
    y, inner = leaf_of(residuals, cts)

    def back(ct, store):
        return (None, *inner(ct, store))

    return y, back


AUGMENTED[forward] = forward_again
AUGMENTED[backward] = backward_again

# -- no derivative ---------------------------------------------------------------------------------

FLAT = """
shape ndim size result_type issubdtype iscomplexobj isrealobj isscalar argmax argmin nanargmax
nanargmin argsort isnan isfinite isinf isneginf isposinf equal not_equal less less_equal greater
greater_equal logical_and logical_or logical_not logical_xor zeros ones empty zeros_like ones_like
empty_like arange eye identity tri array_equal array_equiv allclose isclose searchsorted nonzero
flatnonzero argwhere any all dtype finfo iinfo signbit count_nonzero digitize
bincount unique indices tril_indices triu_indices bitwise_and bitwise_or bitwise_xor invert
"""
inert(*[getattr(jnp, name) for name in FLAT.split()])
# Transformations hand back a function; what it captured is found when that function is called.
inert(
    jax.jit, jax.vmap, jax.grad, jax.value_and_grad, jax.checkpoint, jax.remat, jax.jacfwd,
    jax.jacrev, jax.hessian, jax.named_call, jax.custom_jvp, jax.custom_vjp, jnp.vectorize,
    jax.default_device, jax.named_scope, jax.ensure_compile_time_eval, jax.linearize,
    jax.random.key, jax.random.PRNGKey, jax.random.split, jax.random.fold_in, jax.devices,
)  # fmt: skip
AUGMENTED[as_kind] = lambda ct, x: (
    as_kind(ct, x), lambda again, store: (None if again is None else as_kind(again, ct), None)
)  # fmt: skip
