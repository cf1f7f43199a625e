"""Optimisation rules by their names in Flux; each body says what the rule is in optax.

A learning rate may be a schedule, a callable of the step.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from flux.errors import ArgumentError, check_integer, user_line
from flux.optim import papers
from flux.optim.inject import wide
from flux.optim.rule import OptimiserChain, as_transform, rule, rule_text

__all__ = [
    "AMSGrad", "AccumGrad", "AdaBelief", "AdaDelta", "AdaGrad", "AdaMax", "Adam", "AdamW",
    "ClipGlobalNorm", "ClipGrad", "ClipNorm", "Descent", "Lion", "MixedPrecision", "Momentum",
    "Muon", "NAdam", "Nesterov", "OAdam", "RAdam", "RMSProp", "Rprop", "SignDecay", "WeightDecay",
]  # fmt: skip

Pair = tuple[float, float]
Rate = float | Callable[[Any], Any]


@rule
def Descent(lr: Rate = 0.1):
    """Gradient descent: `x -= lr * g`.

    >>> Descent(0.5)
    Descent(lr=0.5)
    """
    return optax.sgd(lr)


@rule
def Momentum(lr: Rate = 0.01, rho=0.9):
    """Gradient descent with momentum: `v = rho * v + g`, `x -= lr * v`.

    Source: Polyak (1964).

    >>> Momentum(0.1)
    Momentum(lr=0.1, rho=0.9)
    """
    return optax.sgd(lr, momentum=rho)


@rule
def Nesterov(lr: Rate = 0.001, rho=0.9):
    """Momentum that looks ahead. Source: Nesterov (1983), as in Sutskever et al. (2013).

    >>> Nesterov(0.1)
    Nesterov(lr=0.1, rho=0.9)
    """
    return optax.sgd(lr, momentum=rho, nesterov=True)


@rule
def Rprop(lr: Rate = 0.001, ell: Pair = (0.5, 1.2), gamma: Pair = (1e-6, 50.0)):
    """Step sizes that follow the gradient's sign alone; `lr` is the first one of every number.

    While the sign stays, they grow by `ell[1]`; where it changes, they shrink by `ell[0]`; both
    between the bounds `gamma`. What `lr` becomes after the first step is of no importance.

    Source: Riedmiller and Braun (1993), as iRprop⁻ of Igel and Hüsken (2003).

    >>> Rprop(0.01)
    Rprop(lr=0.01, ell=(0.5, 1.2), gamma=(1e-06, 50.0))
    """
    return papers.rprop(lr, ell, gamma)


@rule
def RMSProp(lr: Rate = 0.001, rho=0.9, eps=1e-8):
    """Scale by a running root mean square. Source: Hinton, lecture 6e (2012).

    >>> RMSProp(0.01)
    RMSProp(lr=0.01, rho=0.9, eps=1e-08)
    """
    return optax.rmsprop(lr, decay=rho, eps=eps, eps_in_sqrt=False)


@rule
def Adam(lr: Rate = 0.001, beta: Pair = (0.9, 0.999), eps=1e-8):
    """Adaptive moments: `x -= lr * m̂ / (√v̂ + eps)`.

    Source: Kingma and Ba (2015), algorithm 1.

    >>> Adam(0.01)
    Adam(lr=0.01, beta=(0.9, 0.999), eps=1e-08)
    """
    return optax.adam(lr, *beta, eps)


@rule
def AdamW(lr: Rate = 0.001, beta: Pair = (0.9, 0.999), decay=0.01, eps=1e-8):
    """Adam with decoupled weight decay, `x -= lr * (m̂ / (√v̂ + eps) + decay * x)`.

    Source: Loshchilov and Hutter (2019), with the decay times the learning rate as in PyTorch.

    >>> AdamW(0.01, decay=0.1)
    AdamW(lr=0.01, beta=(0.9, 0.999), decay=0.1, eps=1e-08)
    """
    return optax.adamw(lr, *beta, eps, weight_decay=decay)


@rule
def RAdam(lr: Rate = 0.001, beta: Pair = (0.9, 0.999), eps=1e-8):
    """Rectified Adam. Source: Liu et al. (2020).

    >>> RAdam(0.01)
    RAdam(lr=0.01, beta=(0.9, 0.999), eps=1e-08)
    """
    return optax.radam(lr, *beta, eps)


@rule
def AdaMax(lr: Rate = 0.001, beta: Pair = (0.9, 0.999), eps=1e-8):
    """Adam with the infinity norm. Source: Kingma and Ba (2015), algorithm 2.

    >>> AdaMax(0.01)
    AdaMax(lr=0.01, beta=(0.9, 0.999), eps=1e-08)
    """
    return optax.adamax(lr, *beta, eps)


@rule
def OAdam(lr: Rate = 0.001, beta: Pair = (0.5, 0.9), eps=1e-8):
    """Optimistic Adam, for games. Source: Daskalakis et al. (2018).

    >>> OAdam(0.01)
    OAdam(lr=0.01, beta=(0.5, 0.9), eps=1e-08)
    """
    adam = optax.scale_by_adam(*beta, eps)
    return optax.chain(adam, papers.optimistic(), optax.scale_by_learning_rate(lr))


@rule
def NAdam(lr: Rate = 0.001, beta: Pair = (0.9, 0.999), eps=1e-8):
    """Adam with Nesterov momentum. Source: Dozat (2016).

    >>> NAdam(0.01)
    NAdam(lr=0.01, beta=(0.9, 0.999), eps=1e-08)
    """
    return optax.nadam(lr, *beta, eps)


@rule
def AMSGrad(lr: Rate = 0.001, beta: Pair = (0.9, 0.999), eps=1e-8):
    """Adam with a second moment that never shrinks, and without correction of the moments' start.

    Source: Reddi et al. (2018), algorithm 2.

    >>> AMSGrad(0.01)
    AMSGrad(lr=0.01, beta=(0.9, 0.999), eps=1e-08)
    """
    return optax.chain(papers.amsgrad(beta, eps), optax.scale_by_learning_rate(lr))


@rule
def AdaGrad(lr: Rate = 0.1, eps=1e-8):
    """Scale by the root of the sum of squares. Source: Duchi et al. (2011).

    >>> AdaGrad(0.1)
    AdaGrad(lr=0.1, eps=1e-08)
    """
    return optax.chain(papers.adagrad(eps), optax.scale_by_learning_rate(lr))


@rule
def AdaDelta(rho=0.9, eps=1e-8):
    """Without a learning rate. Source: Zeiler (2012).

    >>> AdaDelta(0.95)
    AdaDelta(rho=0.95, eps=1e-08)
    """
    return optax.adadelta(1.0, rho=rho, eps=eps)


@rule
def AdaBelief(lr: Rate = 0.001, beta: Pair = (0.9, 0.999), eps=1e-16):
    """Adam by the variance of the gradient's prediction error. Source: Zhuang et al. (2020).

    >>> AdaBelief(0.01)
    AdaBelief(lr=0.01, beta=(0.9, 0.999), eps=1e-16)
    """
    return optax.adabelief(lr, *beta, eps, eps)


@rule
def Lion(lr: Rate = 0.0001, beta: Pair = (0.9, 0.99)):
    """The sign of an interpolated momentum. Source: Chen et al. (2023).

    >>> Lion(0.001)
    Lion(lr=0.001, beta=(0.9, 0.99))
    """
    return optax.lion(lr, *beta, weight_decay=0.0)


@rule
def Muon(lr: Any = 0.02, beta=0.95, rest=0.015):
    """Orthogonalised momentum for matrices; Adam, with `rest * lr`, for all other arrays.

    Meant for hidden layers. Source: Jordan et al. (2024), whose choice for Adam is 0.0003.

    >>> Muon(0.02)
    Muon(lr=0.02, beta=0.95, rest=0.015)
    """

    def kinds(params):
        return jax.tree.map(lambda p: "muon" if p.ndim == 2 else "adam", params)

    turning = optax.chain(papers.muon(beta), optax.scale_by_learning_rate(lr))
    adam = optax.adam(rest * lr, 0.9, 0.95, 1e-10)
    return optax.multi_transform({"muon": turning, "adam": adam}, kinds)


@rule
def WeightDecay(decay=5e-4):
    """Add `decay * x` to the gradient (L2); stands before a rule in a chain.

    >>> WeightDecay(0.1)
    WeightDecay(decay=0.1)
    """
    return optax.add_decayed_weights(decay)


@rule
def SignDecay(decay=1e-3):
    """Add `decay * sign(x)` to the gradient (L1); stands before a rule in a chain.

    >>> SignDecay(0.1)
    SignDecay(decay=0.1)
    """

    def add(g: Any, x: Any):
        return g + (decay * jnp.sign(x)).astype(g.dtype)

    return optax.stateless_with_tree_map(add)


@rule
def ClipGrad(delta=10.0):
    """Clip every element of the gradient to `[-delta, delta]`.

    >>> ClipGrad(5.0)
    ClipGrad(delta=5.0)
    """
    return optax.clip(delta)


@rule
def ClipNorm(omega=10.0):
    """Scale each array's gradient down to norm `omega`.

    >>> ClipNorm(2.0)
    ClipNorm(omega=2.0)
    """

    def clip(g, _):
        norm = jnp.sqrt(jnp.sum(jnp.square(jnp.abs(g))))
        return (g * jnp.minimum(1.0, omega / jnp.maximum(norm, 1e-30))).astype(g.dtype)

    return optax.stateless_with_tree_map(clip)


@rule
def ClipGlobalNorm(omega=1.0):
    """Scale the whole gradient down to norm `omega`. Source: Pascanu et al. (2013).

    >>> ClipGlobalNorm(2.0)
    ClipGlobalNorm(omega=2.0)
    """
    return optax.clip_by_global_norm(omega)


class AccumGrad(OptimiserChain):
    """Apply a rule to the mean of `n` gradients, every `n` steps.

    >>> AccumGrad(4, Descent(0.1))
    AccumGrad(4, Descent(lr=0.1))
    """

    def __init__(self, n: int, *rules):
        if not rules:
            raise ArgumentError(
                "AccumGrad expected the rules that it applies after the number of gradients.",
                where=user_line(),
                hint=f"AccumGrad({n!r}, flux.optim.Adam()): it stands around them.",
            )
        super().__init__(*rules)
        self.n = check_integer("AccumGrad", "n", n, least=1)

    def __repr__(self):
        return f"AccumGrad({', '.join(map(rule_text, (self.n, *self.rules)))})"

    def __eq__(self, other):
        return super().__eq__(other) and self.n == other.n

    __hash__ = OptimiserChain.__hash__

    @property
    def transform(self):  # type: ignore[override]  (made anew each time)
        """The optax transformation."""
        steps = optax.MultiSteps(as_transform(OptimiserChain(*self.rules)), self.n)
        return steps.gradient_transformation()


class MixedPrecision(OptimiserChain):
    """Keep a float32 copy of every parameter, and let the rules work on that.

    For parameters of half precision, whose last bit is larger than a step. It has to stand around
    the whole chain. Source: Micikevicius et al. (2018).

    >>> MixedPrecision(Adam(0.1))
    MixedPrecision(Adam(lr=0.1, beta=(0.9, 0.999), eps=1e-08))
    """

    @property
    def transform(self):  # type: ignore[override]  (made anew each time)
        """The optax transformation."""
        inner = as_transform(OptimiserChain(*self.rules))

        def init(params):
            masters = jax.tree.map(wide, params)
            return masters, inner.init(masters)

        def update(updates, state, params=None):
            masters, inner_state = state
            updates, inner_state = inner.update(jax.tree.map(wide, updates), inner_state, masters)
            masters = optax.apply_updates(masters, updates)
            steps = jax.tree.map(lambda m, p: wide(m.astype(p.dtype)) - wide(p), masters, params)
            return steps, (masters, inner_state)

        return optax.GradientTransformation(init, update)  # type: ignore[arg-type]
