"""Writes into NumPy arrays while a program is made: which may be done, and which make a new array.

A write of a traced value makes one of JAX's arrays of NumPy's, and a write inside a block that is
traced must leave the array as it is for the other block. Both give the name that is written to a
new array, which is as good only where nobody else sees the old one. What NumPy's functions make of
traced arrays stands for NumPy's arrays, too.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from contextlib import contextmanager

import jax
import numpy as np

from flux.errors import NotDifferentiable, StagingError, user_line

__all__ = ["block", "callers", "guard", "guard_adjoint", "is_callers", "is_numpys", "is_outside",
           "note_numpys", "noting", "refuse_shared"]  # fmt: skip

SHARED = "a NumPy array is changed in place here that others may see"
LOCAL = threading.local()


@contextmanager
def callers(arrays):
    """Remember the traced arrays in whose place the caller has NumPy's."""
    before = getattr(LOCAL, "arrays", {}), getattr(LOCAL, "numpys", {})
    LOCAL.arrays = {id(array): array for array in arrays}
    LOCAL.numpys = dict(LOCAL.arrays)
    try:
        yield
    finally:
        LOCAL.arrays, LOCAL.numpys = before
        LOCAL.guarded = None


def is_callers(array) -> bool:
    """Does a traced array stand for a NumPy array of the caller?"""
    return id(array) in getattr(LOCAL, "arrays", {})


def note_numpys(value) -> None:
    """Remember an array that NumPy would have made."""
    if isinstance(value, jax.Array) and value.ndim:
        LOCAL.numpys[id(value)] = value


def is_numpys(value) -> bool:
    """Is a value an array of NumPy's, or a traced one in the place of such an array?"""
    return type(value) is np.ndarray or id(value) in getattr(LOCAL, "numpys", ())


def noting(operation: Callable, first=lambda result: result) -> Callable:
    """An operation; where NumPy would have made its result, that is remembered.

    Args:
        first: the array of a result.
    """

    @functools.wraps(operation)
    def noted(*args):
        result = operation(*args)
        arrays = [a for a in args if isinstance(a, jax.Array | np.ndarray)]
        if arrays and all([is_numpys(a) for a in arrays]):
            note_numpys(first(result))
        return result

    return noted


@contextmanager
def block(join):
    """Trace a block whose results a `Join` joins; it knows the things that the block reaches."""
    before = getattr(LOCAL, "blocks", ())
    LOCAL.blocks = (*before, join)
    try:
        yield
    finally:
        LOCAL.blocks = before


def is_outside(array: np.ndarray) -> bool:
    """Was a NumPy array, or what it is a view of, made before a block that is traced?"""
    blocks = getattr(LOCAL, "blocks", ())
    while blocks and isinstance(array, np.ndarray):
        if any([id(array) in join.known for join in blocks]):
            return True
        array = array.base  # type: ignore[assignment]
    return False


def guard(x, text: str, place=None) -> None:
    """Remember an array that others may see: the next write may give it to one name only."""
    LOCAL.guarded = None
    if isinstance(x, jax.Array) and is_numpys(x) and place is None:
        LOCAL.guarded = x, SHARED + (f": {text}." if text else ".")
    if type(x) is not np.ndarray or type(place) is np.ndarray:
        return  # of a part, the whole is written to next
    from flux.rules.numpy import writes

    try:
        ours = sum([join.references(x) for join in getattr(LOCAL, "blocks", ())])
        writes.refuse_shared(x, text, ours + (place is not None))
    except NotDifferentiable as error:
        LOCAL.guarded = x, str(error).splitlines()[0]


def refuse_shared(array) -> None:
    """Refuse a write that makes a new array where others may see the old one."""
    guarded = getattr(LOCAL, "guarded", None)
    if guarded is not None and guarded[0] is array:
        raise StagingError(
            f"In a compiled function, {guarded[1]}",
            where=user_line(),
            hint="Make it one of JAX's arrays (`jnp.asarray(x)`), or change a copy "
            "(`y = x.copy()`).",
        )


def guard_adjoint(x, text: str, place=None) -> None:
    """Refuse a write to an array that others may see; in an adjoint every write makes a new one."""
    guard(x, text, place)
    refuse_shared(x)
