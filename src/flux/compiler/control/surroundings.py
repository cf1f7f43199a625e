"""What a program has read of modules and classes: a constant, until it changes.

The plan of a call covers what arguments, captured and global variables reach. What the user's
methods and the functions of the user's modules read besides (their global variables, attributes of
classes and modules) is noted while they run for the first time. A program is used again as long as
all of that is the same. Where it is not, and where an object there is also given, is changed, or
holds arrays, its *place* becomes part of the plan. What cannot be an input may not be changed by
the program, for its runs would not do so.
"""

from __future__ import annotations

import builtins
import functools
import sys
from collections.abc import Set
from contextlib import contextmanager
from types import CellType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any, NamedTuple

import jax
import numpy as np

from flux.ad.entries import STAGING
from flux.compiler.containers import ATOMS, ObjectOf, container_of, is_registered
from flux.compiler.control.changes import equal, is_number, is_same, numbers_in, told, told_inside
from flux.compiler.control.journal import Journal, contents, put
from flux.compiler.namespaces import global_names, is_users
from flux.compiler.places import Place, VariablesOf, variables_of
from flux.compiler.plan import Node, Plan
from flux.errors import StagingError, user_line

__all__ = ["Reached", "ReadOnly", "Surroundings", "noticing"]

MISSING = object()
BY_PYTHON = frozenset(
    """
    __bool__ __len__ __contains__ __eq__ __ne__ __lt__ __le__ __gt__ __ge__ __iter__ __next__
    __getattr__ __getattribute__ __setattr__ __hash__
    """.split()
)
"""Methods that run as they are, called by Python itself."""


class Reached(Exception):
    """A trace has read places that have to be inputs."""

    def __init__(self, places: list[Place]):
        super().__init__("places outside of the call have to be inputs")
        self.places = places


class Thing(NamedTuple):
    """A mutable thing that was reached.

    Attributes:
        value: it.
        only: the name of the class attribute that reached it, if one did.
        held: what it held.
        place: whence it was reached; `None` if that cannot be an input.
        path: how one spells it.
    """

    value: Any
    only: str | None
    held: tuple
    place: Place | None
    path: str


