"""Initial values of parameters.

An initialiser is called as `init(shape, *, rng=None, dtype="float32")` and returns a JAX array.
With keywords only it returns an initialiser that has them set: `init=orthogonal(gain=2)`.

Shapes are `(..., n_in, n_out)`; axes before the last two are the window of a convolution, and both
counts of connections include it. Arrays are drawn with NumPy and converted once (see `random`).
"""

from __future__ import annotations

import functools
import math
import statistics
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np

from flux.errors import ShapeError, suggests_names
from flux.random import generator

__all__ = [
    "fans",
    "glorot_normal",
    "glorot_uniform",
    "identity_init",
    "kaiming_normal",
    "kaiming_uniform",
    "lecun_normal",
    "ones",
    "orthogonal",
    "sparse_init",
    "truncated_normal",
    "zeros",
]
suggests_names(__name__)

RELU_GAIN = math.sqrt(2)
"""Relu halves the mean square of what it passes; this makes up for it."""


def initialiser(draw: Callable[..., np.ndarray]) -> Callable[..., Any]:
    """Make `draw(rng, shape, **options) -> numpy array` an initialiser, as this file opens with."""

    @functools.wraps(draw)
    def init(shape=None, *, rng=None, dtype="float32", **options):
        if shape is None:
            return functools.partial(init, rng=rng, dtype=dtype, **options)
        shape = (shape,) if isinstance(shape, int) else tuple(shape)
        drawn = draw(generator(rng), shape, **options)
        return jnp.asarray(np.asarray(drawn, jnp.dtype(dtype)))

    del init.__wrapped__  # its signature is not this one's
    return init


def fans(shape) -> tuple[int, int]:
    """Count the connections into and out of one unit of a weight of this shape.

    >>> fans((4, 6)), fans((3, 3, 8, 16))
    ((4, 6), (72, 144))
    """
    shape = tuple(shape)
    if len(shape) < 2:
        return (1, math.prod(shape))
    window = math.prod(shape[:-2])
    return window * shape[-2], window * shape[-1]


@initialiser
def zeros(rng, shape):
    """All zeros.

    >>> zeros(3).tolist()
    [0.0, 0.0, 0.0]
    """
    return np.zeros(shape)


@initialiser
def ones(rng, shape):
    """All ones.

    >>> ones(3).tolist()
    [1.0, 1.0, 1.0]
    """
    return np.ones(shape)


@initialiser
def glorot_uniform(rng, shape, *, gain=1.0):
    """Uniform within ``gain * sqrt(6 / (n_in + n_out))`` of zero.

    Source: Glorot and Bengio (2010), Understanding the difficulty of training deep networks.

    >>> float(abs(glorot_uniform((300, 300), rng=0)).max()).__round__(3)
    0.1
    """
    bound = gain * math.sqrt(6 / sum(fans(shape)))
    return rng.uniform(-bound, bound, shape)


@initialiser
def glorot_normal(rng, shape, *, gain=1.0):
    """Normal with standard deviation ``gain * sqrt(2 / (n_in + n_out))``.

    Source: Glorot and Bengio (2010), Understanding the difficulty of training deep networks.

    >>> glorot_normal((2, 3)).shape
    (2, 3)
    """
    return rng.normal(0, gain * math.sqrt(2 / sum(fans(shape))), shape)


@initialiser
def kaiming_uniform(rng, shape, *, gain=RELU_GAIN):
    """Uniform within ``gain * sqrt(3 / n_in)`` of zero.

    Source: He et al. (2015), Delving deep into rectifiers, section 2.2.

    >>> kaiming_uniform((2, 3)).shape
    (2, 3)
    """
    bound = gain * math.sqrt(3 / fans(shape)[0])
    return rng.uniform(-bound, bound, shape)


@initialiser
def kaiming_normal(rng, shape, *, gain=RELU_GAIN):
    """Normal with standard deviation ``gain / sqrt(n_in)``.

    Source: He et al. (2015), Delving deep into rectifiers, section 2.2.

    >>> kaiming_normal((2, 3)).shape
    (2, 3)
    """
    return rng.normal(0, gain / math.sqrt(fans(shape)[0]), shape)


def _truncated(rng, shape, lo, hi):
    """Standard normal numbers between `lo` and `hi`: those outside are drawn again."""
    values = rng.standard_normal(shape)
    outside = (values < lo) | (values > hi)
    while outside.any():
        values[outside] = rng.standard_normal(int(outside.sum()))
        outside = (values < lo) | (values > hi)
    return values


