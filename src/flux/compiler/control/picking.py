"""Items of lists and tuples whose number only the data decide, as plain Python with known numbers.

Staged and differentiated like a user's function: `items[number]` becomes branches, by halves.
"""

from __future__ import annotations

from functools import partial
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import Any

from jax.core import Tracer

__all__ = ["is_traced_number", "picked", "put"]

FUNCTIONS = FunctionType, MethodType, BuiltinFunctionType, partial


def is_traced_number(owner: Any, index: Any) -> bool:
    """Is `index` the number of an item of a list or tuple that only the data decide?"""
    return (
        isinstance(index, Tracer)
        and isinstance(owner, list | tuple)
        and index.ndim == 0
        and index.dtype.kind in "iub"
    )


def picked(items, index):
    """`items[index]`; of functions, which are no data, one that calls the right one."""
    number = number_in(items, index)
    if all([isinstance(item, FUNCTIONS) for item in items]):
        return partial(called, items, 0, number)
    return among(items, 0, number)


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
    if index < -len(items) or index >= len(items):
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
