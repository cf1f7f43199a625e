"""Source-to-source automatic differentiation of plain Python."""

from flux.ad.api import (
    code_adjoint,
    code_ir,
    grad,
    gradient,
    nograd,
    pullback,
    rule,
    stop_gradient,
    value_and_grad,
    withgradient,
    within_gradient,
)

__all__ = [
    "code_adjoint",
    "code_ir",
    "grad",
    "gradient",
    "nograd",
    "pullback",
    "rule",
    "stop_gradient",
    "value_and_grad",
    "withgradient",
    "within_gradient",
]
