"""A carried array that every iteration adds to at another place is what the loop collects.

The adjoint of `x = xs[t]` adds to one row of the cotangent of `xs`. In a loop that reads every row
once, this array need not be carried, read and written at each step: what is added is collected, and
added at once. The places are looked at while the program is made: they must be known then.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax.extend.core import Literal

__all__ = ["Scattered", "known_numbers", "scattered"]

MOST = 4096
"""Iterations up to which the numbers of the iterations are known while the program is made."""
INTEGERS = {
    "add": np.add, "sub": np.subtract, "mul": np.multiply, "neg": np.negative, "max": np.maximum,
    "min": np.minimum, "lt": np.less, "le": np.less_equal, "gt": np.greater, "eq": np.equal,
    "ge": np.greater_equal, "ne": np.not_equal, "and": np.logical_and, "or": np.logical_or,
    "select_n": lambda test, a, b: np.where(test, b, a),
}  # fmt: skip
"""What is done with the number of an iteration to make an index of it."""
SAME = frozenset(["broadcast_in_dim", "reshape", "expand_dims", "squeeze"])
"""Operations that give a row the axis of length 1 along which it is written, or take it away."""


def known_numbers(length: int):
    """The numbers of the iterations: known while the program is made, if there are not many."""
    xp: Any = np if length <= MOST else jnp
    return xp.arange(length, dtype=np.int32)


class Scattered(NamedTuple):
    """What each iteration adds to one row of a carried array.

    Attributes:
        term: the variable that is added.
        axis: along which the rows lie.
        order: the place of each row of `term` in the array.
    """

    term: Any
    axis: int
    order: np.ndarray

    def inputs(self) -> list:
        return [self.term]

    def added_to(self, array, terms):
        """The array after the loop, of that before it and of the terms of all iterations."""
        terms = terms[np.argsort(self.order)] if (np.diff(self.order) != 1).any() else terms
        return array + jnp.moveaxis(terms, 0, self.axis)


def scattered(body, place: int, out, rows: dict) -> Scattered | None:
    """How an iteration adds to a carried array; `None` if it does not write each row once.

    Args:
        body: the iteration.
        place: of the carried value.
        out: the variable that is carried on.
        rows: arrays of what differs by iteration, by variable.
    """
    start, write = body.carry[place], body.makers.get(out)
    if body.uses.get(start, 0) != 2 or not is_of(write, "dynamic_update_slice"):
        return None
    array, update, *indices = write.invars
    axes = [i for i, (a, b) in enumerate(zip(start.aval.shape, update.aval.shape, strict=True))
            if a != b]  # fmt: skip
    if array is not start or len(axes) != 1 or body.uses[out] != 1:
        return None
    (axis,) = axes
    places, total = position(body, indices, axis, rows), body.makers.get(row_of(body, update))
    if places is None or update.aval.shape[axis] != 1 or not is_of(total, "add", "add_any"):
        return None
    for old, term in (total.invars, total.invars[::-1]):
        read = body.makers.get(row_of(body, old))
        if is_of(read, "dynamic_slice") and read.invars[0] is start:
            same = position(body, read.invars[1:], axis, rows)
            shape = [n for i, n in enumerate(start.aval.shape) if i != axis]
            once = sorted(places.tolist()) == list(range(start.aval.shape[axis]))
            if once and np.array_equal(places, same) and list(term.aval.shape) == shape:
                return Scattered(chosen(body, term, rows), axis, places)
    return None


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


def position(body, indices: list, axis: int, rows: dict) -> np.ndarray | None:
    """The index along `axis` in all iterations, if it is known, and the others are 0."""
    for i, index in enumerate(indices):
        if i != axis and not (isinstance(index, Literal) and index.val == 0):
            return None
    return numbers_of(body, indices[axis], rows)


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
    if var in rows:
        return rows[var] if isinstance(rows[var], np.ndarray) else None
    maker = body.makers.get(var)
    if maker is None or var.aval.shape or maker.primitive.name not in INTEGERS:
        return None
    values = [numbers_of(body, v, rows) for v in maker.invars]
    if any(v is None for v in values):
        return None
    return INTEGERS[maker.primitive.name](*values)
