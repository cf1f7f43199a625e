"""The state of an optimiser for one model, and one step of it."""

from __future__ import annotations

import weakref
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from flux.compiler import jit
from flux.errors import FluxError
from flux.optim.rules import as_transform
from flux.tree.walk import Place, at_path, places

__all__ = ["Optimiser", "adjust", "apply_gradients", "freeze", "setup", "thaw", "trainables", "update"]


class Optimiser:
    """A rule with its state for one model; made by `flux.setup`.

    Attributes:
        rule: what it does.
        state: of the optax transformation, over the list of trainable arrays.
        names: the paths of these arrays in the model.
        frozen: those of `names` that are not updated.
        halted: an array: training met a non-finite loss, and nothing is updated.
    """

    def __init__(self, rule, state, names: tuple[str, ...], model):
        self.rule, self.state, self.names = rule, state, names
        self.frozen: tuple[str, ...] = ()
        self.halted = jnp.zeros((), bool)
        self.model = _weak(model)

    def __repr__(self):
        frozen = f", {len(self.frozen)} frozen" if self.frozen else ""
        return f"Optimiser({self.rule!r}, {len(self.names)} arrays{frozen})"


def _weak(model):
    try:
        return weakref.ref(model)
    except TypeError:
        return None


def is_parameter(value) -> bool:
    return isinstance(value, jax.Array | np.ndarray) and jnp.issubdtype(value.dtype, jnp.inexact)


def parameters(model) -> list[Place]:
    """The trainable arrays of a model; an array that occurs twice counts once."""
    seen: set[int] = set()
    found = []
    for place in places([model], is_parameter):
        if place.trainable and id(place.value) not in seen:
            seen.add(id(place.value))
            found.append(place._replace(path=place.path[1:]))
    return found


def trainables(model, path: bool = False) -> list | dict:
    """The trainable arrays of `model`: a list, or a dict by path.

    >>> trainables({"w": np.zeros(2), "n": 3}, path=True)
    {'w': array([0., 0.])}
    """
    found = parameters(model)
    return {p.name: p.value for p in found} if path else [p.value for p in found]


def setup(rule, model) -> Optimiser:
    """The optimiser state of `rule` (a rule of `flux.optim`, or an optax transformation) for `model`.

    Raises: `FluxError` if the model has nothing to train.
    """
    found = parameters(model)
    if not found:
        raise FluxError(
            f"setup expected a model with trainable arrays, and {type(model).__name__} has none.",
            hint="Parameters are float arrays held in attributes, lists or dicts of the model.",
        )
    arrays = [jnp.asarray(p.value) for p in found]
    state = as_transform(rule).init(arrays)
    # Every array of the state is its own: what starts equal must not be taken for shared.
    state = jax.tree.map(lambda x: jnp.array(x, copy=True), state)
    return Optimiser(rule, state, tuple(p.name for p in found), model)


def apply_gradients(opt: Optimiser, model, grads) -> None:
    """One step, as plain Python: what `update` compiles."""
    found = parameters(model)
    names = tuple(p.name for p in found)
    if names != opt.names:
        missing = set(opt.names) ^ set(names)
        raise FluxError(
            "the optimiser was set up for another model: expected the trainable arrays "
            f"{', '.join(opt.names[:6])}; they differ in {', '.join(sorted(missing)[:4])}.",
            hint="Call flux.setup(rule, model) for this model.",
        )
    gradients = [shared_gradient(grads, model, p) for p in found]
    values = [jnp.asarray(p.value) for p in found]
    steps, opt.state = as_transform(opt.rule).update(gradients, opt.state, values)
    for place, value, step in zip(found, values, steps, strict=True):
        if place.name not in opt.frozen:
            new = optax.apply_updates(value, step)
            replace(model, place.value, new)


def shared_gradient(grads, model, place: Place):
    """The gradient of a parameter: the sum over all places where the array occurs."""
    total = None
    for other in places([model], lambda v: v is place.value):
        part = at_path(grads, other.path[1:])
        if part is not None:
            if part.shape != place.value.shape:
                raise FluxError(
                    f"the gradient of `{place.name}` has the shape {part.shape}; expected "
                    f"{place.value.shape}.",
                    hint="Pass the gradient of this model: grads[0] of flux.gradient(loss, model).",
                )
            total = part if total is None else total + part
    return jnp.zeros_like(place.value) if total is None else total


def replace(model, old, new) -> None:
    """Put `new` wherever `old` stands in the model."""
    for place in list(places([model], lambda v: v is old)):
        place.put(new)


compiled_step = jit(apply_gradients)


def update(opt: Optimiser, model, grads) -> None:
    """One optimiser step, in place on `model` and `opt`.

    Args:
        opt: from `flux.setup`.
        model: the model it was set up for.
        grads: its gradient, as `flux.gradient` returns it for the model.

    Raises: `FluxError` if the gradient or the model is not the one of `opt`.
    """
    if isinstance(grads, tuple) and len(grads) == 1 and not isinstance(model, tuple):
        grads = grads[0]
    compiled_step(opt, model, grads)


def adjust(opt: Optimiser, lr: float | None = None, **hyper: Any) -> None:
    """Change hyperparameters of a running optimiser; nothing is compiled again.

    Raises: `FluxError` naming the hyperparameters that there are.
    """
    changes = dict(hyper) if lr is None else {"lr": lr, **hyper}
    flat: dict[str, Any] = {}
    for key, value in changes.items():
        pairs = enumerate(value) if isinstance(value, tuple) else [(None, value)]
        flat.update({key if i is None else f"{key}_{i}": v for i, v in pairs})
    known = [table for table in hyperparameters(opt.state)]
    for key, value in flat.items():
        holders = [table for table in known if key in table]
        if not holders:
            names = sorted({name for table in known for name in table})
            raise FluxError(f"{opt.rule!r} has no hyperparameter `{key}`; it has {', '.join(names)}.")
        for table in holders:
            table[key] = jnp.asarray(value, table[key].dtype)


def hyperparameters(state):
    """The tables of hyperparameters inside an optax state."""
    if isinstance(state, tuple):
        table = getattr(state, "hyperparams", None)
        if isinstance(table, dict):
            yield table
        for part in state:
            yield from hyperparameters(part)


def freeze(opt: Optimiser, part) -> None:
    """Exclude `part`, a sub-layer of the model, from updates."""
    opt.frozen = tuple(sorted({*opt.frozen, *names_in(opt, part)}))


def thaw(opt: Optimiser, part) -> None:
    """Undo `freeze`."""
    opt.frozen = tuple(sorted({*opt.frozen} - {*names_in(opt, part)}))


def names_in(opt: Optimiser, part) -> list[str]:
    """The paths of the parameters that stand inside `part`."""
    model = opt.model() if opt.model else None
    inside = {id(p.value) for p in parameters(part)}
    found = [p.name for p in parameters(model) if id(p.value) in inside] if model is not None else []
    if not found:
        raise FluxError(
            f"{type(part).__name__} is not a part of the model of this optimiser.",
            hint="Pass the sub-layer itself, for example flux.freeze(opt, model[0]).",
        )
    return found


