"""A carried array that every iteration adds to at another place is what the loop collects.

The adjoint of `x = xs[t]` adds to one row of the cotangent of `xs`. In a loop that reads every row
once, this array need not be carried, read and written at each step: what is added is collected, and
added at once. The places are looked at while the program is made: they must be known then.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.extend.core import Literal

__all__ = ["Scattered", "known_numbers", "scattered"]

MOST = 4096
"""Iterations up to which the numbers of the iterations are known while the program is made."""
INTEGERS = {
    "add": np.add, "sub": np.subtract, "mul": np.multiply, "neg": np.negative, "max": np.maximum,
    "min": np.minimum, "lt": np.less, "le": np.less_equal, "gt": np.greater, "eq": np.equal,
    "ge": np.greater_equal, "ne": np.not_equal, "and": np.logical_and, "or": np.logical_or,
    "select_n": lambda test, a, b: np.where(test, b, a), "convert_element_type": np.asarray,
}  # fmt: skip
"""What is done with the number of an iteration to make an index of it."""
SAME = frozenset(["broadcast_in_dim", "reshape", "expand_dims", "squeeze"])
"""Operations that give a row the axis of length 1 along which it is written, or take it away."""


def known_numbers(length: int):
    """The numbers of the iterations: known while the program is made, if there are not many."""
    xp: Any = np if length <= MOST else jnp
    return xp.arange(length, dtype=np.int32)


class Scattered(NamedTuple):
    """What each iteration adds to one row of a carried array, or to a part of the row.

    Attributes:
        term: the variable that is added.
        axis: along which the rows lie.
        order: the place of each row of `term` in the array; in equal steps, up or down.
        corner: where the part of the row begins on each axis.
        window: its size on each axis, 1 on that of the rows.
    """

    term: Any
    axis: int
    order: np.ndarray
    corner: tuple[int, ...]
    window: tuple[int, ...]

    def added_to(self, array, terms):
        """The array with the terms of all iterations added."""
        axis, order = self.axis, self.order
        step = int(order[1] - order[0]) if len(order) > 1 else 1
        rows = (terms if step > 0 else terms[::-1]).reshape((len(order), *self.window))
        shape = (*self.window[:axis], len(order), *self.window[axis + 1 :])
        rows = jnp.moveaxis(rows, 0, axis).reshape(shape)
        edges = [
            (start, size - start - width, 0)
            for start, size, width in zip(self.corner, array.shape, self.window, strict=True)
        ]
        edges[axis] = int(order.min()), int(array.shape[axis] - 1 - order.max()), abs(step) - 1
        return array + lax.pad(rows, jnp.zeros((), rows.dtype), edges)


def scattered(body, place: int, out, rows: dict) -> list[Scattered]:
    """How an iteration adds to a carried array; nothing if it does more than to add to rows.

    Args:
        body: the iteration.
        place: of the carried value.
        out: the variable that is carried on.
        rows: arrays of what differs by iteration, by variable.
    """
    found, start, array, uses = [], body.carry[place], out, 1
    while array is not start:
        write = body.makers.get(array)
        if body.uses.get(array, 0) != uses or not is_of(write, *WRITES):
            return []
        array, (part, uses) = write.invars[0], WRITES[write.primitive.name](body, write, rows)
        if part is None:
            return []
        found.append(part)
    return found if body.uses.get(start, 0) == uses else []


def written_row(body, write, rows: dict) -> tuple[Scattered | None, int]:
    """What `dynamic_update_slice` adds to a row that was read before: two uses of the array."""
    array, update, *indices = write.invars
    shape, window = array.aval.shape, update.aval.shape
    axes = [i for i, size in enumerate(window) if size != shape[i]]
    total = body.makers.get(row_of(body, update))
    if len(axes) != 1 or not is_of(total, "add", "add_any"):
        return None, 2
    for old, term in (total.invars, total.invars[::-1]):
        read = body.makers.get(row_of(body, old))
        if is_of(read, "dynamic_slice") and read.invars[0] is array:
            part = added_row(body, shape, window, indices, term, rows)
            same = added_row(body, shape, window, read.invars[1:], term, rows)
            if part and same and np.array_equal(part.order, same.order):
                return part, 2
    return None, 2


def added_part(body, write, rows: dict) -> tuple[Scattered | None, int]:
    """What `scatter-add` adds to a part of an array: one use of it."""
    array, index, update = write.invars
    numbers, shape = write.params["dimension_numbers"], array.aval.shape
    kept = [i for i in range(len(shape)) if i not in numbers.inserted_window_dims]
    if len(kept) != len(numbers.update_window_dims) or index.aval.ndim != 1:
        return None, 1
    if numbers.operand_batching_dims or len(kept) != update.aval.ndim:
        return None, 1
    window, indices = [1] * len(shape), [Literal(0, index.aval)] * len(shape)
    for i, size in zip(kept, update.aval.shape, strict=True):
        window[i] = size
    places = zip(numbers.scatter_dims_to_operand_dims, items_of(body, index), strict=False)
    for i, item in places:
        indices[i] = item
    return added_row(body, shape, tuple(window), indices, update, rows), 1


WRITES = {"dynamic_update_slice": written_row, "scatter-add": added_part}


def items_of(body, index) -> list:
    """The items of a vector that is put together of single numbers."""
    maker = body.makers.get(index)
    if is_of(maker, "concatenate"):
        return [item for part in maker.invars for item in items_of(body, part)]
    return [maker.invars[0] if is_of(maker, *SAME) else index]


def added_row(body, shape, window, indices: list, term, rows: dict) -> Scattered | None:
    """What is added at `indices`, if one of them steps with the iterations, and none else does."""
    axis, order, corner = None, np.zeros(0), [0] * len(shape)
    for i, index in enumerate(indices):
        numbers = numbers_of(body, index, rows)
        if numbers is None:
            return None
        if numbers.ndim:
            if axis is not None or window[i] != 1 or not are_steps(numbers, shape[i]):
                return None
            axis, order = i, numbers
        else:
            corner[i] = int(numbers)
            if not 0 <= corner[i] <= shape[i] - window[i]:
                return None
    if axis is None or term.aval.size != np.prod(window):
        return None
    return Scattered(chosen(body, term, rows), axis, order, tuple(corner), tuple(window))


def are_steps(places: np.ndarray, count: int) -> bool:
    """Are these places of an axis of length `count`, one after the other in equal steps?"""
    steps = np.diff(places)
    inside = len(places) and 0 <= places.min() and places.max() < count
    return bool(inside and (steps == steps[:1]).all() and steps[:1].all())


def is_of(equation, *names: str) -> bool:
    return equation is not None and equation.primitive.name in names


def row_of(body, var):
    """The variable that `var` is but for axes of length 1; none if it is used elsewhere."""
    while not isinstance(var, Literal) and body.uses.get(var, 0) == 1:
        maker = body.makers.get(var)
        if not is_of(maker, *SAME) or maker.invars[0].aval.size != var.aval.size:
            return var
        var = maker.invars[0]
    return None


def chosen(body, var, rows: dict):
    """Which variable a selection is, if it is the same one in all iterations."""
    maker = body.makers.get(var)
    if not is_of(maker, "select_n") or len(maker.invars) != 3:
        return var
    tests = numbers_of(body, maker.invars[0], rows)
    if tests is None or tests.all() != tests.any():
        return var
    side = maker.invars[1 + int(tests.all())]
    return var if isinstance(side, Literal) else side


def numbers_of(body, var, rows: dict) -> np.ndarray | None:
    """The values of an integer variable in all iterations; `None` if they are not known."""
    if isinstance(var, Literal):
        return np.asarray(var.val)
    if var.aval.shape:
        return None
    if var in rows:
        return rows[var] if isinstance(rows[var], np.ndarray) else None
    maker = body.makers.get(var)
    if maker is None or maker.primitive.name not in INTEGERS:
        return None
    if var.aval.dtype.kind not in "ib":
        return None
    values = [numbers_of(body, v, rows) for v in maker.invars]
    if any(v is None for v in values):
        return None
    return INTEGERS[maker.primitive.name](*values)
