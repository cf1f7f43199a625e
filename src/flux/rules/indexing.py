"""Derivatives of reading, assigning and deleting items: `x[i]`, `x[i] = v`, `del x[i]`.

Arrays have their own, by library (`registry.INDEXERS`); whatever moves items about moves the slots
the other way in reverse.
"""

from __future__ import annotations

from numbers import Integral
from types import FunctionType, ModuleType

from flux.ad import registry
from flux.ad.carries import carries
from flux.ad.inert import not_differentiable, nothing
from flux.ad.registry import AUGMENTED, augments, inert
from flux.ad.runtime import call
from flux.ad.spaces import space_of
from flux.errors import NotDifferentiable, user_line
from flux.ir import prims
from flux.ir.sharing import is_changeable
from flux.rules.items import give_back, solid
from flux.rules.methods import list_pop

NONE2 = (None, None)


# -- reading ---------------------------------------------------------------------------------------


@augments(prims.getitem)
def getitem(owner, index):
    kind = type(owner)
    if kind is list:
        return list_item(owner, index)
    if kind is dict:

        def back_dict(ct, store):
            store.add(owner, index, ct)
            return NONE2

        return owner[index], back_dict
    rule = registry.INDEXERS.get(kind)
    if rule is None and space_of(kind) is not None:
        rule = registry.INDEXERS.get(kind)
    if rule is not None:
        return rule(owner, index)
    if isinstance(owner, tuple):
        return tuple_item(owner, index)
    method = getattr(kind, "__getitem__", None)
    if type(method) is FunctionType:
        return call(method, owner, index)
    if isinstance(owner, list):
        return list_item(owner, index)
    if isinstance(owner, dict):
        missing = getattr(kind, "__missing__", None)
        if type(missing) is FunctionType and index not in owner:
            return call(missing, owner, index)

        def back_subclass(ct, store):
            store.add(owner, index, ct)
            return NONE2

        return owner[index], back_subclass
    if issubclass(kind, type):
        return owner[index], nothing(2)
    y = owner[index]
    if carries(owner) or carries(y):
        raise not_differentiable(kind.__getitem__)
    return y, nothing(2)


def tuple_item(owner, index):
    count = len(owner)
    if isinstance(index, slice):
        places = range(count)[index]

        def back_slice(ct, store):
            if ct is None:
                return NONE2
            cts = [None] * count
            for place, part in zip(places, ct, strict=True):
                cts[place] = part
            return tuple(cts), None

        return tuple(owner)[index], back_slice
    y = owner[index]
    place = range(count)[index]

    def back(ct, store):
        if ct is None:
            return NONE2
        return (None,) * place + (ct,) + (None,) * (count - place - 1), None

    return y, back


def list_item(owner, index):
    y = owner[index]
    places = range(len(owner))[index]
    if isinstance(index, slice):

        def back_slice(ct, store):
            for i, place in enumerate(places):
                store.add(owner, place, store.take(y, i))
            return NONE2

        return y, back_slice

    def back(ct, store):
        store.add(owner, places, ct)
        return NONE2

    return y, back


# -- assigning -------------------------------------------------------------------------------------


@augments(prims.setitem)
def setitem(owner, index, value):
    kind = type(owner)
    rule = AUGMENTED.get((prims.setitem, kind))
    if rule is not None:
        return rule(owner, index, value)
    method = getattr(kind, "__setitem__", None)
    if type(method) is FunctionType:
        return call(method, owner, index, value)
    if isinstance(owner, list) and isinstance(index, slice):
        return set_slice(owner, index, value)
    if isinstance(owner, list):
        key = range(len(owner))[index]
    elif isinstance(owner, dict):
        key = index
    elif carries(owner) or carries(value):
        raise NotDifferentiable(
            f"assignment to an item of a {kind.__name__} is not covered by the automatic "
            "differentiation.",
            where=user_line(),
            hint="Build a new array (np.where, np.concatenate, jnp's x.at[i].set(v)) or a list.",
        )
    else:
        owner[index] = value
        return None, nothing(3)
    owner[index] = value

    def back(ct, store):
        return None, None, store.take(owner, key)

    return None, back


