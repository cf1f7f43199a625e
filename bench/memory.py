"""What memory does a pullback take, and does everything go again?

Loops of many steps on floats and on small arrays: the bytes at the peak for each step, next to HIPS
autograd's, and what is left when the pullback is dropped. Then many closures of one function: each
is a new object with the same code, which is to be transformed once.

What is left is what a second use adds to the first, because CPython keeps some freed objects.

Bounds: 1 % of the peak is left, without the garbage collector; a new closure costs at most 1.5
times an old one; no closure outlives its last use, and less than a byte of it is left.
"""

from __future__ import annotations

import gc
import math
import tracemalloc
import weakref
from functools import partial

import autograd
import autograd.numpy
import numpy as np
from measure import Row, alternate, compared, script

import flux

A, B = 0.9, 0.3


def floats(x, n):
    for _ in range(n):
        x = x * 0.9 + math.sin(x) * 0.3
    return x


def floats_and_globals(x, n):
    for _ in range(n):
        x = x * A + math.sin(x) * B
    return x


def arrays(x, n):
    for _ in range(n):
        x = x * A + np.sin(x) * B
    return np.sum(x)


LOOPS = (
    ("floats", floats, 0.5),
    ("floats and globals", floats_and_globals, 0.5),
    ("arrays of 10", arrays, np.linspace(0.1, 1, 10)),
)


def autograd_loop(x, n):
    for _ in range(n):
        x = x * A + autograd.numpy.sin(x) * B
    return autograd.numpy.sum(x)


def peak_and_left(pullback, *args) -> tuple[float, float]:
    """Bytes at the peak of forward and backward, and left by a second use."""
    pullback(*args)[1](1.0)  # once before: code and caches stay
    gc.collect()
    gc.disable()
    tracemalloc.start()
    try:
        peak, first = used(pullback, *args)
        return peak, max(used(pullback, *args)[1] - first, 0)
    finally:
        tracemalloc.stop()
        gc.enable()


def used(pullback, *args) -> tuple[float, float]:
    """Bytes at the peak of one use, and in use after it."""
    pullback(*args)[1](1.0)
    after, peak = tracemalloc.get_traced_memory()
    return peak, after


def autograd_pullback(x, n):
    back, y = autograd.make_vjp(autograd_loop)(x, n)
    return y, back


def loops(quick: bool):
    """Rows of the loops."""
    n = 10_000 if quick else 100_000
    for what, f, x in LOOPS:
        peak, left = peak_and_left(partial(flux.pullback, f), x, n)
        fewer = n // 10  # as many take autograd too long
        theirs = peak_and_left(autograd_pullback, x, fewer)[0] / fewer
        note = f"{n:,} steps; autograd {fewer:,}"
        yield Row(f"peak for a step on {what}", peak / n, "autograd", theirs, unit="B", note=note)
        yield Row(f"left of all {what}", left, "peak", peak, bound=0.01, unit="B")


def scaled_by(k):
    def scaled(x):
        return x * k + math.sin(x)

    return scaled


def closures(quick: bool):
    """Rows of many closures of one function."""
    count = 1_000 if quick else 10_000
    numbers, one = iter(range(10**9)), scaled_by(1.0)
    works = {
        "new closure": lambda: flux.gradient(scaled_by(float(next(numbers))), 2.0),
        "the same one": lambda: flux.gradient(one, 2.0),
    }
    times = alternate(works, 10 if quick else 40)
    yield compared("gradient of a new closure", times, "new closure", "the same one", bound=1.5)
    _alive_and_left(count)  # once before: code and caches stay
    gc.collect()
    gc.disable()
    tracemalloc.start()
    alive, before = _alive_and_left(count // 2)
    later, after = _alive_and_left(count // 2)
    tracemalloc.stop()
    gc.enable()
    note = f"of {count:,}, without the garbage collector"
    yield Row("closures still alive", alive + later, bound=0, unit="", note=note)
    left = max(after - before, 0) / (count // 2)
    yield Row("left of a closure", left, bound=1.0, unit="B")


def _alive_and_left(count: int) -> tuple[int, int]:
    """How many of new closures are alive after their gradients, and all bytes in use then."""
    seen = []
    for k in range(count):
        f = scaled_by(float(k))
        flux.gradient(f, 2.0)
        seen.append(weakref.ref(f))
    del f
    alive = sum(ref() is not None for ref in seen)
    del seen
    return alive, tracemalloc.get_traced_memory()[0]


def main(quick: bool = False) -> list[Row]:
    return [*loops(quick), *closures(quick)]


if __name__ == "__main__":
    script(main, __doc__)
