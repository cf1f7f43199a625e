"""The items of any iterable, and the way of their cotangents back to it.

A tuple's cotangent is a tuple. Lists keep theirs in the store, by identity and index; an array gets
one of its own.
"""

from __future__ import annotations

from types import FunctionType

from flux.ad.carries import carries
from flux.ad.indexed import Indexed, form_of
from flux.ad.inert import not_differentiable
from flux.ad.registry import inert
from flux.ad.runtime import call
from flux.ad.spaces import space_of

__all__ = ["give_back", "is_own_iterable", "listed", "sequence", "solid"]


def solid(value):
    """An iterable as one whose items have places, and the pullback of that."""
    return call(listed, value) if is_own_iterable(value) else (value, None)


def is_own_iterable(value) -> bool:
    """Is `value` an object whose iteration is written in Python, or an iterator of ours?"""
    method = getattr(type(value), "__iter__", None)
    return type(method) is FunctionType and space_of(type(value)) is None


def listed(values):
    return [value for value in values]


def sequence(value):
    """The items of an iterable whose items have places."""
    if isinstance(value, set | frozenset) and any([carries(item) for item in value]):
        raise not_differentiable(iter)
    return tuple(value)


def give_back(value, cts, store):
    """Cotangents of the items of `value`: into the store, or as its own cotangent."""
    if isinstance(value, tuple):
        return cts
    if isinstance(value, list):
        for i, ct in enumerate(cts):
            store.add(value, i, ct)
        return None
    if space_of(type(value)) is not None:
        total = None
        for i, ct in enumerate(cts):
            if ct is not None:
                part = Indexed(form_of(value), i, ct)
                total = part if total is None else total.plus(part)
        return total
    if any([ct is not None for ct in cts]):
        raise not_differentiable(type(value))
    return None


inert(is_own_iterable)
