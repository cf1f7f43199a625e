"""Optimisation rules and the state of an optimiser; optax underneath."""

from flux.optim.optimiser import Optimiser, adjust, freeze, setup, thaw, trainables, update
from flux.optim.rules import (
    AccumGrad,
    AdaBelief,
    AdaDelta,
    AdaGrad,
    AdaMax,
    Adam,
    AdamW,
    AMSGrad,
    ClipGlobalNorm,
    ClipGrad,
    ClipNorm,
    Descent,
    Lion,
    Momentum,
    NAdam,
    Nesterov,
    OptimiserChain,
    RAdam,
    RMSProp,
    SignDecay,
    WeightDecay,
)

__all__ = [
    "AMSGrad", "AccumGrad", "AdaBelief", "AdaDelta", "AdaGrad", "AdaMax", "Adam", "AdamW",
    "ClipGlobalNorm", "ClipGrad", "ClipNorm", "Descent", "Lion", "Momentum", "NAdam", "Nesterov",
    "Optimiser", "OptimiserChain", "RAdam", "RMSProp", "SignDecay", "WeightDecay", "adjust",
    "freeze", "setup", "thaw", "trainables", "update",
]  # fmt: skip
