"""Derivatives that are not those of what a function computes, because its user says so.

A second derivative that relies on the order of derivatives not to matter has to know of them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import contextmanager
from typing import Any

from flux.ad.registry import inert

__all__ = ["DECLARED", "freezing", "frozen", "users_own", "without_own"]

DECLARED: set[Any] = set()
"""Functions that users declared to have no derivative."""
LOCAL = threading.local()


def users_own(name: str) -> None:
    """The derivative that a user gave the function of that name is used."""
    refuse = getattr(LOCAL, "refuse", None)
    if refuse is not None:
        refuse(name)


def frozen(value):
    """A value without derivative, as those who differentiate on their own have to see it."""
    freeze = getattr(LOCAL, "freeze", None)
    return value if freeze is None else freeze(value)


@contextmanager
def without_own(refuse: Callable[[str], None]):
    """Call `refuse(name)` where the derivative of a user's is met."""
    before = getattr(LOCAL, "refuse", None)
    LOCAL.refuse = refuse
    try:
        yield
    finally:
        LOCAL.refuse = before


@contextmanager
def freezing(freeze: Callable[[Any], Any]):
    """Let `stop_gradient` pass its value through `freeze`."""
    before = getattr(LOCAL, "freeze", None)
    LOCAL.freeze = freeze
    try:
        yield
    finally:
        LOCAL.freeze = before


inert(users_own)