def set_slice(owner, index, value):
    value, solidify = solid(value)
    items = tuple(value)
    before = len(owner)
    places = range(before)[index]
    owner[index] = items
    after = len(owner)

    def back(ct, store):
        cts = [store.take(owner, i) for i in range(after)]
        if before == after:
            taken = [cts[place] for place in places]
            for i in range(after):
                if i not in places:
                    store.add(owner, i, cts[i])
        else:
            start = places.start
            taken = cts[start : start + len(items)]
            kept = [*cts[:start], *[None] * len(places), *cts[start + len(items) :]]
            for i, part in enumerate(kept):
                store.add(owner, i, part)
        whole = give_back(value, tuple(taken), store)
        return None, None, whole if solidify is None else solidify(None, store)[0]

    return None, back


@augments(prims.update_item)
def update_item(owner, index, value):
    """`owner[index] = value`, and the owner afterwards: a new array where it cannot change."""
    rule = AUGMENTED.get((prims.update_item, type(owner)))
    if rule is None:
        if space_of(type(owner)) is not None:  # its type is met for the first time
            rule = AUGMENTED.get((prims.update_item, type(owner)))
    if rule is not None:
        return rule(owner, index, value)
    _, inner = setitem(owner, index, value)
    return owner, lambda ct, store: inner(None, store)


@augments(prims.put_item)
def put_item(owner, index, value):
    """Put a changed array back where it was read; anything else changed in place."""
    if space_of(type(value)) is None or reads_copy(owner, index):
        return owner, lambda ct, store: (ct, None, None)
    return update_item(owner, index, value)


def reads_copy(owner, index) -> bool:
    """Is `owner[index]` of an array a copy of its items, so that changing it changes nothing?

    JAX's arrays never change; there, a nested item is put back whatever the index is.
    """
    if not is_changeable(owner):
        return False
    parts = index if isinstance(index, tuple) else (index,)
    return not all([type(part) in BASIC or isinstance(part, Integral) for part in parts])


inert(reads_copy)
BASIC = (int, slice, type(None), type(...))


@augments(prims.put_attribute)
def put_attribute(owner, name, value):
    if space_of(type(value)) is None:
        return None, nothing(3)
    if isinstance(owner, tuple) or type(getattr(type(owner), name, None)) is property:
        what = "a named tuple" if isinstance(owner, tuple) else f"the property `{name}`"
        raise NotDifferentiable(
            f"an item of an array is assigned that was read from {what}.",
            where=user_line(),
            hint="Give the array a name first: `y = owner.attribute.copy()`.",
        )
    if isinstance(owner, type | ModuleType) or space_of(type(owner)) is not None:
        return call(setattr, owner, name, value)
    return call(object.__setattr__, owner, name, value)


# -- deleting --------------------------------------------------------------------------------------


@augments(prims.delitem)
def delitem(owner, index):
    if isinstance(owner, list) and not isinstance(index, slice):
        _, inner = list_pop(owner, index)
        return None, lambda ct, store: (inner(None, store)[0], None)
    if isinstance(owner, list):
        return delete_slice(owner, index)
    if isinstance(owner, dict):
        del owner[index]

        def back(ct, store):
            store.take(owner, index)
            return NONE2

        return None, back
    method = getattr(type(owner), "__delitem__", None)
    if type(method) is FunctionType:
        return call(method, owner, index)
    del owner[index]
    return None, nothing(2)


def delete_slice(owner, index):
    """`del owner[i:j:k]`."""
    before = len(owner)
    kept = [i for i in range(before) if i not in range(before)[index]]
    del owner[index]

    def back(ct, store):
        cts = [store.take(owner, i) for i in range(len(kept))]
        for place, part in zip(kept, cts, strict=True):
            store.add(owner, place, part)
        return NONE2

    return None, back
