"""Derivatives of building, reading and changing tuples, lists and dicts, and of iterating them.

A tuple's cotangent is a tuple. Lists and dicts keep theirs in the store, by identity and index or
key; whatever moves items about moves the slots the other way in reverse.
"""

from __future__ import annotations

import ast
from numbers import Integral
from types import FunctionType, ModuleType

from flux.ad import registry
from flux.ad.carries import carries
from flux.ad.cotangents import accumulate, dense
from flux.ad.indexed import Indexed, form_of
from flux.ad.inert import no_back, not_differentiable, nothing
from flux.ad.registry import AUGMENTED, augments, inert
from flux.ad.runtime import call
from flux.ad.spaces import space_of
from flux.errors import NotDifferentiable, user_line
from flux.ir import prims
from flux.ir.sharing import is_changeable

__all__ = [
    "as_python",
    "getitem",
    "give_back",
    "is_own_iterable",
    "list_sort",
    "listed",
    "sequence",
]

NONE2 = (None, None)
NONE3 = (None, None, None)


def as_python(*callees):
    """Differentiate `callees` by way of the decorated equivalent in plain Python."""

    def register(equivalent):
        def augmented(*args, **keywords):
            return call(equivalent, *args, **keywords)

        for callee in callees:
            AUGMENTED[callee] = augmented
        return equivalent

    return register


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


def solid(value):
    """An iterable as one whose items have places, and the pullback of that."""
    return call(listed, value) if is_own_iterable(value) else (value, None)


def spread(ct, stars, items, sizes, store):
    """Hand the cotangents of a merged sequence back to its parts."""
    out, start = [], 0
    for star, item, size in zip(stars, items, sizes, strict=True):
        part = tuple(ct[start : start + size])
        start += size
        out = [*out, give_back(item, part, store) if star else part[0]]
    return out


def is_own_iterable(value) -> bool:
    """Is `value` an object whose iteration is written in Python, or an iterator of ours?"""
    method = getattr(type(value), "__iter__", None)
    return type(method) is FunctionType and space_of(type(value)) is None


def listed(values):
    return [value for value in values]


def unpack_list(value, count):
    return unpack_items([item for item in value], count)


def unpack_star_list(value, before, after):
    return unpack_star_items([item for item in value], before, after)


def sequence(value):
    """The items of an iterable whose items have places."""
    if isinstance(value, set | frozenset) and any([carries(item) for item in value]):
        raise not_differentiable(iter)
    return tuple(value)


def give_back(value, cts, store):
    """Cotangents of the items of `value`: into the store, or as its own cotangent."""
    if isinstance(value, tuple):
        return cts
    if isinstance(value, list):
        for i, ct in enumerate(cts):
            store.add(value, i, ct)
        return None
    if space_of(type(value)) is not None:
        total = None
        for i, ct in enumerate(cts):
            if ct is not None:
                part = Indexed(form_of(value), i, ct)
                total = part if total is None else total.plus(part)
        return total
    if any([ct is not None for ct in cts]):
        raise not_differentiable(type(value))
    return None


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


# -- methods of lists ------------------------------------------------------------------------------


def moved(store, owner, before: int, after: int, source):
    """Move slots back: slot `i` before the change is what `source(i)` is after it."""
    cts = [store.take(owner, i) for i in range(after)]
    for i in range(before):
        place = source(i)
        if place is not None:
            store.add(owner, i, cts[place])
    return cts


@augments(list.append)
def list_append(owner, value):
    place = len(owner)
    owner.append(value)

    def back(ct, store):
        return None, store.take(owner, place)

    return None, back


@augments(list.extend)
def list_extend(owner, values):
    values, solidify = solid(values)
    items = tuple(values)
    start = len(owner)
    owner.extend(items)

    def back(ct, store):
        cts = tuple([store.take(owner, start + i) for i in range(len(items))])
        whole = give_back(values, cts, store)
        return None, whole if solidify is None else solidify(None, store)[0]

    return None, back


@augments(list.insert)
def list_insert(owner, index, value):
    before = len(owner)
    place = min(max(index + before if index < 0 else index, 0), before)
    owner.insert(index, value)

    def back(ct, store):
        cts = moved(store, owner, before, before + 1, lambda i: i if i < place else i + 1)
        return None, None, cts[place]

    return None, back


@augments(list.pop)
def list_pop(owner, *index):
    before = len(owner)
    place = range(before)[index[0] if index else -1] if before else 0
    y = owner.pop(*index)

    def back(ct, store):
        moved(store, owner, before, before - 1,
              lambda i: None if i == place else i if i < place else i - 1)  # fmt: skip
        store.add(owner, place, ct)
        return NONE2[: 1 + len(index)]

    return y, back


@augments(list.clear)
def list_clear(owner):
    owner.clear()
    return None, nothing(1)


@augments(list.remove)
def list_remove(owner, value):
    _, inner = list_pop(owner, owner.index(value))
    return None, lambda ct, store: (inner(None, store)[0], None)


@augments(list.reverse)
def list_reverse(owner):
    owner.reverse()
    count = len(owner)

    def back(ct, store):
        moved(store, owner, count, count, lambda i: count - 1 - i)
        return (None,)

    return None, back


@augments(list.copy)
def list_copy(owner):
    made = owner.copy()
    count = len(made)

    def back(ct, store):
        for i in range(count):
            store.add(owner, i, store.take(made, i))
        return (None,)

    return made, back


