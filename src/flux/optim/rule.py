"""What an optimisation rule is: a name, hyperparameters, and the optax transformation they make."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, ParamSpec

import optax

from flux.optim.inject import flattened, injected

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
        return injected(self.build, flattened(self.hyper))


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
