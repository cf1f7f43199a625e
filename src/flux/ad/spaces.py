"""The socket for kinds of values: how the cotangents of a type are zeroed, added and projected.

A *space* is registered for each type that carries derivatives by value: Python numbers here, the
arrays of a library by its rule room. `VALUE` holds the exact types that arithmetic may treat as
plain (an operator on two of them needs no search for a user-defined `__mul__`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from flux.ad.registry import inert

__all__ = ["IDENTITIES", "LOOKUPS", "MEMORIES", "SPACES", "TOTALS", "VALUE", "Space", "project",
           "space_of", "total_of", "zero_of"]  # fmt: skip


class Space(NamedTuple):
    """How the cotangents of one type behave.

    Attributes:
        zero: `zero(x)`, the zero cotangent of `x`: same shape and dtype; `None` if `x` carries none
            (an integer array).
        project: `project(ct, x)`, the cotangent `ct` brought to the shape (broadcast axes summed),
            dtype and realness of `x`; `None` if `x` carries none.
        items: `items(x)`, the Python objects that an array holds; nothing can carry their
            derivatives. `None` for a type whose values hold numbers only.
    """

    zero: Callable[[Any], Any]
    project: Callable[[Any, Any], Any]
    items: Callable[[Any], list] | None = None


SPACES: dict[type, Space] = {}
LOOKUPS: list[Callable[[type], Space | None]] = []
"""Asked, in order, for the space of a type that stands not in `SPACES` (an abstract tracer ...)."""

VALUE: set[type] = {int, float, complex, bool}

MEMORIES: dict[type, Callable[[Any, dict], Any]] = {}
"""By type of arrays that can change in place: `own(array, seen)` is the array, or a copy where its
memory was seen before; it remembers it."""

TOTALS: dict[type, Callable[[Any], Any]] = {}
"""By type of arrays that have no method `sum`: the sum of their elements, a Python number."""

IDENTITIES: set[type] = set()
"""Types of arrays that are one parameter wherever they occur, with one gradient: the sum."""


def space_of(kind: type) -> Space | None:
    """The space of the values of type `kind`, or `None`; what is found is remembered."""
    space = SPACES.get(kind)
    if space is not None:
        return space
    for lookup in LOOKUPS:
        space = lookup(kind)
        if space is not None:
            SPACES[kind] = space
            VALUE.add(kind)
            return space
    return None


def _project_float(ct, x):
    kind = type(ct)
    return ct if kind is float else project_scalar(total_of(ct), float)


def total_of(ct):
    """The sum of the elements of an array; a number is its own."""
    total = TOTALS.get(type(ct))
    if total is not None:
        return total(ct)
    return ct.sum() if getattr(ct, "ndim", 0) else ct


def project_scalar(ct, kind):
    """Bring a scalar cotangent to a Python number, unless it is being traced."""
    try:
        if kind is float:
            return float(ct.real) if hasattr(ct, "real") else float(ct)
        return complex(ct)
    except TypeError:  # a traced value has no Python number yet; JAX's ConcretizationTypeError
        return ct.real if kind is float and hasattr(ct, "real") else ct


def _project_complex(ct, x):
    return project_scalar(total_of(ct), complex)


SPACES[float] = Space(lambda x: 0.0, _project_float)
SPACES[complex] = Space(lambda x: 0j, _project_complex)


def project(ct, x):
    """The cotangent `ct` brought to the shape, dtype and realness of its primal `x`.

    `None` where `x` carries no derivative (an integer, a string).
    """
    kind = type(x)
    if kind is type(ct):
        if kind is float or kind is complex or (ct.shape == x.shape and ct.dtype == x.dtype):
            return ct
    if ct is None:
        return None
    if hasattr(ct, "asked"):  # the cotangent that a library does not know: nothing to compute with
        return ct
    space = SPACES.get(kind) or space_of(kind)
    return None if space is None else space.project(ct, x)


def zero_of(x):
    """The zero cotangent of `x`; `None` where `x` carries no derivative."""
    space = SPACES.get(type(x)) or space_of(type(x))
    return None if space is None else space.zero(x)


inert(space_of, zero_of)
