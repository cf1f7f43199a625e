"""Optimisation rules: Flux's names over optax's transformations.

A rule is a value: its hyperparameters, and how optax builds it. Learning rates may be schedules,
callables of the step. Hyperparameters live in the optimiser's state, so changing one compiles
nothing.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import optax

__all__ = [
    "AccumGrad", "AdaBelief", "AdaDelta", "AdaGrad", "AdaMax", "Adam", "AdamW", "AMSGrad",
    "ClipGlobalNorm", "ClipGrad", "ClipNorm", "Descent", "Lion", "Momentum", "NAdam", "Nesterov",
    "OptimiserChain", "RAdam", "RMSProp", "Rule", "SignDecay", "WeightDecay", "as_transform",
]  # fmt: skip


class Rule:
    """An optimisation rule: a name, hyperparameters, and the optax transformation they make.

    Attributes:
        name: how it prints.
        hyper: the hyperparameters by their name in Flux.
        build: makes the optax transformation; its arguments are named as `hyper`.
    """

    __constant__ = True

    def __init__(self, name: str, build: Callable, hyper: dict[str, Any]):
        self.name, self.build, self.hyper = name, build, hyper
        for key, value in hyper.items():
            if key in ("lr", "decay", "omega", "delta") and isinstance(value, int | float):
                if value < 0:
                    raise ValueError(f"{name}: {key} must not be negative, got {value}.")

    def __repr__(self):
        return f"{self.name}({', '.join(f'{k}={v!r}' for k, v in self.hyper.items())})"

    def __eq__(self, other):
        same = isinstance(other, Rule) and self.name == other.name and self.build is other.build
        return same and self.hyper == other.hyper

    def __hash__(self):
        return hash((self.name, tuple(self.hyper)))

    @functools.cached_property
    def transform(self) -> optax.GradientTransformation:
        """The optax transformation, its numeric hyperparameters kept in its state."""
        flat = flattened(self.hyper)
        fixed = {k for k, v in flat.items() if not isinstance(v, float) and not callable(v)}
        build = self.build

        def with_flat(**values):
            return build(**unflattened(values))

        with_flat.__signature__ = signature_of(flat)  # type: ignore[attr-defined]
        return optax.inject_hyperparams(with_flat, static_args=tuple(fixed))(**flat)


def flattened(hyper: dict[str, Any]) -> dict[str, Any]:
    """Pairs such as `beta=(0.9, 0.999)` become `beta_0`, `beta_1`."""
    flat: dict[str, Any] = {}
    for key, value in hyper.items():
        if isinstance(value, tuple):
            flat.update({f"{key}_{i}": float(part) for i, part in enumerate(value)})
        else:
            flat[key] = float(value) if isinstance(value, int) and key != "n" else value
    return flat


def unflattened(flat: dict[str, Any]) -> dict[str, Any]:
    hyper: dict[str, Any] = {}
    for key, value in flat.items():
        stem, _, index = key.rpartition("_")
        if stem and index.isdigit():
            hyper[stem] = (*hyper.get(stem, ()), value)
        else:
            hyper[key] = value
    return hyper


def signature_of(names):
    import inspect

    kind = inspect.Parameter.KEYWORD_ONLY
    return inspect.Signature([inspect.Parameter(name, kind) for name in names])


def as_transform(rule) -> optax.GradientTransformation:
    """The optax transformation of a rule, or of an optax transformation itself."""
    return rule.transform if isinstance(rule, Rule | OptimiserChain) else rule


def Descent(lr=0.1) -> Rule:
    """Gradient descent: `x -= lr * g`.

    >>> Descent(0.5)
    Descent(lr=0.5)
    """
    return Rule("Descent", _descent, {"lr": lr})


def _descent(lr):
    return optax.sgd(lr)


def Momentum(lr=0.01, rho=0.9) -> Rule:
    """Gradient descent with momentum: `v = rho * v + lr * g`, `x -= v`.

    Source: Polyak (1964).
    """
    return Rule("Momentum", _momentum, {"lr": lr, "rho": rho})


def _momentum(lr, rho):
    return optax.sgd(lr, momentum=rho)


def Nesterov(lr=0.001, rho=0.9) -> Rule:
    """Momentum that looks ahead. Source: Nesterov (1983), as in Sutskever et al. (2013)."""
    return Rule("Nesterov", _nesterov, {"lr": lr, "rho": rho})


def _nesterov(lr, rho):
    return optax.sgd(lr, momentum=rho, nesterov=True)


def RMSProp(lr=0.001, rho=0.9, eps=1e-8) -> Rule:
    """Scale by a running root mean square. Source: Hinton, lecture 6e (2012)."""
    return Rule("RMSProp", _rmsprop, {"lr": lr, "rho": rho, "eps": eps})


def _rmsprop(lr, rho, eps):
    return optax.rmsprop(lr, decay=rho, eps=eps)


def Adam(lr=0.001, beta=(0.9, 0.999), eps=1e-8) -> Rule:
    """Adaptive moments: `x -= lr * m̂ / (√v̂ + eps)`.

    Source: Kingma and Ba (2015), algorithm 1.
    """
    return Rule("Adam", _adam, {"lr": lr, "beta": beta, "eps": eps})


def _adam(lr, beta, eps):
    return optax.adam(lr, b1=beta[0], b2=beta[1], eps=eps)


def AdamW(lr=0.001, beta=(0.9, 0.999), decay=0.01, eps=1e-8) -> Rule:
    """Adam with decoupled weight decay, `x -= lr * (m̂ / (√v̂ + eps) + decay * x)`.

    Source: Loshchilov and Hutter (2019), with the decay times the learning rate as in PyTorch.
    """
    return Rule("AdamW", _adamw, {"lr": lr, "beta": beta, "decay": decay, "eps": eps})


def _adamw(lr, beta, decay, eps):
    return optax.adamw(lr, b1=beta[0], b2=beta[1], eps=eps, weight_decay=decay)


def RAdam(lr=0.001, beta=(0.9, 0.999), eps=1e-8) -> Rule:
    """Rectified Adam. Source: Liu et al. (2020)."""
    return Rule("RAdam", _radam, {"lr": lr, "beta": beta, "eps": eps})


def _radam(lr, beta, eps):
    return optax.radam(lr, b1=beta[0], b2=beta[1], eps=eps)


def AdaMax(lr=0.001, beta=(0.9, 0.999), eps=1e-8) -> Rule:
    """Adam with the infinity norm. Source: Kingma and Ba (2015), algorithm 2."""
    return Rule("AdaMax", _adamax, {"lr": lr, "beta": beta, "eps": eps})


def _adamax(lr, beta, eps):
    return optax.adamax(lr, b1=beta[0], b2=beta[1], eps=eps)


def NAdam(lr=0.001, beta=(0.9, 0.999), eps=1e-8) -> Rule:
    """Adam with Nesterov momentum. Source: Dozat (2016)."""
    return Rule("NAdam", _nadam, {"lr": lr, "beta": beta, "eps": eps})


def _nadam(lr, beta, eps):
    return optax.nadam(lr, b1=beta[0], b2=beta[1], eps=eps)


def AMSGrad(lr=0.001, beta=(0.9, 0.999), eps=1e-8) -> Rule:
    """Adam with a second moment that never shrinks. Source: Reddi et al. (2018)."""
    return Rule("AMSGrad", _amsgrad, {"lr": lr, "beta": beta, "eps": eps})


def _amsgrad(lr, beta, eps):
    return optax.amsgrad(lr, b1=beta[0], b2=beta[1], eps=eps)


def AdaGrad(lr=0.1, eps=1e-8) -> Rule:
    """Scale by the root of the sum of squares. Source: Duchi et al. (2011)."""
    return Rule("AdaGrad", _adagrad, {"lr": lr, "eps": eps})


def _adagrad(lr, eps):
    return optax.adagrad(lr, initial_accumulator_value=0.0, eps=eps)


def AdaDelta(rho=0.9, eps=1e-8) -> Rule:
    """Without a learning rate. Source: Zeiler (2012)."""
    return Rule("AdaDelta", _adadelta, {"rho": rho, "eps": eps})


def _adadelta(rho, eps):
    return optax.adadelta(1.0, rho=rho, eps=eps)


def AdaBelief(lr=0.001, beta=(0.9, 0.999), eps=1e-16) -> Rule:
    """Adam by the variance of the gradient's prediction error. Source: Zhuang et al. (2020)."""
    return Rule("AdaBelief", _adabelief, {"lr": lr, "beta": beta, "eps": eps})


