"""What loops and branches collected, for those who go over it later: first to last or backwards."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from jax import lax

from flux.compiler.control.checks import Unreached
from flux.compiler.control.descriptions import Either, Static, build
from flux.compiler.control.iterables import Sequence
from flux.ir.regions import undefined

__all__ = ["Chained", "Links", "Rest", "Reverse", "Stacked", "backwards", "chained", "chosen",
           "follow", "follow_side"]  # fmt: skip


class Stacked(Sequence):
    """What every iteration of a loop collected: one description, arrays with a leading axis.

    Attributes:
        arrays: what was kept of every iteration, along a leading axis.
        leaves: makes what the description asks for of a row of each.
        grown: the lists that the loop made longer.
        most: the length of the arrays, where only the data decide how much of them was filled.
    """

    def __init__(self, description, arrays: list, leaves: Callable, length, bound: int, links):
        self.description, self.arrays, self.leaves, self.links = description, arrays, leaves, links
        self.length, self.most = length, bound
        self.grown: list = []

    @property
    def bound(self):
        return self.most

    def item(self, index):
        return self.linked(index)[0]

    def columns(self):
        return self.arrays, False

    def item_of(self, index, rows):
        return self.linked_of(rows)[0]

    def linked_of(self, rows: list) -> tuple[Any, list]:
        """As `linked`, of the rows of an item."""
        memo: dict = {}
        item = build(self.description, self.leaves(rows), memo)
        return item, self.links.built(memo)

    def linked(self, index) -> tuple[Any, list]:
        """The item, and the objects that were carried into its iteration and out of it."""

        return self.linked_of([row_of(array, index) for array in self.arrays])


def row_of(array, index):
    if isinstance(index, int):
        return array[index]
    return lax.dynamic_index_in_dim(array, index, 0, keepdims=False)


def object_of(description, memo: dict[int, Any]):
    """The object that a description stands for, where it was built or is always the same."""
    return description.value if isinstance(description, Static) else memo.get(id(description))


class Links:
    """The objects that a loop carries, which are others in every iteration.

    Attributes:
        inside: descriptions of each at the start and the end of an iteration, where known.
        outside: each as it was before the loop, and as it is afterwards.
    """

    __constant__ = False

    def __init__(self, inside: list, outside: list):
        self.inside, self.outside = inside, outside

    def built(self, memo: dict[int, Any]) -> list[tuple[Any, Any, Any]]:
        """Each after the loop, at the start and at the end of the iteration that was built."""
        return [
            (after, object_of(start, memo), object_of(end, memo))
            for (start, end), (_, after) in zip(self.inside, self.outside, strict=True)
            if after is not None
        ]


class Opened:
    """The links of the iteration that is being reversed; no part of the program's state."""

    __constant__ = True

    def __init__(self):
        self.links: list = []


class Reverse(Sequence):
    """What the iterations of a loop collected, last first, for the reverse of the loop."""

    def __init__(self, items: Any, store):
        self.items, self.store = items, store
        self.length = items.length
        self.open = Opened()
        self.grown = [part.reversed(store) for part in getattr(items, "grown", ())]

    @property
    def bound(self):
        return self.items.bound

    def item(self, index):
        place = self.length - 1 - index
        item, links = self.items.linked(place)
        self.enter(links)
        for part in self.grown:
            part.enter(self.store, [row_of(array, place) for array in part.arrays])
        return item

    def columns(self):
        return [*self.items.columns()[0], *[a for part in self.grown for a in part.arrays]], True

    def item_of(self, index, rows):
        rest = list(rows)
        own = [rest.pop(0) for _ in self.items.columns()[0]]
        item, links = self.items.linked_of(own)
        self.enter(links)
        for part in self.grown:
            part.enter(self.store, [rest.pop(0) for _ in part.arrays])
        return item

    def enter(self, links: list) -> None:
        """An iteration's reverse begins: the cotangents of what it made are at hand."""
        self.open.links = links
        for after, start, end in links:
            if end is not None:
                self.store.move(after, end)
            elif start is not None:
                self.store.drop(after)

    def leave(self) -> None:
        """It ends: what it was given is what the iteration before it made."""
        for after, start, _ in self.open.links:
            if start is not None:
                self.store.move(start, after)
        self.open.links = []

    def end(self) -> None:
        """The loop's reverse ends: what it was given is what was there before."""
        for before, after in self.items.links.outside:
            if before is not None and after is not None:
                self.store.move(after, before)


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

    def __init__(self, stopped, items, links=(), store=None):
        self.stopped, self.items, self.links, self.store = stopped, items, links, store


def chained(first: list, rest):
    """A list, and what follows it."""
    return Chained([first, rest]) if first else rest


def backwards(collected, store):
    """What a loop collected, for its reverse, in which `store` holds cotangents."""
    if isinstance(collected, Chained):
        return Chained([backwards(part, store) for part in reversed(collected.parts)])
    if isinstance(collected, Rest):
        items = backwards(collected.items, store)
        return Rest(collected.stopped, items, collected.links, store)
    if hasattr(collected, "linked"):
        return Reverse(collected, store)
    return list(reversed(collected))


def chosen(value, store, side: bool):
    """The record of the side of a branch that ran; its objects are those of afterwards."""
    if type(value) is not Either:
        return value
    follow(value.links, store, side)
    found = value.first if side else value.second
    if found is undefined:
        raise Unreached
    return found


def follow_side(took, store, side: bool) -> None:
    """The reverse of a side begins; `took` tells of the branch, where only the data decided."""
    if type(took) is Either:
        follow(took.links, store, side)


def follow(links: list, store, side: bool) -> None:
    """Hand the cotangents of objects after a branch to what they were inside."""
    for after, first, second in links:
        inside = first if side else second
        if after is not None and inside is not None:
            store.move(after, inside)
