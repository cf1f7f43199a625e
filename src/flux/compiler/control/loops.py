"""`for` and `while` as loops of the compiled program.

What an iteration hands to the next is found by tracing the body until its end has the types of its
start: variables that it assigns, and changes of things that it reaches. The rest is closed over.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.core import Tracer

from flux.compiler.control.branches import if_
from flux.compiler.control.checks import current as current_checks
from flux.compiler.control.descriptions import (
    ABSENT,
    Out,
    Slot,
    build,
    collect_slots,
    resolve,
)
from flux.compiler.control.doubles import note
from flux.compiler.control.growth import Growth
from flux.compiler.control.iterables import Sequence, staged
from flux.compiler.control.iterators import not_spent, rest_of
from flux.compiler.control.join import Join
from flux.compiler.control.journal import changes
from flux.compiler.control.options import MOST_UNROLLED, current
from flux.compiler.control.passes import looped
from flux.compiler.control.records import (
    Chained,
    Links,
    Rest,
    Reverse,
    Stacked,
    chained,
    follow,
)
from flux.compiler.control.replay import Iteration, Replayed, keeping_loop, reverse
from flux.compiler.control.scattered import known_numbers
from flux.compiler.control.traces import state_of, traced
from flux.compiler.control.unbound import begun, described, handed_on, join_flagged
from flux.compiler.explain import tell
from flux.errors import StagingError, source_line
from flux.ir.regions import Region

__all__ = ["for_", "while_"]

ROUNDS = 12
"""After so many rounds the types of a loop's variables have to agree."""
INDEX = jax.ShapeDtypeStruct((), jnp.int32)
PLAIN = (list, tuple, dict, set, frozenset, str, range, Sequence, type({}.items()),
         type({}.keys()), type({}.values()))  # fmt: skip
"""To take all their items changes nothing."""
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
    if isinstance(iterable, Reverse):
        return in_reverse(body, iterable, inits, region)
    not_spent(iterable)
    items = staged(iterable)
    if items is None:
        return in_python(body, iterable, inits, region)
    items.begin()
    if not isinstance(items.length, int):
        return rolled(body, items, inits, region)
    numbers = isinstance(iterable, range)
    if items.length == 0 or not current().wants_loop(items.length, numbers):
        return in_python(body, iterable if numbers else items.each(), inits, region)
    try:
        return rolled(body, items, inits, region)
    except Exception as error:
        if items.length > MOST_UNROLLED:
            raise
        explain(error, region)
    return in_python(body, iterable if numbers else items.each(), inits, region)


def explain(problem: Exception, region: Region) -> None:
    """Say why a loop is written out, if the user asks."""
    if os.environ.get("FLUX_EXPLAIN"):
        where = source_line(region.filename, region.where.line)
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


def unsupported(region: Region) -> StagingError:
    return StagingError(
        "A derivative of a derivative through a loop of unknown length is not supported in "
        "compiled programs.",
        where=source_line(region.filename, region.where.line),
        hint="Give the loop a known bound: `for _ in range(n)` with `break`.",
    )


def growing(region: Region) -> StagingError:
    return StagingError(
        f"The list `{region.grows[0]}` grows in a loop whose length only the data decide.",
        where=source_line(region.filename, region.where.line),
        hint="Use an array of the greatest length and a count: `ys = ys.at[i].set(y)`.",
    )


# -- finding what is carried -----------------------------------------------------------------------


