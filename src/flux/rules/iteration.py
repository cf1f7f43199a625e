"""Derivatives of iteration: of loops over anything, iterators, and what Python iterates lazily.

A loop asks `items` for pairs of an item and its pullback. Iterators of Python's own kinds become
objects written in Python, as lazy as they are: a `Cursor` sees what happens to its list meanwhile.
"""

from __future__ import annotations

import functools
import itertools
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
from flux.errors import NotDifferentiable, user_line
from flux.rules.containers import as_python, give_back, is_own_iterable, sequence

__all__ = ["Cursor", "iter_"]


# -- pairs of an item and its pullback -------------------------------------------------------------


def no_item(ct, store):
    return (None,)


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


def inert_pairs(values):
    for item in values:
        if carries(item):
            raise unknown_items(values)
        yield item, no_item


def unknown_items(values) -> NotDifferentiable:
    return NotDifferentiable(
        f"iteration over a {type(values).__name__} whose items carry a derivative is not "
        "covered by the automatic differentiation.",
        where=user_line(),
        hint="Make it a list first.",
    )


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


# -- iterators, written in Python ------------------------------------------------------------------


class Lazy:
    """An iterator under differentiation. `advance` gives the next item, or `ENDED`."""

    def __iter__(self):
        return self

    def __next__(self):
        item = self.advance()
        if item is ENDED:
            raise StopIteration
        return item

    def advance(self):
        raise NotImplementedError

    def is_quick(self) -> bool:
        """Do its items depend on nothing but places, so that `QUICK` has a faster way?"""
        return True


ENDED = object()


def advanced(iterator):
    """The next item of any iterator, or `ENDED`."""
    return iterator.advance() if isinstance(iterator, Lazy) else next(iterator, ENDED)


class Cursor(Lazy):
    """`iter(items)`: a list, or the items of something else in a list, and a place in it."""

    def __init__(self, items):
        self.items, self.place = items, 0

    def advance(self):
        if self.place >= len(self.items):
            return ENDED
        self.place += 1
        return self.items[self.place - 1]

    def __length_hint__(self):
        return max(0, len(self.items) - self.place)


def cursor_pairs(cursor):
    """The items that are left."""
    items = cursor.items
    while cursor.place < len(items):
        index = cursor.place
        cursor.place += 1

        def back(ct, store, index=index):
            store.add(items, index, ct)
            return (None,)

        yield items[index], back


class Backwards(Lazy):
    """`reversed(items)` of a list."""

    def __init__(self, items):
        self.items, self.place = items, len(items)

    def advance(self):
        if self.place == 0 or self.place > len(self.items):
            return ENDED
        self.place -= 1
        return self.items[self.place]


def backwards_pairs(cursor):
    items = cursor.items
    while 0 < cursor.place <= len(items):
        cursor.place -= 1
        index = cursor.place

        def back(ct, store, index=index):
            store.add(items, index, ct)
            return (None,)

        yield items[index], back


class Entries(Lazy):
    """The values of a dict, or pairs of key and value, as they are when they are asked for."""

    def __init__(self, owner, with_keys):
        self.owner, self.with_keys = owner, with_keys
        self.keys = list(owner)
        self.place = 0

    def advance(self):
        if len(self.owner) != len(self.keys):
            raise RuntimeError("dictionary changed size during iteration")
        if self.place >= len(self.keys):
            return ENDED
        key = self.keys[self.place]
        self.place += 1
        return (key, self.owner[key]) if self.with_keys else self.owner[key]


def entries_pairs(entries):
    owner = entries.owner
    while entries.place < len(entries.keys):
        if len(owner) != len(entries.keys):
            break  # the plain way raises what Python does
        key = entries.keys[entries.place]
        entries.place += 1

        def back(ct, store, key=key):
            if ct is not None:
                store.add(owner, key, ct[1] if entries.with_keys else ct)
            return (None,)

        yield (key, owner[key]) if entries.with_keys else owner[key], back
    if len(owner) != len(entries.keys):
        next(entries)


class Numbered(Lazy):
    """`enumerate(values, start)`."""

    def __init__(self, values, index):
        self.values, self.index = values, index

    def is_quick(self):
        return is_quick(self.values)

    def advance(self):
        value = advanced(self.values)
        if value is ENDED:
            return ENDED
        self.index += 1
        return self.index - 1, value


def numbered_pairs(numbered):
    for item, inner in quick_pairs(numbered.values):

        def back(ct, store, inner=inner):
            return (None,) if ct is None else (inner(ct[1], store)[0],)

        numbered.index += 1
        yield (numbered.index - 1, item), back


class Zipped(Lazy):
    """`zip(*values, strict=strict)`."""

    def __init__(self, values, strict):
        self.values, self.strict = values, strict

    def is_quick(self):
        return not self.strict and all([is_quick(value) for value in self.values])

    def advance(self):
        if not self.values:
            return ENDED
        row = []
        for value in self.values:
            item = advanced(value)
            if item is ENDED and not self.strict:
                return ENDED
            row.append(item)
        ended = [item is ENDED for item in row]
        if any(ended):
            refuse_lengths(ended)
            return ENDED
        return tuple(row)


def refuse_lengths(ended) -> None:
    """What `zip(strict=True)` raises where one ends before another."""
    place = ended.index(True) if not ended[0] else ended.index(False) if False in ended else None
    if place is not None:
        than = "argument 1" if place == 1 else f"arguments 1-{place}"
        word = "longer" if ended[0] else "shorter"
        raise ValueError(f"zip() argument {place + 1} is {word} than {than}")


