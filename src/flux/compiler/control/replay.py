"""The reverse of a loop whose number of iterations only the data decide, in constant memory.

The loop keeps its state at every `stride`-th iteration in `count` places; when these are full,
every second one is given up and the stride doubles. The reverse goes through the segments between
kept states, last first, each of which is run again and cut into smaller segments in the same way
(nested thinning; compare Griewank & Walther, *Evaluating Derivatives*, 2008, chapter 12).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
from jax import lax
from jax.core import eval_jaxpr

from flux.compiler.control.descriptions import ABSENT, Out, build, resolve, zeros

__all__ = ["Iteration", "Kept", "Replayed", "keeping_loop", "reverse"]

FIRST_STRIDE = 16
"""Iterations between the states that a loop keeps at first."""
BUDGET = 2**25
"""Bytes of kept states up to which two levels of many places are used."""


class Kept:
    """States that a loop kept.

    Attributes:
        states: of each array of the state, the kept values along a leading axis.
        stride: between them, in iterations.
        length: the number of iterations that the loop has done.
    """

    def __init__(self, states: list, stride, length):
        self.states, self.stride, self.length = states, stride, length


def places_and_levels(arrays) -> tuple[int, int]:
    """How many states are kept at each level, and the number of levels."""
    size = sum([a.size * a.dtype.itemsize for a in arrays])
    if size * 1024 <= BUDGET:
        return 512, 2
    return (64, 3) if size * 192 <= 8 * BUDGET else (16, 3)


def rows(states: list, index) -> list:
    index = index.astype(jnp.uint32)  # JAX looks whether an index with a sign is negative
    return [lax.dynamic_index_in_dim(a, index, 0, keepdims=False) for a in states]


def with_row(states: list, index, values: list) -> list:
    pairs = zip(states, values, strict=True)
    index = index.astype(jnp.uint32)
    return [lax.dynamic_update_index_in_dim(a, v, index, 0) for a, v in pairs]


def empty(arrays: list, count: int) -> list:
    return [jnp.zeros((count, *a.shape), a.dtype) for a in arrays]


def keeping_loop(go: Callable, step: Callable, init: list, part: Callable) -> tuple[list, Kept]:
    """The state after a loop, and what it kept: `part` of some states."""
    count, _ = places_and_levels(part(init))

    def segment(stride, values):
        """At most `stride` iterations."""

        def body(carry):
            done, values = carry
            return done + 1, step(values)

        def goes_on(carry):
            done, values = carry
            return (done < stride) & go(values)

        return lax.while_loop(goes_on, body, (jnp.int32(0), values))

    def thinned(states):
        pairs = [(a, a[: count - count % 2 : 2]) for a in states]
        return [lax.dynamic_update_slice_in_dim(a, half, 0, 0) for a, half in pairs]

    def body(carry):
        place, stride, length, states, values = carry
        full = place == count
        states = lax.cond(full, thinned, lambda states: states, states)
        place = jnp.where(full, count // 2, place)
        stride = jnp.where(full, stride * 2, stride)
        states = with_row(states, place, part(values))
        done, values = segment(stride, values)
        return place + 1, stride, length + done, states, values

    start = (
        jnp.int32(0), jnp.int32(FIRST_STRIDE), jnp.int32(0), empty(part(init), count), list(init)
    )  # fmt: skip
    _, stride, length, states, values = lax.while_loop(lambda c: go(c[4]), body, start)
    return values, Kept(states, stride, length)


def advanced(step: Callable, values: list, count) -> list:
    """The state after `count` more iterations."""
    return lax.fori_loop(0, count, lambda _, v: step(v), values)


def reverse(kept: Kept, step: Callable, back: Callable, cts: list) -> list:
    """Apply `back(state, cts)` to the state at the start of every iteration, last first."""
    sample = [a[0] for a in kept.states]
    count, levels = places_and_levels(sample)

    def turn(total, width, states, carry, inner: Callable):
        """Go backwards through the segments of `width` iterations that start at `states`."""
        segments = (total + width - 1) // width

        def body(k, carry):
            j = segments - 1 - k
            return inner(rows(states, j), jnp.minimum(width, total - j * width), carry)

        return lax.fori_loop(0, segments, body, carry)

    def segment(values, length, carry, level: int):
        """Cut one segment into smaller ones; `carry` has a buffer for each level below."""
        cts, (buffer, *below) = carry
        width = jnp.maximum(1, (length + count - 1) // count)
        buffer = filled(buffer, values, length, width)
        if level + 1 < levels:
            cts, below = turn(
                length, width, buffer, (cts, below), lambda v, n, c: segment(v, n, c, level + 1)
            )
        else:
            cts = lax.cond(
                width == 1,
                lambda cts: turn(length, 1, buffer, cts, lambda v, n, cts: back(v, cts)),
                lambda cts: turn(length, width, buffer, cts, one_by_one),
                cts,
            )
        return cts, [buffer, *below]

    def filled(buffer, values, length, width):
        """Keep the state at every iteration whose number is a multiple of `width`."""

        def next_to(j, pair):
            return with_row(pair[0], j, pair[1]), step(pair[1])

        def apart(j, pair):
            return with_row(pair[0], j, pair[1]), advanced(step, pair[1], width)

        last, single = (length - 1) // width, width == 1
        pair = lax.fori_loop(0, jnp.where(single, last, 0), next_to, (buffer, values))
        pair = lax.fori_loop(0, jnp.where(single, 0, last), apart, pair)
        return with_row(pair[0], last, pair[1])

    def one_by_one(values, length, cts):
        def body(k, cts):
            return back(advanced(step, values, length - 1 - k), cts)

        return lax.fori_loop(0, length, body, cts)

    buffers = [empty(sample, count) for _ in range(levels - 1)]
    cts, _ = turn(
        kept.length, kept.stride, kept.states, (cts, buffers),
        lambda v, n, carry: segment(v, n, carry, 1),
    )  # fmt: skip
    return cts


class Iteration:
    """One iteration, from the arrays that make up the state to those after it.

    Attributes:
        jaxpr: of JAX, without printing.
        slots: all that the loop carries; `collected`: of what an iteration collects.
        places: of those among `slots` that the state is made of.
    """

    __constant__ = True

    def __init__(self, jaxpr, slots: list, collected: list, places: list[int]):
        self.jaxpr, self.slots, self.collected, self.places = jaxpr, slots, collected, places
        self.kinds = self.some([slot.kind for slot in slots])

    def some(self, carry: list) -> list:
        """Of the carried arrays, those of the state."""
        return [carry[i] for i in self.places]

    def outside(self) -> list:
        """The ends of the state that are values from outside; `None` for all others."""
        ends = self.some([slot.second for slot in self.slots])
        return [None if isinstance(end, Out) or end is ABSENT else end for end in ends]

    def run(self, given: list, state: list) -> list:
        carry = [zeros(slot.kind) for slot in self.slots]
        for place, part in zip(self.places, state, strict=True):
            carry[place] = part
        return eval_jaxpr(self.jaxpr, given[: len(given) - len(self.places)], *carry)

    def step(self, given: list, state: list) -> list:
        outs, found = self.run(given, state), []
        ends = given[len(given) - len(self.places) :]
        for slot, end in zip(self.some(self.slots), ends, strict=True):
            found.append(resolve(slot.second if end is None else end, outs, slot.kind))
        return found

    def leaves(self, given: list, state) -> dict:
        """The arrays of what an iteration collects."""
        outs = self.run(given, state)
        return {slot: resolve(slot.second, outs, slot.kind) for slot in self.collected}


class Replayed:
    """What a loop of unknown length would have collected; it is made again in the reverse.

    Attributes:
        kept: states.
        given: what the iterations are given from outside of the loop; in a loop around it, others
            in each iteration.
        description: of what an iteration collects.
        links: of the objects that it carried.
    """

    bound = None

    def __init__(self, kept: Kept, iteration: Iteration, given: list, description, links):
        self.kept, self.iteration, self.given = kept, iteration, given
        self.description, self.links = description, links
        self.length = kept.length

    def step(self, state: list) -> list:
        """The state after one more iteration."""
        return self.iteration.step(self.given, state)

    def linked(self, state) -> tuple[Any, list]:
        """What the iteration that started with a state collected, and the objects it carried."""
        memo: dict = {}
        item = build(self.description, self.iteration.leaves(self.given, state), memo)
        return item, self.links.built(memo)
