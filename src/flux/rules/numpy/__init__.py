"""Derivatives of NumPy: a file a subject, a line or two a function."""

import numpy as np

from flux.rules.numpy import (
    draws,
    factors,
    fourier,
    indexing,
    linalg,
    methods,
    products,
    reductions,
    shapes,
    ufuncs,
    writes,
)

__all__ = [
    "draws", "factors", "fourier", "indexing", "linalg", "methods", "products", "reductions",
    "shapes", "ufuncs", "writes",
]  # fmt: skip

HEAP = 1 << 24
"""Bytes of an array that is made and dropped once, untouched, before the first derivative.

A gradient frees all its records at its end. Of a heap whose top is free, glibc keeps as much as
twice the largest block that was ever mapped and freed, and gives the rest back: the next gradient
would have every page of its records faulted in again. Programs that have dropped one large array do
not suffer from this; now none does.
"""

np.empty(HEAP, np.uint8)
