"""Walk a model: its parts by attribute, index or key, its layers, its parameters."""

from __future__ import annotations

import functools
import types
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np

__all__ = ["children", "is_parameter", "modules", "parameters"]

_CLOSED = (type, types.ModuleType, types.FunctionType, np.ndarray, jax.Array, functools.partial)


def children(value) -> list[tuple[Any, Any]]:
    """The named parts of a container or an object: `(attribute, index or key, part)` pairs.

    >>> children({"a": 1}), children([5, 6]), children(3)
    ([('a', 1)], [(0, 5), (1, 6)], [])
    """
    if isinstance(value, dict):
        return list(value.items())
    if isinstance(value, list | tuple):
        return list(enumerate(value))
    if isinstance(value, _CLOSED) or not hasattr(value, "__dict__"):
        return []
    return list(vars(value).items())


def modules(model) -> Iterator[Any]:
    """Every object in a model that has attributes, the model first, each once."""
    seen: set[int] = set()
    waiting = [model]
    while waiting:
        value = waiting.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        parts = children(value)
        if parts and not isinstance(value, dict | list | tuple):
            yield value
        waiting.extend(part for _, part in reversed(parts))


def is_parameter(value) -> bool:
    """Is `value` an array of real or complex numbers, as a parameter is?"""
    return hasattr(value, "shape") and jax.numpy.issubdtype(value.dtype, np.inexact)


def parameters(model) -> list[Any]:
    """The trainable arrays of a model, each once, without the `nontrainable` ones of its layers."""
    found: dict[int, Any] = {}
    seen: set[int] = set()

    def visit(value):
        if is_parameter(value):
            found[id(value)] = value
        elif id(value) not in seen:
            seen.add(id(value))
            fixed = getattr(type(value), "nontrainable", ())
            for name, part in children(value):
                if name not in fixed:
                    visit(part)

    visit(model)
    return list(found.values())
