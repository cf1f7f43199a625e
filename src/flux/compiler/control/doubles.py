"""Objects that stand for several of plain Python: those that a branch or loop replaces.

After `if c: state = other`, and in an iteration of a loop that replaces it, `state` is one object
or another, and only the data decide which. The program goes on with a *double*: a new object whose
contents are right. What tells it from the *originals* is refused: `is`, a change of one of them in
place, and the double where the caller would see it beside an original.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from contextlib import contextmanager
from typing import Any

from flux.compiler.control.journal import Journal, contents
from flux.compiler.control.picking import not_chosen
from flux.errors import StagingError, user_line

__all__ = ["check_results", "doubles", "is_", "is_not", "note", "originals", "scope"]

LOCAL = threading.local()


class Double:
    """An object, what it may be in plain Python, and what all of these held at first."""

    def __init__(self, value, originals: Iterable, path: str, where: str | None):
        self.value, self.path, self.where = value, path, where
        self.originals = list({id(o): o for o in originals}.values())
        self.before = [contents(thing) for thing in (value, *self.originals)]

    def changed(self) -> bool:
        now = [contents(thing) for thing in (self.value, *self.originals)]
        return any(
            keys != old_keys or any(a is not b for a, b in zip(values, old, strict=True))
            for (keys, values), (old_keys, old) in zip(now, self.before, strict=True)
        )


class Known:
    """The doubles of a program.

    Attributes:
        objects: by `id`, also those that only `is` must not meet.
        pairs: those with originals, in the order made.
    """

    def __init__(self):
        self.objects: dict[int, Any] = {}
        self.pairs: dict[int, Double] = {}


def known() -> Known:
    found = getattr(LOCAL, "known", None)
    return Known() if found is None else found


@contextmanager
def doubles():
    """Remember the doubles of one program."""
    before = getattr(LOCAL, "known", None)
    LOCAL.known = Known()
    try:
        with scope():
            yield
    finally:
        LOCAL.known = before


@contextmanager
def scope():
    """A part of the program: doubles that it makes are looked at when it ends."""
    pairs = known().pairs
    start = len(pairs)
    yield
    for key in list(pairs)[start:]:
        double = pairs.pop(key)
        if double.changed():
            raise StagingError(
                f"{double.path} is one object on one path and another one on another, only the "
                "data decide which, and one of them is changed afterwards.",
                where=double.where,
                hint="Make a new object on every path, or change it before the branch or loop.",
            )


def note(value: Any, originals: Iterable = (), path: str = "", where: str | None = None) -> None:
    """`value` is a double."""
    here = known()
    here.objects[id(value)] = value
    if originals:
        here.pairs[id(value)] = Double(value, originals, path, where)


def originals(value: Any) -> list:
    """What else `value` may be in plain Python; nothing if it is no double."""
    found, waiting = {}, [value]
    while waiting:
        double = known().pairs.get(id(waiting.pop()))
        new = [] if double is None else [o for o in double.originals if id(o) not in found]
        found.update({id(o): o for o in new})
        waiting += new
    return list(found.values())


def check_results(*roots: Any) -> None:
    """Refuse a double among the results that the caller would see beside an original."""
    pairs = known().pairs
    if not pairs:
        return
    seen = Journal(*roots).known
    for double in pairs.values():
        if id(double.value) in seen and any(id(o) in seen for o in double.originals):
            raise StagingError(
                f"{double.path} is one object on one path and another one on another, and only "
                "the data decide which: what the program gives back could not tell.",
                where=double.where,
                hint="Give back, or keep, a copy: `copy.deepcopy(x)`, or a new object.",
            )


def is_(a, b) -> bool:
    """`a is b`, refused where it cannot be told."""
    objects = known().objects
    if a is not b and a is not None and b is not None:
        not_chosen(a, b)
    if a is not b and type(a) is type(b) and (id(a) in objects or id(b) in objects):
        raise StagingError(
            "Whether two objects are the same is asked of one that a branch or loop replaces by "
            "another.",
            where=user_line(),
            hint="Compare what the objects hold, or count: `if i == 0`.",
        )
    return a is b


def is_not(a, b) -> bool:
    return not is_(a, b)