class Loop:
    """A loop of the program that is being made.

    Attributes:
        params: descriptions of the carried variables.
        state: of what the body changes.
        run: one iteration, traced.
        slots: the carried arrays.
        started: there is an iteration at least.
    """

    def __init__(self, body: Callable, inits: tuple, region: Region, *reached, started=False):
        self.body, self.region, self.started = body, region, started
        inits = handed_on(inits, region)
        self.state = state_of(body, *reached, region=region, given=inits)
        self.join = Join(region, self.state.journal.known, self.state.journal.loose)
        self.join.touched = self.state.journal.touched
        self.join.trace = None  # what comes from outside stays as it is
        self.params = [self.start_of(i, value) for i, value in enumerate(inits)]
        self.ys: list[Any] = []
        self.growth = Growth(body, region)
        self.inside: list[tuple] = []
        self.links = Links([], [])
        self.stop: Any = False

    def path(self, place: int) -> str:
        return f"`{self.region.names[place]}`"

    def start_of(self, place: int, value):
        """The description of a carried variable before the first iteration."""
        if place not in self.region.flagged:
            return self.join.describe(value, self.path(place), carried=True)
        # The flag that an iteration leaves is the only one that is read.
        flag = True if self.started and place in self.region.unasked else None
        return described(self.join, value, self.path(place), True, flag)

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
                    self.iterate(lambda: arguments(*arrays[:count]), slots, arrays[count:])

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

    def iterate(self, arguments: Callable, slots: list[Slot], arrays) -> None:
        leaves = dict(zip(slots, arrays, strict=True))
        self.memo = memo = {}
        for slot in slots:
            slot.second = ABSENT
        self.state.apply(lambda part: build(part, leaves, memo))
        values = [build(part, leaves, memo) for part in self.params]
        self.note_doubles(memo)
        self.join.note_doubles(memo)
        self.take(self.body(*arguments(), *values))

    def note_doubles(self, memo: dict[int, Any]) -> None:
        for made in self.join.origins:
            if made in memo:
                note(memo[made])

    def take(self, result) -> None:
        raise NotImplementedError

    def join_values(self, values, collect) -> None:
        join = self.join
        flagged = self.region.flagged
        pairs = zip(self.params, handed_on(values, self.region), strict=True)
        self.params = [
            (join_flagged if i in flagged else Join.join)(join, known, value, self.path(i))
            for i, (known, value) in enumerate(pairs)
        ]
        self.state.join(join)
        ys = Join(self.region, join.known)
        ys.outs, ys.places, ys.trace, ys.side = join.outs, join.places, join.trace, "second"
        self.ys = [ys.record(value, "what the loop collects") for value in collect]
        self.inside = [
            (ys.memo.get((id(self.memo.get(id(made))), False)), ys.memo.get((id(value), False)))
            for _, made, value in join.links
        ]

    # -- the pieces of the loop ------------------------------------------------------------------

    def init(self) -> list:
        return [resolve(slot.first, (), slot.kind) for slot in self.slots]

    def next(self, outs) -> list:
        """The carried arrays after an iteration; `None` where an output is left out."""
        return next_of(self.slots)(outs)

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
        end = begun if self.started else lambda part: part
        self.state.apply(lambda part: build(end(part), leaves, memo))
        values = tuple([build(end(part), leaves, memo) for part in self.params])
        self.note_doubles(memo)
        self.join.note_doubles(memo, self.started)
        origins = self.join.origins
        self.links.outside += [
            (origins[id(joined)][1], memo.get(id(joined))) for joined, _, _ in self.join.links
        ]
        self.links.inside += self.inside
        return values


def next_of(slots: list[Slot]) -> Callable:
    """The carried arrays after an iteration, of its outputs; `None` where one is left out."""
    refs, kinds = parts_of(slots)

    def following(outs):
        return [
            None if isinstance(ref, Out) and outs[ref.index] is None else resolve(ref, outs, kind)
            for ref, kind in zip(refs, kinds, strict=True)
        ]

    return following


def leaves_of(slots: list[Slot]) -> Callable:
    """The arrays by slot at the end of an iteration, of its outputs."""
    refs, kinds = parts_of(slots)

    def leaves(outs):
        triples = zip(slots, refs, kinds, strict=True)
        return {slot: resolve(ref, outs, kind) for slot, ref, kind in triples}

    return leaves


def parts_of(slots: list[Slot]) -> tuple[list, list]:
    """What an iteration hands over for slots, and its kinds, for functions that outlive the loop.

    A slot is a constant: what it holds of a loop around this one would stay that of one iteration.
    """
    return [slot.second for slot in slots], [slot.kind for slot in slots]


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

        step = self.step_of(self.run)
        if not self.ys:
            self.collected = ()
            return self.finish(lax.while_loop(go, step, self.init()))
        again = self.run.silent()
        places = self.places_to_replay(again)

        iteration = Iteration(again.jaxpr, self.slots, self.y_slots(), places)
        given = [*again.consts, *iteration.outside()]
        end, kept = keeping_loop(go, step, self.init(), iteration.some)
        self.collected = tuple([
            Replayed(kept, iteration, given, part, self.links) for part in self.ys
        ])  # fmt: skip
        return self.finish(end)

    def places_to_replay(self, run) -> list[int]:
        """Of the carried arrays, those that what the loop collects depends on."""
        found: set[int] = set()
        waiting = [slot.second for slot in self.y_slots()]
        while waiting:
            new = run.reads([ref.index for ref in waiting if isinstance(ref, Out)]) - found
            found |= new
            waiting = [self.slots[i].second for i in new]
        return sorted(found)

    def step_of(self, run) -> Callable:
        following = next_of(self.slots)
        return lambda carry: following(run(*carry))


