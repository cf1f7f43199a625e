"""Cotangents of rows: kept as a list of reads until the whole array is asked for.

Reading `x[i]` in a loop contributes one row a time; adding up dense arrays would cost the whole
array for every read.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["SCATTER", "Indexed", "merge"]

SCATTER: dict[type, Callable[[Any, list], Any]] = {}
"""By array type: `scatter(like, reads)` adds `(index, ct)` pairs into zeros of `like`'s shape."""


class Indexed:
    """The sum of cotangents of reads of one array.

    Attributes:
        like: the array that was read.
        index, ct: the last read and its cotangent.
        before: the reads before it, or `None`.
    """

    __slots__ = ("before", "ct", "index", "like")

    def __init__(self, like, index, ct, before=None):
        self.like, self.index, self.ct, self.before = like, index, ct, before

    def dense(self):
        """The sum as one array."""
        reads = []
        part = self
        while part is not None:
            reads.append((part.index, part.ct))
            part = part.before
        reads.reverse()
        return SCATTER[type(self.like)](self.like, reads)


def merge(a, b):
    """The sum of two cotangents, at least one of which is `Indexed`."""
    if type(a) is not Indexed:
        return b.dense() + a
    if type(b) is not Indexed:
        return a.dense() + b
    if b.before is None:
        return Indexed(a.like, b.index, b.ct, a)
    return a.dense() + b.dense()