@initialiser
def truncated_normal(rng, shape, *, mean=0.0, std=1.0, lo=-2.0, hi=2.0):
    """Normal with this mean and standard deviation, cut off at `lo` and `hi`.

    The bounds are values, not multiples of `std`, as in PyTorch and Flux.jl. The interval must hold
    at least a thousandth of the distribution.

    >>> bool(abs(truncated_normal((1000,), std=5.0)).max() <= 2)
    True
    """
    normal = statistics.NormalDist(mean, std)
    if not normal.cdf(hi) - normal.cdf(lo) >= 1e-3:
        raise ValueError(
            f"truncated_normal got the bounds {lo} and {hi}, which leave out nearly everything of "
            f"a normal distribution with mean {mean} and standard deviation {std}"
        )
    # an array with at least one axis, so that entries can be drawn again in place
    drawn = _truncated(rng, (math.prod(shape),), (lo - mean) / std, (hi - mean) / std)
    return mean + std * drawn.reshape(shape)


@initialiser
def lecun_normal(rng, shape, *, gain=1.0):
    """Normal, cut off at two standard deviations, scaled to standard deviation ``gain/sqrt(n_in)``.

    What is cut off takes variance away; the numbers are stretched so that what is left has the
    stated standard deviation.

    Source: LeCun et al. (1998), Efficient backprop, section 4.6.

    >>> float(lecun_normal((400, 400), rng=0).std()).__round__(3)
    0.05
    """
    left = 0.8796256610342398  # the standard deviation of a standard normal that is cut at 2
    std = gain / math.sqrt(fans(shape)[0]) / left
    return std * _truncated(rng, (math.prod(shape),), -2, 2).reshape(shape)


@initialiser
def orthogonal(rng, shape, *, gain=1.0):
    """A matrix whose shorter side is orthonormal, times `gain`; leading axes count as rows.

    Source: Saxe, McClelland and Ganguli (2014), Exact solutions to the nonlinear dynamics.

    >>> w = orthogonal((3, 3), rng=0)
    >>> bool(abs(w @ w.T - np.eye(3)).max() < 1e-5)
    True
    """
    if len(shape) < 2:
        raise ShapeError(f"orthogonal got the shape {shape}: a matrix needs two axes or more")
    rows, columns = math.prod(shape[:-1]), shape[-1]
    q, r = np.linalg.qr(rng.standard_normal((max(rows, columns), min(rows, columns))))
    q = q * np.where(np.diag(r) < 0, -1, 1)  # makes every rotation equally likely
    return gain * (q if rows >= columns else q.T).reshape(shape)


@initialiser
def sparse_init(rng, shape, *, sparsity=0.1, std=0.01):
    """A matrix of normal numbers in which a fraction of each column is zero.

    Args:
        shape: of a matrix.
        sparsity: the fraction of zeros in a column, rounded up to whole entries.
        std: standard deviation of the other entries.

    Source: Martens (2010), Deep learning via Hessian-free optimization, section 5.

    >>> (sparse_init((10, 4), sparsity=0.3) == 0).sum(axis=0).tolist()
    [3, 3, 3, 3]
    """
    if len(shape) != 2:
        raise ShapeError(f"sparse_init got the shape {shape}: it makes matrices only")
    values = rng.normal(0, std, shape)
    count = min(math.ceil(sparsity * shape[0]), shape[0])
    for column in range(shape[1]):
        values[rng.permutation(shape[0])[:count], column] = 0
    return values


@initialiser
def identity_init(rng, shape, *, gain=1.0, shift=0):
    """What makes a layer return its input: an identity matrix, or a window's centre tap.

    Args:
        shape: of a bias (which becomes zeros), a matrix, or the weight of a convolution.
        gain: replaces the ones.
        shift: rotates the result along its axes, one number or one for each axis.

    >>> identity_init((2, 3)).tolist()
    [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]
    """
    values = np.zeros(shape)
    if len(shape) >= 2:
        centre = tuple((n - 1) // 2 for n in shape[:-2])
        for i in range(min(shape[-2:])):
            values[(*centre, i, i)] = gain
    shifts = (shift,) * len(shape) if isinstance(shift, int) else tuple(shift)
    return np.roll(values, shifts, axis=tuple(range(len(shape))))
