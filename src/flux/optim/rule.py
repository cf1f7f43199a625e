"""What an optimisation rule is: a name, hyperparameters, and the optax transformation they make."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, ParamSpec

import optax

__all__ = ["OptimiserChain", "Rule", "as_transform", "rule"]

P = ParamSpec("P")
NOT_NEGATIVE = ("lr", "eps", "decay", "delta", "omega")


class Rule:
    """An optimisation rule.

    Attributes:
        name: how it prints.
        build: makes the optax transformation from the hyperparameters.
        hyper: the hyperparameters by name. Numbers are kept in the optimiser's state, so that
            another value compiles nothing; a callable of the step is a schedule.
    """

    __constant__ = True

    def __init__(self, name: str, build: Callable, hyper: dict[str, Any]):
        self.name, self.build, self.hyper = name, build, hyper
        for key in NOT_NEGATIVE:
            value = hyper.get(key, 0)
            if isinstance(value, int | float) and value < 0:
                raise ValueError(f"{name}: {key} must not be negative, got {value}.")

    def __repr__(self):
        return f"{self.name}({', '.join(f'{k}={v!r}' for k, v in self.hyper.items())})"

    def __eq__(self, other):
        return isinstance(other, Rule) and self.build is other.build and self.hyper == other.hyper

    def __hash__(self):
        return hash((self.name, tuple(self.hyper)))

    @functools.cached_property
    def transform(self) -> optax.GradientTransformation:
        """The optax transformation."""
        flat = flattened(self.hyper)
        fixed = tuple(k for k, v in flat.items() if not isinstance(v, float) and not callable(v))
        build = self.build

        def from_flat(**values):
            return build(**unflattened(values))

        kind = inspect.Parameter.KEYWORD_ONLY
        signature = inspect.Signature([inspect.Parameter(name, kind) for name in flat])
        from_flat.__signature__ = signature  # type: ignore[attr-defined]
        return optax.inject_hyperparams(from_flat, static_args=fixed)(**flat)


def rule(build: Callable[P, optax.GradientTransformation]) -> Callable[P, Rule]:
    """Make a rule of a function from hyperparameters to an optax transformation.

    >>> @rule
    ... def Halving(lr=0.5):
    ...     return optax.sgd(lr)
    >>> Halving(), Halving(0.25)
    (Halving(lr=0.5), Halving(lr=0.25))
    """
    signature = inspect.signature(build)

    @functools.wraps(build)
    def make(*args: P.args, **keywords: P.kwargs) -> Rule:
        bound = signature.bind(*args, **keywords)
        bound.apply_defaults()
        return Rule(build.__name__, build, dict(bound.arguments))

    return make


def flattened(hyper: dict[str, Any]) -> dict[str, Any]:
    """Numbers as floats, and pairs by their parts: `beta=(0.9, 0.999)` as `beta_0`, `beta_1`."""
    flat: dict[str, Any] = {}
    for key, value in hyper.items():
        if isinstance(value, tuple):
            flat.update({f"{key}_{i}": float(part) for i, part in enumerate(value)})
        else:
            flat[key] = float(value) if type(value) is int else value
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


class OptimiserChain:
    """Rules in sequence: each changes the gradient for the next.

    >>> from flux.optim import ClipGrad, Descent
    >>> OptimiserChain(ClipGrad(1.0), Descent(0.1))
    OptimiserChain(ClipGrad(delta=1.0), Descent(lr=0.1))
    """

    __constant__ = True

    def __init__(self, *rules):
        self.rules = rules

    def __repr__(self):
        return f"{type(self).__name__}({', '.join(map(repr, self.rules))})"

    def __eq__(self, other):
        return type(self) is type(other) and vars(self)["rules"] == vars(other)["rules"]

    def __hash__(self):
        return hash(self.rules)

    @functools.cached_property
    def transform(self) -> optax.GradientTransformation:
        """The chained optax transformation."""
        return optax.chain(*[as_transform(rule) for rule in self.rules])


def as_transform(rule) -> optax.GradientTransformation:
    """The optax transformation of a rule, or of an optax transformation itself.

    Raises: `TypeError` for anything else.
    """
    if isinstance(rule, Rule | OptimiserChain):
        return rule.transform
    if isinstance(rule, optax.GradientTransformation):
        return rule
    raise TypeError(
        f"expected a rule such as flux.optim.Adam(), or an optax transformation, got {rule!r}."
    )
