"""Normalisation: bring values to mean 0 and variance 1 along chosen axes.

Statistics are taken in float32 where the input is in half precision; `eps` is added to the
variance.
"""

from __future__ import annotations

from flux.ad import rule
from flux.functional.arrays import namespace, narrow, reshape, shape_of, size_of, widen

__all__ = ["affine", "groupnorm", "layernorm", "normalise", "rmsnorm", "standardise"]

Axes = int | tuple[int, ...]


def standardise(x, *, axis: Axes = -1, eps=1e-5):
    """Normalise `x` along `axis` and return what was found: ``(y, mean, var)``.

    ``y = (x - mean) / sqrt(var + eps)`` with the biased variance (divided by n). Its gradient is
    one formula in `y`, not the chain of its parts.

    Args:
        x: an array.
        axis: an axis or a tuple of axes.
        eps: added to the variance, so that a constant becomes zeros.

    Shapes: ``y`` as ``x``; the statistics keep the axes with length 1.
    Dtypes: ``y`` as ``x``; the statistics of half-precision inputs are float32.
    Source: Ioffe and Szegedy (2015), Batch normalization, algorithm 1.

    >>> import numpy as np
    >>> y, mean, var = standardise(np.array([1.0, 3.0]), eps=0.0)
    >>> y.tolist(), mean.tolist(), var.tolist()
    ([-1.0, 1.0], [2.0], [1.0])
    """
    xp = namespace(x)
    wide = widen(x)
    mean = xp.mean(wide, axis=axis, keepdims=True)
    centred = wide - mean
    var = xp.mean(centred * centred, axis=axis, keepdims=True)
    return narrow(centred / xp.sqrt(var + eps), x), mean, var


@rule(standardise)
def _standardise_rule(x, *, axis=-1, eps=1e-5):
    xp = namespace(x)
    y, mean, var = standardise(x, axis=axis, eps=eps)
    scale = 1 / xp.sqrt(var + eps)

    def average(values):
        return namespace(values).mean(values, axis=axis, keepdims=True)

    def back(ct):
        ct_y, ct_mean, ct_var = ct
        wide = widen(y)
        n = size_of(wide) // size_of(mean)
        grad = 0 * wide
        if ct_y is not None:
            ct_y = widen(ct_y)
            grad = grad + scale * (ct_y - average(ct_y) - wide * average(ct_y * wide))
        if ct_mean is not None:
            grad = grad + ct_mean / n
        if ct_var is not None:
            grad = grad + ct_var * (2 / n) * (widen(x) - mean)
        return narrow(grad, x), {}  # eps is a constant

    return (y, mean, var), back


def normalise(x, *, axis: Axes = -1, eps=1e-5):
    """Bring `x` to mean 0 and variance 1 along `axis`: ``(x - mean) / sqrt(var + eps)``.

    Args:
        x: an array.
        axis: an axis or a tuple of axes.
        eps: added to the variance.

    Shapes: as ``x``.

    >>> import numpy as np
    >>> normalise(np.array([[1.0, 3.0], [5.0, 5.0]]), eps=0.1).round(2).tolist()
    [[-0.95, 0.95], [0.0, 0.0]]
    """
    return standardise(x, axis=axis, eps=eps)[0]


def affine(x, scale=None, shift=None):
    """Multiply by `scale` and add `shift`, either of which may be `None`.

    >>> print(affine(2.0, 3.0, 1.0))
    7.0
    """
    if scale is not None:
        x = x * scale
    return x if shift is None else x + shift


def layernorm(x, scale=None, shift=None, *, axis: Axes = -1, eps=1e-5):
    """Normalise each example over its features, then scale and shift.

    Args:
        x: features along `axis`.
        scale: multiplies the result, of the features' shape; `None` for 1.
        shift: is added to the result, of the features' shape; `None` for 0.
        axis: the axis or axes of the features.
        eps: added to the variance.

    Shapes: as ``x``.
    Source: Ba, Kiros and Hinton (2016), Layer normalization.

    >>> import numpy as np
    >>> layernorm(np.array([[1.0, 3.0]]), eps=0.0).tolist()
    [[-1.0, 1.0]]
    """
    return affine(normalise(x, axis=axis, eps=eps), scale, shift)


def rmsnorm(x, scale=None, *, axis=-1, eps=1e-6):
    """Divide by the root of the mean square along `axis`; the mean is not removed.

    Args:
        x: features along `axis`.
        scale: multiplies the result, of the features' shape; `None` for 1.
        axis: the axis or axes of the features.
        eps: added to the mean square.

    Shapes: as ``x``.
    Source: Zhang and Sennrich (2019), Root mean square layer normalization.

    >>> import numpy as np
    >>> rmsnorm(np.array([3.0, 4.0]), eps=0.0).round(3).tolist()
    [0.849, 1.131]
    """
    xp = namespace(x)
    wide = widen(x)
    size = xp.sqrt(xp.mean(wide * wide, axis=axis, keepdims=True) + eps)
    return affine(narrow(wide / size, x), scale)


def groupnorm(x, groups, scale=None, shift=None, *, eps=1e-5):
    """Normalise each example over its positions and the channels of a group.

    Args:
        x: channels in the last axis, examples in the first.
        groups: into how many runs of neighbouring channels they are divided.
        scale: multiplies the result, one per channel; `None` for 1.
        shift: is added to the result, one per channel; `None` for 0.
        eps: added to the variance.

    Shapes: ``(B, ..., C) -> (B, ..., C)``.
    Source: Wu and He (2018), Group normalization.

    >>> import numpy as np
    >>> groupnorm(np.array([[1.0, 3.0, 5.0, 5.0]]), 2, eps=0.0001).round(2).tolist()
    [[-1.0, 1.0, 0.0, 0.0]]
    """
    shape = shape_of(x)
    split = reshape(x, (*shape[:-1], groups, shape[-1] // groups))
    axes = (*range(1, len(shape) - 1), len(shape))
    return affine(reshape(normalise(split, axis=axes, eps=eps), shape), scale, shift)
