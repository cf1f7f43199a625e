"""What a program has read of modules and classes: it is a constant there, and must stay as it is.

The plan of a call covers what arguments, captured and global variables reach. What the user's
methods and the functions of the user's modules read besides (their global variables, attributes of
classes and modules) is noted while they run for the first time. A program is used again as long as
all of that is the same; a program that changes it is refused, for its runs would not.
"""

from __future__ import annotations

import functools
import sys
from contextlib import contextmanager
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np

from flux.ad import runtime
from flux.compiler.containers import ATOMS, container_of, is_registered
from flux.compiler.control.journal import contents, put
from flux.compiler.namespaces import global_names, is_users
from flux.compiler.plan import Plan, same
from flux.errors import StagingError, user_line

__all__ = ["Surroundings", "noticing"]

MISSING = object()
BY_PYTHON = frozenset(
    """
    __bool__ __len__ __contains__ __eq__ __ne__ __lt__ __le__ __gt__ __ge__ __iter__ __next__
    __getattr__ __getattribute__ __setattr__ __hash__
    """.split()
)
"""Methods that run as they are, called by Python itself."""


class Surroundings:
    """The values that a trace reads outside of what its plan covers.

    Args:
        plan: of the call.
        copies: the containers that the trace works on.

    Attributes:
        names: all names in the code of the functions that ran.
        values: by the `id` of a namespace or class and a name, these and the value.
        things: mutable things with the name of the class attribute that reached them, if one did,
            and what they held.
    """

    def __init__(self, plan: Plan, copies: list):
        self.plan = plan
        self.names: set[str] = set()
        self.classes: list[type] = []
        self.values: dict[tuple, tuple[Any, str, Any]] = {}
        self.things: list[tuple[Any, str | None, tuple]] = []
        self.seen: dict[int, Any] = {id(copy): copy for copy in copies}
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
        self.seen[key] = code, space  # type: ignore[index]
        names = names_in(code)
        self.names |= names
        covered = self.covered(space)
        for name in global_names(code)[0]:
            value = space.get(name, MISSING)
            if value is MISSING or is_library(value):
                continue
            if isinstance(value, ModuleType):
                self.add_module(value, names)
            elif isinstance(value, type):
                self.add_class(value)
            elif covered is None or name not in covered:
                self.add(space, name, value)

    def covered(self, space: dict) -> set[str]:
        """The global variables that the plan looks at, or that are the trace's own."""
        if id(space) in self.seen:
            return set(space)
        node = self.plan.namespaces.get(id(space))
        if node is None or node.live:
            return set()
        return {*node.shape.keys, *node.shape.absent}  # type: ignore[attr-defined]

    def add(self, space: Any, name: str, value, only: str | None = None) -> None:
        if (id(space), name) not in self.values:
            self.values[id(space), name] = space, name, value
            self.visit(value, only)

    def add_module(self, module: ModuleType, names: frozenset[str]) -> None:
        for name in names & vars(module).keys():
            value = vars(module)[name]
            if isinstance(value, type):
                self.add_class(value)
            if not is_library(value):
                self.add(vars(module), name, value)

    def add_class(self, cls: type) -> None:
        for base in cls.__mro__:
            if id(base) in self.seen or not is_users_class(base):
                continue
            self.seen[id(base)] = base
            self.classes.append(base)
            for name, value in list(vars(base).items()):
                if not name.startswith("__"):
                    self.add(base, name, value, name)

    def visit(self, value, only: str | None) -> None:
        """Note the mutable things that a value reaches."""
        waiting = [value]
        while waiting:
            value = waiting.pop()
            if isinstance(value, ATOMS) or id(value) in self.seen or is_registered(value):
                continue
            self.seen[id(value)] = value
            shape = None if type(value) is np.ndarray else container_of(value)
            if shape is None and type(value) is not np.ndarray:
                continue
            if shape is None or shape.mutable:
                self.things.append((value, only, contents(value)))
            if isinstance(value, FunctionType) and not is_users(value.__code__.co_filename):
                continue
            waiting += [part for _, part, _ in shape.parts(value)] if shape is not None else []

    # -- whether it is the same ------------------------------------------------------------------

    def settle(self) -> None:
        """The trace is over: forget the attributes of classes that no function names."""
        for cls in self.classes:
            for name, value in list(vars(cls).items()):
                if isinstance(value, property) and name in self.names and value.fget is not None:
                    self.ran(value.fget)
                elif type(value) is FunctionType and name in BY_PYTHON:
                    self.ran(value)
        self.values = {
            key: entry
            for key, entry in self.values.items()
            if not isinstance(entry[0], type) or entry[1] in self.names
        }
        self.things = [t for t in self.things if t[1] is None or t[1] in self.names]
        changed = self.changed()
        if changed is not None:
            self.restore()
            raise StagingError(
                f"A compiled function changes {changed}, which it reaches through a class, a "
                "module or a method: that would happen once, while the program is made.",
                where=user_line(),
                hint="Keep it in an object that is an argument, or in a global variable that the "
                "compiled function itself names; or change it outside of flux.jit.",
            )
        self.seen = {}

    def is_current(self) -> bool:
        """Is everything that the program has read what it was?"""
        return self.changed() is None

    def changed(self) -> str | None:
        """What is not as it was."""
        for space, name, value in self.values.values():
            now = read(space, name)
            if now is not value and not (isinstance(now, ATOMS) and same(now, value)):
                return f"`{space.__name__}.{name}`" if isinstance(space, type) else f"`{name}`"
        for thing, _, before in self.things:
            if not equal(contents(thing), before):
                return f"a {type(thing).__name__}"
        return None

    def restore(self) -> None:
        for space, name, value in self.values.values():
            if isinstance(space, dict):
                space[name] = value
            elif read(space, name) is not value:
                setattr(space, name, value)
        for thing, _, before in self.things:
            if not equal(contents(thing), before):
                put(thing, *before)


def read(space, name: str):
    return (space if isinstance(space, dict) else vars(space)).get(name, MISSING)


def equal(now: tuple, before: tuple) -> bool:
    (keys, values), (old_keys, old) = now, before
    if keys != old_keys or len(values) != len(old):
        return False
    return all([same_value(a, b) for a, b in zip(values, old, strict=True)])


def same_value(a, b) -> bool:
    if a is b:
        return True
    if type(a) is np.ndarray:
        return type(b) is np.ndarray and np.array_equal(a, b, equal_nan=a.dtype.kind in "fc")
    return isinstance(a, ATOMS) and same(a, b)


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


def is_users_class(cls: type) -> bool:
    module = sys.modules.get(cls.__module__)
    file = getattr(module, "__file__", None)
    return cls.__module__ == "__main__" or (file is not None and is_users(file))


@contextmanager
def noticing(surroundings: Surroundings):
    """Note what functions read that run meanwhile."""
    before = getattr(runtime.STAGING, "ran", None)
    runtime.STAGING.ran = surroundings.ran
    try:
        yield
    finally:
        runtime.STAGING.ran = before
