"""Which libraries implement the Python array API standard, and what their arrays are.

A library is the module that holds its functions: one that says so (`__array_api_version__`,
`__array_namespace_info__`), or CuPy. NumPy, JAX and PyTorch have rooms of their own, also for
subclasses of their arrays; layers over several libraries (`array_api_compat`) are ordinary Python.

Source: https://data-apis.org/array-api, version 2024.12.
"""

from __future__ import annotations

import functools
import sys
from types import ModuleType

from flux.ad.registry import inert

__all__ = ["ELSEWHERE", "NAMESPACES", "Outline", "arrays_of", "is_array", "is_complex",
           "is_inexact", "library", "library_of_kind", "namespace"]  # fmt: skip

ELSEWHERE = frozenset(["numpy", "jax", "jaxlib", "torch", "array_api_compat"])
MARKS = ("__array_api_version__", "__array_namespace_info__")
NAMESPACES: dict[type, ModuleType] = {}
"""By type of arrays that were met: the module that holds the functions of their library."""
KINDS: dict = {}
"""By dtype: "f" for real and "c" for complex floating point numbers, "" for others."""


def library(name: str) -> ModuleType | None:
    """The library that the module `name` is a part of, or `None`."""
    parts = name.split(".")
    if not ELSEWHERE.isdisjoint(parts):
        return None
    for count in range(1, len(parts) + 1):
        module = sys.modules.get(".".join(parts[:count]))
        if any([hasattr(module, mark) for mark in MARKS]) or parts[:count] == ["cupy"]:
            return module
    return None


def library_of_kind(kind: type) -> ModuleType | None:
    """The library whose arrays are of type `kind`, or `None`."""
    if not hasattr(kind, "__array_namespace__") and not is_of_cupy(kind):
        return None
    names = [base.__module__ for base in kind.__mro__]
    if any([name.partition(".")[0] in ELSEWHERE for name in names]):
        return None
    found = [library(name) for name in names]
    return next((module for module in found if module is not None), None)


def is_of_cupy(kind: type) -> bool:
    """Is `kind` the array of a release of CuPy without the method `__array_namespace__`?"""
    module = sys.modules.get("cupy")
    return module is not None and kind is getattr(module, "ndarray", None)


@functools.cache
def arrays_of(xp: ModuleType) -> type | None:
    """The type of the arrays of a library; `None` if they are another's, as in a layer over JAX."""
    if not hasattr(xp, "zeros"):
        return None
    kind = type(xp.zeros((1,)))
    return kind if library_of_kind(kind) is xp else None


def is_array(x) -> bool:
    """Is `x` an array of a library of this room?"""
    return type(x) in NAMESPACES or library_of_kind(type(x)) is not None


class Outline:
    """What a cotangent must know of an array that may change, or be freed, before the reverse."""

    __slots__ = ("device", "dtype", "shape", "size", "xp")

    def __init__(self, x):
        self.xp = NAMESPACES[type(x)]
        self.shape, self.dtype, self.size = x.shape, x.dtype, x.size
        self.device = x.device


def namespace(x) -> ModuleType:
    """The library of an array, or of its outline."""
    return x.xp if type(x) is Outline else NAMESPACES[type(x)]


def kind_of(x) -> str:
    dtype = x.dtype
    kind = KINDS.get(dtype)
    if kind is None:
        xp = namespace(x)
        real = xp.isdtype(dtype, "real floating")
        kind = KINDS[dtype] = "f" if real else "c" * xp.isdtype(dtype, "complex floating")
    return kind


def is_inexact(x) -> bool:
    """Has the array `x` a dtype that carries derivatives?"""
    return kind_of(x) != ""


def is_complex(x) -> bool:
    """Is `x` an array of complex numbers?"""
    return kind_of(x) == "c"


inert(Outline, is_array, is_inexact, is_complex, namespace)
inert(library, library_of_kind, arrays_of)
