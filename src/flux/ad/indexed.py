"""Cotangents of rows: kept as a list of reads until the whole array is asked for.

Reading `x[i]` in a loop contributes one row a time; adding up dense arrays would cost the whole
array for every read.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["LAZY", "SCATTER", "Form", "Indexed", "form_of"]

LAZY: set[type] = set()
"""Types of cotangents that are sums not yet carried out: they have `plus(other)` and `dense()`."""

SCATTER: dict[type, Callable[[Any, list], Any]] = {}
"""By array type: `scatter(like, reads)` adds `(index, ct)` pairs into zeros of `like`'s shape."""


class Form:
    """Shape and dtype of an array that may change, or be freed, before the reverse pass."""

    __slots__ = ("dtype", "shape")

    def __init__(self, shape, dtype):
        self.shape, self.dtype = shape, dtype


def form_of(array):
    """What a cotangent of rows must know of an array: its form, if it may change in place."""
    return array if type(array) in SCATTER else Form(array.shape, array.dtype)


class Indexed:
    """The sum of cotangents of reads of one array.

    Attributes:
        like: the array that was read, or its `Form`.
        index: where the last read was; `...` for the whole array.
        ct: its cotangent; another `Indexed` of the same array, with the index `...`.
        before: the reads before it, or `None`.
    """

    __slots__ = ("before", "ct", "index", "like")

    def __init__(self, like, index, ct, before=None):
        self.like, self.index, self.ct, self.before = like, index, ct, before

    def plus(self, other):
        """The sum with another cotangent of the same array; no array is touched."""
        if type(other) is not Indexed:
            return Indexed(self.like, ..., other, self)
        if other.before is None:
            return Indexed(self.like, other.index, other.ct, self)
        if self.before is None:
            return Indexed(other.like, self.index, self.ct, other)
        return Indexed(self.like, ..., other, self)

    def dense(self):
        """The sum as one array."""
        return SCATTER[type(self.like)](self.like, self.reads())

    def reads(self) -> list:
        """Pairs of index and cotangent, the last read first."""
        reads: list = []
        waiting: list[Indexed] = [self]
        while waiting:
            part = waiting.pop()
            while part is not None:
                if type(part.ct) is Indexed and part.index is ...:
                    waiting.append(part.ct)
                elif type(part.ct) in LAZY:  # of a row, which is an array of its own
                    reads.append((part.index, part.ct.dense()))
                else:
                    reads.append((part.index, part.ct))
                part = part.before
        return reads


LAZY.add(Indexed)
