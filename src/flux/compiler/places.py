"""Where a call finds values outside of what it is given: in global variables, in attributes of
classes and modules, in cells.

The functions that a call reaches as values are made anew over copies when they are traced. Methods,
and functions of modules, are not: what they read stands in a namespace, a class or a cell that
everybody shares. For them traced values are put there, while the program is made, and taken out.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from contextlib import contextmanager
from types import CellType
from typing import TYPE_CHECKING, Any, NamedTuple

from flux.compiler.containers import Container
from flux.errors import StagingError, user_line

if TYPE_CHECKING:
    from flux.compiler.plan import Plan

__all__ = [
    "FILLED",
    "ClassOf",
    "GlobalsOf",
    "Place",
    "Places",
    "VariablesOf",
    "in_place",
    "variables_of",
]

FILLED = threading.RLock()
"""Held by the thread that has put traced values into places."""


class Place(NamedTuple):
    """A variable: a namespace and a name, a class and an attribute, a cell and its name."""

    space: Any
    name: str

    @property
    def key(self) -> tuple[int, str]:
        """What tells it from others."""
        return id(self.space), self.name


class Places:
    """The places that the programs of a function have as inputs.

    Attributes:
        constant: the keys of those that were tried: Python needs what they hold.
    """

    def __init__(self):
        self.known: dict[tuple[int, str], Place] = {}
        self.constant: frozenset[tuple[int, str]] = frozenset()

    def inputs(self) -> tuple[Place, ...]:
        return tuple(self.known.values())

    def add(self, places: Iterable[Place]) -> None:
        """Further places, which have to be inputs.

        Raises: `StagingError` if all of them are already.
        """
        new = {place.key: place for place in places if place.key not in self.known}
        if not new:
            raise StagingError(
                "A compiled function reads an object that it is also given, or changes, through "
                "a class, a module or a method, in a way that cannot be followed.",
                where=user_line(),
                hint="Give it to the function as an argument, and read it from there.",
            )
        self.known = {**self.known, **new}

    def propose(self, places: Iterable[Place]) -> None:
        """Further places, which had better be inputs."""
        self.known |= {p.key: p for p in places if p.key not in self.constant}

    def as_constants(self) -> Places:
        """The same places as constants, where that is possible."""
        other = Places()
        other.constant = self.constant | frozenset(self.known)
        return other


class VariablesOf(Container):
    """Some of the variables of a namespace or class.

    Attributes:
        space: the namespace or class.
        absent: names that are used and do not exist, or are Python's own.
        assigned: one of the functions assigns a variable.
        shared: functions read it that are not made anew: a trace works on it, not on a copy.
    """

    def __init__(self, space: Any):
        self.kind, self.space = type(space), space
        self.keys: tuple[str, ...] = ()
        self.absent: tuple[str, ...] = ()
        self.assigned = self.shared = False

    def found(self, space: Any = None) -> Mapping[str, Any]:
        """All variables there are, in the original or in a copy."""
        raise NotImplementedError

    def path(self, name: str) -> str:
        """How one spells a variable."""
        raise NotImplementedError


class GlobalsOf(VariablesOf):
    """The global variables of a module, as far as the functions that a call reaches use them."""

    def found(self, space=None):
        return self.space if space is None else space

    def path(self, name):
        return f"global `{name}`"

    def tests(self, name, constant):
        return [f"{absent!r} in {name}" for absent in self.absent]

    def reader(self, name, constant):
        return lambda key: f"{name}[{key!r}]"

    def empty(self):
        return self.space if self.shared else dict(self.space)


class ClassOf(VariablesOf):
    """Attributes of a class; a trace works on the class itself."""

    def found(self, space=None):
        return vars(self.space)

    def path(self, name):
        return f"{self.space.__qualname__}.{name}"

    def reader(self, name, constant):
        return lambda key: f"{name}.__dict__[{key!r}]"

    def empty(self):
        return self.space

    def fill(self, new, values):
        for name, value in zip(self.keys, values, strict=True):
            setattr(new, name, value)


def variables_of(space: Any) -> VariablesOf:
    return ClassOf(space) if isinstance(space, type) else GlobalsOf(space)


@contextmanager
def in_place(plan: Plan):
    """The places of a plan may hold anything meanwhile; afterwards they hold what they did."""
    live = [node for node in plan.spaces if node.live]
    if not live:
        yield
        return
    with FILLED:
        before = [(node.shape, held(node.shape)) for node in live]
        try:
            yield
        finally:
            for shape, values in before:
                put_back(shape, values)


def held(shape: Container) -> dict[str, Any]:
    """What the places of a space hold."""
    if isinstance(shape, VariablesOf):
        return {name: shape.found()[name] for name in shape.keys}
    return {name: part for name, part, _ in shape.parts(shape.space)}  # type: ignore[attr-defined]


def put_back(shape: Container, values: dict[str, Any]) -> None:
    if isinstance(shape, GlobalsOf):
        for name in shape.absent:
            shape.space.pop(name, None)
        shape.space.update(values)
    elif isinstance(shape, ClassOf):
        for name, value in values.items():
            setattr(shape.space, name, value)
    else:
        space: CellType = shape.space  # type: ignore[attr-defined]
        space.cell_contents = values["cell_contents"]