def _adabelief(lr, beta, eps):
    return optax.adabelief(lr, b1=beta[0], b2=beta[1], eps=eps)


def Lion(lr=0.0001, beta=(0.9, 0.99)) -> Rule:
    """The sign of an interpolated momentum. Source: Chen et al. (2023)."""
    return Rule("Lion", _lion, {"lr": lr, "beta": beta})


def _lion(lr, beta):
    return optax.lion(lr, b1=beta[0], b2=beta[1], weight_decay=0.0)


def WeightDecay(decay=5e-4) -> Rule:
    """Add `decay * x` to the gradient (L2); stands before a rule in a chain."""
    return Rule("WeightDecay", _weight_decay, {"decay": decay})


def _weight_decay(decay):
    return optax.add_decayed_weights(decay)


def SignDecay(decay=1e-3) -> Rule:
    """Add `decay * sign(x)` to the gradient (L1); stands before a rule in a chain."""
    return Rule("SignDecay", _sign_decay, {"decay": decay})


def _sign_decay(decay):
    import jax

    def update(updates, state, params=None):
        add = jax.tree.map(lambda g, p: g + decay * jax.numpy.sign(p), updates, params)
        return add, state

    return optax.GradientTransformation(lambda params: optax.EmptyState(), update)


def ClipGrad(delta=10.0) -> Rule:
    """Clip every element of the gradient to `[-delta, delta]`."""
    return Rule("ClipGrad", _clip, {"delta": delta})


