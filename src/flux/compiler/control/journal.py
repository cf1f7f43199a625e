"""What a region of a program may change: every mutable thing in its reach, and how it was before.

A block is traced on the objects themselves, so that identity stays what it is; afterwards the
changes are read off and taken back.
"""

from __future__ import annotations

import functools
from collections import deque
from types import CellType, FunctionType, ModuleType
from typing import Any

import numpy as np

from flux.ad.registry import AUGMENTED
from flux.ad.store import Store
from flux.compiler.containers import ATOMS, container_of, is_registered
from flux.compiler.control.iterators import advanced, is_iterator, position, same_position
from flux.compiler.namespaces import global_names, is_users
from flux.tree.objects import fields, set_field

__all__ = ["Journal", "Known", "Names", "changes", "contents", "put"]


class Names:
    """The variables of a namespace that functions use, as a thing of its own."""

    def __init__(self, namespace: dict[str, Any]):
        self.namespace = namespace
        self.names: set[str] = set()


def contents(thing) -> tuple[tuple, list]:
    """The keys and values that a mutable thing holds now."""
    if isinstance(thing, list | deque):
        return tuple(range(len(thing))), list(thing)
    if isinstance(thing, dict):
        return tuple(thing), list(thing.values())
    if isinstance(thing, CellType):
        try:
            return ("cell_contents",), [thing.cell_contents]
        except ValueError:
            return (), []
    if isinstance(thing, Names):
        known = [name for name in sorted(thing.names) if name in thing.namespace]
        return tuple(known), [thing.namespace[name] for name in known]
    if isinstance(thing, Store):
        slots = [(o, k, v) for o, part in thing.slots.items() for k, v in part.items()]
        return tuple([(owner, key) for owner, key, _ in slots]), [value for *_, value in slots]
    if isinstance(thing, set):
        return (frozenset(thing),), [None]
    if isinstance(thing, np.ndarray):
        return (), [thing.copy()]
    parts = fields(thing)
    return tuple(parts), list(parts.values())


def put(thing, keys: tuple, values: list) -> None:
    """Let a mutable thing hold these keys and values, and nothing else."""
    if isinstance(thing, list):
        thing[:] = values
    elif isinstance(thing, deque):
        thing.clear()
        thing.extend(values)
    elif isinstance(thing, dict):
        thing.clear()
        thing.update(zip(keys, values, strict=True))
    elif isinstance(thing, CellType):
        if keys:
            thing.cell_contents = values[0]
        else:
            del thing.cell_contents
    elif isinstance(thing, Names):
        for name in thing.names - set(keys):
            thing.namespace.pop(name, None)
        thing.namespace.update(zip(keys, values, strict=True))
    elif isinstance(thing, Store):
        for part in thing.slots.values():
            part.clear()
        for (owner, key), value in zip(keys, values, strict=True):
            thing.slots.setdefault(owner, {})[key] = value
    elif isinstance(thing, set):
        thing.clear()
        thing.update(keys[0])
    elif isinstance(thing, np.ndarray):
        thing[...] = values[0]
    else:
        for name in set(fields(thing)) - set(keys):
            object.__delattr__(thing, name)
        for name, value in zip(keys, values, strict=True):
            set_field(thing, name, value)


def is_rule(value) -> bool:
    """Is `value` one of our functions, which hold nothing of the user's?"""
    if type(value) is not FunctionType or is_users(value.__code__.co_filename):
        return False
    return not value.__closure__ or value.__qualname__ in rule_names(len(AUGMENTED))


@functools.lru_cache(maxsize=1)
def rule_names(count: int) -> frozenset[str]:
    """The names of the functions that are rules; `count` says how many there are."""
    rules = [f for f in AUGMENTED.values() if isinstance(f, FunctionType)]
    return frozenset([f.__qualname__ for f in rules if not is_users(f.__code__.co_filename)])


class Known(dict):
    """The things of a journal by `id`."""

    def __init__(self, journal: Journal):
        super().__init__({id(thing): thing for thing in journal.things})
        self.journal = journal

    def slots(self, value) -> bool:
        """Is `value` a dict in which a store keeps the cotangents of an object?

        They are what they are: a derivative of a derivative knows them by their `id`.
        """
        if type(value) is not dict:
            return False
        stores = [thing for thing in self.journal.things if isinstance(thing, Store)]
        return any([value is part for store in stores for part in store.slots.values()])

    def references(self, thing) -> int:
        """How many references to a thing the journal holds."""
        if id(thing) not in self:
            return 0
        values = [value for _, values in self.journal.before for value in values]
        return 3 + sum([value is thing for value in values])  # `things`, `seen` and this


