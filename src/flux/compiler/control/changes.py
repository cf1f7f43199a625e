"""What has changed in a mutable thing between two looks at it, and how to say so."""

from __future__ import annotations

import numpy as np

from flux.compiler.containers import ARRAYS, ATOMS, container_of
from flux.compiler.explain import short
from flux.compiler.plan import same

__all__ = ["equal", "is_number", "is_same", "numbers_in", "told", "told_inside"]


def is_same(now, value) -> bool:
    """Does a variable hold what it did? An equal array is another one: it may change by itself."""
    return now is value or (isinstance(now, ATOMS) and same(now, value))


def equal(now: tuple, before: tuple) -> bool:
    """Are the keys and values of a thing the same?"""
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


def is_number(a, b) -> bool:
    """Are two values numbers or arrays?"""
    kinds = (*ARRAYS, int, float)
    return isinstance(a, kinds) and isinstance(b, kinds) and bool not in (type(a), type(b))


def numbers_in(path: str, thing, now: tuple, before: tuple) -> set[str]:
    """The paths of the numbers in a thing that have changed."""
    shape = container_of(thing)
    if shape is None or now[0] != before[0]:
        return set()
    parts = zip(shape.parts(thing), before[1], strict=False)
    return {path + name for (_, b, name), a in parts if not same_value(b, a) and is_number(a, b)}


def told(path: str, before, now) -> str:
    """What a place held and holds, in words."""
    if isinstance(before, ARRAYS) and isinstance(now, ARRAYS):
        return f"{path} is another array."
    return f"{path} was {short(before)} and is {short(now)}."


def told_inside(path: str, thing, now: tuple, before: tuple) -> str:
    """What has changed in a thing, in words."""
    if isinstance(thing, np.ndarray):
        return f"{path} is another array."
    if len(now[0]) != len(before[0]):
        return f"{path} had {len(before[0])} items and has {len(now[0])}."
    if now[0] != before[0]:
        return f"{path} has other keys."
    shape = container_of(thing)
    names = [name for _, _, name in shape.parts(thing)] if shape is not None else []
    for name, a, b in zip(names, before[1], now[1], strict=False):
        if not same_value(b, a):
            return told(path + name, a, b)
    return f"{path} has changed."
