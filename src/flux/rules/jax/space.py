"""JAX's arrays, concrete and traced, as values that carry derivatives; reading them by index."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.dtypes import canonicalize_dtype

from flux.ad import registry
from flux.ad.cotangents import dense
from flux.ad.indexed import SCATTER, Indexed
from flux.ad.registry import AUGMENTED, inert
from flux.ad.spaces import LOOKUPS, Space, project
from flux.rules.operators import LOGARITHMS

__all__ = ["ARRAYS", "ArrayImpl", "is_inexact", "is_jax"]

ARRAYS = (jax.Array, Tracer)
with jax.ensure_compile_time_eval():  # this room may be loaded while a program is traced
    ArrayImpl = type(jnp.zeros(()))
"""The class of arrays with numbers."""
INEXACT: dict = {}
"""By dtype: does it carry derivatives? Filled as dtypes are met."""


def is_inexact(x) -> bool:
    """Has `x` a dtype that carries derivatives (no integers, no keys of random numbers)?"""
    dtype = x.dtype
    known = INEXACT.get(dtype)
    if known is None:
        known = INEXACT[dtype] = bool(jnp.issubdtype(dtype, jnp.inexact))
    return known


def is_jax(kind: type) -> bool:
    return issubclass(kind, ARRAYS)


def zero(x):
    return jnp.zeros_like(x) if is_inexact(x) else None


def project_array(ct, x):
    """Sum over broadcast axes, take the real part for a real primal, cast to its dtype."""
    if not is_inexact(x):
        return None
    ct = jnp.asarray(ct)
    if ct.shape != x.shape:
        ct = summed_to(ct, x.shape)
    if jnp.iscomplexobj(ct) and not jnp.iscomplexobj(x):
        ct = ct.real
    if ct.dtype == x.dtype:
        return ct
    return ct.astype(canonicalize_dtype(x.dtype))  # NumPy's float64 may be one that JAX has not


def summed_to(ct, shape):
    """`ct` with the axes summed along which an array of `shape` was broadcast."""
    extra = ct.ndim - len(shape)
    axes = tuple(
        [i for i, n in enumerate(ct.shape) if i < extra or (shape[i - extra] == 1 and n != 1)]
    )
    if axes:
        ct = jnp.sum(ct, axis=axes, keepdims=True)
    if extra > 0:
        ct = jnp.reshape(ct, ct.shape[extra:])
    return jnp.broadcast_to(ct, shape)


JAX_SPACE = Space(zero, project_array)


def lookup(kind: type) -> Space | None:
    """All kinds of JAX arrays are one space; met for the first time, they get their rules."""
    if not is_jax(kind):
        return None
    registry.INDEXERS[kind] = getitem
    SCATTER[kind] = scatter
    LOGARITHMS[kind] = safe_log
    for operation, rule in RULES.items():
        AUGMENTED[operation, kind] = rule
    return JAX_SPACE


RULES: dict = {}
"""Rules of operations, for every kind of JAX array."""


def safe_log(a):
    """`log a`, 0 where `a` is 0: the slope of `a ** b` in `b`, over `a ** b`."""
    return jnp.log(jnp.where(a == 0, 1, a))


LOOKUPS.append(lookup)


# -- x[index] -------------------------------------------------------------------------------------


def getitem(x, index):
    """`x[index]`: the cotangent is kept as a read until the whole is needed."""
    y = x[index]

    def back(ct, store):
        if ct is None or not is_inexact(x):
            return None, None
        return Indexed(x, index, dense(ct)), None

    return y, back


def scatter(like, reads):
    """Zeros of the shape of `like`, with all reads added at their places."""
    total = jnp.zeros(like.shape, like.dtype)
    rows = [read for read in reads if type(read[0]) is int]
    if len(rows) > 1:
        places = np.array([index % like.shape[0] for index, _ in rows])
        total = total.at[places].add(jnp.stack([ct for _, ct in rows]))
        reads = [read for read in reads if type(read[0]) is not int]
    for index, ct in reads:
        total = total + ct if index is ... else total.at[index].add(ct)
    return total


def scatter_again(like, reads):
    """Scattering is linear: the cotangent of each read is read at its place."""

    def back(ct, store):
        if ct is not None:
            for i, (index, part) in enumerate(reads):
                store.add(reads, i, (None, project(ct[index], part)))
        return None, None

    return scatter(like, reads), back


AUGMENTED[scatter] = scatter_again
inert(is_inexact, is_jax)
