"""Iterators of Python's own kinds, under differentiation: as lazy as they are, written in Python.

A `Cursor` sees what happens to its list meanwhile. Where the items are read by place only, `QUICK`
has a generator of pairs of an item and its pullback.
"""

from __future__ import annotations

from types import FunctionType

from flux.ad.carries import carries
from flux.ad.registry import inert
from flux.errors import NotDifferentiable, user_line

__all__ = ["ENDED", "QUICK", "Backwards", "Cursor", "Entries", "Filtered", "Lazy", "Mapped",
           "Numbered", "Zipped", "entries_pairs", "inert_pairs", "no_item", "quick_pairs",
           "unknown_items"]  # fmt: skip


# -- items that carry nothing ----------------------------------------------------------------------


def no_item(ct, store):
    return (None,)


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


class Backwards(Lazy):
    """`reversed(items)` of a list."""

    def __init__(self, items):
        self.items, self.place = items, len(items)

    def advance(self):
        if self.place == 0 or self.place > len(self.items):
            return ENDED
        self.place -= 1
        return self.items[self.place]


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


# -- pairs of an item and its pullback, of iterators that are read by place ------------------------


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


def backwards_pairs(cursor):
    items = cursor.items
    while 0 < cursor.place <= len(items):
        cursor.place -= 1
        index = cursor.place

        def back(ct, store, index=index):
            store.add(items, index, ct)
            return (None,)

        yield items[index], back


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


def numbered_pairs(numbered):
    for item, inner in quick_pairs(numbered.values):

        def back(ct, store, inner=inner):
            return (None,) if ct is None else (inner(ct[1], store)[0],)

        numbered.index += 1
        yield (numbered.index - 1, item), back


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


inert(refuse_lengths, is_quick)