class Journal:
    """The mutable things that functions reach, with what they held when the journal was made.

    Args:
        roots: the functions.
        given: values that they are given.

    Attributes:
        things: in the order met.
        before: of each, its keys and values.
        paths: of each, how it was reached.
        known: the things by `id`, which can tell how often the journal refers to one.
        iterators: of Python, each with its place.
        loose: the `id`s of things that only the values `given` reach.
    """

    def __init__(self, *roots, given=()):
        self.things: list[Any] = []
        self.paths: list[str] = []
        self.seen: dict[int, Any] = {}
        self.namespaces: dict[int, Names] = {}
        self.iterators: list[tuple[Any, list]] = []
        self.walk(roots)
        firm = len(self.things)
        self.walk(given)
        self.loose = {id(thing) for thing in self.things[firm:]}
        self.before = [contents(thing) for thing in self.things]
        self.known = Known(self)

    def walk(self, roots) -> None:
        waiting = [(root, "") for root in reversed(roots)]
        while waiting:
            value, path = waiting.pop()
            waiting += self.visit(value, path)

    def visit(self, value, path: str) -> list[tuple[Any, str]]:
        """Note a value; what is to be visited next."""
        if isinstance(value, type):
            return self.visit_class(value)
        if isinstance(value, ATOMS) or id(value) in self.seen or is_rule(value):
            return []
        if type(value) is np.ndarray:
            self.note(value, path)
            return []
        if isinstance(value, Store):
            self.note(value, path)
            return [(part, "a cotangent") for part in contents(value)[1]]
        shape = container_of(value)
        if shape is None:
            if is_iterator(value):
                self.seen[id(value)] = value
                self.iterators.append((value, position(value)))
            return []
        self.seen[id(value)] = value
        parts = [(part, path + name) for _, part, name in shape.parts(value)]
        if shape.mutable:
            self.note(value, path)
            parts += self.visit_class(type(value))
        if isinstance(value, FunctionType):
            parts += self.visit_globals(value)
        return parts

    def keep(self, space: Names) -> None:
        """Add global variables to the things that are known."""
        self.note(space, "a global variable")
        self.known[id(space)] = space
        self.before.append(contents(space))

    def note(self, thing, path: str) -> None:
        self.seen[id(thing)] = thing
        self.things.append(thing)
        self.paths.append(path)

    def visit_class(self, cls: type) -> list[tuple[Any, str]]:
        """The functions of a class of the user's: they may use global variables."""
        if id(cls) in self.seen or not isinstance(getattr(cls, "__dict__", None), object):
            return []
        self.seen[id(cls)] = cls
        return [
            (getattr(f, "__func__", f), cls.__name__)
            for c in cls.__mro__
            for f in vars(c).values()
            if isinstance(getattr(f, "__func__", f), FunctionType)
            and is_users(getattr(f, "__func__", f).__code__.co_filename)
        ]

    def visit_globals(self, function: FunctionType) -> list[tuple[Any, str]]:
        namespace = function.__globals__
        if not is_users(function.__code__.co_filename):
            return []
        space = self.namespaces.get(id(namespace))
        if space is None:
            space = self.namespaces[id(namespace)] = Names(namespace)
            self.note(space, "a global variable")
        read, assigned = global_names(function.__code__)
        new = (read | assigned) - space.names
        space.names |= new
        found = [(namespace[name], f"global `{name}`") for name in new if name in namespace]
        return [(v, p) for v, p in found if not isinstance(v, ModuleType) and not is_registered(v)]

    def changed(self) -> dict[int, tuple[tuple, list]]:
        """By place in `things`: the keys and values of those that hold something else now."""
        found = {}
        for iterator, place in self.iterators:
            if not same_position(place, position(iterator)):
                self.iterators = []  # it cannot be put back: once is enough
                raise advanced("gives an item where only the data decide whether it is asked")
        for index, (thing, (keys, values)) in enumerate(zip(self.things, self.before, strict=True)):
            now_keys, now = contents(thing)
            if isinstance(thing, np.ndarray):
                if not np.array_equal(now[0], values[0], equal_nan=values[0].dtype.kind in "fc"):
                    found[index] = now_keys, now
            elif now_keys != keys or any(a is not b for a, b in zip(now, values, strict=True)):
                found[index] = now_keys, now
        return found

    def is_changed(self) -> bool:
        """Does anything hold something else now?"""
        return bool(self.changed())

    def touched(self) -> set[int]:
        """The `id`s of the things that hold something else now."""
        return {id(self.things[place]) for place in self.changed()}

    def restore(self) -> None:
        """Take all changes back."""
        for index in self.changed():
            put(self.things[index], *self.before[index])


def changes(*roots):
    """A function that says whether something that `roots` reach was changed since now."""
    return Journal(*roots).is_changed
