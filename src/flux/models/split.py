"""A model as a pure function of its parameters and its state."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
from jax.core import Tracer

from flux.ad import nograd
from flux.compiler.containers import ARRAYS
from flux.compiler.jit import Jitted, jit
from flux.compiler.plan import same
from flux.errors import FluxError, user_line
from flux.models.rebuild import Slot, constant_copy, own, rebuild, slot_of
from flux.optim.parameters import parameters
from flux.tree.walk import Place, at_path, children, places, spelled

__all__ = ["Apply", "split"]

MISSING = object()


def split(model) -> tuple[dict[str, Any], dict[str, Any], Apply]:
    """The parameters of `model`, its other arrays, and a pure function of both.

    Args:
        model: any model; it does not change, and later changes of it do not matter.

    Returns:
        `(params, state, apply)`: `params` is what `flux.trainables(model, path=True)` returns,
        `state` has the other arrays by path: running statistics, random state. `apply(params,
        state, *inputs)` returns `(y, state)`, the result of the model and its arrays afterwards.
        It changes nothing and can be given to `jax.jit` and `jax.grad` as well as to Flux's own.

    JAX's gradients see the operations of the model and nothing of Flux: for them, call
    `flux.trainmode(model)` before for training behaviour, and expect neither `flux.stop_gradient`
    nor a `flux.rule` to have an effect. What a model changes in itself has to be an array from the
    start; numbers and parameters that change are refused.

    Raises: `FluxError` from `apply` for other paths than those of `params` and `state`, and for a
        model that changes anything else in itself.

    >>> import flux, numpy as np
    >>> params, state, apply = split(flux.Chain(flux.Dense(2, 1), flux.BatchNorm(1)))
    >>> list(params), list(state)
    (['layers[0].weight', 'layers[0].bias', 'layers[1].scale', 'layers[1].shift'],
     ['layers[1].mean', 'layers[1].var'])
    >>> y, state = apply(params, state, np.ones((3, 2)))
    >>> y.shape
    (3, 1)
    """
    params, rest = trained(model), remembered(model)
    apply = Apply(constant_copy(model), params, rest)
    values = {slot.name: own(at_path(model, slot.paths[0])) for slot in rest}
    return {slot.name: at_path(model, slot.paths[0]) for slot in params}, values, apply


@nograd
def trained(model) -> tuple[Slot, ...]:
    return tuple([slot_of(p.places) for p in parameters(model)])


@nograd
def remembered(model) -> tuple[Slot, ...]:
    """The arrays that are no parameters."""
    known = {id(p.value) for p in parameters(model)}
    by_id: dict[int, list[Place]] = {}
    for place in places([model], is_array):
        if id(place.value) not in known:
            by_id.setdefault(id(place.value), []).append(place._replace(path=place.path[1:]))
    return tuple([slot_of(found) for found in by_id.values()])


def is_array(value) -> bool:
    return isinstance(value, jax.Array | np.ndarray)


class Apply:
    """A pure function that runs a model; made by `flux.split`.

    Attributes:
        model: what is run, with other arrays.
        params, state: where the given arrays stand in it.
    """

    def __init__(self, model, params: tuple[Slot, ...], state: tuple[Slot, ...]):
        self.model, self.params, self.state = model, params, state

    def __call__(self, params: dict[str, Any], state: dict[str, Any], *inputs, **options):
        check_names("params", params, self.params)
        check_names("state", state, self.state)
        given = [params[slot.name] for slot in self.params]
        kept = [own(state[slot.name]) for slot in self.state]
        model = rebuild(self.model, (*self.params, *self.state), (*given, *kept))
        before = record(model)
        y = runner(model, (*given, *kept, *inputs))(*inputs, **options)
        check_changes(before, model, self.state)
        return y, {slot.name: at_path(model, slot.paths[0]) for slot in self.state}

    def __repr__(self):
        return f"Apply({type(self.model).__name__})"


@nograd
def runner(model, values: tuple) -> Any:
    """How to call a model: its control flow is part of the program where values are traced."""
    traced = any(isinstance(value, Tracer) for value in jax.tree.leaves(values))
    return jit(model) if traced else model


@nograd
def check_names(what: str, given: dict[str, Any], slots: tuple[Slot, ...]) -> None:
    differing = sorted(set(given) ^ {slot.name for slot in slots})
    if differing:
        raise FluxError(
            f"{what} expected the {len(slots)} paths that flux.split returned, and got "
            f"{len(given)}; they differ in {', '.join(differing[:4])}.",
            where=user_line(),
        )


@nograd
def record(model) -> dict[tuple, Any]:
    """All that a model holds, by path."""
    return {place.path[1:]: place.value for place in places([model], is_end)}


def is_end(value) -> bool:
    return is_array(value) or isinstance(value, Jitted) or children(value) is None


@nograd
def check_changes(before: dict[tuple, Any], model, state: tuple[Slot, ...]) -> None:
    """Raise if a run changed in the model what is not in its state, and so would be forgotten."""
    after = record(model)
    free = {path for slot in state for path in slot.paths}
    changed = [path for path in free if not isinstance(after.get(path), ARRAYS)]
    for path in [*before, *after]:
        old, new = before.get(path, MISSING), after.get(path, MISSING)
        if path not in free and new is not old and (is_array(old) or not same(new, old)):
            changed.append(path)
    changed += [s.paths[0] for s in state if len({id(after.get(path)) for path in s.paths}) > 1]
    if changed:
        raise FluxError(
            f"the run changed `{spelled(changed[0])}` of the model, which is not in its state.",
            where=user_line(),
            hint="Hold what changes in an array from the start, and name a float array that is no "
            "parameter in the class attribute `nontrainable`.",
        )
