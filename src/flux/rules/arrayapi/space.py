"""Arrays of any library that implements the array API standard, as values with derivatives."""

from __future__ import annotations

import math
from sys import getrefcount

from numpy import generic

from flux.ad import registry
from flux.ad.indexed import SCATTER
from flux.ad.registry import AUGMENTED, inert
from flux.ad.spaces import LOOKUPS, MEMORIES, SPACES, TOTALS, Space, project, space_of
from flux.errors import NotDifferentiable, user_line
from flux.rules.arrayapi.libraries import (
    NAMESPACES,
    Outline,
    is_complex,
    is_inexact,
    library_of_kind,
    namespace,
)
from flux.rules.numpy.space import NOT_ARRAYS
from flux.rules.operators import LOGARITHMS, PRODUCTS, SLOPES

__all__ = ["FOR_KIND", "RULES", "as_array", "carries", "is_owner", "refused"]

RULES: dict = {}
"""Rules of operations, for every type of arrays."""
FOR_KIND: dict = {}
"""By name: what the other files of this room know of a type of arrays."""


def refused(what: str, hint: str) -> NotDifferentiable:
    """The error for what this room does not cover."""
    return NotDifferentiable(
        f"{what} is not covered by the automatic differentiation.", where=user_line(), hint=hint
    )


def carries(x) -> bool:
    """Does `x`, an argument of a function of arrays, carry a derivative?"""
    kind = type(x)
    if kind is tuple or kind is list:
        return any([carries(item) for item in x])
    space = space_of(kind)
    return space is not None and space.zero(x) is not None


def zero(x):
    if not is_inexact(x):
        return None
    return namespace(x).zeros(x.shape, dtype=x.dtype, device=x.device)


def project_array(ct, x):
    """Sum over broadcast axes, take the real part for a real primal, cast to its dtype."""
    if not is_inexact(x):
        return None
    xp = namespace(x)
    if type(ct) not in NAMESPACES:
        ct = xp.asarray(ct, device=x.device)
    if ct.shape != x.shape:
        ct = summed_to(xp, ct, x.shape)
    if is_complex(ct) and not is_complex(x):
        ct = xp.real(ct)
    return ct if ct.dtype == x.dtype else xp.astype(ct, x.dtype)


def summed_to(xp, ct, shape):
    """`ct` with the axes summed along which an array of `shape` was broadcast.

    Where `ct` is shorter than `shape`, the cotangent is the same all along that axis.
    """
    extra = max(ct.ndim - len(shape), 0)
    axes = [i for i, n in enumerate(ct.shape) if i < extra]
    if ct.ndim >= len(shape):
        pairs = enumerate(zip(shape, ct.shape[extra:], strict=True))
        axes = [*axes, *[i + extra for i, (n, m) in pairs if n == 1 and m != 1]]
    if axes:
        ct = xp.sum(ct, axis=tuple(axes), keepdims=True)
    ct = xp.reshape(ct, ct.shape[extra:])
    return ct if ct.shape == shape else xp.broadcast_to(ct, shape)


def total(ct):
    """The sum of all elements, as a Python number."""
    number = NAMESPACES[type(ct)].sum(ct)
    return complex(number) if is_complex(number) else float(number)


def as_array(xp, value, like):
    """A Python number as an array in the dtype of `like`; anything else as it is."""
    if type(value) in (int, float, complex) or isinstance(value, generic):
        return xp.asarray(value, dtype=like.dtype, device=like.device)
    return value


def as_array_again(xp, value, like):
    def back(ct, store):
        return None, project(ct, value), None

    return as_array(xp, value, like), back


AUGMENTED[as_array] = as_array_again


# -- memory ----------------------------------------------------------------------------------------


def memory(x):
    """The object that holds the memory of `x`, and where it is a view says so; or `None`."""
    inner = getattr(x, "_array", x)  # array_api_strict keeps an array of NumPy
    return inner if hasattr(inner, "base") else None


def is_owner(x) -> bool:
    """Is it certain that nobody but `x` sees its memory?"""
    inner = memory(x)
    if inner is None:
        return False
    held = inner is x or getrefcount(inner) <= 3  # by `x`, this variable and the call
    base = inner.base
    return held and (base is None or (type(base) is type(inner) and getrefcount(base) <= 3))


def own(x, seen: dict):
    """The array, or a copy where its memory was seen before or may be somebody else's."""
    inner = memory(x)
    if inner is None or inner.base is not None or id(inner) in seen:
        x = NAMESPACES[type(x)].asarray(x, copy=True)
        inner = x if memory(x) is None else memory(x)
    seen[id(inner)] = inner
    return x


# -- a type of arrays that is met for the first time -----------------------------------------------

SPACE = SPACES[Outline] = Space(zero, project_array)


def lookup(kind: type) -> Space | None:
    xp = library_of_kind(kind)
    if xp is None:
        return None
    NAMESPACES[kind] = xp
    FOR_KIND["know"](kind, xp)
    NOT_ARRAYS.add(kind)
    registry.INDEXERS[kind] = FOR_KIND["getitem"]
    SCATTER[kind] = FOR_KIND["scatter"]
    PRODUCTS[kind] = FOR_KIND["left"], FOR_KIND["right"]
    MEMORIES[kind] = own
    TOTALS[kind] = total
    LOGARITHMS[kind] = safe_log
    SLOPES[kind] = power_slope
    for operation, rule in RULES.items():
        AUGMENTED[(*operation, kind) if type(operation) is tuple else (operation, kind)] = rule
    return SPACE


def safe_log(a):
    """`log a`, 0 where `a` is 0, NaN below: the slope of `a ** b` in `b`, over `a ** b`."""
    xp = NAMESPACES[type(a)]
    one = xp.ones_like(a)
    if is_complex(a):
        return xp.log(xp.where(a == 0, one, a))
    return xp.log(xp.where(a > 0, a, xp.where(a == 0, one, math.nan * one)))


def power_slope(a, b):
    """`b * a ** (b - 1)`, and 0 where `b` is 0."""
    xp = NAMESPACES[type(b)]
    none = b == 0
    return b * a ** xp.where(none, xp.ones_like(b), b - 1)


LOOKUPS.append(lookup)
inert(carries, is_owner, refused)
