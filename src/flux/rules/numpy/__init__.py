"""Derivatives of NumPy: a file a subject, a line or two a function."""

from flux.rules.numpy import (
    draws,
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
    "draws", "fourier", "indexing", "linalg", "methods", "products", "reductions", "shapes",
    "ufuncs", "writes",
]  # fmt: skip
