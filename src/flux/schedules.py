"""Learning rates that follow the step: functions of its number, counted from 0.

A schedule stands where a rule of `flux.optim` takes a number. Any function of the step will do,
with `if` in it where that says it best; those of this file also take a traced integer of JAX and an
array of steps, and print and compare as what they were made of.

>>> rate = warmup(cosine(0.1, 100), 10)
>>> [round(rate(step), 4) for step in (0, 5, 10, 60, 110)]
[0.0, 0.05, 0.1, 0.05, 0.0]
>>> rate(np.array([0, 5, 10])).tolist()
[0.0, 0.05, 0.1]
"""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable, Sequence
from typing import Any, ParamSpec

import numpy as np

from flux.compiler import jit
from flux.errors import ArgumentError, brief, suggests_names, user_line
from flux.functional.arrays import namespace

__all__ = [
    "Schedule", "constant", "cosine", "exponential", "one_cycle", "polynomial", "sequence", "step",
    "warmup",
]  # fmt: skip
suggests_names(__name__)

P = ParamSpec("P")


class Schedule:
    """A number that depends on the step.

    Attributes:
        name, given: how it prints, and what makes it equal to another.
        formula: `formula(xp, n)` is its value at step `n`, computed with the array library `xp`.

    >>> constant(0.1)(7)
    0.1
    """

    __constant__ = True

    def __init__(self, name: str, given: dict[str, Any], formula: Callable[[Any, Any], Any]):
        self.name, self.given, self.formula = name, given, formula

    def __call__(self, n):
        """Its value at step `n`, of 0, 1, 2 …: a float for an int, an array for an array.

        Dtypes: integers in; float64 with NumPy, float32 with JAX.
        """
        xp = namespace(n)
        if xp is not np:
            return self.formula(xp, n)
        value = self.formula(np, np.asarray(n))
        return float(value) if np.ndim(n) == 0 else np.broadcast_to(value, np.shape(n))

    def __repr__(self):
        given = self.given.items()
        shown = [*map(repr, self.given.get("pairs", ()))] or [f"{k}={v!r}" for k, v in given]
        return f"{self.name}({', '.join(shown)})"

    def __eq__(self, other):
        same = isinstance(other, Schedule) and self.name == other.name
        return same and self.given == other.given

    def __hash__(self):
        return hash((self.name, tuple(self.given)))


def schedule(build: Callable[P, Callable[[Any, Any], Any]]) -> Callable[P, Schedule]:
    """Make a schedule of a function from its numbers to its formula."""
    signature = inspect.signature(build)

    @functools.wraps(build)
    def make(*args: P.args, **keywords: P.kwargs) -> Schedule:
        bound = signature.bind(*args, **keywords)
        for key, value in bound.arguments.items():
            if isinstance(value, str):
                raise ArgumentError(
                    f"{build.__name__} expected a number as {key}, and got {brief(value)}.",
                    where=user_line(),
                )
        formula = build(*args, **keywords)
        bound.apply_defaults()
        return Schedule(build.__name__, dict(bound.arguments), formula)

    return make


def positive(name: str, **counts: float) -> None:
    """Refuse a number of steps that is not one."""
    for key, value in counts.items():
        if isinstance(value, str) or not value > 0:
            raise ArgumentError(
                f"{name}: {key} must be greater than 0, got {brief(value)}.", where=user_line()
            )


def at(part, n):
    """The value of a schedule at step `n`, or of a number, which stays what it is."""
    if not callable(part):
        return part
    own = isinstance(part, Schedule) or namespace(n) is np
    return part(n) if own else jit(part)(n)  # which knows what `if n < 100` is to be


@schedule
def constant(value: float):
    """The same at every step.

    >>> constant(0.1)(1000)
    0.1
    """
    return lambda xp, n: value + 0.0 * n


