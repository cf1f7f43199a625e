"""Derivatives of iteration: of loops over anything, and of the functions that give iterators.

A loop asks `items` for pairs of an item and its pullback. What stands for Python's own iterators
meanwhile is in `iterators.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import FunctionType
from typing import Any

from flux.ad.carries import carries
from flux.ad.indexed import Indexed, form_of
from flux.ad.inert import not_differentiable, nothing
from flux.ad.registry import AUGMENTED, augments, inert
from flux.ad.reverse import REVERSED
from flux.ad.runtime import call, items
from flux.ad.spaces import space_of
from flux.rules.equivalents import as_python
from flux.rules.items import give_back, is_own_iterable, sequence
from flux.rules.iterators import (
    ENDED,
    QUICK,
    Backwards,
    Cursor,
    Filtered,
    Lazy,
    Mapped,
    Numbered,
    Zipped,
    inert_pairs,
    no_item,
    unknown_items,
)

__all__ = ["iter_"]


# -- pairs of an item and its pullback -------------------------------------------------------------


def list_pairs(values):
    """Items of a list: their cotangents go into the store, at the place they were read from."""
    for index, item in enumerate(values):

        def back(ct, store, index=index):
            store.add(values, index, ct)
            return (None,)

        yield item, back


def tuple_pairs(values):
    count = len(values)
    for index, item in enumerate(values):

        def back(ct, store, index=index):
            if ct is None:
                return (None,)
            return ((None,) * index + (ct,) + (None,) * (count - index - 1),)

        yield item, back


def array_pairs(values):
    form = form_of(values)
    for index, item in enumerate(values):

        def back(ct, store, index=index):
            return (None,) if ct is None else (Indexed(form, index, ct),)

        yield item, back


@augments("items")
def pairs(values) -> Iterator:
    """Items and pullbacks of any iterable."""
    if isinstance(values, tuple):
        return tuple_pairs(values)
    if isinstance(values, list):
        return list_pairs(values)
    if space_of(type(values)) is not None:
        return array_pairs(values)
    if isinstance(values, Paired):
        return values.twice()
    quick = QUICK.get(type(values))
    if quick is not None and values.is_quick():
        return quick(values)
    method = getattr(type(values), "__iter__", None)
    if type(method) is FunctionType:
        return user_pairs(values, method)
    return inert_pairs(values)


def user_pairs(values, method):
    """Items of an object of a class with `__iter__`, by what that returns."""
    iterator, inner = call(method, values)
    if type(getattr(type(iterator), "__next__", None)) is FunctionType:
        found = pairs_of_next(iterator)
    else:
        found = pairs(iterator)
    first = True
    for item, own in found:
        yield item, back_of_first(own, inner) if first else own
        first = False


def back_of_first(own, inner):
    """The first item is the last one in reverse; making the iterator is reversed after it."""

    def back(ct, store):
        inner(own(ct, store)[0], store)
        return (None,)

    return back


def pairs_of_next(iterator):
    """Items of an iterator that is written in Python."""
    quick = QUICK.get(type(iterator))
    if quick is not None and iterator.is_quick():
        yield from quick(iterator)
        return
    while True:
        try:
            pair = next_pair(iterator)
        except StopIteration:
            return
        yield pair


def next_pair(iterator):
    """The next item and its pullback."""
    method = type(iterator).__next__
    if type(method) is not FunctionType:
        item = next(iterator)
        if carries(item):
            raise unknown_items(iterator)
        return item, no_item
    item, inner = call(method, iterator)

    def back(ct, store):
        return (inner(ct, store)[0],)

    return item, back


# -- functions that give iterators -----------------------------------------------------------------


@augments(iter)
def iter_(values):
    """`iter(values)`; an iterator that is handed in stays what it is."""
    if type(values) is list:
        return Cursor(values), nothing(1)
    known = isinstance(values, list | tuple | dict) or space_of(type(values)) is not None
    if not known:
        method = getattr(type(values), "__iter__", None)
        if type(method) is FunctionType:
            return call(method, values)
        return iter(values), nothing(1)
    items = list(sequence(values))
    count = len(items)

    def back(ct, store):
        cts = tuple([store.take(items, i) for i in range(count)])
        return (None if isinstance(values, dict) else give_back(values, cts, store),)

    return Cursor(items), back


@augments(next)
def next_(iterator, *default):
    method = type(iterator).__next__
    if type(method) is FunctionType:
        if not default:
            return call(method, iterator)
        if isinstance(iterator, Lazy):
            y, inner = call(type(iterator).advance, iterator)
            if y is ENDED:
                return default[0], lambda ct, store: (None, ct)
            return y, lambda ct, store: (*inner(ct, store), None)
        pair = tried(iterator)
        if pair is ENDED:
            return default[0], lambda ct, store: (None, ct)
        item, inner = pair
        return item, lambda ct, store: (*inner(ct, store), None)
    y = next(iterator, *default)
    if carries(y) and not (default and y is default[0]):
        raise not_differentiable(next)
    return y, lambda ct, store: (None, ct)[: 1 + len(default)]


def tried(iterator) -> Any:
    """The next item and its pullback, or `ENDED`."""
    try:
        return next_pair(iterator)
    except StopIteration:
        return ENDED


@augments(tried)
def tried_again(iterator):
    try:
        return call(next_pair, iterator)
    except StopIteration:
        return ENDED, nothing(1)


@augments(zip)
def zip_(*values, **options):
    cursors = []
    backs = []
    for value in values:
        cursor, own = iter_(value)
        cursors.append(cursor)
        backs.append(own)

    def back(ct, store):
        return (*[inner(None, store)[0] for inner in backs], *[None for _ in options])

    return Zipped(cursors, **{"strict": False, **options}), back


@as_python(enumerate)
def enumerate_(values, start=0):
    return Numbered(iter(values), start)


@as_python(map)
def map_(f, *values):
    return Mapped(f, [iter(value) for value in values])


@as_python(filter)
def filter_(test, values):
    return Filtered(test, iter(values))


@as_python(reversed)
def reversed_(values):
    if hasattr(type(values), "__reversed__") and not isinstance(values, list):
        return type(values).__reversed__(values)
    if isinstance(values, list):
        return Backwards(values)
    return Backwards(list(values))


@augments(REVERSED)
def reversed_records(records, inner_store):
    y, back = AUGMENTED[reversed](records)
    return y, lambda ct, store: (*back(ct, store), None)


# -- iteration under a second differentiation ------------------------------------------------------


class Paired:
    """Pairs of items and pullbacks, as an iterable that can be differentiated in turn.

    For iterables whose pullbacks hold nothing that has a derivative.
    """

    def __init__(self, values):
        self.values = values

    def __iter__(self):
        return pairs(self.values)

    def twice(self):
        """Pairs of a pair and its pullback."""
        for pair in pairs(self.values):

            def back(ct, store, inner=pair[1]):
                return (None,) if ct is None else inner(ct[0], store)

            yield pair, back


class Stepped:
    """The same for iterators written in Python: their steps are differentiated again."""

    def __init__(self, values):
        self.values, self.iterator = values, None

    def __iter__(self):
        return self

    def __next__(self):
        if self.iterator is not None:
            return next_pair(self.iterator)
        iterator, inner = call(type(self.values).__iter__, self.values)
        self.iterator = iterator
        item, own = next_pair(iterator)
        return item, back_of_first(own, inner)


@augments(items)
def items_again(values):
    """`items` itself: the reverse of a loop that an earlier differentiation made."""
    again = Stepped(values) if is_stepped(values) else Paired(values)

    def back(ct, store):
        return (ct,)

    return again, back


def is_stepped(values) -> bool:
    """Is every item of `values` the result of Python code?"""
    if isinstance(values, Paired) or (type(values) in QUICK and values.is_quick()):
        return False
    return is_own_iterable(values)


inert(is_stepped)
