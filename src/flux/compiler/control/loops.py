"""`for` and `while` as loops of the compiled program.

What an iteration hands to the next is found by tracing the body until its end has the types of its
start: variables that it assigns, and changes of things that it reaches. The rest is closed over.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.core import Tracer

from flux.compiler.control.branches import if_
from flux.compiler.control.checks import current as current_checks
from flux.compiler.control.iterables import Sequence, staged
from flux.compiler.control.join import ABSENT, Both, Join, Made, Slot, build, resolve
from flux.compiler.control.options import MOST_UNROLLED, current
from flux.compiler.control.records import Chained, Rest, Stacked, chained
from flux.compiler.control.replay import Backwards, Replayed, keeping_loop, reverse
from flux.compiler.control.traces import state_of, traced
from flux.errors import StagingError, source_line
from flux.ir.regions import Region

__all__ = ["for_", "while_"]

ROUNDS = 12
"""After so many rounds the types of a loop's variables have to agree."""
INDEX = jax.ShapeDtypeStruct((), jnp.int32)
Ended = tuple[tuple, tuple]
"""The carried values after a loop, and what it collected."""


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
    if isinstance(iterable, Backwards):
        return backwards(body, iterable, inits, region)
    items = staged(iterable)
    if items is None:
        return in_python(body, iterable, inits, region)
    if not isinstance(items.length, int):
        return rolled(body, items, inits, region)
    numbers = isinstance(iterable, range)
    if items.length == 0 or not current().wants_loop(items.length, numbers):
        return in_python(body, iterable if numbers else items, inits, region)
    try:
        return rolled(body, items, inits, region)
    except Exception as error:
        if items.length > MOST_UNROLLED:
            raise
        problem = error
    return unrolled(body, iterable if numbers else items, inits, region, problem)


def unrolled(body: Callable, iterable, inits: tuple, region: Region, problem: Exception) -> Ended:
    """The loop written out: its first iteration by itself, if that helps, or all of them."""
    del problem
    return in_python(body, iterable, inits, region)


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
            return until(stop, body, list(rest), values, collected, region)
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
    more = [Rest(stop, either.second) for either in ended[count:]]
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

    def go_on():
        return for_(body, iterable.items, values, region)[0]

    return if_(iterable.stopped, lambda: values, go_on, branch), ()


def joined(first: list[list], rest) -> tuple:
    return tuple([chained(items, more) for items, more in zip(first, rest, strict=True)])


def unsupported(region: Region) -> StagingError:
    return StagingError(
        "A derivative of a derivative through a loop of unknown length is not supported in "
        "compiled programs.",
        where=source_line(region.filename, region.where.line),
        hint="Give the loop a known bound: `for _ in range(n)` with `break`.",
    )


# -- finding what is carried -----------------------------------------------------------------------


