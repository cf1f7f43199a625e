"""Derivatives of joining and repeating: `+` and `*` of tuples and lists, `|` of dicts."""

from __future__ import annotations

import ast

from flux.ad.cotangents import accumulate, dense
from flux.ad.registry import AUGMENTED
from flux.ad.runtime import call
from flux.ir import prims
from flux.rules.items import give_back
from flux.rules.methods import dict_update, list_extend

NONE2 = (None, None)


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


ADD, MUL = prims.BINARY[ast.Add], prims.BINARY[ast.Mult]
for kind in (tuple, list):
    AUGMENTED[ADD, kind, kind] = concatenate(kind)
    AUGMENTED[MUL, kind, int] = lambda a, b: repeat(a, b, False)
    AUGMENTED[MUL, int, kind] = lambda a, b: repeat(b, a, True)
AUGMENTED["inplace", ADD, list] = extend_in_place
OR = prims.BINARY[ast.BitOr]
AUGMENTED[OR, dict, dict] = lambda a, b: call(union, a, b)
AUGMENTED["inplace", OR, dict] = update_in_place
