"""NumPy's functions for arrays of any library of the array API standard: one class for all.

The operations of this room are written with NumPy's names, and take Python numbers beside arrays.
The standard has fewer functions and options; here the others are made of those that it has. Each is
ordinary Python over functions with derivative rules, so each has a derivative.

Source: https://data-apis.org/array-api, version 2024.12.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from flux.ad import nograd
from flux.errors import ArgumentError, user_line

__all__ = ["Standard"]

SAME = "exp log log1p expm1 tanh sqrt cos sin floor round isfinite isnan logaddexp".split()
"""Functions that are NumPy's as they are."""
KINDS = {"b": "bool", "i": "signed integer", "u": "unsigned integer", "f": "real floating",
         "c": "complex floating"}  # fmt: skip


class Standard:
    """The functions of one library, for arrays on one device, under NumPy's names.

    Args:
        library: the module of its functions.
        device: where new arrays are made.
    """

    inf, nan = math.inf, math.nan

    def __init__(self, library, device):
        self.library, self.device = library, device
        self.__name__ = library.__name__
        for name in SAME:
            setattr(self, name, getattr(library, name))

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        raise ArgumentError(
            f"`{name}` is not available for arrays of {self.__name__}.", where=user_line()
        )

    def __repr__(self):
        return f"{self.__name__} on {self.device}"

    # -- arrays and dtypes -------------------------------------------------------------------------

    @nograd
    def kind(self, dtype) -> str:
        """The kind of a dtype in one letter, as NumPy has it."""
        return next((k for k, name in KINDS.items() if self.library.isdtype(dtype, name)), "V")

    @nograd
    def dtype(self, dtype) -> Any:
        """A dtype of the library, from its name, a NumPy dtype or a Python type."""
        if dtype is None or not isinstance(dtype, str | np.dtype | type):
            return dtype
        return getattr(self.library, "bool" if dtype is bool else np.dtype(dtype).name)

    @nograd
    def is_own(self, x) -> bool:
        """Is `x` an array of this library?"""
        return hasattr(x, "__array_namespace__") and not isinstance(x, np.ndarray)

    def asarray(self, x, dtype=None):
        if self.is_own(x):
            return x if dtype is None else self.astype(x, dtype)
        return self.library.asarray(_numbers(x), dtype=self.dtype(dtype), device=self.device)

    @nograd
    def to_numpy(self, x) -> np.ndarray:
        """The numbers of an array of this library."""
        found = np.asarray(x.get() if hasattr(x, "get") else x)  # CuPy's arrays want to be asked
        return np.from_dlpack(x) if found.dtype == object else found

    def astype(self, x, dtype):
        return self.library.astype(x, self.dtype(dtype), copy=False)

    def beside(self, x, like):
        """`x`, maybe a Python number or a NumPy array, as it can stand beside `like`."""
        if self.is_own(x):
            return x
        return self.asarray(x, self.dtype_beside(x, like))

    @nograd
    def dtype_beside(self, x, like):
        """The dtype of a Python number beside `like`; of anything else its own, `None`."""
        if not self.is_own(like) or not isinstance(x, bool | int | float | complex):
            return None
        order = "biufc"
        kind = "c" if isinstance(x, complex) else "f" if isinstance(x, float) else "b"
        enough = order.index(kind) <= order.index(self.kind(like.dtype))
        return like.dtype if enough else None

    def arange(self, n):
        return self.library.arange(n, device=self.device)

    def zeros(self, shape, dtype=None):
        return self.library.zeros(shape, dtype=self.dtype(dtype), device=self.device)

    def ones(self, shape, dtype=None):
        return self.library.ones(shape, dtype=self.dtype(dtype), device=self.device)

    def full(self, shape, value, dtype=None):
        return self.library.full(_sizes(shape), value, dtype=self.dtype(dtype), device=self.device)

    # -- element by element ------------------------------------------------------------------------

    def where(self, condition, a, b):
        condition = self.asarray(condition)
        return self.library.where(condition, self.beside(a, b), self.beside(b, a))

    def maximum(self, a, b):
        return self.library.maximum(self.beside(a, b), self.beside(b, a))

    def minimum(self, a, b):
        return self.library.minimum(self.beside(a, b), self.beside(b, a))

    def clip(self, x, low, high):
        return self.minimum(self.maximum(x, low), high)

    def nan_to_num(self, x):
        return self.where(self.isnan(x), 0, x)

    def erf(self, x):
        """Computed by SciPy: the standard has no such function."""
        import scipy.special

        return self.asarray(scipy.special.erf(self.to_numpy(x)))

    # -- along axes --------------------------------------------------------------------------------

    def sum(self, x, axis=None, keepdims=False):
        return self.library.sum(x, axis=axis, keepdims=keepdims)

    def mean(self, x, axis=None, keepdims=False):
        return self.library.mean(x, axis=axis, keepdims=keepdims)

    def max(self, x, axis=None, keepdims=False):
        return self.library.max(x, axis=axis, keepdims=keepdims)

    @nograd
    def any(self, x, axis=None, keepdims=False):
        return self.library.any(x, axis=axis, keepdims=keepdims)

    @nograd
    def argmax(self, x, axis=None):
        return self.library.argmax(x, axis=axis)

    # -- shapes and places -------------------------------------------------------------------------

    def reshape(self, x, shape):
        return self.library.reshape(x, _sizes(shape))

    def transpose(self, x, axes):
        return self.library.permute_dims(x, axes)

    def moveaxis(self, x, source, destination):
        return self.transpose(x, _moved(x.ndim, source, destination))

    def swapaxes(self, x, a, b):
        return self.transpose(x, _swapped(x.ndim, a, b))

    def squeeze(self, x, axis):
        return self.reshape(x, _squeezed(tuple(x.shape), axis))

    def expand_dims(self, x, axis):
        return self.reshape(x, _expanded(tuple(x.shape), axis))

    def concatenate(self, parts, axis=0):
        return self.library.concat(parts, axis=axis)

    def stack(self, parts, axis=0):
        return self.library.stack(parts, axis=axis)

    def unstack(self, x):
        """The parts of `x` along its first axis."""
        return [x[i, ...] for i in range(x.shape[0])]

    def split(self, x, n, axis=-1):
        """`n` parts of equal length."""
        return [x[index] for index in _parts(tuple(x.shape), n, axis)]

    def flip(self, x, axis=None):
        return self.library.flip(x, axis=axis)

    def repeat(self, x, n, axis):
        """Each entry `n` times in a row."""
        one_by_one = self.expand_dims(x, axis + 1)
        before, after = tuple(x.shape[: axis + 1]), tuple(x.shape[axis + 1 :])
        copies = self.library.broadcast_to(one_by_one, (*before, n, *after))
        return self.reshape(copies, (*before[:-1], before[-1] * n, *after))

    def pad(self, x, widths, constant_values=0):
        """`x` with `constant_values` before and after each axis, as many as `widths` says."""
        for axis, pair in enumerate(widths):
            for after, n in enumerate(pair):
                if n:
                    more = self.full(_longer(x.shape, axis, n), constant_values, x.dtype)
                    x = self.concatenate([x, more] if after else [more, x], axis=axis)
        return x

    def spread(self, x, edges):
        """`x` with zeros: by axis how many before, after, and between neighbours.

        A negative number takes off as many.
        """
        for axis, (_, _, between) in enumerate(edges):
            if between:
                n = x.shape[axis]
                apart = [(0, between) if a == axis + 1 else (0, 0) for a in range(x.ndim + 1)]
                x = self.pad(self.expand_dims(x, axis + 1), apart)
                x = self.reshape(x, _joined(x.shape, axis))
                x = x[_span(axis, 0, (n - 1) * (between + 1) + 1)]
        x = self.pad(x, [(max(before, 0), max(after, 0)) for before, after, _ in edges])
        for axis, (before, after, _) in enumerate(edges):
            if min(before, after) < 0:
                x = x[_span(axis, max(-before, 0), x.shape[axis] + min(after, 0))]
        return x

    def tensordot(self, a, b, axes):
        return self.library.tensordot(a, b, axes=tuple((n,) for n in axes))

    # -- by index ----------------------------------------------------------------------------------

    def take_along_axis(self, x, index, axis):
        index = self.asarray(index)
        shape = _beside_axis(tuple(x.shape), tuple(index.shape), axis)
        index = self.library.broadcast_to(index, shape)
        return self.library.take_along_axis(x, index, axis=axis)

    def rows(self, table, index):
        """The rows of `table` at `index`, which is in range."""
        index = self.asarray(index)
        found = self.library.take(table, self.reshape(index, (-1,)), axis=0)
        return self.reshape(found, (*index.shape, *table.shape[1:]))

    def add_rows(self, rows, index, shape):
        """Zeros of `shape` to which each of `rows` has been added at its index."""
        from flux.ad.spaces import space_of
        from flux.rules.arrayapi.indexing import Taken, scatter

        space_of(type(rows))  # which makes the library known to its rules
        places = Taken(self.reshape(self.asarray(index), (-1,)), 0, False)
        rows = self.reshape(rows, (-1, *shape[1:]))
        return scatter(self.zeros(shape, rows.dtype), [(places, rows)])

    def largest_rows(self, rows, index, shape):
        """The largest of the rows with each index, minus infinity where there is none."""
        index = self.reshape(self.asarray(index), (-1,))
        rows = self.reshape(rows, (-1, *shape[1:]))
        none = self.full((1, *shape[1:]), -math.inf, rows.dtype)
        bins = [self.concatenate([none, rows[index == i]]) for i in range(shape[0])]
        return self.stack([self.max(rows, axis=0) for rows in bins])


