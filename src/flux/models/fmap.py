"""A model of the same classes over other arrays, and the layers that a model is made of."""

from __future__ import annotations

from collections.abc import Callable
from types import CellType
from typing import Any

from flux.compiler.containers import ARRAYS, container_of, is_opaque
from flux.tree.objects import is_filled
from flux.tree.walk import objects

__all__ = ["fmap", "modules"]


def fmap(f: Callable, model) -> Any:
    """A new model of the same classes, with `f` applied to every array.

    What occurs twice, an array, a layer, a list, is one thing in the new model too. Objects are
    made without running `__init__`; what functions captured, and their default values, belong to
    the model, global variables do not.

    Args:
        f: takes an array (NumPy's or JAX's) and returns what stands in its place; called once for
            each array.
        model: any object, function, list, tuple, dict or array.

    Returns:
        The new model. Nothing in it that can change is a part of `model`, but for arrays that `f`
        returns as they are, and objects of libraries (files, locks, generators of NumPy).

    >>> import numpy as np
    >>> fmap(lambda a: a + 1, {"w": np.zeros(2), "act": abs, "sizes": (2, np.ones(1))})
    {'w': array([1., 1.]), 'act': <built-in function abs>, 'sizes': (2, array([2.]))}
    """
    made: dict[int, Any] = {}
    alive = []  # while ids are compared

    def copied(value):
        if id(value) not in made:
            alive.append(value)
            new = f(value) if isinstance(value, ARRAYS) else container(value)
            made.setdefault(id(value), new)  # a function that knows itself was made on the way
        return made[id(value)]

    def container(value):
        shape = None if is_cell_of_code(value) else container_of(value)
        if shape is None:
            return value
        parts = [part for _, part, _ in shape.parts(value)]
        if shape.mutable:
            made[id(value)] = new = shape.empty()
            shape.fill(new, [copied(part) for part in parts])
            return new
        inner = [copied(part) for part in parts]
        same = all(a is b for a, b in zip(inner, parts, strict=True))
        return value if same else shape.build(inner)

    return copied(model)


def is_cell_of_code(value) -> bool:
    """Is `value` the cell of a captured class or built-in function?"""
    if not isinstance(value, CellType) or not is_filled(value):
        return False
    return callable(value.cell_contents) and container_of(value.cell_contents) is None


def modules(model) -> list[Any]:
    """Every layer of a model, the model first: the objects that can be called, each once.

    Functions are no layers, and objects of NumPy, JAX and Python's own library neither.
    Parents come before their parts, and these in the order of their fields.

    >>> from flux.layers import Chain, Dense
    >>> tied = Dense(2, 2)
    >>> [type(layer).__name__ for layer in modules(Chain(tied, Chain(tied, abs)))]
    ['Chain', 'Dense', 'Chain']
    """
    return [part for part in objects(model) if callable(part) and not is_opaque(type(part))]
