"""Derivatives of the functions of Python's `copy`: what a copy holds belongs to the original."""

from __future__ import annotations

import copy

from flux.ad.carries import carries
from flux.ad.inert import not_differentiable
from flux.ad.registry import AUGMENTED
from flux.ad.spaces import space_of
from flux.tree.objects import blank, fields, is_object, set_field


def copied(value, deep, memo):
    """`(copy, pairs)`: the copy of `value`, and each container with its copy."""
    known = memo.get(id(value))
    if known is not None:
        return known[1]
    if isinstance(value, tuple):
        items = [copied(item, deep, memo) if deep else item for item in value]
        return type(value)(*items) if hasattr(type(value), "_fields") else tuple(items)
    if isinstance(value, list | dict) and type(value) not in (list, dict):
        return copied_subclass(value, deep, memo)
    if isinstance(value, list):
        made = []
        memo[id(value)] = (value, made)
        made.extend([copied(item, deep, memo) if deep else item for item in value])
        return made
    if isinstance(value, dict):
        made = {}
        memo[id(value)] = (value, made)
        for key, item in value.items():
            made[key] = copied(item, deep, memo) if deep else item
        return made
    kind = type(value)
    own_copy = hasattr(kind, "__deepcopy__" if deep else "__copy__")
    if is_object(value) and space_of(kind) is None and not own_copy:
        made = blank(kind)
        memo[id(value)] = (value, made)
        for name, item in fields(value).items():
            set_field(made, name, copied(item, deep, memo) if deep else item)
        return made
    return copy.deepcopy(value) if deep else copy.copy(value)


def copied_subclass(value, deep, memo):
    """A copy of a list or dict of another class; what it holds as an object is not followed."""
    if any([carries(item) for item in fields(value).values()]):
        raise not_differentiable(copy.deepcopy if deep else copy.copy)
    made = copy.copy(value)
    memo[id(value)] = (value, made)
    for key in range(len(made)) if isinstance(made, list) else list(made):
        if deep:
            made[key] = copied(made[key], deep, memo)
    return made


def copy_rule(deep):
    def augmented(value):
        memo = {}
        made = copied(value, deep, memo)
        links = list(memo.values())

        def back(ct, store):
            for owner, other in links:
                slots = dict(store.of(other))
                for key in slots:
                    store.add(owner, key, store.take(other, key))
            return (ct,)

        return made, back

    return augmented


AUGMENTED[copy.copy] = copy_rule(False)
AUGMENTED[copy.deepcopy] = copy_rule(True)
