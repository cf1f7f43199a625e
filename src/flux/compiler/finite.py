"""`flux.debug_nans`: stop at the operation that makes the first NaN or infinite number."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from flux.ad.indexed import LAZY, Indexed
from flux.compiler.containers import is_opaque
from flux.compiler.control.calls import is_written
from flux.compiler.control.watch import Site, Watcher, callee_of, watching
from flux.compiler.namespaces import is_users
from flux.errors import NonFiniteValue, user_line
from flux.tree.objects import is_object
from flux.tree.walk import places

__all__ = ["debug_nans"]

HOOK_DEPTH = 3
"""So many calls at most lie between a watcher and the hook that runs it."""


@contextmanager
def debug_nans():
    """Stop at the first NaN or infinite number, in values and in gradients.

    Inside, `flux.jit`, `flux.gradient` and their relatives, `flux.train` and `flux.trainstep` run
    the functions that they are given operation by operation, and look at every result. That is
    slow, and gives the same numbers. Code that none of these runs is not looked at.

    Raises: `NonFiniteValue` naming the operation, whether it was on the way forward or back, the
        layer, and the user's line. What a compiled function would have changed is unchanged.

    An operation counts if it gives a NaN, or infinite numbers though its arguments are finite; an
    infinite number that the program itself writes (`-jnp.inf` in a mask) is none. A function of a
    library is one operation, `flux.vmap` with its function, too.

    >>> import flux, jax.numpy as jnp
    >>> @flux.jit
    ... def entropy(p):
    ...     return -jnp.sum(p * jnp.log(p))
    >>> with flux.debug_nans():
    ...     entropy(jnp.array([0.0, 1.0]))
    Traceback (most recent call last):
    flux.errors.NonFiniteValue: `jnp.log(p)` gave -inf (1 of 2 numbers)...
    """
    with watching(Finite()):
        yield


class Finite(Watcher):
    """Looks for NaN and infinite numbers."""

    def after(self, site, args, y):
        if reason := problem(y, args):
            raise fault(f"`{spelled(site)}` gave {reason}", "argument", site, args)

    def back(self, site, ct, cts):
        if reason := problem(cts, ct):
            what = f"the derivative of `{spelled(site)}` gave {reason}"
            raise fault(what, "gradient that it was given", site, (ct,))

    def end(self, name, outputs):
        if found := state(outputs).nans:
            raise NonFiniteValue(
                f"what {name} returns or changes holds nan ({found} numbers), and no operation of "
                "the functions that it was given made it.",
                where=user_line(),
                hint="Look at what it is called with, and at the optimiser's hyperparameters.",
            )


class State(NamedTuple):
    """What arrays and numbers hold: is there any, and how many of them are NaN or infinite?"""

    arrays: int = 0
    total: int = 0
    nans: int = 0
    infinite: int = 0
    negative: int = 0


def state(value) -> State:
    found = State()
    for array in arrays_in(value):
        infinite = np.isinf(array)
        negative = 0 if np.iscomplexobj(array) else int((infinite & (array < 0)).sum())
        new = (1, array.size, int(np.isnan(array).sum()), int(infinite.sum()), negative)
        found = State(*[a + b for a, b in zip(found, new, strict=True)])
    return found


def arrays_in(value, depth: int = 8) -> Iterator[Any]:
    """The arrays and numbers of floats in tuples, lists and dicts."""
    if isinstance(value, Tracer) or depth == 0:
        return
    if type(value) in (float, complex):
        yield np.asarray(value)
    elif isinstance(value, jax.Array | np.ndarray | np.generic):
        if jnp.issubdtype(value.dtype, jnp.inexact):
            yield np.asarray(value)
    elif isinstance(value, tuple | list):
        for item in value:
            yield from arrays_in(item, depth - 1)
    elif isinstance(value, dict):
        yield from arrays_in(list(value.values()), depth - 1)
    elif isinstance(value, Indexed):
        yield from arrays_in(value.ct, depth - 1)
    elif type(value) in LAZY:
        yield from arrays_in(value.dense(), depth - 1)


def problem(y, args) -> str | None:
    """What is not finite in `y`, in words; infinite numbers count if `args` held none."""
    now = state(y)
    if now.nans:
        return f"nan{share(now.nans, now)}"
    if not now.infinite:
        return None
    before = state(args)
    if not before.arrays or before.infinite or before.nans:
        return None
    word = {0: "inf", now.infinite: "-inf"}.get(now.negative, "inf and -inf")
    return word + share(now.infinite, now)


def share(count: int, of: State) -> str:
    return f" ({count} of {of.total} numbers)" if of.total > 1 else ""


def fault(what: str, given: str, site: Site, args) -> NonFiniteValue:
    layer = layer_of(sys._getframe())
    place = f", in {layer}" if layer else ""
    return NonFiniteValue(f"{what}{place}.", where=site.where(), hint=hint(given, args))


def spelled(site: Site) -> str:
    """The operation as the user wrote it; one that a layer of ours calls by its name."""
    frame: FrameType | None = sys._getframe(1)
    if not is_users(site.filename):
        for _ in range(HOOK_DEPTH):
            frame = frame and frame.f_back
            name = getattr(callee_of(frame) if frame else None, "__name__", None)
            if name:
                return name
    return site.text()


def hint(given: str, args) -> str:
    """What went into the operation."""
    before = state(args)
    if before.nans:
        return f"The {given} held nan already: look at what the function is called with."
    kinds = [kind_of(array) for array in arrays_in(args)]
    if not kinds:
        return "Look at what it is called with."
    plural = "s were" if len(kinds) > 1 else " was"
    return f"The {given}{plural} {', '.join(kinds[:4])}."


def kind_of(array) -> str:
    """An array in words: dtype, shape, and the range of its values."""
    text = f"{array.dtype}[{', '.join(map(str, array.shape))}]"
    if np.iscomplexobj(array) or not array.size:
        return text
    low, high = float(array.min()), float(array.max())
    span = f"of {low:.4g}" if low == high else f"from {low:.4g} to {high:.4g}"
    return f"{text} {span}"


# -- which layer -----------------------------------------------------------------------------------


def layer_of(frame: FrameType | None) -> str:
    """The innermost object whose call is running, by its path in the outermost one."""
    objects: list[Any] = []
    while frame is not None:
        found = callee_of(frame)
        found = getattr(found, "__self__", found)
        if found is None and is_written(frame.f_code.co_filename):
            found = frame.f_locals.get("self")
        if found is not None and is_layer(found) and not any(found is o for o in objects):
            objects.append(found)
        frame = frame.f_back
    if not objects:
        return ""
    inner, outer = objects[0], objects[-1]
    if inner is outer:
        return named(inner)
    paths = [place.name for place in places(outer, lambda part: part is inner)]
    return f"{paths[0]} of {type(outer).__name__}: {named(inner)}" if paths else named(inner)


def is_layer(value) -> bool:
    """Is `value` an object of the user's, or one of our layers?"""
    if not is_object(value) or is_opaque(type(value)):
        return False
    file = getattr(sys.modules.get(type(value).__module__), "__file__", None) or ""
    return is_written(file)


def named(layer) -> str:
    text = repr(layer)
    return type(layer).__name__ if "\n" in text or len(text) > 60 or text[0] == "<" else text
