"""Reduce the positions under a moving window, with the adjoints."""

from __future__ import annotations

import functools
import itertools
import math
import operator

import jax.numpy as jnp
import numpy as np
from jax import lax

from flux.ad import nograd, rule
from flux.functional.arrays import namespace
from flux.functional.window import each, paddings, result_size

__all__ = ["maxpool", "meanpool"]


def maxpool(x, window, *, stride=None, pad=0):
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
    return _maxpool(x, _geometry(x.shape, window, stride, pad))


def _maxpool(x, geometry, /):
    return functools.reduce(namespace(x).maximum, _views(x, geometry, -np.inf))


@rule(_maxpool)
def _maxpool_rule(x, geometry, /):
    y = _maxpool(x, geometry)
    return y, lambda ct: (_give_to_largest(ct, x, y, geometry), None)


def _give_to_largest(ct, x, y, geometry):
    xp = namespace(x, ct)
    parts, free = [], xp.ones(y.shape, bool)
    for view in _views(x, geometry, -np.inf):
        here = free & (view == y)
        free = free & ~here
        parts.append(xp.where(here, ct, 0))
    return _collect(parts, geometry)


def meanpool(x, window, *, stride=None, pad=0, count_pad=True):
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
    geometry = _geometry(x.shape, window, stride, pad)
    return _sumpool(x, geometry) / _counts(x, geometry, count_pad)


def _sumpool(x, geometry, /):
    return functools.reduce(operator.add, _views(x, geometry, 0))


@rule(_sumpool)
def _sumpool_rule(x, geometry, /):
    def back(ct):
        return _collect([ct] * math.prod(geometry[1]), geometry), None

    return _sumpool(x, geometry), back


@nograd
def _geometry(shape, window, stride, pad):
    """`(shape, window, stride, pads, places)`, all tuples."""
    sizes = shape[1:-1]
    window = each(window, len(sizes), "window")
    stride = window if stride is None else each(stride, len(sizes), "stride")
    ones = (1,) * len(sizes)
    pads = paddings(pad, sizes, window, stride, ones)
    places = tuple(map(result_size, sizes, window, stride, ones, pads))
    return tuple(shape), window, stride, pads, places


@nograd
def _slices(geometry):
    """Where, in the padded positions, each entry of the window lies for all places at once."""
    _, window, stride, _, places = geometry
    for offsets in itertools.product(*map(range, window)):
        yield tuple(
            slice(o, o + (n - 1) * s + 1, s)
            for o, n, s in zip(offsets, places, stride, strict=True)
        )


def _views(x, geometry, fill):
    pads = geometry[3]
    if any(map(any, pads)):
        padded = ((0, 0), *pads, (0, 0))
        x = namespace(x).pad(x, padded, constant_values=fill)
    return [x[(slice(None), *places)] for places in _slices(geometry)]


def _collect(parts, geometry):
    """The adjoint of `_views`: put each part back where it was taken from, and add."""
    shape, _, stride, pads, _ = geometry
    sizes = [n + sum(pad) for n, pad in zip(shape[1:-1], pads, strict=True)]
    spread = [_spread(*pair, sizes, stride) for pair in zip(parts, _slices(geometry), strict=True)]
    total = functools.reduce(operator.add, spread)
    inner = tuple(slice(lo, lo + n) for n, (lo, _) in zip(shape[1:-1], pads, strict=True))
    return total[(slice(None), *inner)]


def _spread(part, places, sizes, stride):
    """Zeros of the padded size with `part` at `places`."""
    if namespace(part) is np:
        full = np.zeros((part.shape[0], *sizes, part.shape[-1]), part.dtype)
        full[(slice(None), *places)] = part
        return full
    edges = [
        (place.start, n - place.stop, s - 1)
        for place, n, s in zip(places, sizes, stride, strict=True)
    ]
    return lax.pad(part, jnp.zeros((), part.dtype), [(0, 0, 0), *edges, (0, 0, 0)])


@nograd
def _counts(x, geometry, count_pad):
    shape, window, _, pads, _ = geometry
    if count_pad or not any(map(any, pads)):
        return math.prod(window)
    real = np.ones((1, *shape[1:-1], 1), np.float32)
    return _sumpool(real, geometry).astype(x.dtype)