def zipped_pairs(zipped):
    rows = [quick_pairs(value) for value in zipped.values]
    while rows:
        try:
            found = [next(row) for row in rows]
        except StopIteration:
            return
        backs = [inner for _, inner in found]

        def back(ct, store, backs=backs):
            if ct is not None:
                for inner, part in zip(backs, ct, strict=True):
                    inner(part, store)
            return (None,)

        yield tuple([item for item, _ in found]), back


class Mapped(Lazy):
    """`map(f, *values)`."""

    def __init__(self, f, values):
        self.f, self.values = f, values

    def is_quick(self):
        return False

    def advance(self):
        row = []
        for value in self.values:
            item = advanced(value)
            if item is ENDED:
                return ENDED
            row.append(item)
        return self.f(*row)


class Filtered(Lazy):
    """`filter(test, values)`."""

    def __init__(self, test, values):
        self.test, self.values = test, values

    def is_quick(self):
        return False

    def advance(self):
        while True:
            value = advanced(self.values)
            if value is ENDED or (value if self.test is None else self.test(value)):
                return value


QUICK = {
    Cursor: cursor_pairs,
    Backwards: backwards_pairs,
    Entries: entries_pairs,
    Numbered: numbered_pairs,
    Zipped: zipped_pairs,
}
"""Pairs of iterators whose items are read by place: a generator steps the iterator itself."""


def is_quick(iterator) -> bool:
    """Can `quick_pairs` step the iterator?"""
    if type(iterator) in QUICK:
        return iterator.is_quick()
    return type(getattr(type(iterator), "__next__", None)) is not FunctionType


def quick_pairs(iterator):
    quick = QUICK.get(type(iterator))
    return inert_pairs(iterator) if quick is None else quick(iterator)


# -- views of dicts --------------------------------------------------------------------------------


class View:
    """`owner.values()` or `owner.items()`: what the dict holds when it is looked at."""

    def __init__(self, owner, with_keys):
        self.owner, self.with_keys = owner, with_keys

    def is_quick(self) -> bool:
        return True

    def __iter__(self):
        return Entries(self.owner, self.with_keys)

    def __reversed__(self):
        return Backwards(list(self))

    def __len__(self):
        return len(self.owner)

    def __contains__(self, item):
        return item in list(self)

    def __eq__(self, other):
        return type(other) is View and list(self) == list(other)

    def __repr__(self):
        return repr(self.owner.items() if self.with_keys else self.owner.values())

    __hash__ = None  # type: ignore[assignment]


QUICK[View] = lambda view: entries_pairs(Entries(view.owner, view.with_keys))  # type: ignore[index]


@augments(dict.values)
def dict_values(owner):
    return View(owner, False), nothing(1)


@augments(dict.items)
def dict_items(owner):
    return View(owner, True), nothing(1)


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


@as_python(itertools.chain)
def chain(*parts):
    return iter([item for part in parts for item in part])


@as_python(itertools.chain.from_iterable)
def chain_from(parts):
    return iter([item for part in parts for item in part])


@as_python(itertools.product)
def product(*pools, repeat=1):
    rows = [()]
    for pool in [list(pool) for pool in pools] * repeat:
        rows = [(*row, item) for row in rows for item in pool]
    return iter(rows)


@as_python(itertools.pairwise)
def pairwise(values):
    items = list(values)
    return iter([(items[i], items[i + 1]) for i in range(len(items) - 1)])


@as_python(itertools.accumulate)
def accumulate_(values, func=None, *, initial=None):
    totals = [] if initial is None else [initial]
    for value in values:
        last = totals[-1] if totals else None
        step = value if not totals else last + value if func is None else func(last, value)
        totals.append(step)
    return iter(totals)


@as_python(itertools.islice)
def islice(values, *limits):
    """Takes no more from an iterator than it hands on."""
    places = slice(*limits)
    start = places.start or 0
    step = places.step or 1
    taken = []
    cursor = iter(values)
    index = 0
    while places.stop is None or index < places.stop:
        item = next(cursor, ENDED)
        if item is ENDED:
            break
        if index >= start and (index - start) % step == 0:
            taken.append(item)
        index += 1
    return iter(taken)


@as_python(itertools.starmap)
def starmap(f, rows):
    return Mapped(lambda row: f(*row), [iter(rows)])


@as_python(itertools.zip_longest)
def zip_longest(*values, fillvalue=None):
    rows = [list(value) for value in values]
    size = max([0, *[len(row) for row in rows]])
    return iter([tuple([r[i] if i < len(r) else fillvalue for r in rows]) for i in range(size)])


def choices(pick):
    """`itertools.combinations` and its like, by the places that they choose."""

    def augmented(values, *size, **options):
        def chosen(values):
            items = list(values)
            rows = chosen_places(pick, len(items), size, options)
            return iter([tuple([items[i] for i in row]) for row in rows])

        y, inner = call(chosen, values)
        nones = [None for _ in (*size, *options)]
        return y, lambda ct, store: (*inner(ct, store), *nones)

    AUGMENTED[pick] = augmented


def chosen_places(pick, count: int, size, options) -> list:
    return list(pick(range(count), *size, **options))


inert(chosen_places, refuse_lengths, is_quick)
for pick in (itertools.combinations, itertools.permutations,
             itertools.combinations_with_replacement):  # fmt: skip
    choices(pick)


@as_python(functools.reduce)
def reduce_(f, values, *initial):
    cursor = iter(values)
    if initial:
        total = initial[0]
    else:
        total = next(cursor, ENDED)
        if total is ENDED:
            raise TypeError("reduce() of empty iterable with no initial value")
    for value in cursor:
        total = f(total, value)
    return total


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
