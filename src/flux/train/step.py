"""One training step: loss, gradient and optimiser update as one compiled program."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from flux.ad import withgradient
from flux.compiler import jit
from flux.optim.optimiser import Optimiser, apply_gradients
from flux.tree.walk import places

__all__ = ["as_batch", "guarded_step", "trainstep"]


def trainstep(loss: Callable, model, batch, opt: Optimiser):
    """One step of training, in place on `model` and `opt`.

    Args:
        loss: `loss(model, *batch)` returns a scalar, or a tuple that starts with it.
        model: what is trained.
        batch: the arguments of the loss after the model: a tuple of them, or the only one.
        opt: from `flux.setup`.

    Returns: what the loss returned, before the step. If it is not finite, no array of `model` and
        `opt` has changed. `flux.train` looks at the gradients too.

    >>> import flux
    >>> import numpy as np
    >>> model = {"w": np.array([3.0])}
    >>> opt = flux.setup(flux.optim.Descent(0.25), model)
    >>> before = trainstep(lambda model, x: ((x * model["w"]) ** 2).sum(), model, np.ones(1), opt)
    >>> print(before, model["w"])
    9.0 [1.5]
    """
    return guarded_step(loss, model, as_batch(batch), opt, RUNNING, False)[0]


def as_batch(batch) -> tuple:
    """The arguments of a loss after the model; arrays of other libraries become NumPy's.

    >>> as_batch([1, 2]), as_batch(3)
    ((1, 2), (3,))
    """
    parts = batch if isinstance(batch, tuple | list) else (batch,)
    return tuple([own(part) for part in parts])


def own(part):
    """An array of another library, or a list, tuple or dict of them, as NumPy's."""
    if type(part) is dict:
        return {key: own(value) for key, value in part.items()}
    if type(part) in (list, tuple):
        return type(part)([own(value) for value in part])
    foreign = hasattr(part, "__array__") and not is_array(part)
    return np.asarray(part) if foreign else part


RUNNING = np.zeros((), bool)


@jit
def guarded_step(
    loss: Callable, model, batch: tuple, opt: Optimiser, halted, gradients: bool
) -> tuple[Any, Any]:
    """A step that changes no array of `model` and `opt` if the loss is not finite, or, where
    `gradients` is true, a gradient.

    Returns: what the loss returned, and whether this step or one before it was refused. A caller
        that passes this on may queue steps and look at their losses later: after a refused step,
        all are.
    """
    before = [(place, place.value) for place in places([model], is_array)]
    state = opt.state
    value, (grads,) = withgradient(lambda model: loss(model, *batch), model)
    apply_gradients(opt, model, grads)
    first = value[0] if isinstance(value, tuple) else value
    halted = halted | ~jnp.isfinite(first)
    for part in jax.tree.leaves(grads) if gradients else ():
        if is_array(part) and jnp.issubdtype(part.dtype, jnp.inexact):
            halted = halted | ~jnp.all(jnp.isfinite(part))

    def chosen(new, old):
        return new if new is old else jnp.where(halted, old, new)

    changed: dict[int, Any] = {}  # an array in two places stays one
    for place, old in before:
        if (new := place.current()) is not old:
            if id(new) not in changed:
                changed[id(new)] = new, chosen(new, old)
            place.put(changed[id(new)][1])
    opt.state = jax.tree.map(chosen, opt.state, state)
    return value, halted


def is_array(value) -> bool:
    return isinstance(value, jax.Array | np.ndarray)
