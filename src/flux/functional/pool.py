"""Reduce the positions under a moving window, with the adjoints."""

from __future__ import annotations

import functools
import math
import operator

import numpy as np

from flux.ad import nograd, rule
from flux.functional.arrays import namespace
from flux.functional.patches import collect, geometry_of, views
from flux.functional.window import Sizes

__all__ = ["maxpool", "meanpool"]


def maxpool(x, window, *, stride: Sizes | None = None, pad: Sizes | str = 0):
    """The largest entry under a window, for each channel; padding never wins.

    Where several are the largest, the first one has the gradient.

    Args:
        x: examples of positions of channels.
        window: its size, one number or one an axis.
        stride: how far it moves; by its own size if not given.
        pad: places around the positions, see `flux.functional.window.paddings`.

    Shapes: ``(B, H, W, C) -> (B, H', W', C)``, or with one or three axes in the place of ``H, W``.

    >>> maxpool(np.arange(4.0).reshape(1, 4, 1), 2).ravel().tolist()
    [1.0, 3.0]
    """
    return _maxpool(x, geometry_of(x.shape, window, stride, pad))


def _maxpool(x, geometry, /):
    return functools.reduce(namespace(x).maximum, views(x, geometry, -np.inf))


@rule(_maxpool)
def _maxpool_rule(x, geometry, /):
    y = _maxpool(x, geometry)
    return y, lambda ct: (_give_to_largest(ct, x, y, geometry), None)


def _give_to_largest(ct, x, y, geometry):
    xp = namespace(x, ct)
    parts, free = [], xp.ones(y.shape, bool)
    for view in views(x, geometry, -np.inf):
        here = free & (view == y)
        free = free & ~here
        parts.append(xp.where(here, ct, 0))
    return collect(parts, geometry)


def meanpool(x, window, *, stride: Sizes | None = None, pad: Sizes | str = 0, count_pad=True):
    """The mean of what is under a window, for each channel.

    Args:
        x: examples of positions of channels.
        window: its size, one number or one an axis.
        stride: how far it moves; by its own size if not given.
        pad: zeros around the positions, see `flux.functional.window.paddings`.
        count_pad: whether zeros of the padding count as entries.

    Shapes: as `maxpool`.

    >>> meanpool(np.arange(4.0).reshape(1, 4, 1), 2).ravel().tolist()
    [0.5, 2.5]
    """
    geometry = geometry_of(x.shape, window, stride, pad)
    return _sumpool(x, geometry) / _counts(x, geometry, count_pad)


def _sumpool(x, geometry, /):
    return functools.reduce(operator.add, views(x, geometry, 0))


@rule(_sumpool)
def _sumpool_rule(x, geometry, /):
    def back(ct):
        return collect([ct] * math.prod(geometry.window), geometry), None

    return _sumpool(x, geometry), back


@nograd
def _counts(x, geometry, count_pad):
    if count_pad or not any(map(any, geometry.pads)):
        return math.prod(geometry.window)
    real = np.ones((1, *geometry.shape[1:-1], 1), np.float32)
    return namespace(x).asarray(_sumpool(real, geometry), dtype=x.dtype)
