"""The state of an optimiser for one model, and one step of it."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax.core import Tracer

from flux.compiler import jit
from flux.errors import ArgumentError, FluxError, brief, user_line
from flux.optim.inject import flattened
from flux.optim.parameters import Parameter, parameters
from flux.optim.rule import Rule, as_transform, check_hyper, check_rule, rule_text

__all__ = ["Optimiser", "adjust", "apply_gradients", "freeze", "setup", "thaw", "update"]


class Optimiser:
    """A rule with its state for one model; made by `flux.setup`.

    Attributes:
        rule: what it does.
        state: of the optax transformation, over the list of trainable arrays.
        names: the paths of these arrays in the model.
        shapes: theirs, as text, so that a compiled step takes them for constants.
        frozen: those of `names` that are not updated.
        model: a weak reference to the model; `None` for one that has none (a list, a dict).

    >>> from flux.layers import Dense
    >>> from flux.optim import Descent
    >>> opt = setup(Descent(0.5), Dense(2, 3))
    >>> opt.rule, opt.names
    (Descent(lr=0.5), ('weight', 'bias'))
    """

    def __init__(self, rule, state, names: tuple[str, ...], shapes: tuple[str, ...], model):
        self.rule, self.state, self.names, self.shapes = rule, state, names, shapes
        self.frozen: tuple[str, ...] = ()
        try:
            self.model = weakref.ref(model)
        except TypeError:
            self.model = None

    @property
    def lr(self):
        raise AttributeError("an Optimiser has no attribute 'lr': it is opt.hyper['lr']")

    @lr.setter
    def lr(self, value):
        raise AttributeError(f"the learning rate is changed by flux.adjust(opt, {value!r})")

    @property
    def hyper(self) -> dict[str, float]:
        """The hyperparameters of the last step; of two rules in a chain, the first one's.

        They are to be read; `flux.adjust` changes them.
        """
        found: dict[str, float] = {}
        for state in rule_states(self.state):
            found = {**state.hyperparams, **found}
        # float32 0.1 is 0.1
        return ReadOnly({name: float(str(value)) for name, value in found.items()})

    def __repr__(self):
        frozen = f", {len(self.frozen)} frozen" if self.frozen else ""
        return (
            f"Optimiser({rule_text(self.rule)}, {len(self.names)} arrays{frozen}{self.adjusted()})"
        )

    def adjusted(self) -> str:
        """What is no longer as the rule has it: `, now lr=0.1`."""
        if not isinstance(self.rule, Rule):
            return ""
        given, now = flattened(self.rule.hyper), self.hyper
        numbers = {key: value for key, value in given.items() if isinstance(value, int | float)}
        changed = [k for k, v in numbers.items() if k in now and abs(now[k] - v) > 1e-6 * abs(v)]
        return "".join([f", now {key}={now[key]!r}" for key in changed])


class ReadOnly(dict):
    """A dict that says how its numbers are changed."""

    def __setitem__(self, key, value):
        raise TypeError(f"a hyperparameter is changed by flux.adjust(opt, {key}={value!r})")


def setup(rule, model) -> Optimiser:
    """The state of an optimiser for `model`.

    Args:
        rule: a rule of `flux.optim`, or an optax transformation.
        model: any object with float arrays inside. Fields that its classes name in `nontrainable`
            stay as they are; an array that stands in two places is one parameter.

    Raises: `ArgumentError` if `rule` is none; `FluxError` if the model has nothing to train.

    >>> import flux, numpy as np
    >>> flux.setup(flux.optim.Descent(), {"w": np.zeros(2)})
    Optimiser(Descent(lr=0.1), 1 arrays)
    """
    check_rule("setup", rule, "The order is flux.setup(rule, model).")
    transform, found = as_transform(rule), parameters(model)
    if not found:
        raise FluxError(
            f"setup expected a model with trainable arrays, and {brief(model)} has none.",
            where=user_line(),
            hint="Parameters are float arrays held in attributes, lists or dicts of the model.",
        )
    state = transform.init([jnp.asarray(p.value) for p in found])
    # Every array of the state is its own: what starts equal must not be taken for shared.
    state = jax.tree.map(lambda x: jnp.array(x, copy=True), state)
    names, shapes = tuple([p.name for p in found]), tuple([shape_text(p) for p in found])
    return Optimiser(rule, state, names, shapes, model)


def shape_text(parameter: Parameter) -> str:
    return str(tuple(parameter.value.shape))


def check_optimiser(who: str, opt, order: str) -> None:
    """Raise `ArgumentError` for a rule or a model in the place of an optimiser."""
    if not isinstance(opt, Optimiser):
        raise ArgumentError(
            f"{who} expected an optimiser, and got {brief(opt)}.",
            where=user_line(),
            hint=f"Make one of a rule and the model, opt = flux.setup(rule, model), then {order}.",
        )


def apply_gradients(opt: Optimiser, model, grads) -> None:
    """One step, as plain Python: what `update` compiles.

    A parameter whose gradient is `None`, or that is frozen, keeps its value.
    """
    found = matching(opt, model)
    values = [jnp.asarray(p.value) for p in found]
    given = [None if p.name in opt.frozen else p.gradient(grads) for p in found]
    pairs = zip(given, values, strict=True)
    # The gradient of a complex number has JAX's convention: downhill is against its conjugate.
    gradients = [jnp.zeros_like(v) if g is None else jnp.conj(g) for g, v in pairs]
    transform: Any = as_transform(opt.rule)
    steps, opt.state = transform.update(gradients, opt.state, values)
    for parameter, value, grad, step in zip(found, values, given, steps, strict=True):
        if grad is not None:
            parameter.replace(optax.apply_updates(value, step))


def matching(opt: Optimiser, model) -> list[Parameter]:
    """The parameters of the model that the optimiser was set up for."""
    found = [p for p in parameters(model) if p.name in opt.names or not is_number(p.value)]
    names = tuple([p.name for p in found])
    if names != opt.names:
        differing = sorted(set(opt.names) ^ set(names)) or ["their order"]
        raise FluxError(
            f"the optimiser was set up for another model: expected {len(opt.names)} trainable "
            f"arrays, got {len(names)}; they differ in {', '.join(differing[:4])}.",
            where=user_line(),
            hint="Call flux.setup(rule, model) for this model.",
        )
    for parameter, expected in zip(found, opt.shapes, strict=True):
        if shape_text(parameter) != expected:
            raise FluxError(
                "the optimiser was set up for another model: expected "
                f"`{parameter.name}` of shape {expected}, got {shape_text(parameter)}.",
                where=user_line(),
                hint="Call flux.setup(rule, model) for this model.",
            )
    return found


def is_number(value) -> bool:
    """Is `value` a number of the model that changes from step to step, and so became an input?"""
    return isinstance(value, Tracer) and value.ndim == 0


compiled = jit(apply_gradients)


def update(opt: Optimiser, model, grads) -> None:
    """One optimiser step, in place on `model` and `opt`.

    Args:
        opt: from `flux.setup`.
        model: the model it was set up for.
        grads: its gradient, as `flux.gradient` returns it for the model. A parameter whose gradient
            is `None` keeps its value.

    Raises: `FluxError` naming the path if the gradient or the model is not the one of `opt`.

    >>> import numpy as np
    >>> from flux.optim import Descent, setup
    >>> model = {"w": np.array([1.0, 2.0])}
    >>> opt = setup(Descent(0.5), model)
    >>> update(opt, model, {"w": np.array([2.0, 0.0])})
    >>> model["w"].tolist()
    [0.0, 2.0]
    """
    check_optimiser("update", opt, "flux.update(opt, model, grads)")
    if isinstance(grads, tuple) and len(grads) == 1 and not isinstance(model, tuple):
        grads = grads[0]
    compiled(opt, model, grads)


def adjust(opt: Optimiser, lr: float | None = None, **hyper: Any) -> None:
    """Change hyperparameters of a running optimiser; nothing is compiled again.

    A pair is given as a pair, `adjust(opt, beta=(0.8, 0.99))`. What is set no longer follows the
    schedule that it had.

    Raises: `FluxError` naming the hyperparameters that there are.

    >>> import flux
    >>> opt = flux.setup(flux.optim.Descent(flux.schedules.cosine(0.5, 10)), {"w": jnp.zeros(2)})
    >>> flux.adjust(opt, 0.25)
    >>> opt.hyper
    {'lr': 0.25}
    """
    check_optimiser("adjust", opt, "flux.adjust(opt, lr)")
    changes = dict(hyper) if lr is None else {"lr": lr, **hyper}
    flat: dict[str, Any] = {}
    for key, value in changes.items():
        pairs = enumerate(value) if isinstance(value, tuple) else [(None, value)]
        flat.update({key if i is None else f"{key}_{i}": v for i, v in pairs})
    states = list(rule_states(opt.state))
    for key, value in flat.items():
        if not any(key in state.hyperparams for state in states):
            names = sorted({name for state in states for name in state.hyperparams})
            raise FluxError(
                f"{rule_text(opt.rule)} has no hyperparameter `{key}`; "
                f"it has {', '.join(names) or 'none that can be changed'}."
            )
        if callable(value) or isinstance(value, str | bool):
            raise ArgumentError(
                f"adjust expected a number for `{key}`, and got {brief(value)}.",
                where=user_line(),
                hint="A schedule is given to the rule: flux.optim.Adam(schedule).",
            )
        check_hyper("adjust", key, value)
    for state in states:
        for key in flat.keys() & state.hyperparams.keys():
            state.hyperparams[key] = jnp.asarray(flat[key], state.hyperparams[key].dtype)
            if key in getattr(state, "held", ()):
                state.held[key] = jnp.ones((), bool)


def rule_states(state) -> Iterator[Any]:
    """The states with hyperparameters inside an optax state, those of optax's own making too."""
    if isinstance(getattr(state, "hyperparams", None), dict):
        yield state
    if isinstance(state, tuple):
        for part in state:
            yield from rule_states(part)