def _clip(delta):
    return optax.clip(delta)


def ClipNorm(omega=10.0) -> Rule:
    """Scale each array's gradient down to norm `omega`."""
    return Rule("ClipNorm", _clip_norm, {"omega": omega})


def _clip_norm(omega):
    return optax.clip_by_block_rms(omega) if False else _per_array_norm(omega)


def _per_array_norm(omega):
    import jax
    import jax.numpy as jnp

    def clip(g):
        norm = jnp.sqrt(jnp.sum(jnp.square(g)))
        return g * jnp.minimum(1.0, omega / jnp.maximum(norm, 1e-30)).astype(g.dtype)

    def update(updates, state, params=None):
        return jax.tree.map(clip, updates), state

    return optax.GradientTransformation(lambda params: optax.EmptyState(), update)


def ClipGlobalNorm(omega=1.0) -> Rule:
    """Scale the whole gradient down to norm `omega`. Source: Pascanu et al. (2013)."""
    return Rule("ClipGlobalNorm", _clip_global, {"omega": omega})


def _clip_global(omega):
    return optax.clip_by_global_norm(omega)


class OptimiserChain:
    """Rules in sequence: each changes the gradient for the next.

    >>> OptimiserChain(ClipGrad(1.0), Descent(0.1))
    OptimiserChain(ClipGrad(delta=1.0), Descent(lr=0.1))
    """

    __constant__ = True

    def __init__(self, *rules):
        self.rules = rules

    def __repr__(self):
        return f"OptimiserChain({', '.join(map(repr, self.rules))})"

    def __eq__(self, other):
        return isinstance(other, OptimiserChain) and self.rules == other.rules

    def __hash__(self):
        return hash(self.rules)

    @functools.cached_property
    def transform(self) -> optax.GradientTransformation:
        """The chained optax transformation."""
        return optax.chain(*[as_transform(rule) for rule in self.rules])


class AccumGrad(OptimiserChain):
    """Apply a rule to the mean of `n` gradients, every `n` steps."""

    def __init__(self, n: int, rule):
        super().__init__(rule)
        self.n = n

    def __repr__(self):
        return f"AccumGrad({self.n}, {self.rules[0]!r})"

    @functools.cached_property
    def transform(self):
        """The wrapped optax transformation."""
        return optax.MultiSteps(as_transform(self.rules[0]), self.n).gradient_transformation()
