"""Python's iterators while a program is made: they advance as the program is made, not as it runs.

That is the same as long as each item is taken once, on every path. An iterator that one path of
several takes items from, or of which the data decide how many are taken, cannot be put back.
"""

from __future__ import annotations

import itertools
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import GeneratorType
from typing import Any

from flux.errors import StagingError, user_line

__all__ = ["is_iterator", "not_spent", "position", "reached", "advanced", "rest_of",
           "same_position", "spending"]  # fmt: skip

LOCAL = threading.local()
DEEP = 6
"""Iterators of iterators are looked into so deeply."""
HINT = "Go over a list (`list(items)`) with `for`, or take this part out of flux.jit."
UNKNOWN = "only the data decide how many are taken"
KINDS = ("builtins", "itertools", "collections", "_collections")
"""Modules whose iterators are known."""


def is_iterator(value) -> bool:
    """Is `value` one of Python's iterators, whose place no attribute tells?"""
    kind = type(value)
    return hasattr(kind, "__next__") and kind.__module__ in KINDS


def parts(iterator) -> tuple[tuple, list]:
    """Where an iterator is, and the values that it is made of."""
    if isinstance(iterator, GeneratorType):
        frame = iterator.gi_frame
        return (-1,), [] if frame is None else [frame.f_lasti, *dict(frame.f_locals).values()]
    if hasattr(iterator, "__length_hint__"):
        return (iterator.__length_hint__(),), []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            found: Any = iterator.__reduce__()
        except TypeError:
            return (), []
    return (), [part for group in found[1:] if isinstance(group, tuple) for part in group]


def position(iterator, depth: int = DEEP) -> list:
    """Where an iterator is; for `same_position`."""
    place, values = parts(iterator)
    inner = [position(v, depth - 1) for v in values if depth and is_iterator(v)]
    return [place, [v for v in values if not is_iterator(v)], inner]


def same_position(a: list, b: list) -> bool:
    """Are two positions of one iterator the same?"""
    if a[0] != b[0] or len(a[1]) != len(b[1]) or len(a[2]) != len(b[2]):
        return False
    same = [
        x is y or (type(x) is type(y) is int and x == y) for x, y in zip(a[1], b[1], strict=True)
    ]
    return all(same) and all(map(same_position, a[2], b[2]))


def reached(iterator, depth: int = DEEP) -> list:
    """What an iterator works on when it takes an item."""
    if not is_iterator(iterator):
        return [iterator]
    found = []
    for value in parts(iterator)[1]:
        found += reached(value, depth - 1) if depth else []
    return found


def advanced(what: str) -> StagingError:
    """The error for an iterator that does `what`."""
    return StagingError(
        f"An iterator {what}, which a compiled program cannot do: Python's iterators advance once, "
        "while the program is made.",
        where=user_line(),
        hint=HINT,
    )


# -- what the data may leave over ------------------------------------------------------------------


@contextmanager
def spending():
    """A program is made: remember the iterators of which only the data decide what is left."""
    before = getattr(LOCAL, "spent", None)
    LOCAL.spent = {}
    try:
        yield
    finally:
        LOCAL.spent = before


def not_spent(*values) -> None:
    """Refuse an iterator of which only the data decide what is left."""
    spent = getattr(LOCAL, "spent", None)
    if spent and any([id(value) in spent for value in values]):
        raise advanced("gives items of which only the data decide how many are left")


def rest_of(iterator: Iterator, changes: Callable, most: int) -> list:
    """All further items; refused where plain Python could tell that they were taken.

    Args:
        changes: `changes(*roots)()` says whether something that `roots` reach was changed.
        most: more items are refused.
    """
    changed = changes(*reached(iterator))
    items = list(itertools.islice(iterator, most + 1))
    if len(items) > most:
        raise advanced(f"has more than {most} items, and {UNKNOWN}")
    if changed():
        raise advanced(f"changes something with each item, and {UNKNOWN}")
    spent = getattr(LOCAL, "spent", None)
    if spent is not None:
        spent[id(iterator)] = iterator
    return items
