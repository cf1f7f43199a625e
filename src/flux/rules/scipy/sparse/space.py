"""SciPy's sparse matrices as values that carry derivatives: those of their stored entries.

Inside the reverse pass the cotangent of a sparse matrix is the array of the cotangents of its
stored entries, in their order; an entry that is not stored is a constant zero. At the border, where
a gradient is handed out, it becomes a matrix of the same pattern, and the other way round.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse

from flux.ad.inert import nothing
from flux.ad.registry import ATTRIBUTES, AUGMENTED, inert
from flux.ad.spaces import SPACES, Space, project
from flux.ad.unknown import Unknown, unknown
from flux.rules.numpy.forms import refused
from flux.rules.numpy.space import NOT_ARRAYS

__all__ = ["KINDS", "entries_of", "found", "like_entries", "outside", "places", "stored",
           "with_entries"]  # fmt: skip

STORED = ("csr", "csc", "coo")
"""The formats whose entries have derivatives; a matrix of another format is a constant."""
FORMATS = (*STORED, "bsr", "dia", "dok", "lil")
KINDS: dict[type, Any] = {
    getattr(sparse, f"{name}_{form}"): name for name in FORMATS for form in ("array", "matrix")
}


def has_entries(x) -> bool:
    return x.format in STORED and x.ndim == 2


def with_entries(x, entries):
    """A matrix of the pattern of `x` with other entries."""
    if x.format == "coo":
        return type(x)((entries, (x.coords[0], x.coords[1])), shape=x.shape)
    return type(x)((entries, x.indices, x.indptr), shape=x.shape)


def places(x):
    """The rows and the columns of the stored entries, in their order."""
    if x.format == "coo":
        return x.coords[0], x.coords[1]
    major = np.repeat(np.arange(len(x.indptr) - 1), np.diff(x.indptr))
    return (major, x.indices) if x.format == "csr" else (x.indices, major)


def found(x, rows, columns):
    """Where `x` stores the entries at `rows` and `columns`; all of them have to be stored."""
    own = places(x)
    keys, wanted = own[0] * x.shape[1] + own[1], rows * x.shape[1] + columns
    order = np.argsort(keys, kind="stable")
    at = np.searchsorted(keys, wanted, sorter=order)
    at = order[np.minimum(at, len(order) - 1)] if len(order) else at
    if len(wanted) and (not len(order) or not np.array_equal(keys[at], wanted)):
        raise refused("a sparse matrix in which an entry became zero, and is not stored,",
                      "Keep the pattern: build it from (data, indices, indptr).")  # fmt: skip
    return at


def entries_of(ct, x):
    """The entries at the places of `x` of a matrix that a user hands in as a cotangent."""
    rows, columns = places(x)
    return np.asarray(ct.tocsr()[rows, columns]).reshape(-1)


def stored(ct, y):
    """The cotangent of the result `y`: the entries, also where a user handed in a matrix."""
    return entries_of(ct, y) if sparse.issparse(ct) else ct


def zero(x):
    """Zeros in the pattern of `x`; `None` for integers."""
    if x.dtype.kind not in "fc":
        return None
    return with_entries(x, np.zeros_like(x.data)) if has_entries(x) else x * 0


def project_entries(ct, x):
    """Entries become a matrix of the pattern of `x`; a matrix becomes entries."""
    if x.dtype.kind not in "fc":
        return None
    if not has_entries(x):
        raise refused(f"the derivative of a sparse matrix in the format {x.format}",
                      "Convert it with tocsr().")  # fmt: skip
    if sparse.issparse(ct):
        return project(entries_of(ct, x), x.data)
    if np.shape(ct) != x.data.shape:  # from the rule of a function that knows arrays only
        raise refused("a function of NumPy, given a sparse matrix,",
                      "Use a method of the matrix, or toarray().")  # fmt: skip
    return with_entries(x, project(ct, x.data))


def like_entries(x, part) -> Any:
    """The cotangent `part()` of the entries of `x`; unknown for a format without entries."""
    if x.dtype.kind not in "fc":
        return None
    return project(part(), x.data) if has_entries(x) else outside(x)


def outside(x) -> Unknown:
    return unknown(f"a product with a {x.format} matrix", 0)


def data(x):
    """`x.data`: the stored entries."""

    def back(ct, store):
        return (None if ct is None else like_entries(x, lambda: ct),)

    return x.data, back


def transposed(x):
    """`x.T`: the same entries in the same order."""

    y = x.T

    def back(ct, store):
        return (None if ct is None else stored(ct, y),)

    return y, back


def plain_attribute(name):
    return lambda x: (getattr(x, name), nothing(1))


PLAIN = """shape ndim nnz size dtype format indices indptr row col coords offsets has_sorted_indices
has_canonical_format"""
NOT_ARRAYS.update(KINDS)
for kind in KINDS:
    SPACES[kind] = Space(zero, project_entries)
    ATTRIBUTES[kind, "data"] = data
    ATTRIBUTES[kind, "T"] = transposed
    for name in PLAIN.split():
        ATTRIBUTES[kind, name] = plain_attribute(name)
inert(has_entries, places, found, outside, sparse.issparse, sparse.isspmatrix)
AUGMENTED[entries_of] = lambda ct, x: (
    entries_of(ct, x), lambda again, store: (found_entries(again, x, ct), None))  # fmt: skip


def found_entries(again, x, ct):
    """The cotangent of a matrix of which the entries at the places of `x` were taken."""
    if again is None:
        return None
    rows, columns = places(ct)
    at = found(x, rows, columns)
    return again[at]
