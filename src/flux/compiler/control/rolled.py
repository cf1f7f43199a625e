"""Loops of the compiled program: while a test holds, over items by their number, in reverse."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import lax
from jax.core import Tracer

from flux.compiler.control.carried import Ended, Loop, leaves_of, next_of
from flux.compiler.control.checks import current as current_checks
from flux.compiler.control.descriptions import Out, resolve
from flux.compiler.control.iterables import Sequence
from flux.compiler.control.options import current
from flux.compiler.control.passes import looped
from flux.compiler.control.records import Reverse, Stacked
from flux.compiler.control.replay import Iteration, Replayed, keeping_loop, reverse
from flux.compiler.control.scattered import known_numbers
from flux.errors import StagingError
from flux.ir.regions import Region

__all__ = ["WhileLoop", "replayed", "rolled", "unsupported"]

INDEX = jax.ShapeDtypeStruct((), jnp.int32)


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


def both(*conditions):
    """`and` of conditions, of which some are known."""
    known = [c for c in conditions if not isinstance(c, bool)]
    if False in [c for c in conditions if isinstance(c, bool)]:
        return jnp.asarray(False)
    total = jnp.asarray(True)
    for condition in known:
        total = jnp.logical_and(total, jnp.reshape(condition, ()).astype(bool))
    return total


# -- errors --------------------------------------------------------------------------------------


def unsupported(region: Region) -> StagingError:
    return StagingError(
        "A derivative of a derivative through a loop of unknown length is not supported in "
        "compiled programs.",
        where=region.line,
        hint="Give the loop a known bound: `for _ in range(n)` with `break`.",
    )


def growing(region: Region) -> StagingError:
    return StagingError(
        f"The list `{region.grows[0]}` grows in a loop whose length only the data decide.",
        where=region.line,
        hint="Use an array of the greatest length and a count: `ys = ys.at[i].set(y)`.",
    )
