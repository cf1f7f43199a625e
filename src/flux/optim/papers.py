"""Rules that optax does not have, or has otherwise than the paper, as optax transformations.

Each turns a gradient into a step to be scaled by the learning rate; `rprop` into the step itself.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

__all__ = ["adagrad", "amsgrad", "muon", "optimistic", "orthogonal", "rprop"]


class Moments(NamedTuple):
    """What a rule remembers of the gradients so far; trees like the parameters."""

    first: Any = ()
    second: Any = ()
    largest: Any = ()


def zeros(params):
    return jax.tree.map(jnp.zeros_like, params)


def squares(params):
    """Sums of squares before the first: real, of complex parameters too."""
    return jax.tree.map(lambda p: jnp.zeros_like(p.real), params)


def averages(before, new, beta):
    """Running means that keep the share `beta` of what they were."""
    return jax.tree.map(lambda a, b: beta * a + (1 - beta) * b, before, new)


def rprop(lr, ell, gamma) -> optax.GradientTransformation:
    """Every number's step size grows by `ell[1]` while the sign of its gradient stays, and shrinks
    by `ell[0]` when it changes; the number then rests for one step.

    Args:
        lr: the first step sizes.
        ell: the two factors.
        gamma: the smallest and the largest step size.

    Raises: `TypeError` for complex parameters, which have no sign.
    Source: Igel and Hüsken (2003), Empirical evaluation of the improved Rprop, iRprop⁻.
    """

    def init(params):
        if any([jnp.iscomplexobj(p) for p in jax.tree.leaves(params)]):
            raise TypeError("Rprop follows the sign of gradients; complex parameters have none.")
        return Moments(
            zeros(params), jax.tree.map(lambda p: jnp.full(p.shape, lr, p.dtype), params)
        )

    def update(grads, state, params=None):
        turn = jax.tree.map(lambda g, before: jnp.sign(g * jnp.sign(before)), grads, state.first)

        def resized(turn, size):
            factor = jnp.where(turn > 0, ell[1], jnp.where(turn < 0, ell[0], 1.0))
            return jnp.clip(size * factor, *gamma)

        sizes = jax.tree.map(resized, turn, state.second)
        grads = jax.tree.map(lambda g, turn: jnp.where(turn < 0, 0.0, g), grads, turn)
        steps = jax.tree.map(lambda g, size: -jnp.sign(g) * size, grads, sizes)
        return steps, Moments(grads, sizes)

    return optax.GradientTransformation(init, update)  # type: ignore[arg-type]


def adagrad(eps) -> optax.GradientTransformation:
    """`a += g²`, the step is `g / (√a + eps)`.

    Source: Duchi, Hazan and Singer (2011), figure 1, with the diagonal.
    """

    def update(grads, state, params=None):
        sums = jax.tree.map(lambda a, g: a + jnp.abs(g) ** 2, state.second, grads)
        return jax.tree.map(lambda g, a: g / (jnp.sqrt(a) + eps), grads, sums), Moments((), sums)

    init = lambda params: Moments((), squares(params))  # noqa: E731
    return optax.GradientTransformation(init, update)  # type: ignore[arg-type]


def amsgrad(beta, eps) -> optax.GradientTransformation:
    """`m` and `v` as in Adam, without correction of their start; the step is `m / (√max v + eps)`.

    Source: Reddi, Kale and Kumar (2018), algorithm 2.
    """

    def init(params):
        return Moments(zeros(params), squares(params), squares(params))

    def update(grads, state, params=None):
        m = averages(state.first, grads, beta[0])
        v = averages(state.second, jax.tree.map(lambda g: jnp.abs(g) ** 2, grads), beta[1])
        most = jax.tree.map(jnp.maximum, state.largest, v)
        steps = jax.tree.map(lambda m, v: m / (jnp.sqrt(v) + eps), m, most)
        return steps, Moments(m, v, most)

    return optax.GradientTransformation(init, update)  # type: ignore[arg-type]


def optimistic() -> optax.GradientTransformation:
    """Twice the step `r`, less the one before, which is 0 at the start.

    Source: Daskalakis et al. (2018), Training GANs with optimism, algorithm 1.
    """

    def update(steps, state, params=None):
        twice = jax.tree.map(lambda r, before: 2 * r - before, steps, state.first)
        return twice, Moments(steps)

    init = lambda params: Moments(zeros(params))  # noqa: E731
    return optax.GradientTransformation(init, update)  # type: ignore[arg-type]


def muon(beta) -> optax.GradientTransformation:
    """Momentum of matrices that looks ahead, made orthogonal: every direction gets the same step.

    Shapes: `(n_in, n_out)`; the step is scaled by `√max(1, n_out / n_in)`.
    Source: Jordan et al. (2024), Muon: an optimizer for hidden layers in neural networks.
    """

    def scaled(x):
        return orthogonal(x) * max(1.0, x.shape[1] / x.shape[0]) ** 0.5

    def update(grads, state, params=None):
        m = averages(state.first, grads, beta)
        steps = jax.tree.map(lambda m, g: scaled(beta * m + (1 - beta) * g), m, grads)
        return steps, Moments(m)

    init = lambda params: Moments(zeros(params))  # noqa: E731
    return optax.GradientTransformation(init, update)  # type: ignore[arg-type]


def orthogonal(x):
    """Bring the singular values of a matrix between 0.7 and 1.2, by five Newton-Schulz steps.

    >>> turned = orthogonal(jnp.array([[3.0, 1.0], [0.0, 2.0]]))
    >>> bool(((0.7 < jnp.linalg.svd(turned)[1]) & (jnp.linalg.svd(turned)[1] < 1.2)).all())
    True
    """
    if x.shape[0] > x.shape[1]:
        return orthogonal(x.T.conj()).T.conj()
    x = x / (jnp.linalg.norm(x) + 1e-7)
    for _ in range(5):
        square = x @ x.T.conj()
        x = 3.4445 * x + (-4.7750 * square + 2.0315 * square @ square) @ x
    return x
