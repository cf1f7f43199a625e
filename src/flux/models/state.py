"""What a model remembers, as a nested dict, and back into a model."""

from __future__ import annotations

from collections.abc import Iterator
from os import PathLike
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from flux.errors import FluxError, ShapeError, user_line
from flux.io.convert import from_host, is_key, to_host
from flux.io.structure import is_array, is_number, is_settable, replace_arrays
from flux.models.rebuild import own
from flux.tree.walk import Place, places, spelled

__all__ = ["load", "state"]

MISSING = object()


def state(model) -> dict[Any, Any]:
    """The arrays and numbers of `model` in a nested dict: parameters, statistics, counters.

    The keys are names of attributes, of captured variables and of dicts, and indices of lists and
    tuples; what holds no array or number has no entry. An array that stands in two places has two
    entries; an object that does has one, under the first. Numbers in tuples are part of how a model
    is built, and are left out.

    The dict does not change when the model does.

    >>> import numpy as np
    >>> state({"layers": [abs, {"w": np.ones(2), "steps": 3}]})
    {'layers': {1: {'w': array([1., 1.]), 'steps': 3}}}
    """
    found: dict[Any, Any] = {}
    copies: dict[int, Any] = {}
    for place in entries(model):
        inner = found
        for key in place.path[:-1]:
            inner = inner.setdefault(key, {})
        inner[place.path[-1]] = copies.setdefault(id(place.value), own(place.value))
    return found


def entries(model) -> Iterator[Place]:
    """The places of arrays and of numbers that can be set; paths start inside the model."""
    for place in places([model], lambda value: is_array(value) or is_number(value)):
        if len(place.path) > 1 and (is_array(place.value) or is_settable(place)):
            yield place._replace(path=place.path[1:])


def load(model, state: dict[Any, Any]) -> None:
    """Fill `model`, in place, with what `flux.state` returned for a model of the same structure.

    Arrays take the library, dtype and device of those that they replace, and arrays that the model
    shares stay shared. If anything does not fit, nothing is changed.

    Args:
        model: what is filled.
        state: nested dicts as of `flux.state`; arrays may be of NumPy or JAX.

    Raises: `ShapeError` naming the path and both shapes; `FluxError` for a path that only one of
        the two has, or for another kind of number.

    >>> import numpy as np
    >>> model = {"w": np.zeros(2)}
    >>> load(model, {"w": np.array([1, 2])})
    >>> model
    {'w': array([1., 2.])}
    >>> load(model, {"w": np.zeros(3)})
    Traceback (most recent call last):
    flux.errors.ShapeError: the state does not fit this model; nothing was changed.
      ...
      - w has the shape (3,) in the state and (2,) here
    """
    here = list(entries(model))
    check(model, here, state)
    given = {place.path: at(state, place.path) for place in here}
    arrays = [place for place in here if is_array(place.value)]
    new = {id(place.value): as_like(given[place.path], place.value) for place in arrays}
    replace_arrays(model, new)
    for place in here:
        if not is_array(place.value):
            value = given[place.path]
            place.put(value if is_number(value) or isinstance(value, Tracer) else value.item())


def at(state, path: tuple) -> Any:
    """What a state has at a path, or `MISSING`."""
    for key in path:
        if not isinstance(state, dict) or key not in state:
            return MISSING
        state = state[key]
    return state


def leaves(state, path: tuple = ()) -> Iterator[tuple]:
    """The paths of everything in a state that is no dict."""
    for key, part in state.items():
        if isinstance(part, dict):
            yield from leaves(part, (*path, key))
        else:
            yield (*path, key)


def check(model, here: list[Place], state) -> None:
    """Raise unless the state fits the model."""
    if not isinstance(state, dict) or in_tuples(model):
        what = "a model that is no tuple" if isinstance(state, dict) else "a nested dict as state"
        path = isinstance(state, str | PathLike)
        raise FluxError(
            f"load expected {what}: it fills a model in place.",
            where=user_line(),
            hint="A file is read by flux.restore(path, model)." if path else None,
        )
    pairs = [(place, at(state, place.path)) for place in here]
    misfits = [line for place, new in pairs if (line := misfit(place, new))]
    known = {place.path for place in here}
    extra = [spelled(path) for path in leaves(state) if path not in known]
    misfits += [f"{name} is in the state and not in this model" for name in extra]
    misfits += untied(pairs)
    if misfits:
        shapes = [new is MISSING or np.shape(new) == np.shape(p.value) for p, new in pairs]
        kind = FluxError if all(shapes) else ShapeError
        more = [f"and {len(misfits) - 5} more"] if len(misfits) > 5 else []
        raise kind(
            "the state does not fit this model; nothing was changed.",
            where=user_line(),
            hint="\n".join([f"- {line}" for line in [*misfits[:5], *more]]),
        )


def in_tuples(model) -> bool:
    """Is there an array in a tuple that nothing holds that could change?"""
    return isinstance(model, tuple) and any(is_array(p) or in_tuples(p) for p in model)


def misfit(place: Place, new) -> str | None:
    """Why a value of a state cannot take its place in the model."""
    name, old = place.name, place.value
    if new is MISSING:
        return f"{name} is in this model and not in the state"
    if not (is_array(new) or is_number(new)):
        return f"{name} is a {type(new).__name__} in the state: it must be an array or a number"
    if np.shape(new) != np.shape(old):
        return f"{name} has the shape {np.shape(new)} in the state and {np.shape(old)} here"
    if is_array(new) and is_array(old) and not can_become(new.dtype, old.dtype):
        return f"{name} is {new.dtype} in the state and {old.dtype} here"
    return None


KINDS = (np.bool_, np.integer, np.floating, np.complexfloating)


def can_become(dtype, other) -> bool:
    """Can numbers of one dtype be those of another, but for their precision?"""
    ranks = [[i for i, kind in enumerate(KINDS) if jnp.issubdtype(d, kind)] for d in (dtype, other)]
    return dtype == other or (bool(ranks[0]) and ranks[0] <= ranks[1])


def untied(pairs: list[tuple[Place, Any]]) -> Iterator[str]:
    """Arrays that are one here and, in the state, several with different numbers."""
    first: dict[int, tuple[Place, Any]] = {}
    for place, new in pairs:
        if is_array(place.value):
            known, value = first.setdefault(id(place.value), (place, new))
            if not equal(new, value):
                yield f"{place.name} and {known.name} are one array here and two in the state"


def equal(a, b) -> bool:
    if a is b or not (is_array(a) and is_array(b)) or a.shape != b.shape:
        return True  # what does not fit is told elsewhere
    if isinstance(a, Tracer) or isinstance(b, Tracer):
        return False
    return to_host(a).tobytes() == to_host(b).tobytes()


def as_like(new, old) -> Any:
    """The numbers of an array in the library and dtype, and on the device, of another."""
    if isinstance(new, Tracer):
        return new if is_key(old) else new.astype(old.dtype)
    if is_key(old):
        return from_host(to_host(new), old)
    return from_host(to_host(np.array(new).astype(old.dtype)), old)
