"""Lists in the place of arrays, as they were when a function of a library took them.

A rule of a library keeps its arguments for the reverse. A list among them may have changed by then:
`rows.append(row)` after `np.stack(rows)`. So the rule is given copies, and what their slots of the
store get is handed on to the lists themselves.
"""

from __future__ import annotations

from collections.abc import Callable

from flux.ad.registry import inert

__all__ = ["ON_COPIES", "applied", "copied", "hand_on", "on_copies"]

ON_COPIES: set[Callable] = set()
"""The augmented forms that are on copies already."""
MAY_HOLD = frozenset([list, dict, tuple])
"""The types of arguments that are lists, or may have some in them."""


def on_copies(rule: Callable) -> Callable:
    """The augmented form `rule`, which does not see how its lists and dicts change afterwards."""
    if rule in ON_COPIES:
        return rule

    def augmented(*args, **options):
        if options or not MAY_HOLD.isdisjoint([type(value) for value in args]):
            return applied(rule, args, options)
        return rule(*args)

    ON_COPIES.add(augmented)
    return augmented


def applied(rule: Callable, args: tuple, options: dict):
    """What `rule` gives for its arguments, with copies of the lists and dicts among them."""
    if not (has_lists(args) or (options and has_lists(options.values()))):
        return rule(*args, **options)
    pairs: list = []
    given = [copied(value, pairs) for value in args]
    y, inner = rule(*given, **{name: copied(options[name], pairs) for name in options})
    if of_objects(y):  # it may hold the lists themselves
        return rule(*args, **options)

    def back(ct, store):
        cts = inner(ct, store)
        for copy, value in pairs:
            hand_on(copy, value, store)
        return cts

    return y, back


def has_lists(values) -> bool:
    """Is a list or dict among `values`, or in a tuple among them?"""
    for value in values:
        kind = type(value)
        if kind is list or kind is dict or (kind is tuple and has_lists(value)):
            return True
    return False


def of_objects(y) -> bool:
    return getattr(getattr(y, "dtype", None), "kind", "") == "O"


def copied(value, pairs: list):
    """A copy with copies of the lists and dicts in it; `pairs` gets each, with the original."""
    kind = type(value)
    if kind is list:
        made = [copied(item, pairs) for item in value]
        pairs.append((made, value))
        return made
    if kind is dict:
        made = {key: copied(item, pairs) for key, item in value.items()}
        pairs.append((made, value))
        return made
    if kind is tuple and has_lists(value):
        return tuple([copied(item, pairs) for item in value])
    return value


def hand_on(copy, value, store) -> None:
    """Hand the cotangents of the items of a copy on to the original."""
    for key in range(len(copy)) if type(copy) is list else copy:
        store.add(value, key, store.take(copy, key))


inert(has_lists, of_objects)
