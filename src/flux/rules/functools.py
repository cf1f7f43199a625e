"""Derivatives of the functions of Python's `functools`."""

from __future__ import annotations

import functools

from flux.ad.cotangents import whole_of_partial
from flux.ad.registry import AUGMENTED
from flux.rules.equivalents import as_python
from flux.rules.iterators import ENDED


@as_python(functools.reduce)
def reduce_(f, values, *initial):
    cursor = iter(values)
    if initial:
        total = initial[0]
    else:
        total = next(cursor, ENDED)
        if total is ENDED:
            raise TypeError("reduce() of empty iterable with no initial value")
    for value in cursor:
        total = f(total, value)
    return total


def rule_of_partial(kind: type[functools.partial]):
    """The derivative of making a partial: its cotangent is that of function and arguments.

    Python makes one partial of a partial of a partial.
    """

    def made(f, *args, **keywords):
        y = kind(f, *args, **keywords)
        before = len(y.args) - len(args)

        def back(ct, store):
            own, given, named = whole_of_partial(y, ct, store.take)
            by_name = dict(zip(y.keywords, named, strict=True))
            if isinstance(f, functools.partial) and y.func is f.func:
                kept = tuple([None if name in keywords else by_name[name] for name in f.keywords])
                own = (own, tuple(given[:before]), kept)
            return (own, *given[before:], *[by_name[name] for name in keywords])

        return y, back

    return made


AUGMENTED[functools.partial] = rule_of_partial(functools.partial)
