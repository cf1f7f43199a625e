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
from flux.ad.check import check_rule
from flux.ad.higher import checkpoint, hessian, hook, jacobian, pushforward

__all__ = [
    "check_rule",
    "checkpoint",
    "code_adjoint",
    "code_ir",
    "grad",
    "gradient",
    "hessian",
    "hook",
    "jacobian",
    "nograd",
    "pullback",
    "pushforward",
    "rule",
    "stop_gradient",
    "value_and_grad",
    "withgradient",
    "within_gradient",
]