class Loop:
    """A loop of the program that is being made.

    Attributes:
        params: descriptions of the carried variables.
        state: of what the body changes.
        run: one iteration, traced.
        slots: the carried arrays.
    """

    def __init__(self, body: Callable, inits: tuple, region: Region, *reached):
        self.body, self.region = body, region
        self.state = state_of(body, *reached, region=region)
        self.join = Join(region, self.state.journal.known)
        self.join.trace = None  # what comes from outside stays as it is
        self.params = [
            self.join.describe(value, self.path(i), carried=True) for i, value in enumerate(inits)
        ]
        self.ys: list[Any] = []
        self.stop: Any = False

    def path(self, place: int) -> str:
        return f"`{self.region.names[place]}`"

    def find(self, kinds: list, arguments: Callable) -> None:
        """Trace the body until what it hands on has the types of what it is given.

        `arguments(*arrays)` makes the first arguments of the body of further traced inputs.
        """
        try:
            for _ in range(ROUNDS):
                slots = self.used()
                count = len(kinds)

                def run(*arrays, slots=slots, count=count):
                    self.join.second_trace()
                    more = arguments(*arrays[:count])
                    self.iterate(more, slots, arrays[count:])

                self.run = traced(run, [*kinds, *[slot.kind for slot in slots]], self.join)
                self.state.journal.restore()
                if not self.join.changed:
                    self.slots = slots
                    return
        finally:
            self.state.journal.restore()
        raise StagingError(
            f"The types of {', '.join(f'`{n}`' for n in self.region.names)} change with every "
            "iteration.",
            where=source_line(self.region.filename, self.region.where.line),
            hint="Let every iteration end with the types and shapes that it started with.",
        )

    def used(self) -> list[Slot]:
        found: dict[Slot, None] = {}
        for part in (*self.params, *[p for _, parts in self.state.parts.values() for p in parts]):
            collect_slots(part, found)
        return list(found)

    def iterate(self, more: tuple, slots: list[Slot], arrays) -> None:
        leaves = dict(zip(slots, arrays, strict=True))
        memo: dict = {}
        for slot in slots:
            slot.second = ABSENT
        self.state.apply(lambda part: build(part, leaves, memo))
        values = [build(part, leaves, memo) for part in self.params]
        self.take(self.body(*more, *values))

    def take(self, result) -> None:
        raise NotImplementedError

    def join_values(self, values, collect) -> None:
        join = self.join
        self.params = [
            join.join(known, value, self.path(i))
            for i, (known, value) in enumerate(zip(self.params, values, strict=True))
        ]
        self.state.join(join)
        ys = Join(self.region, join.known)
        ys.outs, ys.places, ys.trace, ys.side = join.outs, join.places, join.trace, "second"
        self.ys = [ys.describe(value, "what the loop collects") for value in collect]

    # -- the pieces of the loop ------------------------------------------------------------------

    def init(self) -> list:
        return [resolve(slot.first, (), slot.kind) for slot in self.slots]

    def next(self, outs) -> list:
        return [resolve(slot.second, outs, slot.kind) for slot in self.slots]

    def y_slots(self) -> list[Slot]:
        found: dict[Slot, None] = {}
        for part in self.ys:
            collect_slots(part, found)
        return list(found)

    def y_arrays(self, outs) -> list:
        return [resolve(slot.second, outs, slot.kind) for slot in self.y_slots()]

    def is_fine(self, carry):
        """Has no check failed yet?"""
        for place, (_, parts) in self.state.parts.items():
            if self.state.journal.things[place] is current_checks():
                (code,) = [carry[self.slots.index(p)] for p in parts if isinstance(p, Slot)]
                return code == 0
        return True

    def finish(self, carry) -> tuple:
        leaves = dict(zip(self.slots, carry, strict=True))
        memo: dict = {}
        self.state.apply(lambda part: build(part, leaves, memo))
        return tuple([build(part, leaves, memo) for part in self.params])


def collect_slots(part, found: dict[Slot, None]) -> None:
    waiting, seen = [part], set()
    while waiting:
        part = waiting.pop()
        if id(part) in seen:
            continue
        seen.add(id(part))
        if isinstance(part, Slot):
            found[part] = None
        elif isinstance(part, Made):
            waiting += reversed(part.parts)
        elif isinstance(part, Both):
            waiting += [part.second, part.first]


def both(*conditions):
    """`and` of conditions, of which some are known."""
    known = [c for c in conditions if not isinstance(c, bool)]
    if False in [c for c in conditions if isinstance(c, bool)]:
        return jnp.asarray(False)
    total = jnp.asarray(True)
    for condition in known:
        total = jnp.logical_and(total, jnp.reshape(condition, ()).astype(bool))
    return total


# -- while ---------------------------------------------------------------------------------------