def replayed(body: Callable, items: Reverse, inits: tuple, region: Region) -> Ended:
    """The reverse of a loop of unknown length."""
    if region.collects:
        raise unsupported(region)
    source = items.items
    loop = ForLoop(body, inits, region, items)

    def arguments(*state):
        item, links = source.linked(state)
        items.enter(links)
        return (item,)

    loop.find(source.iteration.kinds, arguments)

    def back(state, cts):
        return loop.next(loop.run(*state, *cts))

    return loop.finish(reverse(source.kept, source.step, back, loop.init())), ()


# -- for -----------------------------------------------------------------------------------------


class ForLoop(Loop):
    """A loop over items by their number."""

    def take(self, result) -> None:
        values, self.stop, collect = result
        self.join_values(values, (*collect, *self.growth.cut()))
        if isinstance(self.stop, Tracer):
            self.stop = self.join.reference(self.stop)


def rolled(body: Callable, items: Sequence, inits: tuple, region: Region) -> Ended:
    """A loop over items as a loop of the program."""
    known = isinstance(items.length, int)
    before = len(current_checks().errors.known)
    loop = ForLoop(body, inits, region, items, started=known and items.length > 0)
    columns, turned = items.columns() if known else ([], False)
    kinds = [INDEX, *[jax.ShapeDtypeStruct(a.shape[1:], a.dtype) for a in columns]]
    if columns:
        loop.find(kinds, lambda index, *rows: (items.item_of(index, list(rows)),))
    else:
        loop.find(kinds, lambda index: (items.item(index),))
    checked = loop.is_fine(loop.init()) is not True and current_checks().ends_loops(before)
    if known and loop.stop is False and not checked:
        return scanned(loop, kinds, columns, turned, items.length)
    return bounded(loop, items, columns, turned)


def scanned(loop: ForLoop, kinds: list, columns: list, turned: bool, length: int) -> Ended:
    """A loop of known length."""
    numbers = known_numbers(length)
    ends = [slot.second for slot in loop.slots]
    next_outs = [ref.index if isinstance(ref, Out) else None for ref in ends]
    summed = {
        place: ref.index
        for place, (slot, ref) in enumerate(zip(loop.slots, ends, strict=True))
        if isinstance(ref, Out) and ref.kind == slot.kind
    }
    others = [slot.second for slot in loop.y_slots()]
    for ref in (*others, *[s.second for i, s in enumerate(loop.slots) if i not in summed]):
        if isinstance(ref, Out):  # an output that is wanted for itself, too
            summed = {place: index for place, index in summed.items() if index != ref.index}
    y_outs = [ref.index for ref in others if isinstance(ref, Out)]
    end, kept = looped(
        loop.run, [*kinds, *[slot.kind for slot in loop.slots]],
        [numbers[::-1] if turned else numbers, *columns],
        loop.init(), loop.next, next_outs, list(dict.fromkeys(y_outs)), summed, length,
        turned, current().step,
    )  # fmt: skip

    slots = loop.y_slots()
    by_slot = leaves_of(slots)

    def leaves(rows):
        return by_slot(kept.outputs(rows))

    def values(rows):
        return list(leaves(rows).values())

    arrays = kept.columns
    if turned:  # the first item of what is collected is that of the first iteration
        arrays = [jnp.flip(array, 0) for array in arrays]
    count = loop.region.collects
    collected = [
        Stacked(part, arrays, leaves, length, length, loop.links) for part in loop.ys[:count]
    ]
    ends = loop.finish(end)
    if loop.growth.lists:
        rows = jax.vmap(values, axis_size=length)(arrays) if slots else []
        grown = loop.growth.extend(loop.ys[count:], dict(zip(slots, rows, strict=True)), length)
        for part in collected:
            part.grown = grown
    return ends, tuple(collected)


def bounded(loop: ForLoop, items: Sequence, columns: list, turned: bool) -> Ended:
    """A loop that may stop before its end, or whose length only the data decide."""
    if loop.growth.lists:
        raise growing(loop.region)
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
        place = items.length - 1 - index if turned else index
        rows = [lax.dynamic_index_in_dim(a, place, 0, keepdims=False) for a in columns]
        outs = loop.run(index, *rows, *carry)
        pairs = zip(buffers, loop.y_arrays(outs), strict=True)
        buffers = [lax.dynamic_update_index_in_dim(b, y, index, 0) for b, y in pairs]
        done = jnp.asarray(resolve(loop.stop, outs, jax.ShapeDtypeStruct((), bool)))
        return index + 1, done, buffers, loop.next(outs)

    start = jnp.int32(0), jnp.asarray(False), buffers, loop.init()
    length, _, buffers, end = lax.while_loop(go, step, start)
    slots = loop.y_slots()

    def leaves(rows):
        return dict(zip(slots, rows, strict=True))

    collected = [Stacked(part, buffers, leaves, length, bound, loop.links) for part in loop.ys]
    return loop.finish(end), tuple(collected)
