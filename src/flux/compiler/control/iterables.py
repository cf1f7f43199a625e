"""What a loop of a compiled program can go over: a length and items by their number.

The number of an item may be traced. `length` is an `int`, or traced where only the data decide it.
"""

from __future__ import annotations

import ast
import itertools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.core import Tracer

from flux.compiler.control.checks import current
from flux.compiler.control.written import is_numpys, note_numpys
from flux.errors import StagingError, user_line

__all__ = ["Counting", "Mapped", "Numbered", "Rows", "Sequence", "Together", "Turned", "staged"]


class Sequence:
    """Items by number; Python's own iteration works where the length is known."""

    length: Any

    @property
    def bound(self) -> int | None:
        """The most items that there can be, where known."""
        return self.length if isinstance(self.length, int) else None

    def item(self, index) -> Any:
        raise NotImplementedError

    def columns(self) -> tuple[list, bool]:
        """Arrays whose rows the items are made of, and whether they go backwards."""
        return [], False

    def item_of(self, index, rows: list) -> Any:
        """The item with a number, of these rows."""
        return self.item(index)

    def __len__(self):
        if isinstance(self.length, Tracer):
            raise StagingError(
                "A list or length of items whose number only the data decide cannot be part of a "
                "compiled program.",
                where=user_line(),
                hint="Go over them with `for`, or use an array of the greatest length and a count.",
            )
        return self.length

    def __iter__(self):
        self.begin()
        return self.each()

    def begin(self) -> None:
        """Somebody goes through the items."""

    def each(self):
        for index in range(len(self)):
            yield self.item(index)

    def __getitem__(self, index):
        return self.item(index)


class Once(Sequence):
    """What is an iterator of Python's: one can go through it once."""

    begun = False

    def begin(self):
        if self.begun:
            raise StagingError(
                "What `zip`, `enumerate`, `reversed` or `map` made of arrays is gone through a "
                "second time: plain Python would go on where it stopped.",
                where=user_line(),
                hint="Make it anew for each loop, or go over the array itself.",
            )
        self.begun = True
        for items in self.inner():
            items.begin()

    def inner(self) -> list[Sequence]:
        raise NotImplementedError


class Rows(Sequence):
    """The rows of an array."""

    def __init__(self, array):
        if array.ndim == 0:
            raise TypeError("iteration over a 0-d array")
        self.array, self.length = jnp.asarray(array), array.shape[0]
        self.noted = note_numpys if is_numpys(array) else id

    def item(self, index):
        if isinstance(index, int):
            row = self.array[index]
        else:
            row = lax.dynamic_index_in_dim(self.array, index, 0, keepdims=False)
        self.noted(row)
        return row

    def columns(self):
        return [self.array], False

    def item_of(self, index, rows):
        self.noted(rows[0])
        return rows[0]


class Counting(Sequence):
    """`range(start, stop, step)`, of which any may be traced."""

    def __init__(self, start, stop=None, step=1):
        if stop is None:
            start, stop = 0, start
        self.start, self.step = start, step
        for value in (start, stop, step):
            kind = getattr(value, "dtype", int)
            if jnp.issubdtype(kind, jnp.inexact):
                raise TypeError(f"an array of {kind} cannot be interpreted as an integer")
        if isinstance(step, Tracer):
            current().happen_if(step == 0, ValueError("range() arg 3 must not be zero"))
        if any(isinstance(v, Tracer) for v in (start, stop, step)):
            away = jnp.where(step > 0, 1, -1)
            self.length = jnp.maximum(0, (stop - start + step - away) // step)
        else:
            self.length = len(range(start, stop, step))

    def item(self, index):
        return self.start + index * self.step


class Counted(Sequence):
    """`itertools.count(start, step)`."""

    length = 2**30

    def __init__(self, start, step):
        self.start, self.step = start, step

    def item(self, index):
        return self.start + index * self.step


class Numbered(Once):
    """`enumerate(items, start)`."""

    def __init__(self, items: Sequence, start=0):
        self.items, self.start, self.length = items, start, items.length

    @property
    def bound(self):
        return self.items.bound

    def inner(self):
        return [self.items]

    def item(self, index):
        return self.start + index, self.items.item(index)

    def columns(self):
        return in_order(self.items), False

    def item_of(self, index, rows):
        return self.start + index, self.items.item_of(index, rows)


class Together(Once):
    """`zip(*several)`."""

    def __init__(self, several: list[Sequence]):
        self.several = several
        lengths = [items.length for items in several]
        if all(isinstance(length, int) for length in lengths):
            self.length = min(lengths)
        else:
            self.length = jnp.min(jnp.stack([jnp.asarray(length) for length in lengths]))

    @property
    def bound(self):
        bounds = [items.bound for items in self.several]
        return min([b for b in bounds if b is not None], default=None)

    def inner(self):
        return self.several

    def item(self, index):
        return tuple([items.item(index) for items in self.several])

    def columns(self):
        self.parts = [in_order(items) for items in self.several]
        return [array[: self.length] for part in self.parts for array in part], False

    def item_of(self, index, rows):
        rest, found = list(rows), []
        for items, part in zip(self.several, self.parts, strict=True):
            found.append(items.item_of(index, rest[: len(part)]))
            del rest[: len(part)]
        return tuple(found)


class Turned(Once):
    """`reversed(items)`."""

    def __init__(self, items: Sequence):
        self.items, self.length = items, items.length

    @property
    def bound(self):
        return self.items.bound

    def inner(self):
        return [self.items]

    def item(self, index):
        return self.items.item(self.length - 1 - index)

    def columns(self):
        arrays, turned = self.items.columns()
        return arrays, not turned

    def item_of(self, index, rows):
        return self.items.item_of(self.length - 1 - index, rows)


class Mapped(Once):
    """`map(f, *several)`."""

    def __init__(self, function, several: Sequence):
        self.function, self.several, self.length = function, several, several.length

    def inner(self):
        return [self.several]

    def item(self, index):
        return self.function(*self.several.item(index))


def in_order(items: Sequence) -> list:
    """The columns of a sequence, from its first item to its last."""
    arrays, turned = items.columns()
    return [jnp.flip(array, 0) for array in arrays] if turned else arrays


def staged(value) -> Sequence | None:
    """`value` as a sequence that a loop of the program goes over; `None` for a Python iterable."""
    if isinstance(value, Sequence):
        return value
    if isinstance(value, jax.Array | np.ndarray) and value.ndim and value.dtype != object:
        return Rows(value)
    if isinstance(value, range):
        return Counting(value.start, value.stop, value.step)
    return None


def several_staged(values, strict: bool) -> list[Sequence] | None:
    """The arguments of `zip` as sequences, if one of them has to be one."""
    found = [staged(value) for value in values]
    if not any(s is not None and not isinstance(v, range)
               for s, v in zip(found, values, strict=True)):  # fmt: skip
        return None
    if any(s is None and not isinstance(v, itertools.count)
           for s, v in zip(found, values, strict=True)):  # fmt: skip
        return None
    lengths = {s.length for s in found if s is not None and isinstance(s.length, int)}
    if strict and len(lengths) > 1:
        raise ValueError("zip() arguments have different lengths")
    return [counting(v) if s is None else s for s, v in zip(found, values, strict=True)]


def counting(count: itertools.count) -> Sequence:
    """An `itertools.count` as a sequence; it must not be counted on with afterwards."""
    numbers = str(count)[len("count(") : -1].split(", ")
    start, step = [*map(ast.literal_eval, numbers), 1][:2]
    return Counted(start, step)
