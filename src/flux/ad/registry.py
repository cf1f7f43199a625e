"""The socket for derivative rules: which callee has which augmented form.

An *augmented* callee takes the arguments of the callee and returns `(y, back)`. `back(ct, store)`
takes the cotangent of `y` (`None` is zero) and the cotangent store of the running reverse pass and
returns a tuple: one cotangent per positional argument, then one per keyword, in call order. Values
of a mutable kind (lists, dicts, objects, cells) have no cotangent of their own (`None`): theirs is
kept in the store, by identity.

Rule rooms fill the tables when the library that they speak of is loaded. Nothing here knows a
library.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["AUGMENTED", "INERT", "INERT_MODULES", "FINDERS", "augments", "inert", "is_inert",
           "of_inert_module"]  # fmt: skip

Augmented = Callable[..., tuple[Any, Callable[[Any, Any], tuple]]]

AUGMENTED: dict[Any, Augmented] = {}
"""Callee (a function, ufunc, class, or unbound method such as `list.append`) to augmented form."""

INERT: set[Any] = set()
"""Callees that have no derivative: they are called as they are."""

INERT_MODULES: set[str] = set()
"""Top-level names of modules whose functions make nothing that carries a derivative (`os` ...)."""

FINDERS: list[Callable[[Any], Augmented | None]] = []
"""Functions that are asked for the augmented form of a callee that stands in no table."""

CONSTRUCTORS: list[Callable[[type], Augmented | None]] = []
"""Asked for the augmented form of making an instance of a class whose `__init__` has no source."""

ATTRIBUTES: dict[tuple[type, str], Augmented] = {}
"""By array type and attribute name: the augmented form of reading it, `aug(x) -> (y, back)`."""

ATTRIBUTE_FINDERS: list[Callable[[type, str], Augmented | None]] = []
"""Asked for the rule of an attribute that stands not in `ATTRIBUTES`."""

METHOD_FINDERS: list[Callable[[type, str], Augmented | None]] = []
"""Asked for the augmented form of a method of an array type; it gets the array first."""

INDEXERS: dict[type, Augmented] = {}
"""By array type: the augmented form of `x[index]`."""


def augments(*callees):
    """Register the decorated function as the augmented form of `callees`."""

    def register(augmented):
        for callee in callees:
            AUGMENTED[callee] = augmented
        return augmented

    return register


def inert(*callees) -> None:
    """Declare that `callees` have no derivative."""
    INERT.update(callees)


def is_inert(callee) -> bool:
    """Is `callee` declared to have no derivative?"""
    try:
        return callee in INERT
    except TypeError:
        return False


def of_inert_module(callee) -> bool:
    """Does `callee` belong to a module that has nothing to do with numbers?"""
    module = getattr(callee, "__module__", None)
    return isinstance(module, str) and module.partition(".")[0] in INERT_MODULES
