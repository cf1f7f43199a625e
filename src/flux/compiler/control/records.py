"""What loops and branches collected, for those who go over it later: first to last or backwards."""

from __future__ import annotations

from typing import Any

from jax import lax

from flux.compiler.control.iterables import Sequence, Turned
from flux.compiler.control.join import Either, Slot, build

__all__ = ["Chained", "Rest", "Stacked", "backwards", "chained", "chosen"]


class Stacked(Sequence):
    """What every iteration of a loop collected: one description, arrays with a leading axis.

    Attributes:
        most: the length of the arrays, where only the data decide how much of them was filled.
    """

    def __init__(self, description, arrays: dict[Slot, Any], length, bound: int):
        self.description, self.arrays = description, arrays
        self.length, self.most = length, bound

    @property
    def bound(self):
        return self.most

    def item(self, index):
        def row(array):
            if isinstance(index, int):
                return array[index]
            return lax.dynamic_index_in_dim(array, index, 0, keepdims=False)

        rows = {slot: row(array) for slot, array in self.arrays.items()}
        return build(self.description, rows)


class Chained:
    """Several collections, one after the other."""

    def __init__(self, parts: list):
        self.parts = parts

    def __iter__(self):
        return iter([item for part in self.parts for item in part])

    def __len__(self):
        return sum([len(part) for part in self.parts])


class Rest:
    """What a loop collected after an iteration at which it may have stopped.

    Attributes:
        stopped: traced; then there is nothing.
        items: the collection otherwise.
    """

    def __init__(self, stopped, items):
        self.stopped, self.items = stopped, items


def chained(first: list, rest):
    """A list, and what follows it."""
    return Chained([first, rest]) if first else rest


def backwards(collected):
    """`reversed` of something collected."""
    if isinstance(collected, Chained):
        return Chained([backwards(part) for part in reversed(collected.parts)])
    if isinstance(collected, Rest):
        return Rest(collected.stopped, backwards(collected.items))
    if hasattr(collected, "turned"):
        return collected.turned()
    if isinstance(collected, Sequence):
        return Turned(collected)
    return list(reversed(collected))


def chosen(value, side: bool):
    """The record of the side of a branch that ran."""
    if type(value) is not Either:
        return value
    return value.first if side else value.second
