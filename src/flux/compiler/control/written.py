"""Writes into NumPy arrays while a program is made: which may be done, and which make a new array.

A write of a traced value makes one of JAX's arrays of NumPy's, and a write inside a block that is
traced must leave the array as it is for the other block. Both give the name that is written to a
new array, which is as good only where nobody else sees the old one. What NumPy's functions make of
traced arrays stands for NumPy's arrays, too.
"""

from __future__ import annotations

import functools
import operator
import threading
from collections.abc import Callable
from contextlib import contextmanager
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from flux.errors import NotDifferentiable, StagingError, user_line

__all__ = ["block", "callers", "guard", "guard_adjoint", "is_callers", "is_numpys", "is_outside",
           "made_by", "note_numpys", "noting", "place_in", "refuse_in_place", "refuse_method",
           "refuse_shared", "without_lists"]  # fmt: skip

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
    if isinstance(value, jax.Array) and hasattr(LOCAL, "numpys"):
        LOCAL.numpys[id(value)] = value


def made_by(f, value):
    """What a function gave; one of JAX's gives an array of JAX's, also of one of NumPy's."""
    jaxs = (getattr(f, "__module__", None) or "").startswith("jax")
    return jnp.copy(value) if jaxs and isinstance(value, jax.Array) and is_numpys(value) else value


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


HINT = "Make it one of JAX's arrays (`jnp.asarray(x)`), or change a copy (`y = x.copy()`)."
METHODS = frozenset(
    """
    sort fill put resize partition itemset setfield setflags __setitem__ __iadd__ __isub__ __imul__
    __itruediv__ __ifloordiv__ __imod__ __ipow__ __imatmul__ __iand__ __ior__ __ixor__
    """.split()
)
"""Methods of NumPy's arrays that change them."""
UNKNOWN = frozenset("fill put resize itemset partition".split())
"""Those that arrays of JAX's do not have."""
FUNCTIONS = frozenset([
    np.copyto, np.put, np.place, np.putmask, np.fill_diagonal, np.put_along_axis,
    *[getattr(operator, n) for n in """setitem iadd isub imul itruediv ifloordiv imod ipow imatmul
                                       iand ior ixor""".split()],
])  # fmt: skip
"""Functions that change an array of NumPy's that they are given first."""


def refuse_in_place(f, args: tuple, keywords: dict) -> None:
    """Refuse a function that would change an array of NumPy's where it is."""
    owner = getattr(f, "__self__", None)
    if isinstance(f, np.ufunc):
        changed = args[f.nin :]
    elif isinstance(owner, np.ufunc):
        changed = args[:1] if f.__name__ == "at" else ()
    else:
        changed = args[:1] if is_one_of(f, FUNCTIONS) else ()
    if keywords.get("out") is not None:
        changed = (*changed, keywords["out"])
    numpys = getattr(f, "__module__", None) == "numpy" and changed[:1]
    for array in changed:
        if (numpys and isinstance(array, jax.Array)) or must_stay(
            array, (*args, *keywords.values())
        ):
            raise changes(getattr(f, "__name__", "a function"))


def refuse_method(owner, name: str, args: tuple) -> None:
    """Refuse a method that would change an array of NumPy's where it is."""
    never = name in UNKNOWN and isinstance(owner, jax.Array)
    if never or (name in METHODS and must_stay(owner, args)):
        raise changes(name)


def must_stay(array, given: tuple) -> bool:
    """Can an array of NumPy's not be changed by an operation that is `given` these values?"""
    if type(array) is np.ndarray:
        return is_outside(array) or any([isinstance(v, Tracer) for v in given])
    return is_numpys(array)


def changes(name: str) -> StagingError:
    return StagingError(
        f"`{name}` changes a NumPy array in place, which a compiled function cannot do.",
        where=user_line(),
        hint="Use what it returns, or a function that makes a new array (`np.sort(x)`, np.where), "
        "or write `y[i] = v`.",
    )


def place_in(owner, index):
    """An index of an array that stands for NumPy's; as there, one out of range is an error."""
    if not isinstance(owner, jax.Array) or not is_numpys(owner):
        return index
    if isinstance(index, list) and not any([isinstance(v, Tracer) for v in index]):
        index = np.asarray(index, None if index else int)
    axis = 0
    for place in index if isinstance(index, tuple) else (index,):
        numbers: Any = () if isinstance(place, slice) else place
        known = isinstance(numbers, tuple | int | np.integer | np.ndarray)
        if not known or axis >= owner.ndim or np.asarray(numbers).dtype.kind == "b":
            break
        size = owner.shape[axis]
        for number in np.ravel(numbers):
            if not -size <= number < size:
                raise IndexError(
                    f"index {number} is out of bounds for axis {axis} with size {size}"
                )
        axis += 1
    return index


def without_lists(owner, index):
    """An index of one of JAX's arrays, its lists as arrays."""
    if not isinstance(owner, jax.Array):
        return index
    if isinstance(index, tuple) and any([isinstance(part, list) for part in index]):
        return tuple([without_lists(owner, part) for part in index])
    if not isinstance(index, list):
        return index
    traced = any([isinstance(part, Tracer) for part in jax.tree.leaves(index)])
    return jnp.asarray(index) if traced else np.asarray(index, None if index else int)


def is_one_of(f, functions) -> bool:
    try:
        return f in functions
    except TypeError:
        return False


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
    if isinstance(x, jax.Array) and x.ndim and is_numpys(x) and place is None:
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
            hint=HINT,
        )


def guard_adjoint(x, text: str, place=None) -> None:
    """Refuse a write to an array that others may see; in an adjoint every write makes a new one."""
    guard(x, text, place)
    refuse_shared(x)
