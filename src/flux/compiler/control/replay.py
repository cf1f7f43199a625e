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

__all__ = ["Kept", "Replayed", "keeping_loop", "reverse"]

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
    return [lax.dynamic_index_in_dim(a, index, 0, keepdims=False) for a in states]


def with_row(states: list, index, values: list) -> list:
    pairs = zip(states, values, strict=True)
    return [lax.dynamic_update_index_in_dim(a, v, index, 0) for a, v in pairs]


def empty(arrays: list, count: int) -> list:
    return [jnp.zeros((count, *a.shape), a.dtype) for a in arrays]


def keeping_loop(go: Callable, step: Callable, init: list) -> tuple[list, Kept]:
    """The state after a loop, and the states that it kept."""
    count, _ = places_and_levels(init)

    def keep(index, stride, states, values):
        full = index // stride >= count

        def thinned(states):
            half = [a[::2] for a in states]
            return [
                lax.dynamic_update_slice_in_dim(a, h, 0, 0)
                for a, h in zip(states, half, strict=True)
            ]

        states = lax.cond(full, thinned, lambda states: states, states)
        stride = jnp.where(full, stride * 2, stride)
        return stride, lax.cond(
            index % stride == 0,
            lambda: with_row(states, index // stride, values),
            lambda: states,
        )

    def body(carry):
        index, stride, states, values = carry
        stride, states = keep(index, stride, states, values)
        return index + 1, stride, states, step(values)

    start = jnp.int32(0), jnp.int32(1), empty(init, count), list(init)
    length, stride, states, values = lax.while_loop(lambda c: go(c[3]), body, start)
    return values, Kept(states, stride, length)


def advanced(step: Callable, values: list, count) -> list:
    """The state after `count` more iterations."""
    return lax.fori_loop(0, count, lambda _, v: step(v), values)


def reverse(kept: Kept, step: Callable, back: Callable, cts: list) -> list:
    """Apply `back(state, cts)` to the state at the start of every iteration, last first."""
    sample = [a[0] for a in kept.states]
    count, levels = places_and_levels(sample)

    def turn(total, width, states, cts, inner: Callable):
        """Go backwards through the segments that start at `states`."""
        segments = (total + width - 1) // width

        def body(k, cts):
            j = segments - 1 - k
            return inner(rows(states, j), jnp.minimum(width, total - j * width), cts)

        return lax.fori_loop(0, segments, body, cts)

    def segment(values, length, cts, level: int):
        width = jnp.maximum(1, (length + count - 1) // count)
        segments = (length + width - 1) // width

        def fill(j, carry):
            states, values = carry
            states = with_row(states, j, values)
            more = jnp.where(j + 1 < segments, width, 0)
            return states, advanced(step, values, more)

        states, _ = lax.fori_loop(0, segments, fill, (empty(values, count), values))

        def inner(values, length, cts):
            return segment(values, length, cts, level + 1)

        last = level + 1 == levels
        return turn(length, width, states, cts, one_by_one if last else inner)

    def one_by_one(values, length, cts):
        def body(k, cts):
            return back(advanced(step, values, length - 1 - k), cts)

        return lax.fori_loop(0, length, body, cts)

    return turn(kept.length, kept.stride, kept.states, cts, lambda v, n, c: segment(v, n, c, 1))


class Replayed:
    """What a loop of unknown length would have collected; it is made again in the reverse.

    Attributes:
        kept: states.
        step: an iteration, from arrays to arrays.
        make: makes what an iteration collects of its state, and the objects that it carried.
        kinds: of the arrays of the state.
    """

    bound = None

    def __init__(self, kept: Kept, step: Callable, make: Callable, kinds: list[Any], links):
        self.kept, self.step, self.make, self.kinds, self.links = kept, step, make, kinds, links
        self.length = kept.length

    def linked(self, state) -> tuple[Any, list]:
        """What the iteration that started with a state collected."""
        return self.make(*state)