def keys_of(key, values):
    return [key(item) for item in values]


@augments(list.sort)
def list_sort(owner, **options):
    values = list(owner)
    key, reverse = options.get("key"), options.get("reverse", False)
    keys, keyed = (values, None) if key is None else call(keys_of, key, values)
    order = sorted(range(len(values)), key=lambda i: keys[i], reverse=reverse)
    owner[:] = [values[i] for i in order]
    place = {old: new for new, old in enumerate(order)}

    def back(ct, store):
        moved(store, owner, len(values), len(values), lambda i: place[i])
        if keyed is None:
            return (None,) * (1 + len(options))
        own, _ = keyed(None, store)
        for i in range(len(values)):
            store.add(owner, i, store.take(values, i))
        return (None, *[own if name == "key" else None for name in options])

    return None, back


# -- methods of dicts ------------------------------------------------------------------------------


@augments(dict.get)
def dict_get(owner, key, *default):
    count = 2 + len(default)
    if key not in owner:
        y = default[0] if default else None
        return y, lambda ct, store: (None, None, ct)[:count]

    def back(ct, store):
        store.add(owner, key, ct)
        return NONE3[:count]

    return owner[key], back


@augments(dict.pop)
def dict_pop(owner, key, *default):
    count = 2 + len(default)
    if key not in owner and default:
        return default[0], lambda ct, store: (None, None, ct)
    y = owner.pop(key)

    def back(ct, store):
        store.take(owner, key)
        store.add(owner, key, ct)
        return NONE3[:count]

    return y, back


@augments(dict.setdefault)
def dict_setdefault(owner, key, *default):
    present = key in owner
    y = owner.setdefault(key, *default)

    def back(ct, store):
        store.add(owner, key, ct)
        if present or not default:
            return NONE3[: 2 + len(default)]
        return None, None, store.take(owner, key)

    return y, back


@augments(dict.update)
def dict_update(owner, *others, **named):
    def python(owner, others, named):
        for other in others:
            if hasattr(other, "keys"):
                for key in list(other.keys()):
                    owner[key] = other[key]
            else:
                for key, value in other:
                    owner[key] = value
        for key in list(named.keys()):
            owner[key] = named[key]

    y, inner = call(python, owner, others, named)

    def back(ct, store):
        _, cts, _ = inner(ct, store)
        rest = tuple([store.take(named, key) for key in named])
        return (None, *(cts or (None,) * len(others)), *rest)

    return y, back


@augments(dict.copy)
def dict_copy(owner):
    made = owner.copy()
    keys = tuple(made)

    def back(ct, store):
        for key in keys:
            store.add(owner, key, store.take(made, key))
        return (None,)

    return made, back


@augments(dict.clear)
def dict_clear(owner):
    keys = tuple(owner)
    owner.clear()

    def back(ct, store):
        for key in keys:
            store.take(owner, key)
        return (None,)

    return None, back


for method in (dict.keys, list.index, list.count, tuple.index, tuple.count):
    AUGMENTED[method] = no_back(method)


# -- concatenation and repetition ------------------------------------------------------------------


def concatenate(kind):
    """`a + b` of two tuples or two lists."""

    def augmented(a, b):
        first, made = len(a), a + b
        total = first + len(b)

        def back(ct, store):
            if kind is list:
                ct = tuple([store.take(made, i) for i in range(total)])
            elif ct is None:
                return NONE2
            ct = dense(ct)
            return give_back(a, ct[:first], store), give_back(b, ct[first:], store)

        return made, back

    return augmented


def repeat(values, times, swapped):
    made = values * times
    count, total = len(values), len(made)

    def back(ct, store):
        if isinstance(values, list):
            ct = tuple([store.take(made, i) for i in range(total)])
        elif ct is None:
            return NONE2
        summed = (None,) * count
        for i in range(times):
            summed = accumulate(summed, dense(ct[i * count : (i + 1) * count]))
        part = give_back(values, summed, store)
        return (None, part) if swapped else (part, None)

    return made, back


def extend_in_place(owner, values):
    """`owner += values` of a list: the same list, longer."""
    _, inner = list_extend(owner, values)

    def back(ct, store):
        return inner(None, store)

    return owner, back


def union(a, b):
    """`a | b` of two dicts."""
    return {**a, **b}


def update_in_place(owner, others):
    """`owner |= others` of a dict: the same dict, with more in it."""
    _, inner = dict_update(owner, others)

    def back(ct, store):
        return inner(None, store)

    return owner, back


def unpack_items(items, count):
    return prims.unpack.fn(items, count)


def unpack_star_items(items, before, after):
    return prims.unpack_star.fn(items, before, after)


AUGMENTED[unpack_items], AUGMENTED[unpack_star_items] = unpack, unpack_star
inert(is_own_iterable, reads_copy)
ADD, MUL = prims.BINARY[ast.Add], prims.BINARY[ast.Mult]
for kind in (tuple, list):
    AUGMENTED[ADD, kind, kind] = concatenate(kind)
    AUGMENTED[MUL, kind, int] = lambda a, b: repeat(a, b, False)
    AUGMENTED[MUL, int, kind] = lambda a, b: repeat(b, a, True)
AUGMENTED["inplace", ADD, list] = extend_in_place
OR = prims.BINARY[ast.BitOr]
AUGMENTED[OR, dict, dict] = lambda a, b: call(union, a, b)
AUGMENTED["inplace", OR, dict] = update_in_place
