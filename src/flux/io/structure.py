"""What a file says about a model: its arrays by path, sharing, classes, numbers."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from flux.io.convert import dtype_name
from flux.tree.objects import is_object, set_field
from flux.tree.walk import children, places, spelled

__all__ = [
    "Structure",
    "differences",
    "is_array",
    "is_number",
    "is_settable",
    "replace_arrays",
    "structure_of",
]

ARRAYS = (jax.Array, np.ndarray, np.generic)


@dataclass
class Structure:
    """The structure of a model.

    Attributes:
        arrays: the arrays by path, each under the first path that leads to it.
        shared: further paths to an array, with the first one.
        classes: the name of the class of each object, by path; the model's own path is "".
        numbers: the numbers that objects, lists and dicts hold (counters, rates), by path.
    """

    arrays: dict[str, Any]
    shared: dict[str, str]
    classes: dict[str, str]
    numbers: dict[str, int | float]

    def as_json(self) -> dict[str, Any]:
        """What goes into the header of a file; the arrays go into its body."""
        kinds = {path: [list(a.shape), dtype_name(a)] for path, a in self.arrays.items()}
        return {
            "arrays": kinds,
            "shared": self.shared,
            "classes": self.classes,
            "numbers": self.numbers,
        }


def structure_of(model) -> Structure:
    """Describe a model.

    >>> tied = np.zeros(2)
    >>> found = structure_of({"a": tied, "b": [tied, 0.5]})
    >>> list(found.arrays), found.shared, found.numbers
    (['a'], {'b[0]': 'a'}, {'b[1]': 0.5})
    """
    arrays, shared, first = {}, {}, {}
    for place in places([model], is_array):
        path = spelled(place.path[1:])
        if id(place.value) in first:
            shared[path] = first[id(place.value)]
        else:
            first[id(place.value)] = path
            arrays[path] = place.value
    numbers = {spelled(p.path[1:]): p.value for p in places([model], is_number) if is_settable(p)}
    return Structure(arrays, shared, dict(_classes(model)), numbers)


def is_array(value) -> bool:
    return isinstance(value, ARRAYS)


def is_number(value) -> bool:
    return type(value) in (int, float)


def is_settable(place) -> bool:
    constant = getattr(type(place.owner), "__constant__", False)
    return not constant and (isinstance(place.owner, list | dict) or is_object(place.owner))


def _classes(model):
    seen: set[int] = set()

    def visit(value, path):
        if id(value) in seen or is_array(value):
            return
        seen.add(id(value))
        if is_object(value):
            yield spelled(path), type(value).__name__
        for _, key, part in children(value) or ():
            yield from visit(part, (*path, key))

    return visit(model, ())


def differences(saved: dict[str, Any], here: Structure) -> list[str]:
    """In which ways a saved structure and a model differ, in the words of a message."""
    found = []
    for path, name in here.classes.items():
        other = saved["classes"].get(path)
        if other is not None and other != name:
            found.append(f"{path or 'the model'} is a {other} in the file and a {name} here")
    kinds, own = saved["arrays"], here.as_json()["arrays"]
    for path in {**kinds, **saved["shared"]}:
        if path not in own and path not in here.shared and not counts(kinds, path, here.numbers):
            found.append(f"{path} is in the file and not in this model")
    for path, (shape, dtype) in own.items():
        there = kinds.get(path) or kinds.get(saved["shared"].get(path, ""))
        if there is None and counts(own, path, saved["numbers"]):
            continue
        if there is None:
            found.append(f"{path} is in this model and not in the file")
        elif there[0] != shape:
            shapes = f"{tuple(there[0])} in the file and {tuple(shape)} here"
            found.append(f"{path} has the shape {shapes}")
        elif there[1] != dtype and there[1] != compiled_dtype(here.arrays[path]):
            found.append(f"{path} is {there[1]} in the file and {dtype} here")
    for path, first in here.shared.items():
        if path in kinds and saved["shared"].get(first) != path:
            found.append(f"{path} and {first} are one array here and two in the file")
    return found


def counts(kinds: dict[str, list], path: str, numbers: dict[str, Any]) -> bool:
    """Is a number of one side an array on the other, as compiled functions make one of it?"""
    shape, dtype = kinds.get(path, ([0], ""))
    return shape == [] and path in numbers and dtype.startswith(type(numbers[path]).__name__)


def compiled_dtype(array) -> str:
    """The dtype that an array has when a compiled function has changed it.

    >>> compiled_dtype(np.zeros(2))
    'float32'
    """
    plain = isinstance(array, np.ndarray | np.generic)
    return str(jax.dtypes.canonicalize_dtype(array.dtype)) if plain else dtype_name(array)


def replace_arrays(value, new: dict[int, Any], seen: set[int] | None = None):
    """Put `new[id(array)]` in the place of every array of `value`; returns what stands for it."""
    if id(value) in new:
        return new[id(value)]
    seen = set() if seen is None else seen
    parts = None if is_array(value) or id(value) in seen else children(value)
    if not parts:
        return value
    seen.add(id(value))
    changed = {}
    for owner, key, part in parts:
        other = replace_arrays(part, new, seen)
        if other is not part:
            changed[key] = other
            _put(owner, key, other)
    if isinstance(value, tuple) and changed:
        items = [changed.get(key, part) for _, key, part in parts]
        return type(value)(*items) if hasattr(value, "_fields") else tuple(items)
    return value


def _put(owner, key, value) -> None:
    if isinstance(owner, list | dict):
        owner[key] = value
    elif hasattr(owner, "cell_contents"):
        owner.cell_contents = value
    elif isinstance(owner, functools.partial):
        state = {"func": owner.func, "args": owner.args, "keywords": owner.keywords, key: value}
        owner.__setstate__((*state.values(), None))  # type: ignore[attr-defined]
    elif not isinstance(owner, tuple):
        set_field(owner, key, value)
