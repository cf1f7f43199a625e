"""The softmax family, with gradients that are written in terms of the results.

Sums are taken in float32 where the input is in half precision; the result has the input's dtype.
"""

from __future__ import annotations

from flux.ad import nograd, rule, stop_gradient
from flux.functional.arrays import namespace, narrow, widen

__all__ = ["logsoftmax", "logsumexp", "softmax"]


def softmax(x, *, axis=-1):
    """Turn scores into probabilities: ``exp(x) / sum(exp(x))`` along `axis`.

    Args:
        x: scores of any size; a score of minus infinity gets probability 0.
        axis: an axis or a tuple of axes; the probabilities along it sum to 1.

    Shapes: as ``x``.
    Dtypes: as ``x``.

    >>> import numpy as np
    >>> softmax(np.array([0.0, 1e4])).tolist()
    [0.0, 1.0]
    """
    wide = widen(x)
    xp = namespace(x)
    e = xp.exp(wide - stop_gradient(xp.max(wide, axis=axis, keepdims=True)))
    return narrow(e / xp.sum(e, axis=axis, keepdims=True), x)


@rule(softmax)
def _softmax_rule(x, *, axis=-1):
    y = softmax(x, axis=axis)

    def back(ct):
        weighted = widen(ct) * widen(y)
        total = namespace(ct).sum(weighted, axis=axis, keepdims=True)
        return (narrow(weighted - widen(y) * total, x),)

    return y, back


def logsoftmax(x, *, axis=-1):
    """The logarithms of the softmax: ``x - log(sum(exp(x)))`` along `axis`, never ``log(0)``.

    Args:
        x: scores of any size.
        axis: an axis or a tuple of axes.

    Shapes: as ``x``.
    Dtypes: as ``x``.

    >>> import numpy as np
    >>> logsoftmax(np.array([0.0, 1e4])).tolist()
    [-10000.0, 0.0]
    """
    wide = widen(x)
    xp = namespace(x)
    shifted = wide - stop_gradient(xp.max(wide, axis=axis, keepdims=True))
    return narrow(shifted - xp.log(xp.sum(xp.exp(shifted), axis=axis, keepdims=True)), x)


@rule(logsoftmax)
def _logsoftmax_rule(x, *, axis=-1):
    y = logsoftmax(x, axis=axis)

    def back(ct):
        xp = namespace(x, ct)
        wide = widen(ct)
        return (narrow(wide - xp.exp(widen(y)) * xp.sum(wide, axis=axis, keepdims=True), x),)

    return y, back


def logsumexp(x, *, axis=None, keepdims=False):
    """The logarithm of the sum of exponentials, a smooth maximum; minus infinity of nothing.

    Args:
        x: an array.
        axis: an axis, a tuple of axes, or all of them.
        keepdims: keep the summed axes with length 1.

    Dtypes: as ``x``.

    >>> import numpy as np
    >>> print(logsumexp(np.array([1e4, 1e4])))
    10000.69...
    """
    y = _logsumexp(x, axis)[0]
    return y if keepdims else namespace(x).squeeze(y, axis=_axes(x, axis))


def _logsumexp(x, axis):
    wide = widen(x)
    xp = namespace(x)
    top = xp.max(wide, axis=axis, keepdims=True)
    top = stop_gradient(xp.where(xp.isfinite(top), top, 0))
    total = xp.sum(xp.exp(wide - top), axis=axis, keepdims=True)
    some = xp.where(total == 0, 1, total)
    # the logarithm of an empty sum is minus infinity, said without the warning of log(0)
    return narrow(top + xp.where(total == 0, -xp.inf, xp.log(some)), x), top, some


@rule(logsumexp)
def _logsumexp_rule(x, *, axis=None, keepdims=False):
    y, top, some = _logsumexp(x, axis)

    def back(ct):
        xp = namespace(x, ct)
        ct = ct if keepdims else xp.expand_dims(ct, _axes(x, axis))
        return (narrow(ct * (xp.exp(widen(x) - top) / some), x),)

    return (y if keepdims else namespace(x).squeeze(y, axis=_axes(x, axis))), back


@nograd
def _axes(x, axis):
    if axis is None:
        return tuple(range(x.ndim))
    return axis