@schedule
def step(start: float, every: int | Sequence[int], factor: float = 0.1):
    """Multiply by `factor` every so many steps: `start * factor ** (n // every)`.

    Args:
        start: the value at step 0.
        every: how many steps apart; or the steps themselves, in a tuple, at which it changes.
        factor: by what it is multiplied.

    Raises: `ValueError` if `every` is not positive.

    >>> rate = step(1.0, (10, 15), factor=0.5)
    >>> rate(9), rate(10), rate(15), step(1.0, 4, 0.5)(8)
    (1.0, 0.5, 0.25, 0.25)
    """
    if isinstance(every, int):
        positive("step", every=every)
        apart: int = every
        return lambda xp, n: start * float(factor) ** (n // apart)
    edges = tuple(every)

    def formula(xp, n):
        value = start + 0.0 * n
        for edge in edges:
            value = xp.where(n >= edge, factor * value, value)
        return value

    return formula


@schedule
def exponential(start: float, factor: float, every: float = 1):
    """Decay smoothly: `start * factor ** (n / every)`.

    Args:
        start: the value at step 0.
        factor: by what it is multiplied in `every` steps.
        every: how many steps that takes.

    >>> rate = exponential(1.0, 0.5, every=10)
    >>> rate(10), rate(20)
    (0.5, 0.25)
    """
    positive("exponential", every=every)
    return lambda xp, n: start * float(factor) ** (n / every)


@schedule
def polynomial(start: float, steps: int, stop: float = 0.0, power: float = 1.0):
    """Go from `start` to `stop` in so many steps, and stay there; linear if `power` is 1.

    The value is `stop + (start - stop) * (1 - n / steps) ** power`.

    >>> rate = polynomial(1.0, 10, power=2.0)
    >>> rate(0), rate(5), rate(10), rate(11)
    (1.0, 0.25, 0.0, 0.0)
    """
    positive("polynomial", steps=steps)
    return lambda xp, n: stop + (start - stop) * (1 - xp.minimum(n / steps, 1.0)) ** power


@schedule
def cosine(start: float, steps: int, stop: float = 0.0):
    """Go from `start` to `stop` along half a wave in so many steps, and stay there.

    The value is `stop + (start - stop) * (1 + cos(π n / steps)) / 2`.

    Source: Loshchilov and Hutter (2017), SGDR, equation 5, without restarts.

    >>> rate = cosine(1.0, 10, stop=0.5)
    >>> rate(0), rate(5), rate(10), rate(11)
    (1.0, 0.75, 0.5, 0.5)
    """
    positive("cosine", steps=steps)
    return lambda xp, n: half_wave(xp, start, stop, n / steps)


def half_wave(xp, start, stop, share):
    """From `start` to `stop` along a cosine, while `share` goes from 0 to 1."""
    wave = xp.cos(math.pi * xp.clip(share, 0.0, 1.0))
    return start * (1 + wave) / 2 + stop * (1 - wave) / 2


@schedule
def one_cycle(
    peak: float,
    steps: int,
    rise: float = 0.3,
    start: float | None = None,
    stop: float | None = None,
):
    """Rise to `peak` and fall far below the start, in so many steps, both along half a wave.

    Args:
        peak: the highest value.
        steps: how long rise and fall take together.
        rise: the share of the steps in which it rises.
        start: the value at step 0; a 25th of the peak if not given.
        stop: the value at the last step, and after; a 10,000th of the start if not given.

    Raises: `ValueError` if `rise` is not between 0 and 1.
    Source: Smith and Topin (2019), Super-Convergence, with the cosine of fast.ai.

    >>> rate = one_cycle(1.0, 100)
    >>> rate(0), rate(30), round(rate(65), 6), rate(100)
    (0.04, 1.0, 0.500002, 4e-06)
    """
    positive("one_cycle", steps=steps)
    if not 0 < rise < 1:
        raise ValueError(f"one_cycle: rise must be between 0 and 1, got {rise}.")
    first = peak / 25 if start is None else start
    last = first / 1e4 if stop is None else stop
    top = rise * steps

    def formula(xp, n):
        falling = half_wave(xp, peak, last, (n - top) / (steps - top))
        return xp.where(n < top, half_wave(xp, first, peak, n / top), falling)

    return formula


@schedule
def warmup(rate: Callable | float, steps: int, start: float = 0.0):
    """Rise from `start` in a straight line to where `rate` begins; then follow `rate`.

    Args:
        rate: a schedule, whose own steps are counted from the end of the rise, or a number.
        steps: how long the rise takes.
        start: the value at step 0.

    >>> rate = warmup(polynomial(1.0, 10), 4)
    >>> [rate(n) for n in (0, 2, 4, 9, 14)]
    [0.0, 0.5, 1.0, 0.5, 0.0]
    """
    positive("warmup", steps=steps)

    def formula(xp, n):
        after = at(rate, xp.maximum(n - steps, 0))
        return xp.where(n < steps, start + (at(rate, 0) - start) * n / steps, after)

    return formula


def sequence(*pairs: Any) -> Schedule:
    """One schedule after the other.

    Args:
        pairs: `(schedule, steps)`, each schedule counting its own steps from 0; a number may stand
            for a schedule that is constant. The last one goes on, and needs no number of steps.

    Raises: `TypeError` for a part that is no such pair.

    >>> rate = sequence((0.1, 100), (cosine(0.1, 50), 50), constant(0.001))
    >>> rate
    sequence((0.1, 100), (cosine(start=0.1, steps=50, stop=0.0), 50), constant(value=0.001))
    >>> rate(99), round(rate(125), 6), rate(150)
    (0.1, 0.05, 0.001)
    """
    last = pairs[-1] if pairs else None
    whole = [*pairs[:-1], last if isinstance(last, tuple) else (last, math.inf)]
    for pair in whole:
        if not (isinstance(pair, tuple) and len(pair) == 2 and rate_like(pair[0])):
            raise TypeError(f"sequence expected pairs (schedule, steps), and got {pair!r}.")
        positive("sequence", steps=pair[1])
    starts = [sum([steps for _, steps in whole[:i]]) for i in range(len(whole))]

    def formula(xp, n):
        value = at(whole[0][0], n) + 0.0 * n
        for (part, _), begin in zip(whole[1:], starts[1:], strict=True):
            value = xp.where(n < begin, value, at(part, xp.maximum(n - begin, 0)))
        return value

    return Schedule("sequence", {"pairs": pairs}, formula)


def rate_like(value) -> bool:
    return callable(value) or isinstance(value, int | float)
