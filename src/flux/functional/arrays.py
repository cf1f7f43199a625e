"""The array library of a value: the one place where functions of this room ask for it."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from flux.ad import nograd, rule
from flux.errors import ArgumentError, brief, user_line

__all__ = ["convert", "is_traced", "namespace", "narrow", "shape_of", "widen"]

_NUMPY = (np.ndarray, np.generic, int, float, complex, list)
_HALF = ("float16", "bfloat16")


@nograd
def namespace(*values) -> ModuleType:
    """Choose the library that computes with `values`.

    NumPy if all of them are NumPy arrays, Python numbers or lists; otherwise `jax.numpy`.

    >>> namespace(np.ones(3)).__name__, namespace(np.ones(3), jnp.ones(3)).__name__
    ('numpy', 'jax.numpy')
    """
    for value in values:
        if value is not None and not isinstance(value, _NUMPY):
            return jnp
    return np


@nograd
def is_traced(value) -> bool:
    """Is `value` an array without numbers, because JAX is tracing the program?"""
    return isinstance(value, Tracer)


@nograd
def shape_of(value) -> tuple[int, ...]:
    """The shape of an array, a number or nested lists of numbers."""
    shape = getattr(value, "shape", None)
    return tuple(np.shape(value) if shape is None else shape)


def convert(x, like) -> Any:
    """Bring `x` into the array library and the dtype of `like`.

    A complex `x` stays complex: its imaginary part would be lost in a real `like`. A Python number
    as `like` asks for nothing.

    >>> convert(np.arange(3), jnp.ones(1)).dtype
    dtype('float32')
    """
    if type(x) is type(like) and getattr(x, "dtype", None) == getattr(like, "dtype", None):
        return x
    xp = namespace(x, like)
    if not hasattr(like, "dtype"):
        return x
    x = _numbers(xp, x)
    if x.dtype == like.dtype or x.dtype.kind == "c":
        return x
    return x.astype(like.dtype)


@nograd
def _numbers(xp, x):
    """`x` as an array of `xp`; `None`, a string or a ragged list is refused."""
    try:
        found = xp.asarray(x)
    except (TypeError, ValueError):
        found = None
    if found is None or found.dtype.kind in "OUSM":
        raise ArgumentError(
            f"expected an array of numbers as input, and got {brief(x)}"
            f"{f' of dtype {x.dtype}' if hasattr(x, 'dtype') else ''}.",
            where=user_line(),
            hint="A layer before it may have returned nothing." if x is None else None,
        )
    return found


@rule(convert)
def _convert_rule(x, like):
    def back(ct):
        kind = _kind(x, ct)
        return None if kind is None else ct.astype(kind), None

    return convert(x, like), back


@nograd
def _kind(x, ct):
    """The dtype of the cotangent of `x` in the library of `ct`; `None` if `x` has none."""
    kind = getattr(x, "dtype", ct.dtype)
    if not jnp.issubdtype(kind, np.inexact):
        return None
    return jax.dtypes.canonicalize_dtype(kind) if namespace(ct) is jnp else kind


def widen(x) -> Any:
    """Raise a half-precision `x` to float32, in which sums over many entries are safe."""
    return x.astype("float32") if _is_half(x) else x


def narrow(y, like) -> Any:
    """Bring a result back to the half precision of the input that it was widened from."""
    return y.astype(like.dtype) if _is_half(like) else y


@nograd
def _is_half(x) -> bool:
    return str(getattr(x, "dtype", "")) in _HALF