class Surroundings:
    """The values that a trace reads outside of what its plan covers.

    Args:
        plan: of the call.
        copies: the containers that the trace works on.
        given: the `id`s of the containers that these stand for.
        constant: the keys of places that are part of the program if they can be.

    Attributes:
        apart: the `id`s of things that no call may be given: they are constants here.
        names: of the functions that ran, and all names in their code.
        values: by the key of a place, the place and its value.
        things: mutable things that these reach.
        needed: the places that have to be inputs, for copies of what they hold are in use.
        wanted: the places that had better be inputs: objects with arrays.
    """

    def __init__(self, plan: Plan, copies: list, given: Set[int] = frozenset(), constant=()):
        self.plan, self.given, self.constant = plan, given, constant
        self.apart: frozenset[int] = frozenset()
        self.names: set[str] = set()
        self.classes: list[type] = []
        self.values: dict[tuple, tuple[Place, Any]] = {}
        self.things: list[Thing] = []
        self.needed: dict[tuple, tuple[Place, str | None]] = {}
        self.wanted: dict[tuple, tuple[Place, str | None]] = {}
        pairs = zip(plan.nodes, copies, strict=True)
        own = [copy for node, copy in pairs if not is_shared(node)]
        self.seen: dict[Any, Any] = {id(copy): copy for copy in own}
        for node in plan.met:
            if isinstance(node.shape.kind, type):
                self.add_class(node.shape.kind)
        for value in plan.fixed.values():
            if isinstance(value, type):
                self.add_class(value)

    # -- what is read ----------------------------------------------------------------------------

    def ran(self, function: Any) -> None:
        """A function of the user's is about to run."""
        space, code = function.__globals__, function.__code__
        key = id(code), id(space)
        if key in self.seen or not is_users(code.co_filename):
            return
        self.seen[key] = code, space
        names = names_in(code)
        self.names |= names | {function.__name__}
        covered = self.covered(space)
        read, assigned = global_names(code)
        for name in (assigned - covered) | (read & self.copied(space)):
            self.values[id(space), name] = Place(space, name), space.get(name, MISSING)
            self.needed[id(space), name] = Place(space, name), None
        for name in read:
            value = space.get(name, MISSING)
            if value is MISSING or is_library(value):
                continue
            if isinstance(value, ModuleType):
                self.add_module(value, names)
            elif isinstance(value, type):
                self.add_class(value)
            elif name not in covered:
                self.add(Place(space, name), value)

    def covered(self, space: Any) -> set[str]:
        """The variables that the plan looks at, or that are the trace's own."""
        if id(space) in self.seen and not isinstance(space, type):
            return set(space)
        node = self.plan.namespaces.get(id(space))
        if node is None or (node.live and not is_shared(node)):
            return set()
        return {*node.shape.keys, *node.shape.absent}  # type: ignore[attr-defined]

    def copied(self, space: Any) -> set[str]:
        """The variables that the trace may assign in a copy of the namespace."""
        node = self.plan.namespaces.get(id(space))
        if node is None or is_shared(node) or not node.shape.assigned:  # type: ignore[attr-defined]
            return set()
        return {*node.shape.keys, *node.shape.absent} - vars(builtins).keys()  # type: ignore[attr-defined]

    def add(self, place: Place, value, only: str | None = None) -> None:
        if place.key not in self.values:
            self.values[place.key] = place, value
            self.visit(place, value, only)

    def add_module(self, module: ModuleType, names: frozenset[str]) -> None:
        if (id(module), names) in self.seen:
            return
        self.seen[id(module), names] = module
        covered = self.covered(vars(module))
        for name in names & vars(module).keys():
            value = vars(module)[name]
            if isinstance(value, type):
                self.add_class(value)
            if isinstance(value, ModuleType) and not is_library(value):
                self.add_module(value, names)
            if not is_library(value) and name not in covered:
                self.add(Place(vars(module), name), value)

    def add_class(self, cls: type) -> None:
        for base in cls.__mro__:
            if id(base) in self.seen or not is_users_class(base):
                continue
            self.seen[id(base)] = base
            self.classes.append(base)
            covered = self.covered(base)
            for name, value in list(vars(base).items()):
                if name not in covered and counts(name, value):
                    self.add(Place(base, name), value, name)
            for name in inherited(base) - covered:  # an assignment would hide the inherited one
                self.values[id(base), name] = Place(base, name), MISSING

    def visit(self, place: Place, value, only: str | None) -> None:
        """Note the mutable things that a value reaches."""
        fixed = isinstance(place.space, type) and callable(value)  # it is found there by Python
        waiting = [(value, None if fixed else place, path_of(place), False)]
        while waiting:
            value, place_, path, held = waiting.pop()
            if held and isinstance(value, jax.Array) and place_ is not None:
                self.wanted[*place_.key, only] = place_, only
            if isinstance(value, ATOMS) or is_registered(value):
                continue
            if id(value) in self.seen or (id(value), only) in self.seen:
                continue
            if id(value) in self.given and place_ is not None:
                self.needed[*place_.key, only] = place_, only
            self.seen[id(value) if only is None else (id(value), only)] = value
            shape = None if type(value) is np.ndarray else container_of(value)
            if shape is None and type(value) is not np.ndarray:
                continue
            if shape is None or shape.mutable:
                self.things.append(Thing(value, only, contents(value), place_, path))
            if isinstance(value, FunctionType) and not is_users(value.__code__.co_filename):
                continue
            for key, part, name in shape.parts(value) if shape is not None else ():
                inner = Place(part, key) if isinstance(part, CellType) and fixed else place_
                is_held = held or isinstance(shape, ObjectOf)
                waiting.append((part, inner, path + name, is_held))

    # -- whether it is the same ------------------------------------------------------------------

    def forget(self) -> None:
        """Forget the attributes of classes that no function names."""
        for cls in self.classes:
            for name, value in list(vars(cls).items()):
                if isinstance(value, property) and name in self.names and value.fget is not None:
                    self.ran(value.fget)
                elif type(value) is FunctionType and name in BY_PYTHON:
                    self.ran(value)
        self.values = {
            key: entry
            for key, entry in self.values.items()
            if not isinstance(entry[0].space, type) or self.names_it(entry[0].name)
        }
        self.things = [t for t in self.things if t.only is None or self.names_it(t.only)]

    def names_it(self, name: str) -> bool:
        """Does a function name an attribute, or Python by itself?"""
        return name in self.names or is_special(name)

    def settle(self, works: bool = True) -> None:
        """The trace is over; `works` says whether without an exception.

        Raises: `Reached` where something has to be an input; `StagingError` where the trace has
            changed what cannot be one.
        """
        self.forget()
        changed = self.changed()
        places = {**self.needed, **self.written()}
        places |= {k: v for k, v in self.wanted.items() if k[:2] not in self.constant}
        found = [p for p, only in places.values() if only is None or only in self.names]
        if found or changed is not None:
            self.restore()
        if found:
            raise Reached(found)
        if changed is not None and works:
            raise changes_once(changed)
        self.seen, self.given = {}, frozenset()
        self.apart = frozenset([id(t.value) for t in self.things if t.place is not None])

    def written(self) -> dict[tuple, tuple[Place, str | None]]:
        """Places of which the trace has changed arrays and numbers only."""
        found = {}
        for place, value in self.values.values():
            if not is_same(read(*place), value):
                found[place.key] = place if is_number(value, read(*place)) else None, None
        for value, _, before, place, _ in self.things:
            now = contents(value)
            if not equal(now, before):
                pairs = zip(now[1], before[1], strict=False)
                numbers = now[0] == before[0] and all([a is b or is_number(a, b) for a, b in pairs])
                found[place and place.key] = place if numbers else None, None
        if any([p is None or isinstance(p.space, type) for p, _ in found.values()]):
            return {}
        return found

    def is_current(self) -> bool:
        """Is everything that the program has read what it was?"""
        return self.changed() is None

    def changed(self) -> str | None:
        """What is not as it was."""
        for place, value in self.values.values():
            now = read(*place)
            if not is_same(now, value):
                return spelled(place)
        for thing in self.things:
            if not equal(contents(thing.value), thing.held):
                return f"a {type(thing.value).__name__}"
        return None

    def moved(self) -> tuple[list[Place], set[str], str]:
        """What has changed since: the places of it, the paths of numbers, and one of it in words.

        A place is only named if what it holds can be an input.
        """
        places, paths, words = [], set(), ""
        for place, value in self.values.values():
            now = read(*place)
            if is_same(now, value):
                continue
            words = words or told(path_of(place), value, now)
            if can_be_input(place, value, now):
                places.append(place)
                paths.add(path_of(place))
        for value, _, (keys, old), place, path in self.things:
            now = contents(value)
            if equal(now, (keys, old)):
                continue
            words = words or told_inside(path, value, now, (keys, old))
            if place is not None:
                places.append(place)
                paths |= numbers_in(path, value, now, (keys, old))
        return places, paths, words

    def restore(self) -> None:
        for (space, name), value in self.values.values():
            if value is MISSING and not isinstance(space, dict):
                if name in vars(space):
                    delattr(space, name)
            elif value is MISSING:
                space.pop(name, None)
            elif isinstance(space, dict):
                space[name] = value
            elif read(space, name) is not value:
                setattr(space, name, value)
        for thing in self.things:
            if not equal(contents(thing.value), thing.held):
                put(thing.value, *thing.held)


