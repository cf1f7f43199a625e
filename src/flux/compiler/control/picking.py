"""Items of lists and tuples whose number only the data decide, as plain Python with known numbers.

Staged and differentiated like a user's function: `items[number]` becomes branches, by halves.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from functools import partial
from types import FunctionType
from typing import Any

import jax.numpy as jnp
from jax.core import Tracer

from flux.ad.registry import AUGMENTED
from flux.errors import StagingError, user_line
from flux.rules.functools import rule_of_partial

__all__ = [
    "Choice",
    "has_kind",
    "is_traced_number",
    "kind_of",
    "not_chosen",
    "picked",
    "put",
    "tried",
]

FEW = 16
PLAIN = frozenset([
    getattr(kind, name) for kind in (list, tuple) for name in ("__getitem__", "__setitem__")
    if hasattr(kind, name)
])  # fmt: skip
TRIED = threading.local()


class Choice(partial):
    """Calls that of several functions which has a number that only the data decide.

    It can be called and nothing else: what tells functions apart is refused. It has no hash, so
    that it is no key.
    """

    __slots__ = ()
    __hash__: Any = None

    @property
    def functions(self) -> tuple:
        return self.args[0]

    def __setattr__(self, name, value):
        raise asked(f"to set its attribute `{name}`")

    def __getattr__(self, name):
        functions = [] if name.startswith("__") else self.functions
        if any([hasattr(function, name) for function in functions]):
            raise asked(f"for its attribute `{name}`")
        raise AttributeError(f"a function that only the data choose has no attribute `{name}`")


AUGMENTED[Choice] = rule_of_partial(Choice)


def asked(what: str) -> StagingError:
    return StagingError(
        f"A function that only the data choose can only be called; it is asked {what}.",
        where=user_line(),
        hint="Decide with `if` and the number that chose it.",
    )


def not_chosen(*values: Any) -> None:
    """Refuse to compare functions of which only the data choose one."""
    if any([type(value) is Choice for value in values]):
        raise asked("which one it is")


def has_kind(choice: Choice, kinds) -> bool:
    """`isinstance(choice, kinds)`, refused where it differs between the functions."""
    answers = {isinstance(function, kinds) for function in choice.functions}
    if len(answers) > 1:
        raise asked("for its type")
    return answers.pop()


def kind_of(value: Any, *more: Any, **keywords: Any) -> type:
    """`type(value)`, refused where the data decide."""
    if type(value) is not Choice:
        return type(value, *more, **keywords)
    kinds = {type(function) for function in value.functions}
    if len(kinds) > 1:
        raise asked("for its type")
    return kinds.pop()


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
        and has_plain_items(owner)
        and index.ndim == 0
        and index.dtype.kind in "iub"
        and all([length > FEW and len(owner) <= FEW for length in lengths()])
    )


def has_plain_items(owner: Any) -> bool:
    """Is it a list or tuple, whose class reads and writes items as Python does?"""
    kind = type(owner)
    return isinstance(owner, list | tuple) and all([
        getattr(kind, name, None) in (None, *PLAIN) for name in ("__getitem__", "__setitem__")
    ])  # fmt: skip


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
        return Choice(called, tuple(items), 0, number)
    return among(items, 0, number)


def are_functions(items) -> bool:
    """Can the items only be called? Objects of one class stand for each other."""
    kinds = {type(item) for item in items}
    called = all([callable(item) for item in items])
    return (
        called
        and any([item is not items[0] for item in items])
        and (len(kinds) > 1 or type(kinds.pop().__call__) is not FunctionType)
    )


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
    if index.dtype.itemsize < 4:
        index = index.astype("int32")  # which can be compared with any length
    if index.dtype.kind == "u":
        index = jnp.minimum(index, len(items)).astype("int32")
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
