"""The array library of a value: the one place where functions of this room ask for it."""

from __future__ import annotations

import functools
import math
import sys
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from flux.ad import nograd, rule
from flux.errors import ArgumentError, brief, user_line

__all__ = [
    "convert",
    "drawn",
    "dtype_name",
    "is_traced",
    "kind_of",
    "namespace",
    "narrow",
    "numbers_of",
    "reshape",
    "shape_of",
    "size_of",
    "spacing",
    "swapaxes",
    "widen",
]

_AT_HOME: set[type] = {np.ndarray, np.float64, np.float32, int, float, bool, list, type(None)}
"""Types of values that every library accepts beside its own; NumPy computes with them alone."""
_OF_JAX: set[type] = set()
_ON_DEVICE: dict[tuple, Any] = {}
"""By library and device: the functions of other libraries."""
_HALF = ("float16", "bfloat16", "torch.float16", "torch.bfloat16")


@nograd
def namespace(*values) -> Any:
    """Choose the library that computes with `values`: what has its functions, by NumPy's names.

    NumPy if all of them are NumPy arrays, Python numbers or lists, which any other library accepts
    beside its own arrays. For JAX that is `jax.numpy`; for PyTorch and the libraries of the array
    API standard an object with those functions, see `flux.functional.standard`.

    Raises: ``ArgumentError`` for arrays of two other libraries, or of two devices of one.

    >>> namespace(np.ones(3)).__name__, namespace(np.ones(3), jnp.ones(3)).__name__
    ('numpy', 'jax.numpy')
    """
    found = np
    for value in values:
        kind = type(value)
        if kind not in _AT_HOME:
            xp = jnp if kind in _OF_JAX else _library_of(value)
            if xp is not found and xp is not np:
                if found is not np:
                    raise _mixed(found, xp)
                found = xp
    return found


def _library_of(value):
    """The library of a value whose type is met for the first time, or is not tied to one device."""
    kind = type(value)
    if isinstance(value, np.ndarray | np.generic | int | float | complex | list):
        _AT_HOME.add(kind)
        return np
    if isinstance(value, jax.Array | Tracer):
        _OF_JAX.add(kind)
        return jnp
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(value, torch.Tensor):
        from flux.functional.pytorch import PyTorch as Functions

        library = torch
    else:
        from flux.functional.standard import Standard as Functions
        from flux.rules.arrayapi.libraries import library_of_kind

        library = library_of_kind(kind)
        if library is None:
            return jnp
    place: Any = value
    key = library, place.device
    if key not in _ON_DEVICE:
        _ON_DEVICE[key] = Functions(*key)
    return _ON_DEVICE[key]


def _mixed(a, b) -> ArgumentError:
    first, second = (repr(xp) if xp is not jnp else "JAX" for xp in (a, b))
    return ArgumentError(
        f"an operation got arrays of two libraries or devices: {first}, and {second}.",
        where=user_line(),
        hint="Bring them to one before; NumPy arrays go with any.",
    )


@nograd
def is_traced(value) -> bool:
    """Is `value` an array without numbers, because JAX is tracing the program?"""
    return isinstance(value, Tracer)


@nograd
def shape_of(value) -> tuple[int, ...]:
    """The shape of an array, a number or nested lists of numbers."""
    shape = getattr(value, "shape", None)
    return tuple(np.shape(value) if shape is None else shape)


@nograd
def size_of(value) -> int:
    """How many entries an array has."""
    return math.prod(value.shape)


@nograd
def kind_of(value) -> str:
    """The kind of an array's dtype in one letter: `b`, `i`, `u`, `f` or `c`, as NumPy has it."""
    kind = getattr(value.dtype, "kind", None)
    return namespace(value).kind(value.dtype) if kind is None else kind


@nograd
def numbers_of(value) -> np.ndarray:
    """The numbers of an array of any library, or of nested lists, as a NumPy array.

    >>> numbers_of(jnp.arange(3)).tolist()
    [0, 1, 2]
    """
    xp = namespace(value)
    return np.asarray(value) if xp is np or xp is jnp else xp.to_numpy(value)


@nograd
def drawn(numbers, like):
    """What a generator of JAX drew, as an array of the library of `like`."""
    xp = namespace(like)
    return numbers if xp is jnp or is_traced(numbers) else xp.asarray(np.asarray(numbers))


@nograd
def dtype_name(x) -> str:
    """The name of the dtype of an array, `float32`, the same in every library."""
    return str(x.dtype).rpartition(".")[2]


@nograd
def spacing(dtype) -> float:
    """The spacing of the numbers of a dtype at 1."""
    return float(jnp.finfo(str(dtype).rpartition(".")[2]).eps)


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
    if x.dtype == like.dtype or kind_of(x) == "c":
        return x
    return xp.astype(x, like.dtype)


@nograd
def _numbers(xp, x):
    """`x` as an array of `xp`; `None`, a string or a ragged list is refused."""
    try:
        found = xp.asarray(x)
    except (TypeError, ValueError):
        found = None
    if found is None or kind_of(found) in "OUSM":
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
        return None if kind is None else _given_back(ct, x, kind), None

    return convert(x, like), back


def _given_back(ct, x, kind):
    """A cotangent in the dtype `kind`, and in NumPy where `x` is not of its library."""
    xp = namespace(ct)
    if xp is np or xp is jnp:
        return ct.astype(kind)
    return xp.astype(ct, kind) if xp.is_own(x) else xp.to_numpy(ct).astype(kind)


@nograd
def _kind(x, ct):
    """The dtype of the cotangent of `x` in the library of `ct`; `None` if `x` has none."""
    xp = namespace(ct)
    if xp is not np and xp is not jnp:
        if not hasattr(x, "dtype"):
            return np.float64
        return x.dtype if kind_of(x) in "fc" else None
    kind = getattr(x, "dtype", ct.dtype)
    if not jnp.issubdtype(kind, np.inexact):
        return None
    return jax.dtypes.canonicalize_dtype(kind) if xp is jnp else kind


def widen(x) -> Any:
    """Raise a half-precision `x` to float32, in which sums over many entries are safe."""
    return namespace(x).astype(x, "float32") if _is_half(x) else x


def narrow(y, like) -> Any:
    """Bring a result back to the half precision of the input that it was widened from."""
    return namespace(y).astype(y, like.dtype) if _is_half(like) else y


@nograd
def _is_half(x) -> bool:
    dtype = getattr(x, "dtype", None)
    return _is_half_type(type(dtype), dtype)


@functools.cache
def _is_half_type(kind, dtype) -> bool:
    """`kind` keeps dtypes of different libraries from being compared."""
    return str(dtype) in _HALF


def reshape(x, shape) -> Any:
    """`x` in another shape; arrays of the standard have no method for it."""
    return x.reshape(shape) if hasattr(x, "reshape") else namespace(x).reshape(x, shape)


@rule(reshape)
def _reshape_rule(x, shape):
    given = x.shape
    return reshape(x, shape), lambda ct: (reshape(ct, given), None)


def swapaxes(x, a: int, b: int) -> Any:
    """`x` with two axes exchanged."""
    return x.swapaxes(a, b) if hasattr(x, "swapaxes") else namespace(x).swapaxes(x, a, b)


@rule(swapaxes)
def _swapaxes_rule(x, a, b):
    return swapaxes(x, a, b), lambda ct: (swapaxes(ct, a, b), None, None)
