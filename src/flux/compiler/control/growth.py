"""Lists that a loop of the program makes longer: what it appends, and the cotangents of that.

An iteration is traced once, and appends to the list itself. What it appended is taken off again and
collected as arrays with a leading axis; after the loop the list gets the rows of all iterations.
In the reverse, the cotangents of these items are such arrays again.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.core import Tracer

from flux.ad.cotangents import dense
from flux.ad.spaces import project, zero_of
from flux.compiler.control.descriptions import build
from flux.errors import StagingError
from flux.ir.regions import Region
from flux.rules.items import give_back

__all__ = ["STACKING", "Growth", "rows_of", "stack", "stack_again"]

PLAIN = (int, float, complex, bool, str, type(None), np.ndarray, np.generic, jax.Array, Tracer)


class Growth:
    """The lists that a loop makes longer.

    Attributes:
        lists: each, its length before the loop, and how many items an iteration appends.
    """

    __constant__ = True

    def __init__(self, body: Callable, region: Region):
        self.region = region
        self.lists: list[tuple[list, int, int]] = []
        if region.grows:
            code, cells = body.__code__, body.__closure__ or ()
            held = dict(zip(code.co_freevars, cells, strict=True))
            for name in region.grows:
                value = held[name].cell_contents if name in held else None
                if type(value) is list:
                    self.lists.append((value, len(value), 0))

    def cut(self) -> list:
        """What an iteration appended, taken off again."""
        appended: list = []
        for place, (items, start, _) in enumerate(self.lists):
            more = items[start:]
            del items[start:]
            self.lists[place] = items, start, len(more)
            appended += more
        if not all(map(is_plain, appended)):
            raise StagingError(
                f"The list `{self.region.grows[0]}` grows by things that can change in a loop that "
                "stays a loop.",
                where=self.region.line,
                hint="Append arrays, numbers, or tuples of them.",
            )
        return appended

    def extend(self, parts: list, rows: dict, length: int) -> list[Grown]:
        """Append the rows of all iterations; `parts` describe the items of one."""
        found = []
        places = iter(parts)
        for items, start, count in self.lists:
            own = [next(places) for _ in range(count)]
            leaves = {slot: rows_of(array) for slot, array in rows.items()}
            for i in range(length):
                row = {slot: each[i] for slot, each in leaves.items()}
                items.extend([build(part, row, {}) for part in own])
            found.append(Grown(items, start, count, length))
        return found


def is_plain(value) -> bool:
    """Is `value` nothing that can change?"""
    return all(map(is_plain, value)) if type(value) is tuple else isinstance(value, PLAIN)


class Grown:
    """A list after a loop that made it longer."""

    def __init__(self, items: list, start: int, count: int, length: int):
        self.items, self.start, self.count, self.length = items, start, count, length
        self.likes = items[start : start + count]

    def reversed(self, store) -> Returned:
        """The cotangents of what the loop appended, taken from the store."""
        found = []
        for place, like in enumerate(self.likes):
            numbers = range(self.start + place, self.start + self.count * self.length, self.count)
            cts = [dense(store.take(self.items, number)) for number in numbers]
            found.append(None if all([ct is None for ct in cts]) else stacked(like, cts))
        return Returned(self.items, self.start, found)


class Returned:
    """Cotangents of what a loop appended, an array for each iteration's item or part of it."""

    __constant__ = True

    def __init__(self, items: list, start: int, parts: list):
        self.items, self.start = items, start
        self.arrays, self.tree = jax.tree.flatten(parts)

    def enter(self, store, rows: list) -> None:
        """An iteration's reverse begins: the cotangents of its items are at hand."""
        for place, ct in enumerate(jax.tree.unflatten(self.tree, rows)):
            if ct is not None:
                store.add(self.items, self.start + place, ct)


def stacked(like, cts: list) -> Any:
    """The cotangents of values as `like` along a new first axis; `None` where there are none."""
    if type(like) is tuple:
        return tuple([
            stacked(part, [None if ct is None else ct[i] for ct in cts])
            for i, part in enumerate(like)
        ])  # fmt: skip
    zero = zero_of(like)
    if zero is None or all([ct is None for ct in cts]):
        return None
    known = array_of(cts)
    if known is not None and known.dtype == like.dtype and known.shape[1:] == like.shape:
        return known
    return jnp.stack([jnp.asarray(zero if ct is None else project(ct, like)) for ct in cts])


# -- arrays that were taken apart, and put together again ------------------------------------------

ROWS: dict[int, tuple[weakref.ref, Any, int]] = {}
"""By `id` of a traced row: the row, the array that it is of, and its number."""


def rows_of(array) -> list:
    """The rows of a traced array; `array_of` finds it again."""
    rows = [lax.index_in_dim(array, i, 0, keepdims=False) for i in range(array.shape[0])]
    for i, row in enumerate(rows):
        if isinstance(row, Tracer):
            remember(row, array, i)
    return rows


def remember(row, array, place: int) -> None:
    key = id(row)
    ROWS[key] = weakref.ref(row, lambda _: ROWS.pop(key, None)), array, place


def array_of(items) -> Any:
    """The array that the items are all the rows of, in order; otherwise `None`."""
    known = [ROWS.get(id(item)) for item in items]
    if not known or known[0] is None:
        return None
    array = known[0][1]
    if array.shape[0] != len(items):
        return None
    for i, (item, entry) in enumerate(zip(items, known, strict=True)):
        if entry is None or entry[0]() is not item or entry[1] is not array or entry[2] != i:
            return None
    return array


STACKING = {
    **dict.fromkeys((jnp.stack, np.stack), ("axis",)),
    **dict.fromkeys((jnp.array, np.array, jnp.asarray, np.asarray), ()),
}
"""Functions that put items together along a new axis, and their options that are known here."""


def together(f, args, keywords) -> tuple[Any, int] | None:
    """The array that a call of one of `STACKING` puts together again, and along which axis."""
    if not args or type(args[0]) not in (list, tuple) or len(args) > 1 + len(STACKING[f]):
        return None
    options = {**dict(zip(STACKING[f], args[1:], strict=False)), **keywords}
    axis = options.pop("axis", 0)
    array = None if options or type(axis) is not int else array_of(args[0])
    return None if array is None else (array, axis)


def stack(f, otherwise: Callable):
    """`f` of `STACKING`; `otherwise` makes it of other items."""

    def function(*args, **keywords):
        found = together(f, args, keywords)
        if found is None:
            return otherwise(f, args, keywords)
        array, axis = found
        return jnp.moveaxis(jnp.asarray(array), 0, axis)

    return function


def stack_again(f, otherwise: Callable):
    """The augmented form of `f`: the cotangents of the items are rows again."""

    def augmented(*args, **keywords):
        found = together(f, args, keywords)
        if found is None:
            return otherwise(f, args, keywords)
        axis = found[1]
        y = jnp.moveaxis(found[0], 0, axis)
        items = args[0]

        def back(ct, store):
            nones = [None for _ in (*args[1:], *keywords)]
            if ct is None or zero_of(y) is None:
                return (None, *nones)
            whole: Any = project(dense(ct), y)
            rows = rows_of(jnp.moveaxis(whole, axis, 0))
            return (give_back(items, tuple(rows), store), *nones)

        return y, back

    return augmented
