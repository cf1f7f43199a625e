"""Pick rows of a table, and the adjoint: add rows into a table; overwrite a run of them."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from jax import lax

from flux.ad import nograd, rule
from flux.errors import LabelError, user_line
from flux.functional.arrays import is_traced, namespace

__all__ = ["add_rows", "lookup", "put"]


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
    if namespace(table, index) is np:
        return table[np.asarray(index)]
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
    if namespace(rows, index) is np:
        table = np.zeros(shape, rows.dtype)
        np.add.at(table, np.asarray(index), rows)
        return table
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
    if namespace(x, part, start) is np:
        y = np.array(x)
        y[:, start : start + part.shape[1]] = part
        return y
    return lax.dynamic_update_slice_in_dim(jnp.asarray(x), part.astype(x.dtype), start, axis=1)


@rule(put)
def _put_rule(x, part, start, /):
    def back(ct):
        return put(ct, 0 * part, start), cut(ct, start, part.shape[1]).astype(part.dtype), None

    return put(x, part, start), back


def cut(x, start, count, /):
    """The `count` entries of `x` from `start` on, along the second axis.

    >>> cut(np.arange(4.0)[None], 1, 2).tolist()
    [[1.0, 2.0]]
    """
    if namespace(x, start) is np:
        return x[:, start : start + count]
    return lax.dynamic_slice_in_dim(jnp.asarray(x), start, count, axis=1)


@rule(cut)
def _cut_rule(x, start, count, /):
    return cut(x, start, count), lambda ct: (put(0 * x, ct, start), None, None)


@nograd
def check_index(index, n: int) -> None:
    """Raise `LabelError` unless every index is from 0 to ``n - 1``; a traced one passes."""
    if is_traced(index):
        return
    index = np.asarray(index)
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
def _beyond_if_negative(index, n):
    return jnp.where(index < 0, n, index)
