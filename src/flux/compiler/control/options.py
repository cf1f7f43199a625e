"""How the program that is being made treats its loops."""

from __future__ import annotations

import threading
from contextlib import contextmanager

__all__ = ["FEW", "MOST_UNROLLED", "Options", "current", "using"]

FEW = 4
"""A loop over so few numbers becomes as many copies of its body."""
MOST_UNROLLED = 512
"""The most iterations of a loop that are written one by one where it cannot stay a loop."""
LOCAL = threading.local()


class Options:
    """How one program is made.

    Attributes:
        unroll: `"auto"`, a bool, or how many iterations one turn of a loop does.
        ordered: what it prints comes in the order of its lines.
        prints: it prints something.
    """

    __constant__ = True

    def __init__(self, unroll: bool | int | str = "auto", ordered: bool = False):
        self.unroll, self.ordered = unroll, ordered
        self.prints = False

    @property
    def step(self) -> int:
        """Iterations in one turn of a loop."""
        return self.unroll if type(self.unroll) is int else 1

    def wants_loop(self, length: int, numbers: bool) -> bool:
        """Is a loop of known length to stay a loop? `numbers`: it goes over a range."""
        if self.unroll is True:
            return not numbers
        return length > FEW or not numbers or self.unroll != "auto"


def current() -> Options:
    return getattr(LOCAL, "options", None) or Options()


@contextmanager
def using(options: Options):
    """Make a program with these options."""
    before = getattr(LOCAL, "options", None)
    LOCAL.options = options
    try:
        yield
    finally:
        LOCAL.options = before
