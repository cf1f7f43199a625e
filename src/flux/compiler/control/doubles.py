"""Objects of a program that stand for several of plain Python: those that a loop replaces.

In an iteration such an object is what was there before the loop, or what an iteration before put in
its place. Its contents are right; which of them it is, is not known.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import Any

from flux.errors import StagingError, user_line

__all__ = ["doubles", "is_", "is_not", "note"]

LOCAL = threading.local()


@contextmanager
def doubles():
    """Remember the doubles of one program."""
    before = getattr(LOCAL, "objects", {})
    LOCAL.objects = {}
    try:
        yield
    finally:
        LOCAL.objects = before


def note(value: Any) -> None:
    """`value` is a double."""
    LOCAL.objects[id(value)] = value


def is_(a, b) -> bool:
    """`a is b`, refused where it cannot be told."""
    known = getattr(LOCAL, "objects", {})
    if a is not b and type(a) is type(b) and (id(a) in known or id(b) in known):
        raise StagingError(
            "Whether two objects are the same is asked of one that a loop replaces by another.",
            where=user_line(),
            hint="Compare what the objects hold, or count: `if i == 0`.",
        )
    return a is b


def is_not(a, b) -> bool:
    return not is_(a, b)
