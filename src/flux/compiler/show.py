"""`flux.show`: print values while a program runs, compiled or not."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.core import Tracer

from flux.ad.registry import augments
from flux.compiler.containers import DictOf, ListOf, ObjectOf, TupleOf, container_of
from flux.compiler.control.checks import is_collecting
from flux.compiler.control.options import current

__all__ = ["show"]


def show(*values, label: str | None = None) -> Any:
    """Print values when this line runs, in compiled functions too.

    Args:
        values: anything; arrays inside of tuples, lists, dicts and objects are shown as they are
            at that moment.
        label: what to write before them.

    Returns: the value, or a tuple of several, so that `show` can stand around an expression. The
        derivative passes through as if it were not there; the way back prints nothing.

    In a compiled function the line is printed whenever the program comes there: once an iteration
    of a loop, only on the side of a branch that runs, once an example under `flux.vmap`. Lines come
    in their order, and before the call returns; under `flux.vmap`, in transformations of JAX and on
    several devices they may come in any order.

    >>> import flux, jax.numpy as jnp
    >>> def halve(x):
    ...     while x > 1:
    ...         x = flux.show(x / 2, label="x is")
    ...     return x
    >>> y = flux.jit(halve)(jnp.array(3.0))
    x is 1.5
    x is 0.75
    """
    arrays: list = []
    texts = replaced(values, Tracer, lambda array: placed(array, arrays), {})
    if arrays or is_collecting():
        options = current()
        options.prints = True
        alone = jax.device_count() == 1 and "BatchTracer" not in [type(a).__name__ for a in arrays]
        call = functools.partial(write, texts, label)
        jax.debug.callback(call, *arrays, ordered=options.ordered and alone)
    else:
        write(values, label)
    return values[0] if len(values) == 1 else values


@augments(show)
def shown(*values, **keywords):
    def back(ct, store):
        if len(values) == 1:
            cts: tuple = (ct,)
        else:
            cts = tuple([None for _ in values]) if ct is None else tuple(ct)
        return (*cts, *[None for _ in keywords])

    return show(*values, **keywords), back


class Place:
    """Stands where a traced array was."""

    def __init__(self, index: int):
        self.index = index


def placed(array, arrays: list) -> Place:
    arrays.append(array)
    return Place(len(arrays) - 1)


def write(values: tuple, label: str | None, *arrays) -> None:
    """Print values with arrays in their places."""
    rows = [np.asarray(array) for array in arrays]
    values = replaced(values, Place, lambda place: rows[place.index], {})
    print(*(() if label is None else (label,)), *values)


def replaced(value, kind: type, new: Callable, memo: dict[int, Any]) -> Any:
    """A copy of `value` with `new(part)` for every part of a kind."""
    if isinstance(value, kind):
        return new(value)
    if id(value) in memo:
        return memo[id(value)]
    shape = container_of(value)
    if not isinstance(shape, TupleOf | ListOf | DictOf | ObjectOf):
        return value
    parts = [part for _, part, _ in shape.parts(value)]
    if not shape.mutable:
        return shape.build([replaced(part, kind, new, memo) for part in parts])
    memo[id(value)] = copy = shape.empty()
    shape.fill(copy, [replaced(part, kind, new, memo) for part in parts])
    return copy