def changes_once(what: str) -> StagingError:
    return StagingError(
        f"A compiled function changes {what}, which it reaches through a class, a "
        "module or a method: that would happen once, while the program is made.",
        where=user_line(),
        hint="Keep it in an object that is an argument, or in a global variable that the "
        "compiled function itself names; or change it outside of flux.jit.",
    )


def is_shared(node: Node) -> bool:
    return isinstance(node.shape, VariablesOf) and node.shape.shared


def can_be_input(place: Place, before, now) -> bool:
    """Can what a place holds be an input, now that it holds something else?"""
    if isinstance(place.space, type) and (callable(before) or callable(now)):
        return False
    return is_number(before, now) or (type(before) is type(now) and container_of(now) is not None)


def path_of(place: Place) -> str:
    """How a plan spells a place."""
    if isinstance(place.space, CellType):
        return f"captured `{place.name}`"
    return variables_of(place.space).path(place.name)


def spelled(place: Place) -> str:
    return f"`{path_of(place)}`" if isinstance(place.space, type) else f"`{place.name}`"


def read(space, name: str):
    if isinstance(space, CellType):
        return space.cell_contents
    return (space if isinstance(space, dict) else vars(space)).get(name, MISSING)


@functools.lru_cache(maxsize=4096)
def names_in(code: CodeType) -> frozenset[str]:
    """All names of a code object and of those in it."""
    inner = [names_in(part) for part in code.co_consts if isinstance(part, CodeType)]
    return frozenset(code.co_names).union(*inner)


