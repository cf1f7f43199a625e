"""What an optimisation rule is: a name, hyperparameters, and the optax transformation they make."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, ParamSpec

import optax

from flux.errors import ArgumentError, brief, user_line
from flux.optim.inject import flattened, injected

__all__ = ["OptimiserChain", "Rule", "as_transform", "rule", "rule_text"]

P = ParamSpec("P")
NOT_NEGATIVE = ("lr", "eps", "decay", "delta", "omega")
SHARES = ("beta", "rho")  # of a running mean


class Rule:
    """An optimisation rule.

    Attributes:
        name: how it prints.
        build: makes the optax transformation from the hyperparameters.
        hyper: the hyperparameters by name. Numbers are kept in the optimiser's state, so that
            another value compiles nothing; a callable of the step is a schedule.

    >>> from flux.optim import Momentum
    >>> part = Momentum(0.5)
    >>> part.name, part.hyper
    ('Momentum', {'lr': 0.5, 'rho': 0.9})
    """

    __constant__ = True

    def __init__(self, name: str, build: Callable, hyper: dict[str, Any]):
        self.name, self.build, self.hyper = name, build, hyper
        for key in hyper.keys() & {*NOT_NEGATIVE, *SHARES}:
            check_hyper(name, key, hyper[key])

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
        try:
            bound = signature.bind(*args, **keywords)
        except TypeError as problem:
            takes = ", ".join(signature.parameters)
            raise ArgumentError(
                f"{build.__name__} {problem}; it takes {takes}.", where=user_line()
            ) from None
        bound.apply_defaults()
        for key, parameter in signature.parameters.items():
            check_kind(build.__name__, key, bound.arguments[key], parameter.default)
        return Rule(build.__name__, build, dict(bound.arguments))

    return make


def check_kind(name: str, key: str, value, default) -> None:
    """Refuse what is no number, where the default is one: a string, a model, a rate for a pair."""
    if isinstance(default, tuple):
        fits = isinstance(value, tuple | list) and len(value) == len(default)
        if not fits or not all(map(is_hyper, value)):
            raise ArgumentError(
                f"{name} expected {len(default)} numbers as {key}, such as {default}, and got "
                f"{brief(value)}.",
                where=user_line(),
            )
    elif type(default) in (int, float) and not is_hyper(value):
        raise ArgumentError(
            f"{name} expected a number, or a function of the step, as {key}, and got "
            f"{brief(value)}.",
            where=user_line(),
        )


def is_hyper(value) -> bool:
    """Is it a number (one of an array library too), or a schedule?"""
    if isinstance(value, bool):
        return False
    return isinstance(value, int | float) or callable(value) or getattr(value, "shape", 1) == ()


def check_hyper(name: str, key: str, value) -> None:
    """Refuse a number that is out of range, in a pair too."""
    for part in value if isinstance(value, tuple) else (value,):
        if not isinstance(part, int | float):
            continue
        if key in NOT_NEGATIVE and not part >= 0:
            problem = "must not be negative" if part < 0 else "must be a number"
            raise ArgumentError(f"{name}: {key} {problem}, got {part}.", where=user_line())
        if key in SHARES and not 0 <= part <= 1:
            raise ArgumentError(
                f"{name}: {key} must be from 0 to 1, got {value}.", where=user_line()
            )


def rule_text(rule) -> str:
    """How a rule prints; a transformation of optax, by the function that made it.

    >>> rule_text(optax.clip_by_global_norm(1.0))
    'optax.clip_by_global_norm'
    """
    made = getattr(getattr(rule, "update", None), "__qualname__", "")
    if isinstance(rule, optax.GradientTransformation) and "<locals>" in made:
        library = rule.update.__module__.partition(".")[0]
        return f"{library}.{made.partition('.<locals>')[0]}"
    return repr(rule)


class OptimiserChain:
    """Rules in sequence: each changes the gradient for the next.

    >>> from flux.optim import ClipGrad, Descent
    >>> OptimiserChain(ClipGrad(1.0), Descent(0.1))
    OptimiserChain(ClipGrad(delta=1.0), Descent(lr=0.1))
    """

    __constant__ = True

    def __init__(self, *rules):
        for part in rules:
            check_rule(type(self).__name__, part)
        self.rules = rules

    def __repr__(self):
        return f"{type(self).__name__}({', '.join(map(rule_text, self.rules))})"

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

    Raises: `ArgumentError` for anything else.
    """
    check_rule("the optimiser", rule)
    if isinstance(rule, Rule | OptimiserChain):
        return rule.transform
    return rule


def check_rule(who: str, rule, hint: str | None = None) -> None:
    """Raise `ArgumentError` unless `rule` is a rule or an optax transformation."""
    if isinstance(rule, Rule | OptimiserChain | optax.GradientTransformation):
        return
    if callable(rule) and getattr(rule, "__module__", "").startswith("flux.optim"):
        hint = f"Call it: flux.optim.{getattr(rule, '__name__', 'Adam')}()."
    raise ArgumentError(
        f"{who} expected a rule such as flux.optim.Adam(), or an optax transformation, and got "
        f"{brief(rule)}.",
        where=user_line(),
        hint=hint,
    )
