"""Methods and attributes of JAX's arrays; `x.at[index].set(v)` and its kin."""

from __future__ import annotations

import functools

import jax.numpy as jnp
import numpy as np

from flux.ad import registry
from flux.ad.inert import no_back, nothing
from flux.ad.registry import AUGMENTED, inert
from flux.ad.runtime import call
from flux.ad.spaces import project
from flux.errors import NotDifferentiable, user_line
from flux.ir import prims
from flux.rules.jax.leaf import Leaf
from flux.rules.jax.space import RULES, ArrayImpl, is_inexact, is_jax

INERT_METHODS = frozenset(
    """argmax argmin argsort argpartition any all nonzero block_until_ready devices is_deleted
    delete copy_to_host_async searchsorted on_device_size_in_bytes __len__
    __array_namespace__""".split()
)
INERT_ATTRIBUTES = frozenset(
    """shape ndim size dtype nbytes itemsize weak_type sharding aval device committed
    is_fully_addressable is_fully_replicated""".split()
)
DIFFERENTIABLE_ATTRIBUTES = frozenset("T mT real imag".split())


@functools.cache
def method(name: str) -> Leaf:
    """The method `name` of an array, as a leaf."""

    def function(x, *args, **keywords):
        return getattr(x, name)(*args, **keywords)

    function.__name__ = name
    return Leaf(function, own=True)


@functools.cache
def inert_method(name: str):
    return no_back(lambda x, *args, **keywords: getattr(x, name)(*args, **keywords))


@functools.cache
def attribute(name: str) -> Leaf:
    """The attribute `name` of an array, as a leaf."""
    return Leaf(lambda x: getattr(x, name), own=True)


@functools.cache
def inert_attribute(name: str):
    return lambda x: (getattr(x, name), nothing(1))


def item(x, *places):
    """`x.item()`, a Python number."""
    y = x.item(*places)

    def back(ct, store):
        nones = [None for _ in places]
        if ct is None or not is_inexact(x):
            return (None, *nones)
        if places:
            raise NotDifferentiable(
                "`x.item(place)` is not covered by the automatic differentiation.",
                where=user_line(),
                hint="Use x[place].item().",
            )
        return (project(ct, x),)

    return y, back


def tolist(x):
    raise NotDifferentiable(
        "`x.tolist()` of a JAX array is not covered by the automatic differentiation.",
        where=user_line(),
        hint="Iterate over the array, or use np.asarray(x).tolist().",
    )


def find_method(kind: type, name: str):
    if not is_jax(kind):
        return None
    if name in INERT_METHODS:
        return inert_method(name)
    if name == "item":
        return item
    return tolist if name == "tolist" else method(name)


def find_attribute(kind: type, name: str):
    if not is_jax(kind):
        return None
    if name in INERT_ATTRIBUTES:
        return inert_attribute(name)
    if name in DIFFERENTIABLE_ATTRIBUTES:
        return attribute(name)
    if name == "at":
        return lambda x: call(At, x)
    return None


registry.METHOD_FINDERS.append(find_method)
AUGMENTED[ArrayImpl.item] = item  # bound to a name first: `f = x.item; f()`
registry.ATTRIBUTE_FINDERS.append(find_attribute)


# -- updates ---------------------------------------------------------------------------------------


class At:
    """`x.at` under differentiation: indexing it gives the place to be updated."""

    def __init__(self, array):
        self.array = array

    def __getitem__(self, index):
        return AtIndex(self.array, index)


class AtIndex:
    """`x.at[index]`: `set`, `add` and their like return the updated array."""

    def __init__(self, array, index):
        self.array, self.index = array, index

    def get(self, **options):
        return UPDATES["get"](self.array, self.index, **options)

    def set(self, value, **options):
        return UPDATES["set"](self.array, self.index, value, **options)

    def add(self, value, **options):
        return UPDATES["add"](self.array, self.index, value, **options)

    def subtract(self, value, **options):
        return UPDATES["subtract"](self.array, self.index, value, **options)

    def multiply(self, value, **options):
        return UPDATES["multiply"](self.array, self.index, value, **options)

    mul = multiply

    def divide(self, value, **options):
        return UPDATES["divide"](self.array, self.index, value, **options)

    def power(self, value, **options):
        return self.set(self.get(**options) ** value, **options)

    def min(self, value, **options):
        return UPDATES["min"](self.array, self.index, value, **options)

    def max(self, value, **options):
        return UPDATES["max"](self.array, self.index, value, **options)

    def apply(self, func, **options):
        return self.set(func(self.get(**options)), **options)


def update(name: str):
    def function(array, index, *value, **options):
        return getattr(jnp.asarray(array).at[index], name)(*value, **options)

    leaf = Leaf(function, own=True)
    AUGMENTED[function] = lambda array, index, *value, **options: leaf(
        array, places_of(index), *value, **options
    )
    return function


def places_of(index):
    """Numbers in an index as arrays: one compiled update serves all places."""
    if type(index) is int:
        return np.int32(index)
    if type(index) is tuple:
        return tuple([np.int32(part) if type(part) is int else part for part in index])
    return index


inert(places_of)
NAMES = "get set add subtract multiply divide min max"
UPDATES = {name: update(name) for name in NAMES.split()}
RULES[prims.update_item] = AUGMENTED[UPDATES["set"]]
RULES[abs] = Leaf(jnp.abs)
