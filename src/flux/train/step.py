"""One training step: loss, gradient and optimiser update as one compiled program."""

from __future__ import annotations

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp

from flux.ad import withgradient
from flux.compiler import jit
from flux.optim.optimiser import Optimiser, apply_gradients
from flux.tree.walk import places

__all__ = ["compiled_step", "trainstep"]


def trainstep(loss: Callable, model, batch, opt: Optimiser):
    """One step of training, in place on `model` and `opt`.

    Args:
        loss: `loss(model, *batch)` returns a scalar, or a tuple that starts with it.
        model: what is trained.
        batch: the arguments of the loss after the model; a tuple, or one array.
        opt: from `flux.setup`.

    Returns: what the loss returned, before the step. If it is not finite, nothing has changed.
    """
    batch = tuple(batch) if isinstance(batch, tuple | list) else (batch,)
    value = compiled_step(loss)(model, batch, opt)
    opt.halted = jnp.zeros((), bool)
    return value


@functools.lru_cache(maxsize=64)
def compiled_step(loss: Callable) -> Callable:
    """The compiled step for a loss; `opt.halted` tells afterwards whether it was refused."""

    def step(model, batch, opt):
        before = [(place, place.value) for place in places([model], is_array)]
        state = opt.state
        value, (grads,) = withgradient(lambda m: loss(m, *batch), model)
        apply_gradients(opt, model, grads)
        first = value[0] if isinstance(value, tuple) else value
        good = jnp.logical_and(jnp.isfinite(first), jnp.logical_not(opt.halted))
        for place, old in before:
            new = current(place)
            if new is not old:
                place.put(jnp.where(good, new, old))
        opt.state = jax.tree.map(lambda new, old: jnp.where(good, new, old), opt.state, state)
        opt.halted = jnp.logical_not(good)
        return value

    return jit(step)


def is_array(value) -> bool:
    return hasattr(value, "dtype") and hasattr(value, "shape")


def current(place):
    """What stands at a place now."""
    if isinstance(place.owner, list | dict | tuple):
        return place.owner[place.key]
    return getattr(place.owner, place.key)