@nograd
def _numbers(x):
    """Lists and Python numbers as they are; what NumPy can read, as its arrays."""
    return x if isinstance(x, bool | int | float | complex) else np.asarray(x)


@nograd
def _sizes(shape):
    return (shape,) if isinstance(shape, int) else tuple(shape)


@nograd
def _tuple(axis, ndim):
    return tuple(a % ndim for a in (axis if isinstance(axis, tuple | list) else (axis,)))


@nograd
def _moved(ndim, source, destination):
    """The order of axes of `moveaxis`."""
    source, destination = _tuple(source, ndim), _tuple(destination, ndim)
    order = [a for a in range(ndim) if a not in source]
    for place, axis in sorted(zip(destination, source, strict=True)):
        order.insert(place, axis)
    return tuple(order)


@nograd
def _swapped(ndim, a, b):
    order = list(range(ndim))
    order[a], order[b] = order[b], order[a]
    return tuple(order)


@nograd
def _squeezed(shape, axis):
    gone = _tuple(axis, len(shape)) if shape else ()
    return tuple(n for a, n in enumerate(shape) if a not in gone)


@nograd
def _expanded(shape, axis):
    ndim = len(shape) + (len(axis) if isinstance(axis, tuple | list) else 1)
    new, rest = _tuple(axis, ndim), iter(shape)
    return tuple(1 if a in new else next(rest) for a in range(ndim))


@nograd
def _longer(shape, axis, n):
    return tuple(n if a == axis else m for a, m in enumerate(shape))


@nograd
def _joined(shape, axis):
    """Two neighbouring axes as one."""
    return (*shape[:axis], shape[axis] * shape[axis + 1], *shape[axis + 2 :])


@nograd
def _span(axis, start, stop):
    return (*[slice(None)] * axis, slice(start, stop), ...)


@nograd
def _beside_axis(shape, other, axis):
    """The other shape, broadcast against `shape` along all axes but one."""
    axis = axis % len(shape)
    return tuple(m if a == axis else n for a, (n, m) in enumerate(zip(shape, other, strict=True)))


@nograd
def _parts(shape, n, axis):
    axis, size = axis % len(shape), shape[axis]
    if size % n:
        raise ArgumentError(
            f"an axis of length {size} cannot be divided into {n} equal parts.", where=user_line()
        )
    step = size // n
    before = (slice(None),) * axis
    return [(*before, slice(i * step, (i + 1) * step), ...) for i in range(n)]
