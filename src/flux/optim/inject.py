"""Hyperparameters as part of an optimiser's state: they may change, and nothing is compiled again.

As `optax.inject_hyperparams`, with three differences. A hyperparameter that follows a schedule can
be set by hand, and stays so. A schedule may be any Python function of the step, with `if` in it.
Moments and hyperparameters of half-precision parameters are float32, in which 0.999 is not 1.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from flux.compiler import jit
from flux.errors import FluxError

__all__ = ["RuleState", "flattened", "injected", "wide"]


class RuleState(NamedTuple):
    """The state of a rule.

    Attributes:
        count: how many steps are done; the step of the schedules.
        hyperparams: the hyperparameters of the last step.
        held: of those that follow a schedule, whether they have been set by hand since.
        inner_state: of the transformation that the rule builds.
    """

    count: Any
    hyperparams: dict[str, Any]
    held: dict[str, Any]
    inner_state: Any


def injected(build: Callable, flat: dict[str, Any]) -> optax.GradientTransformation:
    """The transformation that `build` makes of hyperparameters, which live in its state.

    Args:
        build: from hyperparameters to an optax transformation.
        flat: the hyperparameters as `flattened` names them: numbers, which can be changed;
            callables of the step; anything else, which is fixed.
    """
    numbers = {k: v for k, v in flat.items() if isinstance(v, float)}
    schedules = {k: v for k, v in flat.items() if callable(v)}
    fixed = {k: v for k, v in flat.items() if k not in numbers and k not in schedules}
    staged = {k: jit(schedule) for k, schedule in schedules.items()}

    def made(hyper: dict[str, Any]) -> optax.GradientTransformationExtraArgs:
        ordered = {k: fixed[k] if k in fixed else hyper[k] for k in flat}
        return optax.with_extra_args_support(build(**unflattened(ordered)))

    def init(params):
        first = {k: first_value(k, schedule) for k, schedule in schedules.items()}
        dtype = jnp.result_type(float_of(params), jnp.float32)
        hyper = {k: jnp.asarray(v, dtype) for k, v in {**numbers, **first}.items()}
        held = {k: jnp.zeros((), bool) for k in schedules}
        inner = made(hyper).init(jax.tree.map(wide, params))
        return RuleState(jnp.zeros((), jnp.int32), hyper, held, inner)

    def update(updates, state, params=None, **extra):
        hyper = dict(state.hyperparams)
        for key, schedule in staged.items():
            value = jnp.asarray(schedule(state.count), hyper[key].dtype)
            hyper[key] = jnp.where(state.held[key], hyper[key], value)
        updates, params = jax.tree.map(wide, (updates, params))
        steps, inner = made(hyper).update(updates, state.inner_state, params, **extra)
        return steps, RuleState(optax.safe_increment(state.count), hyper, state.held, inner)

    return optax.GradientTransformationExtraArgs(init, update)


def first_value(name: str, schedule: Callable) -> float:
    """The value of a schedule at step 0.

    Raises: `FluxError` if it is not a number.
    """
    value = schedule(0)
    try:
        return float(value)
    except (TypeError, ValueError):
        raise FluxError(
            f"the schedule of `{name}` expected a number at step 0, and gave {value!r}.",
            hint="A schedule is a function of the step's number: flux.schedules.cosine(0.1, 1000).",
        ) from None


def float_of(params):
    """The dtype of real numbers that holds those of all parameters."""
    return jnp.finfo(jnp.result_type(*jax.tree.leaves(params))).dtype


def wide(x):
    """A half-precision array as float32; others as they are."""
    return x.astype(jnp.promote_types(x.dtype, jnp.float32))


def flattened(hyper: dict[str, Any]) -> dict[str, Any]:
    """Numbers as floats, and pairs by their parts: `beta=(0.9, 0.999)` as `beta_0`, `beta_1`."""
    flat: dict[str, Any] = {}
    for key, value in hyper.items():
        if isinstance(value, tuple):
            flat.update({f"{key}_{i}": number(part) for i, part in enumerate(value)})
        else:
            flat[key] = number(value)
    return flat


def number(value):
    """An int as the float that it means."""
    return float(value) if type(value) is int else value


def unflattened(flat: dict[str, Any]) -> dict[str, Any]:
    hyper: dict[str, Any] = {}
    for key, value in flat.items():
        stem, _, index = key.rpartition("_")
        if stem and index.isdigit():
            hyper[stem] = (*hyper.get(stem, ()), value)
        else:
            hyper[key] = value
    return hyper
