"""Derivatives of the views of dicts: `owner.values()` and `owner.items()`."""

from __future__ import annotations

from flux.ad.inert import nothing
from flux.ad.registry import augments
from flux.rules.iterators import QUICK, Backwards, Entries, entries_pairs


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