def freeze(opt: Optimiser, part) -> None:
    """Exclude `part`, a sub-layer of the model, from updates.

    >>> import numpy as np
    >>> from flux.layers import Chain, Dense
    >>> from flux.optim import Descent, setup
    >>> model = Chain(Dense(2, 3), Dense(3, 1))
    >>> opt = setup(Descent(0.5), model)
    >>> freeze(opt, model[0])
    >>> opt.frozen
    ('layers[0].bias', 'layers[0].weight')
    """
    names = names_in(opt, part)
    opt.frozen = tuple(sorted({*opt.frozen, *names}))


def thaw(opt: Optimiser, part) -> None:
    """Undo `freeze`.

    >>> from flux.layers import Chain, Dense
    >>> from flux.optim import Descent, setup
    >>> model = Chain(Dense(2, 3), Dense(3, 1))
    >>> opt = setup(Descent(0.5), model)
    >>> freeze(opt, model)
    >>> thaw(opt, model[0])
    >>> opt.frozen
    ('layers[1].bias', 'layers[1].weight')
    """
    names = names_in(opt, part)
    opt.frozen = tuple(sorted({*opt.frozen} - {*names}))


def names_in(opt: Optimiser, part) -> list[str]:
    """The paths of the parameters that stand inside `part`."""
    check_optimiser("freeze", opt, "flux.freeze(opt, model[0])")
    model = opt.model() if opt.model else None
    if model is None:
        raise FluxError("freeze and thaw need a model that is an object, and that still exists.")
    inside = {id(p.value) for p in parameters(part)}
    found = [p.name for p in parameters(model) if id(p.value) in inside]
    if not found:
        raise FluxError(
            f"{type(part).__name__} is not a part of the model of this optimiser.",
            hint="Pass the sub-layer itself, for example flux.freeze(opt, model[0]).",
        )
    return found
