"""Pytrees under differentiation: the cotangents of leaves, and `jax.tree.map` and its kin."""

from __future__ import annotations

import jax
from jax.tree_util import DictKey, FlattenedIndexKey, GetAttrKey, SequenceKey

from flux.ad.cotangents import deposit
from flux.ad.registry import AUGMENTED, inert
from flux.ad.runtime import call
from flux.tree.objects import fields

__all__ = ["leaf_cotangents"]


def leaf_cotangents(y, ct, store) -> list:
    """The cotangents of the leaves of a result, in JAX's order; taken from the store where they
    are kept there."""
    if type(y) is tuple and not any([isinstance(item, CONTAINERS) for item in y]):
        cts = ct or (None,) * len(y)
        return [part for part, item in zip(cts, y, strict=True) if item is not None]
    return cotangents_at(paths_of(y), y, ct, store)


def cotangents_at(paths, y, ct, store) -> list:
    """The cotangents at the ends of paths; a tuple in a list is one slot with several leaves."""
    taken = {}
    return [at_path(y, ct, path, store, taken) for path in paths]


def paths_of(y) -> list:
    """The path of every leaf."""
    return [path for path, _ in jax.tree_util.tree_flatten_with_path(y)[0]]


def paths_in(treedef) -> list:
    """The path of every leaf, of those that are `None` too.

    A float stands at each: an `int` in an object of Flux is no leaf.
    """
    return paths_of(jax.tree_util.tree_unflatten(treedef, map(float, range(treedef.num_leaves))))


CONTAINERS = (tuple, list, dict)


def at_path(value, ct, path, store, taken):
    """Walk down to one leaf: by value through tuples, through the store elsewhere.

    `taken` keeps what was taken from the store, by container and name.
    """
    for key in path:
        if isinstance(value, tuple):
            index = places_of(value, key)
            ct = None if ct is None else ct[index]
            value = value[index]
        else:
            name = name_of(value, key)
            slot = (id(value), name)
            if slot not in taken:
                taken[slot] = store.take(value, name)
            ct = taken[slot]
            value = child_of(value, name)
    return ct


def places_of(value, key) -> int:
    if isinstance(key, SequenceKey):
        return key.idx
    return value._fields.index(key.name)


def name_of(value, key):
    """The slot of the store that holds a child: an index, a key, or the name of an attribute."""
    if isinstance(key, SequenceKey):
        return key.idx
    if isinstance(key, DictKey):
        return key.key
    if isinstance(key, GetAttrKey):
        return key.name
    assert isinstance(key, FlattenedIndexKey)
    child = list(jax.tree_util.default_registry.flatten_one_level(value)[0])[key.key]
    return next(name for name, item in fields(value).items() if item is child)


def child_of(value, name):
    return value[name] if isinstance(value, list | dict) else getattr(value, name)


inert(
    paths_of,
    paths_in,
    places_of,
    name_of,
    child_of,
    jax.tree_util.tree_structure,
    jax.tree.structure,
)


# -- functions of trees ----------------------------------------------------------------------------


def flatten(tree, *rest, **options):
    """The leaves in a list, and the structure."""
    leaves, treedef = jax.tree_util.tree_flatten(tree, *rest, **options)

    def back(ct, store):
        nones = [None for _ in (*rest, *options)]
        parts = [store.take(leaves, i) for i in range(len(leaves))]
        if all([part is None for part in parts]):
            return (None, *nones)
        return (deposit(tree, jax.tree_util.tree_unflatten(treedef, parts), store), *nones)

    return (leaves, treedef), back


def unflatten(treedef, leaves):
    """The tree made of leaves."""
    items = list(leaves)
    made = jax.tree_util.tree_unflatten(treedef, items)
    paths = paths_in(treedef)

    def back(ct, store):
        cts = cotangents_at(paths, made, ct, store)
        if isinstance(leaves, list):
            for i, part in enumerate(cts):
                store.add(leaves, i, part)
            return None, None
        return None, tuple(cts)

    return made, back


def leaves_of(tree, is_leaf=None):
    return jax.tree_util.tree_flatten(tree, is_leaf)[0]


def mapped(f, tree, *rest, is_leaf=None):
    """`f` at every leaf: called as any other function, so that what it captured is seen."""
    leaves, treedef = jax.tree_util.tree_flatten(tree, is_leaf)
    others = [treedef.flatten_up_to(other) for other in rest]
    made = [f(*xs) for xs in zip(leaves, *others, strict=True)]
    return jax.tree_util.tree_unflatten(treedef, made)


def up_to(treedef, tree):
    """`treedef.flatten_up_to(tree)`."""
    leaves = treedef.flatten_up_to(tree)

    def back(ct, store):
        parts = [store.take(leaves, i) for i in range(len(leaves))]
        if any([part is not None for part in parts]):
            return None, deposit(tree, jax.tree_util.tree_unflatten(treedef, parts), store)
        return None, None

    return leaves, back


def reduced(function, tree, *initializer, is_leaf=None):
    leaves = jax.tree_util.tree_flatten(tree, is_leaf)[0]
    if initializer:
        total = initializer[0]
    else:
        total, leaves = leaves[0], leaves[1:]
    for leaf in leaves:
        total = function(total, leaf)
    return total


for f in (jax.tree_util.tree_flatten, jax.tree.flatten):
    AUGMENTED[f] = flatten
for f in (jax.tree_util.tree_unflatten, jax.tree.unflatten):
    AUGMENTED[f] = unflatten
for names, equivalent in (("leaves", leaves_of), ("map", mapped), ("reduce", reduced)):
    for f in (getattr(jax.tree, names), getattr(jax.tree_util, f"tree_{names}")):
        AUGMENTED[f] = lambda *a, equivalent=equivalent, **k: call(equivalent, *a, **k)
PyTreeDef = type(jax.tree_util.tree_structure(0))
AUGMENTED[PyTreeDef.flatten_up_to] = up_to
AUGMENTED[PyTreeDef.unflatten] = unflatten
