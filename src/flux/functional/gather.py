"""Pick entries by index, and bring entries together by index: each is the other's adjoint."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from jax import lax

from flux.ad import nograd, rule
from flux.errors import LabelError, ShapeError, user_line
from flux.functional.arrays import is_traced, namespace, numbers_of, reshape, shape_of

__all__ = ["add_rows", "gather", "lookup", "put", "scatter"]


def gather(x, index, *, axis=0):
    """The entries of `x` at `index` along an axis, which the axes of the index replace.

    Args:
        x: an array.
        index: integers, ``0 .. n-1``.
        axis: the axis of `x` that is counted by the index.

    Shapes: ``(A, n, C), (I, J) -> (A, I, J, C)`` for the axis 1.
    Raises: ``LabelError`` for an index out of range (in a compiled program its entries are NaN).

    >>> gather(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([1, 1, 0]), axis=1).tolist()
    [[2.0, 2.0, 1.0], [4.0, 4.0, 3.0]]
    """
    xp = namespace(x, index)
    found = lookup(xp.moveaxis(x, axis, 0), index)
    axes = len(shape_of(index))
    return xp.moveaxis(found, _first(axes), _from(axis % x.ndim, axes))


def scatter(x, index, size, *, op="sum"):
    """Bring entries with the same index together: `size` bins, each the sum of its entries.

    The adjoint of `gather` where `op` is `"sum"`.

    Args:
        x: entries along the axes that `index` has, which come first.
        index: the bin of each entry, ``0 .. size-1``.
        size: how many bins there are.
        op: `"sum"`, `"mean"`, `"max"` or `"min"`. An empty bin is 0, for the latter two minus or
            plus infinity; where several entries are the largest, they share the gradient.

    Shapes: ``(I, C), (I,) -> (size, C)``.
    Raises: ``LabelError`` for an index out of range (in a compiled program its entries are left
        out); ``ShapeError`` if the shapes do not fit; ``ValueError`` for another `op`.

    >>> x, bins = np.array([1.0, 2.0, 3.0]), np.array([0, 2, 0])
    >>> scatter(x, bins, 3).tolist(), scatter(x, bins, 3, op="max").tolist()
    ([4.0, 0.0, 2.0], [3.0, -inf, 2.0])
    """
    _check_scatter(x, index, size, op)
    if op == "sum":
        return add_rows(x, index, (size, *x.shape[len(shape_of(index)) :]))
    if op == "mean":
        return scatter(x, index, size) / _counts(index, size, x)
    return _largest(x, index, size) if op == "max" else -_largest(-x, index, size)


def _largest(x, index, size, /):
    shape = (size, *x.shape[len(shape_of(index)) :])
    xp = namespace(x, index)
    if xp is np:
        bins = np.full(shape, -np.inf, x.dtype)
        np.maximum.at(bins, np.asarray(index), x)
        return bins
    if xp is not jnp:
        return xp.largest_rows(x, index, shape)
    index = _beyond_if_negative(jnp.asarray(index), size)
    return jnp.full(shape, -jnp.inf, x.dtype).at[index].max(x, mode="drop")


@rule(_largest)
def _largest_rule(x, index, size, /):
    y = _largest(x, index, size)
    is_largest = _equals(x, lookup(y, index))

    def back(ct):
        shared = ct / _or_one(add_rows(is_largest, index, y.shape))
        return lookup(shared, index) * is_largest, None, None

    return y, back


def lookup(table, index, /):
    """The rows of `table` at `index`.

    An index is known to be in range or is refused. In a compiled program, where its value is not
    known, a row that does not exist is NaN.

    Args:
        table: an array whose first axis is counted by the index.
        index: integers, ``0 .. n-1``.

    Shapes: ``(n, ...), (B, ...) -> (B, ..., ...)``.
    Raises: ``LabelError`` for an index out of range.

    >>> lookup(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([1, 1, 0])).tolist()
    [[3.0, 4.0], [3.0, 4.0], [1.0, 2.0]]
    """
    check_index(index, table.shape[0])
    xp = namespace(table, index)
    if xp is np:
        return table[np.asarray(index)]
    if xp is not jnp:
        return xp.rows(table, index)
    index = _beyond_if_negative(jnp.asarray(index), table.shape[0])
    return jnp.asarray(table).at[index].get(mode="fill", fill_value=jnp.nan)


@rule(lookup)
def _lookup_rule(table, index, /):
    return lookup(table, index), lambda ct: (add_rows(ct, index, table.shape), None)


def add_rows(rows, index, shape, /):
    """A table of zeros to which each of `rows` has been added at its index.

    >>> add_rows(np.ones((3, 1)), np.array([1, 1, 0]), (2, 1)).tolist()
    [[1.0], [2.0]]
    """
    xp = namespace(rows, index)
    if xp is np:
        table = np.zeros(shape, rows.dtype)
        np.add.at(table, np.asarray(index), rows)
        return table
    if xp is not jnp:
        return xp.add_rows(rows, index, shape)
    index = _beyond_if_negative(jnp.asarray(index), shape[0])
    return jnp.zeros(shape, rows.dtype).at[index].add(rows, mode="drop")


@rule(add_rows)
def _add_rows_rule(rows, index, shape, /):
    return add_rows(rows, index, shape), lambda ct: (lookup(ct, index), None, None)


def put(x, part, start, /):
    """`x` with `part` in the place of the entries from `start` on, along the second axis.

    Args:
        x: an array of two axes or more.
        part: fewer or equally many entries along that axis, otherwise of the same shape.
        start: an integer, of a compiled program too; there must be room behind it.

    >>> put(np.zeros((1, 4)), np.ones((1, 2)), 1).tolist()
    [[0.0, 1.0, 1.0, 0.0]]
    """
    xp = namespace(x, part, start)
    if xp is np:
        y = np.array(x)
        y[:, start : start + part.shape[1]] = part
        return y
    if xp is not jnp:
        start, stop = int(start), int(start) + part.shape[1]
        rest = x[:, :start, ...], xp.astype(part, x.dtype), x[:, stop:, ...]
        return xp.concatenate(rest, axis=1)
    return lax.dynamic_update_slice_in_dim(jnp.asarray(x), part.astype(x.dtype), start, axis=1)


@rule(put)
def _put_rule(x, part, start, /):
    def back(ct):
        return put(ct, 0 * part, start), _cast(cut(ct, start, part.shape[1]), part), None

    return put(x, part, start), back


def _cast(x, like):
    return namespace(x).astype(x, like.dtype)


def cut(x, start, count, /):
    """The `count` entries of `x` from `start` on, along the second axis.

    >>> cut(np.arange(4.0)[None], 1, 2).tolist()
    [[1.0, 2.0]]
    """
    xp = namespace(x, start)
    if xp is not jnp:
        return x[:, int(start) : int(start) + count, ...]
    return lax.dynamic_slice_in_dim(jnp.asarray(x), start, count, axis=1)


@rule(cut)
def _cut_rule(x, start, count, /):
    return cut(x, start, count), lambda ct: (put(0 * x, ct, start), None, None)


@nograd
def check_index(index, n: int) -> None:
    """Raise `LabelError` unless every index is from 0 to ``n - 1``; a traced one passes."""
    if is_traced(index):
        return
    index = numbers_of(index)
    if index.dtype.kind not in "iu":
        raise LabelError(
            f"an index has the dtype {index.dtype}: it must be integers.", where=user_line()
        )
    wrong = index[(index < 0) | (index >= n)]
    if wrong.size:
        raise LabelError(
            f"index {wrong[0]} is out of range: there are {n} rows, 0 to {n - 1}.",
            where=user_line(),
        )


@nograd
def _equals(a, b):
    return _cast(a == b, a)


@nograd
def _or_one(counts):
    return namespace(counts).maximum(counts, 1)


@nograd
def _counts(index, size, like):
    """How many entries each bin has, at least 1 to divide by, with the axes of an entry."""
    ones = namespace(index, like).ones(shape_of(index), like.dtype)
    counts = _or_one(add_rows(ones, index, (size,)))
    axes = len(like.shape) - len(shape_of(index))
    return reshape(counts, (size, *[1] * axes))


@nograd
def _first(axes):
    return tuple(range(axes))


@nograd
def _from(start, axes):
    return tuple(range(start, start + axes))


@nograd
def _check_scatter(x, index, size, op):
    if op not in ("sum", "mean", "max", "min"):
        raise ValueError(f"op is {op!r}: it must be sum, mean, max or min.")
    shape = shape_of(index)
    if shape_of(x)[: len(shape)] != shape:
        raise ShapeError(
            f"scatter got entries of shape {shape_of(x)} and an index of shape {shape}: the first "
            "axes of the entries must be those of the index.",
            where=user_line(),
        )
    check_index(index, size)


@nograd
def _beyond_if_negative(index, n):
    return jnp.where(index < 0, n, index)
