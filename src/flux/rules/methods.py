"""Derivatives of the methods of lists, tuples and dicts.

Lists and dicts keep their cotangents in the store, by identity and index or key; whatever moves
items about moves the slots the other way in reverse.
"""

from __future__ import annotations

from flux.ad.inert import no_back, nothing
from flux.ad.registry import AUGMENTED, augments
from flux.ad.runtime import call
from flux.rules.items import give_back, solid

__all__ = ["dict_update", "list_extend", "list_pop", "list_sort"]

NONE2 = (None, None)
NONE3 = (None, None, None)


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
