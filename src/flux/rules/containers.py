"""Derivatives of building tuples, lists, dicts and sets, and of taking them apart.

A tuple's cotangent is a tuple. Lists and dicts keep theirs in the store, by identity and index or
key.
"""

from __future__ import annotations

from flux.ad.carries import carries
from flux.ad.inert import nothing
from flux.ad.registry import AUGMENTED, augments
from flux.ad.runtime import call
from flux.errors import NotDifferentiable, user_line
from flux.ir import prims
from flux.rules.items import give_back, is_own_iterable, sequence, solid

# -- building --------------------------------------------------------------------------------------


@augments(prims.tuple_)
def tuple_(*items):
    count = len(items)

    def back(ct, store):
        return (None,) * count if ct is None else ct

    return items, back


@augments(prims.list_)
def list_(*items):
    made, count = list(items), len(items)  # nothing else: who holds an item, forbids to change it

    def back(ct, store):
        return tuple([store.take(made, i) for i in range(count)])

    return made, back


@augments(prims.dict_)
def dict_(*pairs):
    made = {}
    for i in range(0, len(pairs), 2):
        made[pairs[i]] = pairs[i + 1]
    keys = pairs[::2]

    def back(ct, store):
        cts = []
        for i in range(len(keys)):
            later = keys[i] in keys[i + 1 :]
            cts = [*cts, None, None if later else store.take(made, keys[i])]
        return tuple(cts)

    return made, back


@augments(prims.set_)
def set_(*items):
    if any([carries(item) for item in items]):
        raise NotDifferentiable(
            "a set of values that carry a derivative has no order, and no place for a gradient.",
            where=user_line(),
            hint="Use a list or a tuple.",
        )
    return set(items), nothing(len(items))


@augments(prims.merge_tuple)
def merge_tuple(stars, *items):
    solids = [
        solid(item) if star else (item, None) for star, item in zip(stars, items, strict=True)
    ]
    items = tuple([item for item, _ in solids])
    parts = [sequence(item) if star else (item,) for star, item in zip(stars, items, strict=True)]
    merged = ()
    for part in parts:
        merged = merged + part
    sizes = [len(part) for part in parts]

    def back(ct, store):
        if ct is None:
            cts = [None for _ in items]
        else:
            cts = spread(ct, stars, items, sizes, store)
        for i in range(len(items) - 1, -1, -1):
            inner = solids[i][1]
            if inner is not None:
                cts[i] = inner(None, store)[0]
        return (None, *cts)

    return merged, back


def spread(ct, stars, items, sizes, store):
    """Hand the cotangents of a merged sequence back to its parts."""
    out, start = [], 0
    for star, item, size in zip(stars, items, sizes, strict=True):
        part = tuple(ct[start : start + size])
        start += size
        out = [*out, give_back(item, part, store) if star else part[0]]
    return out


@augments(prims.merge_list)
def merge_list(stars, *items):
    merged, inner = merge_tuple(stars, *items)
    made = list(merged)
    count = len(merged)

    def back(ct, store):
        return inner(tuple([store.take(made, i) for i in range(count)]), store)

    return made, back


@augments(prims.merge_dict)
def merge_dict(*pairs):
    made = {}
    source = {}
    for i in range(0, len(pairs), 2):
        key, value = pairs[i], pairs[i + 1]
        if key is None:
            for inner in value.keys():
                made[inner] = value[inner]
                source[inner] = i
        else:
            made[key] = value
            source[key] = i

    def back(ct, store):
        cts = [None] * len(pairs)
        for key, i in source.items():
            part = store.take(made, key)
            if pairs[i] is None:
                store.add(pairs[i + 1], key, part)
            else:
                cts[i + 1] = part
        return tuple(cts)

    return made, back


@augments(prims.merge_keywords)
def merge_keywords(*pairs):
    prims.merge_keywords.fn(*pairs)
    return merge_dict(*pairs)


# -- taking apart ----------------------------------------------------------------------------------


@augments(prims.unpack)
def unpack(value, count):
    if is_own_iterable(value):
        return call(unpack_list, value, count)
    items = prims.unpack.fn(value, count)
    if isinstance(value, tuple):
        return items, keep_ct

    def back(ct, store):
        return (None if ct is None else give_back(value, ct, store)), None

    return items, back


def keep_ct(ct, store):
    return ct, None


def unpack_list(value, count):
    return unpack_items([item for item in value], count)


def unpack_items(items, count):
    return prims.unpack.fn(items, count)


@augments(prims.unpack_star)
def unpack_star(value, before, after):
    if is_own_iterable(value):
        return call(unpack_star_list, value, before, after)
    items = prims.unpack_star.fn(value, before, after)
    rest = items[before]
    count = len(rest)

    def back(ct, store):
        parts = (None,) * len(items) if ct is None else ct
        middle = tuple([store.take(rest, i) for i in range(count)])
        whole = (*parts[:before], *middle, *parts[before + 1 :])
        return give_back(value, whole, store), None, None

    return items, back


def unpack_star_list(value, before, after):
    return unpack_star_items([item for item in value], before, after)


def unpack_star_items(items, before, after):
    return prims.unpack_star.fn(items, before, after)


AUGMENTED[unpack_items], AUGMENTED[unpack_star_items] = unpack, unpack_star
