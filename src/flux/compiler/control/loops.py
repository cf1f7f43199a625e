"""`for` and `while` where a program is made: iteration by iteration, or as loops of the program."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace

import jax.numpy as jnp
from jax.core import Tracer

from flux.compiler.control.branches import if_
from flux.compiler.control.carried import Ended
from flux.compiler.control.growth import Growth
from flux.compiler.control.iterables import Sequence, staged
from flux.compiler.control.iterators import not_spent, rest_of
from flux.compiler.control.journal import changes
from flux.compiler.control.options import MOST_UNROLLED, current
from flux.compiler.control.picking import tried
from flux.compiler.control.records import Chained, Rest, Reverse, chained, follow
from flux.compiler.control.replay import Replayed
from flux.compiler.control.rolled import (
    WhileLoop,
    both,
    growing,
    replayed,
    rolled,
    unsupported,
)
from flux.compiler.explain import tell
from flux.ir.regions import Region

__all__ = ["for_", "while_"]

PLAIN = (list, tuple, dict, set, frozenset, str, range, Sequence, type({}.items()),
         type({}.keys()), type({}.values()))  # fmt: skip
"""To take all their items changes nothing."""


def while_(body: Callable, inits: tuple, region: Region) -> Ended:
    """A loop as long as the first carried value is true."""
    values = inits
    collected: list[list] = [[] for _ in range(region.collects)]
    while not isinstance(values[0], Tracer):
        if not values[0]:
            return values, tuple(collected)
        values, more = body(*values)
        for items, item in zip(collected, more, strict=True):
            items.append(item)
    loop = WhileLoop(body, values, region)
    return loop.values(), joined(collected, loop.collected)


def for_(body: Callable, iterable, inits: tuple, region: Region) -> Ended:
    """A loop over an iterable; it stays a loop over arrays, ranges, and what loops collected."""
    if isinstance(iterable, Chained):
        return over_parts(body, iterable, inits, region)
    if isinstance(iterable, Rest):
        return over_rest(body, iterable, inits, region)
    if isinstance(iterable, Reverse):
        return in_reverse(body, iterable, inits, region)
    not_spent(iterable)
    items = staged(iterable)
    if items is None:
        return in_python(body, iterable, inits, region)
    items.begin()
    if not isinstance(items.length, int):
        again = region.collects and items.bound is None
        return (by_count if again else rolled)(body, items, inits, region)
    numbers = isinstance(iterable, range)
    if items.length == 0 or not current().wants_loop(items.length, numbers):
        return in_python(body, iterable if numbers else items.each(), inits, region)
    try:
        with tried(items.length) if items.length <= MOST_UNROLLED else nullcontext():
            return rolled(body, items, inits, region)
    except Exception as error:
        if items.length > MOST_UNROLLED:
            raise
        explain(error, region)
    return in_python(body, iterable if numbers else items.each(), inits, region)


def by_count(body: Callable, items: Sequence, inits: tuple, region: Region) -> Ended:
    """A loop over items of unknown number that leaves something for its reverse, as a `while`."""
    if Growth(body, region).lists:
        raise growing(region)

    def counted(_, index, *values):
        values, stop, more = body(items.item(index), *values)
        going = both(index + 1 < items.length, True if stop is False else jnp.logical_not(stop))
        return (going, index + 1, *values), more

    moved = replace(
        region,
        names=("going", "index", *region.names),
        flagged=frozenset([place + 2 for place in region.flagged]),
        unasked=frozenset([place + 2 for place in region.unasked]),
    )
    (_, _, *values), collected = while_(counted, (items.length > 0, jnp.int32(0), *inits), moved)
    return tuple(values), collected


def explain(problem: Exception, region: Region) -> None:
    """Say why a loop is written out, if the user asks."""
    if os.environ.get("FLUX_EXPLAIN"):
        where = region.line
        reason = str(problem).partition("\n")[0]
        tell(f"the loop at {where} is written out, iteration by iteration: {reason}")


def in_python(body: Callable, iterable, inits: tuple, region: Region) -> Ended:
    """A loop of Python's, each iteration a part of the program."""
    values = inits
    collected: list[list] = [[] for _ in range(region.collects)]
    rest = iter(iterable)
    for item in rest:
        values, stop, more = body(item, *values)
        for items, one in zip(collected, more, strict=True):
            items.append(one)
        if isinstance(stop, Tracer):
            plain = rest is not iterable and isinstance(iterable, PLAIN)
            more = list(rest) if plain else rest_of(rest, changes, MOST_UNROLLED)
            return until(stop, body, more, values, collected, region)
        if stop:
            break
    return values, tuple(collected)


def until(stop, body: Callable, rest: list, values: tuple, collected: list, region: Region):
    """The iterations after one at which only the data decide whether the loop goes on."""
    if not rest:
        return values, tuple(collected)
    count = len(region.names)
    places = frozenset(range(count, count + region.collects))
    names = (*region.names, *["_"] * region.collects)
    branch = replace(region, names=names, records=places, collects=0)

    def go_on():
        after, more = in_python(body, rest, values, region)
        return (*after, *more)

    ended = if_(stop, lambda: (*values, *[()] * region.collects), go_on, branch)
    more = [Rest(stop, either.second, either.links) for either in ended[count:]]
    return ended[:count], joined(collected, more)


def over_parts(body: Callable, iterable: Chained, values: tuple, region: Region) -> Ended:
    found: list[list] = [[] for _ in range(region.collects)]
    for part in iterable.parts:
        values, more = for_(body, part, values, region)
        for parts, one in zip(found, more, strict=True):
            parts.append(one)
    return values, tuple([Chained(parts) for parts in found])


def over_rest(body: Callable, iterable: Rest, values: tuple, region: Region) -> Ended:
    if region.collects:
        raise unsupported(region)
    branch = replace(region, records=frozenset())

    def stay():
        follow(iterable.links, iterable.store, True)
        return values

    def go_on():
        follow(iterable.links, iterable.store, False)
        return for_(body, iterable.items, values, region)[0]

    return if_(iterable.stopped, stay, go_on, branch), ()


def in_reverse(body: Callable, items: Reverse, inits: tuple, region: Region) -> Ended:
    """The reverse of a loop, over what its iterations collected."""

    def closed(item, *values):
        result = body(item, *values)
        items.leave()
        return result

    if isinstance(items.items, Replayed):
        ended = replayed(closed, items, inits, region)
    elif isinstance(items.length, int) and items.length == 0:
        ended = in_python(closed, items, inits, region)
    else:
        ended = rolled(closed, items, inits, region)
    items.end()
    return ended


def joined(first: list[list], rest) -> tuple:
    return tuple([chained(items, more) for items, more in zip(first, rest, strict=True)])
