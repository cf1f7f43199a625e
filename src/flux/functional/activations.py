"""Smooth activations: sigmoids, soft rectifiers and gates.

Each is its formula on NumPy and JAX arrays, elementwise, with the shape of its input; a float input
keeps its dtype. All are finite, with finite derivatives, for inputs of any size. The piecewise ones
are in `rectifiers`.
"""

from __future__ import annotations

import math

from flux.ad import rule
from flux.functional.arrays import namespace
from flux.functional.special import erf

__all__ = [
    "gelu",
    "gelu_erf",
    "glu",
    "identity",
    "lisht",
    "logcosh",
    "logsigmoid",
    "mish",
    "sigmoid",
    "silu",
    "softplus",
    "softsign",
    "swish",
    "tanh",
    "tanhshrink",
]


def identity(x):
    """Return the input as it is.

    >>> identity(3)
    3
    """
    return x


def sigmoid(x):
    """Press into the range from 0 to 1: ``1 / (1 + exp(-x))``.

    >>> print(sigmoid(0.0), sigmoid(-1e4))
    0.5 0.0
    """
    xp = namespace(x)
    e = xp.exp(-abs(x))  # never above 1
    return xp.where(x >= 0, 1, e) / (1 + e)


@rule(sigmoid)
def _sigmoid_rule(x):
    y = sigmoid(x)
    return y, lambda ct: (ct * (y * (1 - y)),)


def logsigmoid(x):
    """The logarithm of the sigmoid, ``-log(1 + exp(-x))``, exact where the sigmoid is 0.

    >>> print(logsigmoid(-1e4))
    -10000.0
    """
    return -softplus(-x)


def tanh(x):
    """The hyperbolic tangent, between -1 and 1.

    >>> print(round(float(tanh(1.0)), 4))
    0.7616
    """
    return namespace(x).tanh(x)


@rule(tanh)
def _tanh_rule(x):
    y = namespace(x).tanh(x)
    return y, lambda ct: (ct * (1 - y * y),)


def tanhshrink(x):
    """What the hyperbolic tangent leaves over: ``x - tanh(x)``.

    >>> print(round(float(tanhshrink(1.0)), 4))
    0.2384
    """
    return x - tanh(x)


@rule(tanhshrink)
def _tanhshrink_rule(x):
    t = tanh(x)
    return x - t, lambda ct: (ct * (t * t),)


def lisht(x):
    """A symmetric rectifier, ``x * tanh(x)``.

    Source: Roy et al. (2019), LiSHT: non-parametric linearly scaled hyperbolic tangent.

    >>> print(round(float(lisht(-1.0)), 4))
    0.7616
    """
    return x * tanh(x)


def softplus(x):
    """A smooth relu, ``log(1 + exp(x))``.

    Source: Dugas et al. (2000), Incorporating second-order functional knowledge.

    >>> print(round(float(softplus(0.0)), 4), softplus(1e4))
    0.6931 10000.0
    """
    xp = namespace(x)
    return xp.maximum(x, 0) + xp.log1p(xp.exp(-abs(x)))


@rule(softplus)
def _softplus_rule(x):
    return softplus(x), lambda ct: (ct * sigmoid(x),)


def softsign(x):
    """A slow sigmoid between -1 and 1: ``x / (1 + |x|)``.

    Source: Turian, Bergstra and Bengio (2009), Quadratic features and deep architectures.

    >>> print(softsign(1.0), softsign(-3.0))
    0.5 -0.75
    """
    return x / (1 + abs(x))


@rule(softsign)
def _softsign_rule(x):
    return softsign(x), lambda ct: (ct * (1 / (1 + abs(x))) ** 2,)


def logcosh(x):
    """The logarithm of the hyperbolic cosine, near ``x**2/2`` at 0 and ``|x| - log 2`` far off.

    >>> print(round(float(logcosh(1.0)), 4), logcosh(0.0))
    0.4338 0.0
    """
    xp = namespace(x)
    size = abs(x)
    return size + xp.log1p(xp.exp(-2 * size)) - math.log(2)


@rule(logcosh)
def _logcosh_rule(x):
    return logcosh(x), lambda ct: (ct * tanh(x),)


def swish(x):
    """Let the sigmoid be the gate: ``x * sigmoid(x)``, also called silu.

    Source: Ramachandran, Zoph and Le (2017), Searching for activation functions.

    >>> print(round(float(swish(1.0)), 4))
    0.7311
    """
    return x * sigmoid(x)


@rule(swish)
def _swish_rule(x):
    gate = sigmoid(x)
    y = x * gate
    return y, lambda ct: (ct * (gate + y * (1 - gate)),)


silu = swish


def mish(x):
    """A smooth gate that keeps small negative values: ``x * tanh(softplus(x))``.

    Source: Misra (2019), Mish: a self regularized non-monotonic activation function.

    >>> print(round(float(mish(1.0)), 4))
    0.8651
    """
    return x * tanh(softplus(x))


def gelu(x):
    """Gate by the normal distribution, in its usual approximation.

    ``x/2 * (1 + tanh(sqrt(2/pi) * (x + 0.044715 * x**3)))``; `gelu_erf` is the exact form.

    Source: Hendrycks and Gimpel (2016), Gaussian error linear units, section 2.

    >>> print(round(float(gelu(1.0)), 4))
    0.8412
    """
    return x * _gelu_gate(x)[0]


def _gelu_gate(x):
    """``(1 + tanh(z)) / 2`` as ``sigmoid(2 z)``, exact on the left too; the slope of ``2 z``."""
    u = namespace(x).clip(x, -15, 15)  # beyond, the gate is 0 or 1, and square stays finite
    square = u * u
    factor = 2 * math.sqrt(2 / math.pi)
    return sigmoid(factor * u * (1 + 0.044715 * square)), factor * (1 + 3 * 0.044715 * square)


@rule(gelu)
def _gelu_rule(x):
    gate, slope = _gelu_gate(x)
    y = x * gate
    return y, lambda ct: (ct * (gate + y * (1 - gate) * slope),)


def gelu_erf(x):
    """Gate by the normal distribution: x times the probability that a normal variable is below x.

    Source: Hendrycks and Gimpel (2016), Gaussian error linear units, section 2.

    >>> print(round(float(gelu_erf(1.0)), 4))
    0.8413
    """
    return x * (0.5 * (1 + erf(x / math.sqrt(2))))


@rule(gelu_erf)
def _gelu_erf_rule(x):
    below = 0.5 * (1 + erf(x / math.sqrt(2)))

    def back(ct):
        u = namespace(x).clip(x, -50, 50)  # the density is 0 beyond, and u * u stays finite
        return (ct * (below + u * namespace(x).exp(-0.5 * u * u) / math.sqrt(2 * math.pi)),)

    return x * below, back


def glu(x, *, axis=-1):
    """Split an axis in two halves and let the second gate the first: ``a * sigmoid(b)``.

    Args:
        x: an array whose `axis` has an even length.
        axis: the axis that is split; it is half as long in the result.

    Source: Dauphin et al. (2017), Language modeling with gated convolutional networks.

    >>> import numpy as np
    >>> glu(np.ones((2, 6))).shape
    (2, 3)
    """
    a, b = namespace(x).split(x, 2, axis=axis)
    return a * sigmoid(b)


@rule(glu)
def _glu_rule(x, *, axis=-1):
    a, b = namespace(x).split(x, 2, axis=axis)
    gate = sigmoid(b)
    y = a * gate

    def back(ct):
        return (namespace(ct).concatenate([ct * gate, ct * (y * (1 - gate))], axis=axis),)

    return y, back
