"""Flux for Python: machine learning where a model is plain Python."""

import flux.rules
from flux.ad import (
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
