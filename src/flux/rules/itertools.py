"""Derivatives of the functions of Python's `itertools`, by equivalents in plain Python."""

from __future__ import annotations

import itertools

from flux.ad.registry import AUGMENTED, inert
from flux.ad.runtime import call
from flux.rules.equivalents import as_python
from flux.rules.iterators import ENDED, Mapped


@as_python(itertools.chain)
def chain(*parts):
    return iter([item for part in parts for item in part])


@as_python(itertools.chain.from_iterable)
def chain_from(parts):
    return iter([item for part in parts for item in part])


@as_python(itertools.product)
def product(*pools, repeat=1):
    rows = [()]
    for pool in [list(pool) for pool in pools] * repeat:
        rows = [(*row, item) for row in rows for item in pool]
    return iter(rows)


@as_python(itertools.pairwise)
def pairwise(values):
    items = list(values)
    return iter([(items[i], items[i + 1]) for i in range(len(items) - 1)])


@as_python(itertools.accumulate)
def accumulate_(values, func=None, *, initial=None):
    totals = [] if initial is None else [initial]
    for value in values:
        last = totals[-1] if totals else None
        step = value if not totals else last + value if func is None else func(last, value)
        totals.append(step)
    return iter(totals)


@as_python(itertools.islice)
def islice(values, *limits):
    """Takes no more from an iterator than it hands on."""
    places = slice(*limits)
    start = places.start or 0
    step = places.step or 1
    taken = []
    cursor = iter(values)
    index = 0
    while places.stop is None or index < places.stop:
        item = next(cursor, ENDED)
        if item is ENDED:
            break
        if index >= start and (index - start) % step == 0:
            taken.append(item)
        index += 1
    return iter(taken)


@as_python(itertools.starmap)
def starmap(f, rows):
    return Mapped(lambda row: f(*row), [iter(rows)])


@as_python(itertools.zip_longest)
def zip_longest(*values, fillvalue=None):
    rows = [list(value) for value in values]
    size = max([0, *[len(row) for row in rows]])
    return iter([tuple([r[i] if i < len(r) else fillvalue for r in rows]) for i in range(size)])


def choices(pick):
    """`itertools.combinations` and its like, by the places that they choose."""

    def augmented(values, *size, **options):
        def chosen(values):
            items = list(values)
            rows = chosen_places(pick, len(items), size, options)
            return iter([tuple([items[i] for i in row]) for row in rows])

        y, inner = call(chosen, values)
        nones = [None for _ in (*size, *options)]
        return y, lambda ct, store: (*inner(ct, store), *nones)

    AUGMENTED[pick] = augmented


def chosen_places(pick, count: int, size, options) -> list:
    return list(pick(range(count), *size, **options))


inert(chosen_places)
for pick in (itertools.combinations, itertools.permutations,
             itertools.combinations_with_replacement):  # fmt: skip
    choices(pick)
