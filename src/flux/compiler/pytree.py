"""User classes as JAX pytrees, so that `jax.tree.map` works on models and their gradients.

Arrays, numbers with a derivative, containers and objects of an instance are its children; what
carries no derivative (a function, a string, an int) is static and part of the structure. A gradient
is an instance of the same class with `None` in the static positions, and its structure counts as
equal to that of its model.
"""

from __future__ import annotations

from typing import Any

import jax

from flux.ad.cotangents import ON_GRADIENT
from flux.compiler.containers import is_opaque
from flux.tree.objects import blank, fields, is_object, set_field

__all__ = ["register_class", "register_gradient"]

STATIC = (str, bytes, bool, int, type)

KNOWN: dict[type, dict[str, bool]] = {}
"""Registered classes, and for each field whether it was static when last seen with a value.

A gradient holds `None` where its model holds a static value, and also where it holds an array of
integers, which is a child: only the class remembers which.
"""


def register_class(cls: type) -> None:
    """Register `cls` with JAX, unless it is registered already."""
    if cls in KNOWN:
        return
    KNOWN[cls] = {}
    try:
        jax.tree_util.register_pytree_with_keys(
            cls, flatten_with_keys, lambda aux, children: unflatten(cls, aux, children), split
        )
    except ValueError:
        pass  # registered by its author: that stays


def register_gradient(gradient: Any) -> None:
    """Register the class of a gradient object that was just made."""
    register_class(type(gradient))


class Aux:
    """The static side of an instance: names of its children, and static values by name.

    In a gradient every static value is `None`; it equals any other then.
    """

    __slots__ = ("names", "static")

    def __init__(self, names: tuple[str, ...], static: dict[str, Any]):
        self.names, self.static = names, static

    def __eq__(self, other):
        if not isinstance(other, Aux) or self.names != other.names:
            return False
        if self.is_gradient() or other.is_gradient():
            return self.static.keys() == other.static.keys()
        return self.static == other.static

    def is_gradient(self) -> bool:
        return all(value is None for value in self.static.values())

    def __hash__(self):
        return hash((self.names, tuple(self.static)))


def is_static(value) -> bool:
    if isinstance(value, STATIC):
        return True
    if not callable(value):
        return False
    if is_object(value) and not is_opaque(type(value)):
        register_class(type(value))
    return jax.tree_util.treedef_is_leaf(jax.tree.structure(value))


def split(instance) -> tuple[list[Any], Aux]:
    """The children of an instance, and its static side."""
    own, seen = fields(instance), KNOWN[type(instance)]
    seen.update({name: is_static(value) for name, value in own.items() if value is not None})
    static = {name: value for name, value in own.items() if seen.get(name, True)}
    names = tuple(name for name in own if name not in static)
    return [own[name] for name in names], Aux(names, static)


def flatten_with_keys(instance):
    children, aux = split(instance)
    keys = [jax.tree_util.GetAttrKey(name) for name in aux.names]
    return list(zip(keys, children, strict=True)), aux


def unflatten(cls: type, aux: Aux, children):
    instance = blank(cls)
    for name, value in (*zip(aux.names, children, strict=True), *aux.static.items()):
        set_field(instance, name, value)
    return instance


ON_GRADIENT.append(register_gradient)
