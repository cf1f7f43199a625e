"""Derivatives of NumPy: a file a subject, a line or two a function."""

from flux.rules.numpy import (
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
    "fourier", "indexing", "linalg", "methods", "products", "reductions", "shapes", "ufuncs",
    "writes",
]  # fmt: skip
