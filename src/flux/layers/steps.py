"""Run a recurrent cell over time, and look at what it is run on. Used by `recurrent`.

Here time is the first axis, so that loops go over it. What a cell needs of the input alone is
computed for all times at once, before the loop.
"""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np

from flux.ad import nograd
from flux.errors import ShapeError, user_line
from flux.functional import mask_out
from flux.functional.arrays import is_traced, kind_of, namespace, numbers_of, reshape, shape_of
from flux.layers.cells import Cell, initialstates
from flux.layers.check import refuse
from flux.layers.show import label

__all__ = ["beside", "check_sequence", "counts", "run", "swap", "time_first"]


def run(cell, xs, state, live=None):
    """Run a cell over the first axis of `xs`; the outputs along that axis, and the last state."""
    ys, first = [], 0
    if isinstance(cell, Cell):
        xs = cell.project(xs)
        state = cell.start(state, xs.shape[1:-1])
        step = cell.step
    else:  # the form of its state may be known after a step only
        step = cell
        if state is None and hasattr(cell, "initialstates"):
            state = initialstates(cell, xs.shape[1])
        y, state = advance(step, xs[0, ...], state, live, 0)
        ys.append(y)
        xs, first = xs[1:, ...], 1
    xp = namespace(xs)
    steps = xs if xp is np or xp is jnp else xp.unstack(xs)
    for t, x in enumerate(steps, first):
        y, state = advance(step, x, state, live, t)
        ys.append(y)
    return namespace(*ys).stack(ys), state


def advance(step, x, state, live, t):
    """One step; an example whose length is reached puts out zeros and keeps its state."""
    y, after = step(x, state)
    if live is None:
        return y, after
    now = live[t, ...]
    return mask_out(y, beside(now, y)), choose(now, after, state)


def choose(live, after, before):
    """The state after a step where it counts, elsewhere that before; `None` stands for zeros."""
    if isinstance(after, tuple):
        before = (None,) * len(after) if before is None else before
        parts = [choose(live, a, b) for a, b in zip(after, before, strict=True)]
        return type(after)(*parts) if hasattr(after, "_fields") else tuple(parts)
    if not hasattr(after, "shape"):
        raise TypeError(
            f"a cell's state is {after!r}: with lengths it must be an array or a tuple of arrays."
        )
    before = 0 if before is None else before
    return namespace(after, before).where(beside(live, after), after, before)


@nograd
def beside(flags, x):
    """`flags`, which are along the first axes of `x`, with as many axes as `x`."""
    return reshape(flags, (*flags.shape, *[1] * (len(x.shape) - len(flags.shape))))


# -- what is put in --------------------------------------------------------------------------------


@nograd
def check_sequence(layer, x):
    """Raise `ShapeError` unless `x` has examples, steps of time, and features."""
    shape = shape_of(x)
    if len(shape) < 3:
        hint = "Add an axis of examples to a single one: x[None]." if len(shape) == 2 else None
        refuse(layer, shape, "it must have 3 axes, (B, T, F)", hint)
    if shape[1] == 0:
        refuse(layer, shape, "it must have a step in time at least")


@nograd
def counts(layer, x, lengths):
    """Which steps count, ``(T, B)``, or `None` if all do."""
    if lengths is None:
        return None
    batch, steps = shape_of(x)[:2]
    xp = namespace(x, lengths)
    lengths = xp.asarray(lengths)
    if kind_of(lengths) not in "iu" or tuple(lengths.shape) != (batch,):
        what = f"lengths of dtype {lengths.dtype} and"
        refuse(layer, lengths, f"they must be integers, ({batch},)", what=what)
    if not is_traced(lengths) and batch:
        values = numbers_of(lengths)
        least, most = int(values.min()), int(values.max())
        if least < 0 or most > steps:
            raise ShapeError(
                f"{label(layer)} got lengths from {least} to {most}: they must be from 0 to "
                f"{steps}, the number of steps.",
                where=user_line(),
            )
    return xp.arange(steps)[:, None] < lengths


def time_first(x, live):
    """The input by time, with zeros where it does not count: nothing that stands there matters."""
    xs = swap(x)
    return xs if live is None else mask_out(xs, beside(live, xs))


def swap(x):
    """Exchange the axes of examples and time."""
    return namespace(x).swapaxes(x, 0, 1)