def is_library(value) -> bool:
    """Is a value a module, class or function of a library?"""
    if isinstance(value, ModuleType):
        return not is_users(getattr(value, "__file__", None) or "<frozen")
    if isinstance(value, type):
        return not is_users_class(value)
    value = value.__func__ if isinstance(value, MethodType) else value
    return type(value) is FunctionType and not is_users(value.__code__.co_filename)


def is_special(name: str) -> bool:
    return name.startswith("__") and name.endswith("__")


def inherited(cls: type) -> set[str]:
    """The names that a class of the user's has from others of the user's."""
    bases = [vars(base) for base in cls.__mro__[1:] if is_users_class(base)]
    return {n for base in bases for n in base if counts(n, base[n])} - vars(cls).keys()


def counts(name: str, value) -> bool:
    """Is an attribute of a class the user's, and not one that every class has?"""
    return not is_special(name) or type(value) is FunctionType


def is_users_class(cls: type) -> bool:
    module = sys.modules.get(cls.__module__)
    file = getattr(module, "__file__", None)
    return cls.__module__ == "__main__" or (file is not None and is_users(file))


@contextmanager
def noticing(surroundings: Surroundings):
    """Note what functions read that run meanwhile.

    Raises: `Reached`, `StagingError`.
    """
    before = getattr(STAGING, "ran", None)
    STAGING.ran = surroundings.ran
    try:
        yield
    except Exception:
        surroundings.settle(works=False)
        raise
    else:
        surroundings.settle()
    finally:
        STAGING.ran = before


class ReadOnly:
    """What only places of classes and modules reach: a trace may read it.

    No journal knows it, so that a change in a branch or loop would go unnoticed there.
    """

    def __init__(self, plan: Plan, copies: list, function, given: tuple):
        self.variables: list[tuple[Place, Any]] = []
        self.things: list[tuple[str, Any, tuple]] = []
        if not plan.spaces:
            return
        journal = Journal(function, given=given)
        for node in {id(n): n for n in (*plan.met[plan.own :], *plan.spaces)}.values():
            if not node.live or not node.shape.mutable:
                continue
            copy = copies[node.index]
            if isinstance(node.shape, VariablesOf):
                names = journal.namespaces.get(id(copy))
                known = set() if names is None else names.names
                found = node.shape.found(copy)
                self.variables += [
                    (Place(copy, name), found.get(name, MISSING))
                    for name in (*node.shape.keys, *node.shape.absent)
                    if name not in known
                ]
            elif id(copy) not in journal.known:
                self.things.append((node.path, copy, contents(copy)))

    def check(self) -> None:
        """Refuse a change. Raises: `StagingError`."""
        for place, value in self.variables:
            if read(*place) is not value:
                raise changes_once(spelled(place))
        for path, thing, (keys, values) in self.things:
            now_keys, now = contents(thing)
            if now_keys != keys or any([a is not b for a, b in zip(now, values, strict=True)]):
                raise changes_once(path)
