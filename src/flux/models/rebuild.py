"""A model over given arrays, and its derivative: arrays in, a model out."""

from __future__ import annotations

from functools import partial
from types import FunctionType, MethodType
from typing import Any, NamedTuple

import numpy as np

from flux.ad import nograd
from flux.ad.cotangents import accumulate, dense, whole_of_partial
from flux.ad.registry import augments
from flux.ad.spaces import project
from flux.models.fmap import fmap
from flux.tree.objects import is_namedtuple
from flux.tree.walk import Place, at_path, cell_of, containers, spelled

__all__ = ["Slot", "constant_copy", "rebuild", "slot_of"]


class Slot(NamedTuple):
    """Where an array stands in a model.

    Attributes:
        name: its first place, as Python spells it.
        paths: all of its places, the first one first.
    """

    name: str
    paths: tuple[tuple, ...]


def slot_of(places: list[Place]) -> Slot:
    """The slot of an array that stands in these places."""
    paths = tuple([place.path for place in places])
    return Slot(spelled(paths[0]), paths)


def rebuild(model, slots: tuple[Slot, ...], arrays: tuple) -> Any:
    """A new model with `arrays` in the slots; what else it holds is constant."""
    old = [at_path(model, slot.paths[0]) for slot in slots]
    new = {id(a): b for a, b in zip(old, arrays, strict=True)}
    return fmap(lambda a: new[id(a)] if id(a) in new else own(a), model)


@nograd
def constant_copy(model) -> Any:
    """A copy of a model, for later: what happens to the model does not reach it."""
    return fmap(own, model)


def own(array):
    """An array that nobody else can change: a copy of NumPy's, as JAX's cannot be changed."""
    return array.copy() if isinstance(array, np.ndarray) else array


@augments(rebuild)
def rebuilt(model, slots, arrays):
    new = rebuild(model, slots, arrays)
    ways = [[way(new, path) for path in slot.paths] for slot in slots]
    owners = owners_made(new, model)

    def back(ct, store):
        found = [total([along(steps, ct, store) for steps in parts]) for parts in ways]
        for owner in owners:
            store.drop(owner)
        pairs = zip(found, arrays, strict=True)
        return None, None, tuple([None if c is None else project(dense(c), a) for c, a in pairs])

    return new, back


@nograd
def owners_made(new, old) -> list[Any]:
    """What holds a part of the new model, and is not of the old one too."""
    known = owners_of(old)
    return [owner for place, owner in owners_of(new).items() if place not in known]


def owners_of(model) -> dict[int, Any]:
    return {id(owner): owner for _, parts in containers(model) for owner, _, _ in parts}


def total(cts: list):
    """The cotangent of what stands in several places."""
    whole = None
    for ct in cts:
        whole = accumulate(whole, ct)
    return whole


@nograd
def way(model, path: tuple) -> list[tuple[Any, Any]]:
    """The containers on the way to an array, each with the key that leads on.

    It starts at the last container that can change, as cotangents are in the store from there on;
    at `model` if there is none.
    """
    steps: list[tuple[Any, Any]] = []
    value: Any = model
    for key in path:
        inner = at_path(value, (key,))
        if isinstance(value, MethodType):
            value = value.__self__
        if isinstance(value, FunctionType):
            steps = [(cell_of(value, key), "cell_contents")]
        elif is_namedtuple(value):
            steps.append((value, value._fields.index(key)))
        elif isinstance(value, tuple | partial):
            steps.append((value, key))
        elif steps and isinstance(steps[-1][0], partial) and steps[-1][1] == "keywords":
            steps.append((tuple(value.values()), list(value).index(key)))  # they travel by value
        else:
            steps = [(value, key)]
        value = inner
    return steps


def along(steps, ct, store):
    """The cotangent at the end of a way, from that of its start."""
    for container, key in steps:
        ct = onward(container, key, ct, store)
    return ct


def onward(container, key, ct, store):
    """The cotangent of a part, from that of its container."""
    if isinstance(container, tuple):
        return None if ct is None else ct[key]
    if isinstance(container, partial):
        return whole_of_partial(container, ct, store.peek)[PARTS[key]]
    return store.peek(container, key)


PARTS = {"func": 0, "args": 1, "keywords": 2}


nograd(cell_of)
