"""What is computed with sparse matrices: products, multiples, sums, conversions, construction."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse

from flux.ad.inert import nothing
from flux.ad.registry import AUGMENTED, inert
from flux.ad.spaces import project
from flux.rules.numpy.forms import refused
from flux.rules.numpy.space import apart, differs, of_items
from flux.rules.scipy.callees import holds, refusing
from flux.rules.scipy.sparse.space import (
    KINDS,
    STORED,
    found,
    has_entries,
    like_entries,
    outside,
    places,
    stored,
)

NONE1, NONE2 = (None,), (None, None)


def method(*names):
    """Register the decorated function as the augmented form of methods of every sparse matrix."""

    def register(augmented):
        for kind in KINDS:
            for name in names:
                own = getattr(kind, name, None)
                if own is not None:
                    AUGMENTED[own] = augmented(own)
        return augmented

    return register


# -- products with arrays ------------------------------------------------------------------------


@method("__matmul__", "dot")
def product(own):
    """`x @ b` for an array `b`."""

    def augmented(x, b):
        if not isinstance(b, np.ndarray):
            return multiple(own)(x, b) if np.ndim(b) == 0 and own.__name__ == "dot" else (
                refusing(own)(x, b))  # fmt: skip
        y = own(x, b)

        def back(ct, store):
            if ct is None:
                return NONE2
            return like_entries(x, lambda: outer(x, ct, b)), project(x.T @ ct, b)

        return y, back

    return augmented


def outer(x, left, right):
    """`left @ right.T` at the stored places of `x`."""
    rows, columns = places(x)
    whole = left[rows] * right[columns]
    return np.sum(whole, 1) if np.ndim(whole) == 2 else whole


@method("__rmatmul__")
def product_from_left(own):
    """`b @ x` for an array `b`."""

    def augmented(x, b):
        if not isinstance(b, np.ndarray):
            return refusing(own)(x, b)
        y = b @ x

        def back(ct, store):
            if ct is None:
                return NONE2
            return like_entries(x, lambda: outer(x, b.T, ct.T)), project(ct @ x.T, b)

        return y, back

    return augmented


# -- multiples and sums --------------------------------------------------------------------------

NUMBERS = (int, float, complex, np.generic)


def multiple(own):
    return scaled(own, lambda ct, number: ct * number, lambda ct, x, number: np.sum(ct * x.data))


def scaled(own, entries, slope):
    """The rule of a matrix times or over a number; the cotangents of both as formulas."""

    def augmented(x, number):
        y = own(x, number)

        def back(ct, store):
            if ct is None:
                return NONE2
            if not has_entries(x):
                return outside(x), outside(x) if differs(number) else None
            ct = stored(ct, y)
            part = project(slope(ct, x, number), number) if differs(number) else None
            return like_entries(x, lambda: entries(ct, number)), part

        return y, back

    return augmented


@method("__mul__", "__rmul__")
def times(own):
    """A multiple; the old matrix classes mean the matrix product."""

    def augmented(x, b):
        if isinstance(b, NUMBERS):
            return multiple(own)(x, b)
        if isinstance(x, sparse.spmatrix) and isinstance(b, np.ndarray) and b.ndim:
            form = product if own.__name__ == "__mul__" else product_from_left
            return form(getattr(type(x), form_name(own)))(x, b)
        return refusing(own)(x, b)

    return augmented


def form_name(own) -> str:
    return "__matmul__" if own.__name__ == "__mul__" else "__rmatmul__"


@method("__truediv__")
def over(own):
    divided = scaled(own, lambda ct, number: ct / number,
                     lambda ct, x, number: -np.sum(ct * x.data) / number**2)  # fmt: skip

    def augmented(x, number):
        return (divided if isinstance(number, NUMBERS) else refusing(own))(x, number)

    return augmented


@method("__neg__")
def negative(own):
    def augmented(x):
        if not has_entries(x):
            return refusing(own)(x)
        y = own(x)
        return y, lambda ct, store: NONE1 if ct is None else (-stored(ct, y),)

    return augmented


@method("__add__", "__sub__")
def total(own):
    """The sum or difference of two sparse matrices; no entry of either may get lost."""
    sign = -1 if own.__name__ == "__sub__" else 1

    def augmented(x, b):
        if type(b) not in KINDS:
            return refusing(own)(x, b)
        y = own(x, b)
        first, second = places_in(y, x), places_in(y, b)

        def back(ct, store):
            if ct is None:
                return NONE2
            ct = stored(ct, y)
            return like_entries(x, lambda: ct[first]), like_entries(b, lambda: sign * ct[second])

        return y, back

    return augmented


def places_in(y, x):
    """Where `y` stores the entries of `x`, which may be a constant in another format."""
    return found(y, *places(x)) if has_entries(x) else None


# -- other forms of the same matrix --------------------------------------------------------------


@method("tocsr", "tocsc", "tocoo", "copy", "astype", "transpose")
def converted(own):
    """Another form of a sparse matrix: its entries are found by their places."""

    def augmented(x, *rest, **options):
        if not has_entries(x):
            return refusing(own)(x, *rest, **options)
        y = own(x, *rest, **options)
        rows, columns = places(x)
        if own.__name__ == "transpose":
            rows, columns = columns, rows
        same = own.__name__ in ("copy", "astype", "transpose") or y.format == x.format
        at = slice(None) if same else found(y, rows, columns)
        nones = [None for _ in (*rest, *options)]

        def back(ct, store):
            if ct is None:
                return (None, *nones)
            ct = stored(ct, y)
            return (like_entries(x, lambda: ct[at]), *nones)

        return y, back

    return augmented


@method("toarray")
def dense(own):
    def augmented(x, *rest, **options):
        if rest or options or not has_entries(x):
            return refusing(own)(x, *rest, **options)
        rows, columns = places(x)

        def back(ct, store):
            return NONE1 if ct is None else (like_entries(x, lambda: ct[rows, columns]),)

        return own(x), back

    return augmented


@method("sum")
def summed(own):
    """The sum of all entries, or along the rows or columns, of a sparse array."""

    def augmented(x: Any, axis=None, **options):
        plain = issubclass(type(x), sparse.sparray) or axis is None
        if options or not plain or axis not in (None, 0, 1, -1, -2) or not has_entries(x):
            return refusing(own)(x, axis, **options)
        rows, columns = places(x)

        def back(ct, store):
            if ct is None:
                return NONE2
            along = columns if axis in (0, -2) else rows
            part = ct * np.ones_like(x.data) if axis is None else ct[along]
            return like_entries(x, lambda: part), None

        return own(x, axis), back

    def by_keyword(x, *rest, **options):
        y, inner = augmented(x, *rest, **options)
        count = 1 + len(rest) + len(options)
        return y, lambda ct, store: (*inner(ct, store)[:1], *[None for _ in range(count - 1)])

    return by_keyword


# -- construction --------------------------------------------------------------------------------


def construction(kind):
    """`kind((data, (rows, columns)))`, `kind((data, indices, indptr))`, `kind(matrix)`."""

    def augmented(source, *rest, **options):
        nones = [None for _ in (*rest, *options)]
        if not holds(source):
            return kind(source, *rest, **options), nothing(1 + len(nones))
        if KINDS[kind] not in STORED or not known_source(source):
            return refused_source(kind)
        y = kind(source, *rest, **options)
        if type(source) in KINDS:
            at, values = found(y, *places(source)), source.data
        else:
            at, values = order_of(y, source), source[0]

        def back(ct, store):
            if ct is None:
                return (None, *nones)
            part = stored(ct, y)[at]
            if type(source) in KINDS:
                return (like_entries(source, lambda: part), *nones)
            part = apart(values, part, store) if of_items(values) else project(part, values)
            return ((part, *[None for _ in source[1:]]), *nones)

        return y, back

    AUGMENTED[kind] = augmented


def known_source(source) -> bool:
    """Is a matrix built from entries with their places, or from another one?"""
    if type(source) in KINDS:
        return has_entries(source)
    return isinstance(source, tuple) and len(source) in (2, 3) and np.ndim(source[0]) == 1


def order_of(y, source) -> Any:
    """Where the given entries are among those that `y` stores."""
    if y.format == "coo":
        return slice(None)
    if len(source) == 2:
        return found(y, np.asarray(source[1][0]), np.asarray(source[1][1]))
    if not y.has_canonical_format:
        raise refused("a sparse matrix with unsorted or repeated indices",
                      "Sort them, or build it from (data, (rows, columns)).")  # fmt: skip
    return slice(None)


def refused_source(kind):
    raise refused(f"`{kind.__name__}` of values that carry a derivative, in this form,",
                  "Build a csr, csc or coo array from (data, (rows, columns)).")  # fmt: skip


for kind in KINDS:
    construction(kind)
inert(known_source, order_of, places_in)
