"""Optimisation rules and the state of an optimiser; optax underneath."""

from flux.errors import suggests_names
from flux.optim.optimiser import Optimiser, adjust, freeze, setup, thaw, update
from flux.optim.parameters import trainables
from flux.optim.rule import OptimiserChain, Rule, rule
from flux.optim.rules import (
    AccumGrad,
    AdaBelief,
    AdaDelta,
    AdaGrad,
    Adam,
    AdaMax,
    AdamW,
    AMSGrad,
    ClipGlobalNorm,
    ClipGrad,
    ClipNorm,
    Descent,
    Lion,
    MixedPrecision,
    Momentum,
    Muon,
    NAdam,
    Nesterov,
    OAdam,
    RAdam,
    RMSProp,
    Rprop,
    SignDecay,
    WeightDecay,
)

__all__ = [
    "AMSGrad", "AccumGrad", "AdaBelief", "AdaDelta", "AdaGrad", "AdaMax", "Adam", "AdamW",
    "ClipGlobalNorm", "ClipGrad", "ClipNorm", "Descent", "Lion", "MixedPrecision", "Momentum",
    "Muon", "NAdam", "Nesterov", "OAdam", "Optimiser", "OptimiserChain", "RAdam", "RMSProp",
    "Rprop", "Rule", "SignDecay", "WeightDecay", "adjust", "freeze", "rule", "setup", "thaw",
    "trainables", "update",
]  # fmt: skip
suggests_names(__name__)
