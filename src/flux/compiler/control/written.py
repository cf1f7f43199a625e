"""Which traced arrays stand for NumPy arrays of the caller: these would be changed in place."""

from __future__ import annotations

import threading
from contextlib import contextmanager

__all__ = ["callers", "is_callers"]

LOCAL = threading.local()


@contextmanager
def callers(arrays):
    """Remember the traced arrays in whose place the caller has NumPy's."""
    before = getattr(LOCAL, "arrays", {})
    LOCAL.arrays = {id(array): array for array in arrays}
    try:
        yield
    finally:
        LOCAL.arrays = before


def is_callers(array) -> bool:
    """Does a traced array stand for a NumPy array of the caller?"""
    return id(array) in getattr(LOCAL, "arrays", {})
