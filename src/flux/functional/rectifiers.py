"""Activations made of straight or exponential pieces: the relu family, clips and shrinks.

Each is its formula on NumPy and JAX arrays, elementwise, with the shape and dtype of its input. At
a corner the derivative is that of the flat side (`relu'(0) = 0`), so that nothing moves a unit that
is off. A derivative that is cheaper or safer than the formula's stands directly under it.
"""

from __future__ import annotations

from flux.ad import rule
from flux.functional.arrays import drawn, dtype_name, namespace, shape_of

__all__ = [
    "celu",
    "elu",
    "hardsigmoid",
    "hardswish",
    "hardtanh",
    "leakyrelu",
    "relu",
    "relu6",
    "rrelu",
    "selu",
    "softshrink",
    "trelu",
]

SELU_SCALE, SELU_ALPHA = 1.0507009873554805, 1.6732632423543772


def relu(x):
    """Cut off what is negative: ``max(x, 0)``. NaN stays NaN.

    Source: Nair and Hinton (2010), Rectified linear units improve restricted Boltzmann machines.

    >>> relu(-1.5), relu(1.5)
    (np.float64(0.0), np.float64(1.5))
    """
    return namespace(x).maximum(x, 0)


@rule(relu)
def _relu_rule(x):
    return relu(x), lambda ct: (namespace(x, ct).where(x > 0, ct, 0),)


def leakyrelu(x, slope=0.01):
    """Multiply what is not positive by a small slope: ``x if x > 0 else slope * x``.

    Source: Maas, Hannun and Ng (2013), Rectifier nonlinearities improve acoustic models.

    >>> print(leakyrelu(-2.0), leakyrelu(2.0))
    -0.02 2.0
    """
    return namespace(x, slope).where(x > 0, x, slope * x)


def relu6(x):
    """Clip to the range from 0 to 6: ``min(max(x, 0), 6)``.

    Source: Krizhevsky (2010), Convolutional deep belief networks on CIFAR-10.

    >>> print(relu6(-1.0), relu6(8.0))
    0.0 6.0
    """
    return namespace(x).clip(x, 0, 6)


@rule(relu6)
def _relu6_rule(x):
    return relu6(x), lambda ct: (namespace(x, ct).where((x > 0) & (x < 6), ct, 0),)


def rrelu(x, lower=1 / 8, upper=1 / 3, *, rng=None):
    """Leaky relu whose slope is drawn anew for each entry, uniform in ``[lower, upper)``.

    Args:
        x: an array.
        lower: the smallest slope.
        upper: the largest slope.
        rng: where slopes are drawn from, an object with `uniform(shape)` such as
            `flux.RandomState`; without it every slope is the mean, as when a model is tested.

    Source: Xu et al. (2015), Empirical evaluation of rectified activations.

    >>> print(round(float(rrelu(-24.0)), 4))
    -5.5
    """
    if rng is None:
        return leakyrelu(x, (lower + upper) / 2)
    slopes = drawn(rng.uniform(shape_of(x), dtype_name(x)), x)
    return leakyrelu(x, lower + (upper - lower) * slopes)


def elu(x, alpha=1.0):
    """Bend what is negative towards ``-alpha``: ``x if x > 0 else alpha * (exp(x) - 1)``.

    Source: Clevert, Unterthiner and Hochreiter (2016), Exponential linear units.

    >>> print(round(float(elu(-1.0)), 4), elu(2.0))
    -0.6321 2.0
    """
    xp = namespace(x, alpha)
    # exp must not see large x: its infinity, although not chosen, would spoil the derivative
    return xp.where(x > 0, x, alpha * xp.expm1(xp.where(x > 0, 0, x)))


def celu(x, alpha=1.0):
    """Elu with a smooth joint for every alpha: ``x if x > 0 else alpha * (exp(x/alpha) - 1)``.

    Source: Barron (2017), Continuously differentiable exponential linear units.

    >>> print(round(float(celu(-1.0, 2.0)), 4))
    -0.7869
    """
    xp = namespace(x, alpha)
    return xp.where(x > 0, x, alpha * xp.expm1(xp.where(x > 0, 0, x) / alpha))


def selu(x):
    """Scaled elu, ``1.0507 * elu(x, 1.6733)``: keeps mean 0 and variance 1 from layer to layer.

    Source: Klambauer et al. (2017), Self-normalizing neural networks.

    >>> print(round(float(selu(1.0)), 4), round(float(selu(-1.0)), 4))
    1.0507 -1.1113
    """
    return SELU_SCALE * elu(x, SELU_ALPHA)


def trelu(x, theta=1.0):
    """Pass only what exceeds a threshold: ``x if x > theta else 0``.

    Source: Konda, Memisevic and Krueger (2015), Zero-bias autoencoders.

    >>> print(trelu(0.9), trelu(1.1))
    0.0 1.1
    """
    return namespace(x, theta).where(x > theta, x, 0)


def softshrink(x, width=0.5):
    """Pull towards zero by `width`, and set to zero what is nearer than that.

    >>> print(softshrink(2.0), softshrink(0.3), softshrink(-2.0))
    1.5 0.0 -1.5
    """
    xp = namespace(x, width)
    return xp.where(x > width, x - width, xp.where(x < -width, x + width, 0))


def hardtanh(x):
    """Clip to the range from -1 to 1.

    Source: Collobert (2004), Large scale machine learning.

    >>> print(hardtanh(-3.0), hardtanh(0.5))
    -1.0 0.5
    """
    return namespace(x).clip(x, -1, 1)


@rule(hardtanh)
def _hardtanh_rule(x):
    return hardtanh(x), lambda ct: (namespace(x, ct).where((x > -1) & (x < 1), ct, 0),)


def hardsigmoid(x):
    """The sigmoid as three straight pieces: ``clip(x/6 + 1/2, 0, 1)``.

    Source: Howard et al. (2019), Searching for MobileNetV3.

    >>> print(hardsigmoid(-4.0), hardsigmoid(0.0), hardsigmoid(4.0))
    0.0 0.5 1.0
    """
    return namespace(x).clip(x / 6 + 0.5, 0, 1)


@rule(hardsigmoid)
def _hardsigmoid_rule(x):
    return hardsigmoid(x), lambda ct: (namespace(x, ct).where((x > -3) & (x < 3), ct / 6, 0),)


def hardswish(x):
    """Swish with the hard sigmoid as its gate: ``x * hardsigmoid(x)``.

    Source: Howard et al. (2019), Searching for MobileNetV3.

    >>> print(hardswish(-4.0), hardswish(3.0))
    -0.0 3.0
    """
    return x * hardsigmoid(x)
