"""The cotangents of mutable things, by identity, during one reverse pass.

A read adds to a slot, a write takes the slot and leaves it empty; aliases of one object share its
slots, so the order of reads and writes in the program is the only thing that matters.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

from flux.ad.cotangents import accumulate

__all__ = ["INSTANCES", "Store", "instance_dict"]

INSTANCES: dict[int, Callable[[], Any]] = {}
"""By `id` of a `__dict__` that a program has read: the object whose attributes it holds."""


def instance_dict(obj) -> dict:
    """`obj.__dict__`: its items share the slots of the object's attributes."""
    parts = obj.__dict__
    key = id(parts)
    try:
        INSTANCES[key] = weakref.ref(obj, lambda _, pop=INSTANCES.pop: pop(key, None))
    except TypeError:  # a SimpleNamespace: kept alive by its own entry, as few are read so
        INSTANCES[key] = lambda: obj
    return parts


def identity(owner) -> int:
    """What tells owners apart: an object and its `__dict__` are one."""
    if INSTANCES and type(owner) is dict:
        known = INSTANCES.get(id(owner))
        obj = None if known is None else known()
        if obj is not None and obj.__dict__ is owner:
            return id(obj)
    return id(owner)


class Store:
    """Slots of cotangents; one is made for every call of a pullback.

    A slot belongs to an owner (a list, dict, object, cell or module dict) and a key (an index,
    dict key, attribute name). Owners are kept alive, so that an `id` means one object only.
    """

    __slots__ = ("owners", "slots")

    def __init__(self):
        self.slots: dict[int, dict] = {}
        self.owners: dict[int, Any] = {}

    def of(self, owner) -> dict:
        """The slots of `owner`, for reading and writing."""
        key = identity(owner)
        slots = self.slots.get(key)
        if slots is None:
            self.owners[key] = owner
            slots = {}
            self.slots[key] = slots
        return slots

    def add(self, owner, key, ct) -> None:
        """A read: add `ct` to the slot."""
        if ct is not None:
            slots = self.of(owner)
            slots[key] = accumulate(slots.get(key), ct)

    def take(self, owner, key):
        """A write: the slot's cotangent, which is `None` afterwards."""
        slots = self.slots.get(identity(owner))
        return None if slots is None else slots.pop(key, None)

    def move(self, source, target) -> None:
        """Two objects turn out to be one: the slots of `source` are those of `target`."""
        if source is target:
            return
        for key, ct in self.slots.pop(identity(source), {}).items():
            self.add(target, key, ct)

    def drop(self, owner) -> None:
        """Forget the cotangents of an object that nobody read."""
        self.slots.pop(identity(owner), None)

    def peek(self, owner, key):
        """The slot's cotangent, left where it is."""
        slots = self.slots.get(identity(owner))
        return None if slots is None else slots.get(key)
