"""Items of lists and tuples whose number only the data decide, as plain Python with known numbers.

Staged and differentiated like a user's function: `items[number]` becomes branches, by halves.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from functools import partial
from types import FunctionType
from typing import Any

from jax.core import Tracer

from flux.errors import StagingError, user_line

__all__ = ["is_traced_number", "picked", "put", "tried"]

FEW = 16
TRIED = threading.local()


def is_traced_number(owner: Any, index: Any) -> bool:
    """Is `index` the number of an item of a list or tuple that only the data decide?

    Raises: `StagingError` if it is such a key of a dict.
    """
    if isinstance(owner, dict) and isinstance(index, Tracer):
        raise StagingError(
            "The key of an item of a dict depends on the data, which are not known when the "
            "program is made.",
            where=user_line(),
            hint="Use a list and a number, `items[int(i)]`, or compare with each key in a loop.",
        )
    return (
        isinstance(index, Tracer)
        and isinstance(owner, list | tuple)
        and index.ndim == 0
        and index.dtype.kind in "iub"
        and all([length > FEW and len(owner) <= FEW for length in lengths()])
    )


def lengths() -> list[int]:
    """The lengths of the loops that are being tried, and that could be written out instead."""
    if not hasattr(TRIED, "lengths"):
        TRIED.lengths = []
    return TRIED.lengths


@contextmanager
def tried(length: int):
    """A loop of a known length is traced.

    An index there may be the counter, so that items are only picked if the loop is long and they
    are few; otherwise the loop is written out, and the counter is a number.
    """
    lengths().append(length)
    try:
        yield
    finally:
        lengths().pop()


def picked(items, index):
    """`items[index]`; of functions, which are no data, one that calls the right one."""
    number = number_in(items, index)
    if are_functions(items):
        return partial(called, items, 0, number)
    return among(items, 0, number)


def are_functions(items) -> bool:
    """Can the items only be called? Objects of one class stand for each other."""
    kinds = {type(item) for item in items}
    called = all([callable(item) for item in items])
    return called and (len(kinds) > 1 or type(kinds.pop().__call__) is not FunctionType)


def put(items, index, value):
    """`items[index] = value`; the list afterwards."""
    index = number_in(items, index)
    for place in range(len(items)):
        if index == place:
            items[place] = value
    return items


def number_in(items, index):
    """`index` counted from the front, an `IndexError` of the run where there is no such item."""
    index = index + 0  # of a truth value, a number
    if not items or index < -len(items) or index >= len(items):
        raise IndexError(f"{type(items).__name__} index out of range")
    return index + len(items) if index < 0 else index


def among(items, first, number):
    """Of `items`, the first of which has the number `first`, that with the number `number`."""
    half = len(items) // 2
    if half == 0:
        return items[0]
    if number < first + half:
        return among(items[:half], first, number)
    return among(items[half:], first + half, number)


def called(items, first, number, *args, **keywords):
    """What that among the functions `items` returns which has the number `number`."""
    half = len(items) // 2
    if half == 0:
        return items[0](*args, **keywords)
    if number < first + half:
        return called(items[:half], first, number, *args, **keywords)
    return called(items[half:], first + half, number, *args, **keywords)