class WhileLoop(Loop):
    """A loop whose length only the data decide."""

    def take(self, result) -> None:
        values, collect = result
        self.join_values(values, collect)

    def values(self) -> tuple:
        self.find([], lambda: ())
        test = self.slots.index(self.params[0])  # type: ignore[arg-type]

        def go(carry):
            return both(carry[test], self.is_fine(carry))

        def step(carry):
            return self.next(self.run(*carry))

        if not self.ys:
            self.collected = ()
            return self.finish(lax.while_loop(go, step, self.init()))
        end, kept = keeping_loop(go, step, self.init())
        kinds = [slot.kind for slot in self.slots]
        self.collected = tuple([
            Replayed(kept, step, self.maker(part), kinds) for part in self.ys
        ])  # fmt: skip
        return self.finish(end)

    def maker(self, part):
        slots = self.y_slots()

        def item(*carry):
            outs = self.run(*carry)
            leaves = {slot: resolve(slot.second, outs, slot.kind) for slot in slots}
            return build(part, leaves)

        return item


def backwards(body: Callable, iterable: Backwards, inits: tuple, region: Region) -> Ended:
    """A loop over what a loop of unknown length would have collected, last first."""
    if region.collects:
        raise unsupported(region)
    replayed = iterable.replayed
    loop = ForLoop(body, inits, region, replayed.item)
    loop.find(replayed.kinds, lambda *carry: (replayed.item(*carry),))

    def back(state, cts):
        return loop.next(loop.run(*state, *cts))

    return loop.finish(reverse(replayed.kept, replayed.step, back, loop.init())), ()


# -- for -----------------------------------------------------------------------------------------


class ForLoop(Loop):
    """A loop over items by their number."""

    def take(self, result) -> None:
        values, self.stop, collect = result
        self.join_values(values, collect)
        if isinstance(self.stop, Tracer):
            self.stop = self.join.reference(self.stop)


def rolled(body: Callable, items: Sequence, inits: tuple, region: Region) -> Ended:
    """A loop over items as a loop of the program."""
    loop = ForLoop(body, inits, region, items)
    loop.find([INDEX], lambda index: (items.item(index),))
    checked = loop.is_fine(loop.init()) is not True
    if isinstance(items.length, int) and loop.stop is False and not checked:
        return scanned(loop, items.length)
    return bounded(loop, items)


def scanned(loop: ForLoop, length: int) -> Ended:
    """A loop of known length."""

    def step(carry, index):
        outs = loop.run(index, *carry)
        return loop.next(outs), loop.y_arrays(outs)

    numbers = jnp.arange(length, dtype=jnp.int32)
    end, ys = lax.scan(step, loop.init(), numbers, unroll=current().step)
    arrays = dict(zip(loop.y_slots(), ys, strict=True))
    collected = [Stacked(part, arrays, length, length) for part in loop.ys]
    return loop.finish(end), tuple(collected)


def bounded(loop: ForLoop, items: Sequence) -> Ended:
    """A loop that may stop before its end, or whose length only the data decide."""
    bound = items.bound if loop.ys else 0
    if bound is None:
        raise unsupported(loop.region)
    kinds = [slot.kind for slot in loop.y_slots()]
    buffers = [jnp.zeros((bound, *kind.shape), kind.dtype) for kind in kinds]

    def go(state):
        index, done, _, carry = state
        return both(index < items.length, jnp.logical_not(done), loop.is_fine(carry))

    def step(state):
        index, _, buffers, carry = state
        outs = loop.run(index, *carry)
        pairs = zip(buffers, loop.y_arrays(outs), strict=True)
        buffers = [lax.dynamic_update_index_in_dim(b, y, index, 0) for b, y in pairs]
        done = jnp.asarray(resolve(loop.stop, outs, jax.ShapeDtypeStruct((), bool)))
        return index + 1, done, buffers, loop.next(outs)

    start = jnp.int32(0), jnp.asarray(False), buffers, loop.init()
    length, _, buffers, end = lax.while_loop(go, step, start)
    arrays = dict(zip(loop.y_slots(), buffers, strict=True))
    collected = [Stacked(part, arrays, length, bound) for part in loop.ys]
    return loop.finish(end), tuple(collected)
