"""User classes as JAX pytrees, so that `jax.tree.map` works on models and their gradients.

Arrays, numbers and containers of an instance are its children; what carries no derivative (a
function, a string, `None`) is static. A gradient is an instance of the same class whose static
positions hold `None`: its structure counts as equal to that of every model of its shape.
"""

from __future__ import annotations

from typing import Any

import jax

from flux.tree.objects import blank, fields, set_field

__all__ = ["register_class", "register_gradient"]

KNOWN: set[type] = set()
STATIC = (str, bytes, bool, int, type, type(None))


def register_class(cls: type) -> None:
    """Register `cls` with JAX, unless it is registered already."""
    if cls in KNOWN:
        return
    KNOWN.add(cls)
    try:
        jax.tree_util.register_pytree_with_keys(
            cls, flatten_with_keys, lambda aux, children: unflatten(cls, aux, children), flatten
        )
    except ValueError:
        pass  # registered by its author: that stays


def register_gradient(instance: Any) -> None:
    """Register the class of a gradient object that was just made."""
    register_class(type(instance))


class Aux:
    """The static side of an instance: names of its children, and static values by name.

    In a gradient every static value is `None`; it equals any other then.
    """

    __slots__ = ("names", "static")

    def __init__(self, names: tuple[str, ...], static: tuple[tuple[str, Any], ...]):
        self.names, self.static = names, static

    def __eq__(self, other):
        if not isinstance(other, Aux) or self.names != other.names:
            return False
        if self.is_gradient() or other.is_gradient():
            return [n for n, _ in self.static] == [n for n, _ in other.static]
        return self.static == other.static

    def is_gradient(self) -> bool:
        return all(value is None for _, value in self.static)

    def __hash__(self):
        return hash((self.names, tuple(name for name, _ in self.static)))


def is_static(value) -> bool:
    if isinstance(value, STATIC):
        return True
    return callable(value) and jax.tree_util.treedef_is_leaf(jax.tree_util.tree_structure(value))


def split(instance):
    own = fields(instance)
    names = tuple(name for name, value in own.items() if not is_static(value))
    static = tuple((name, value) for name, value in own.items() if name not in names)
    return [own[name] for name in names], Aux(names, static)


def flatten(instance):
    return split(instance)


def flatten_with_keys(instance):
    children, aux = split(instance)
    keys = [jax.tree_util.GetAttrKey(name) for name in aux.names]
    return list(zip(keys, children, strict=True)), aux


def unflatten(cls, aux: Aux, children):
    instance = blank(cls)
    for name, value in (*zip(aux.names, children, strict=True), *aux.static):
        set_field(instance, name, value)
    return instance
