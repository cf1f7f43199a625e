"""Draws of NumPy's and Python's generators: they would be the same in each run of a program."""

from __future__ import annotations

import random

import numpy as np

from flux.errors import StagingError, user_line

__all__ = ["is_generator", "refuse_draw"]

GENERATORS = (np.random.Generator, np.random.RandomState, random.Random)


def is_generator(value) -> bool:
    return isinstance(value, GENERATORS)


def refuse_draw(f) -> None:
    """Raise `StagingError` for a method of a generator that would draw while a program is made.

    >>> refuse_draw(np.sin)
    >>> refuse_draw(np.random.default_rng(0).normal)
    Traceback (most recent call last):
    flux.errors.StagingError: `normal` would draw once, while the program is made...
    """
    if is_generator(getattr(f, "__self__", None)):
        raise StagingError(
            f"`{f.__name__}` would draw once, while the program is made, and each run would get "
            "the same numbers.",
            where=user_line(),
            hint="Draw from a flux.random.RandomState that the model or an argument holds, or draw "
            "before the call and hand the numbers in.",
        )
