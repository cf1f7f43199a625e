"""Operations without their printing, for what a program does a second time on its way back."""

from __future__ import annotations

from typing import Any

from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn

__all__ = ["silent", "silent_equations"]

PRINTING = frozenset(["debug_callback", "debug_print"])


def silent(jaxpr: Jaxpr) -> Jaxpr:
    """A program that computes the same and calls nothing back."""
    if not jaxpr.effects:
        return jaxpr
    equations = silent_equations(jaxpr.eqns)
    effects = frozenset().union(*[equation.effects for equation in equations])
    return jaxpr.replace(eqns=equations, effects=effects)


def silent_equations(equations: list[JaxprEqn]) -> list[JaxprEqn]:
    return [silent_one(e) for e in equations if e.primitive.name not in PRINTING]


def silent_one(equation: JaxprEqn) -> JaxprEqn:
    if not equation.effects:
        return equation
    params = {key: silent_part(value) for key, value in equation.params.items()}
    inner = [part for value in params.values() for part in programs_in(value)]
    if not inner:
        return equation
    effects = frozenset().union(*[program.effects for program in inner])
    return equation.replace(params=params, effects=effects & equation.effects)


def silent_part(value) -> Any:
    if isinstance(value, ClosedJaxpr):
        return value.replace(jaxpr=silent(value.jaxpr))
    if isinstance(value, Jaxpr):
        return silent(value)
    if isinstance(value, tuple):
        return tuple([silent_part(item) for item in value])
    return value


def programs_in(value) -> list[Any]:
    if isinstance(value, ClosedJaxpr | Jaxpr):
        return [value]
    if isinstance(value, tuple):
        return [program for item in value for program in programs_in(item)]
    return []
