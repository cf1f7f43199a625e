"""What is under a moving window, taken out for all places at once and put back; pooling uses it."""

from __future__ import annotations

import functools
import itertools
import math
import operator
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import lax

from flux.ad import nograd, rule
from flux.errors import ShapeError, user_line
from flux.functional.arrays import namespace
from flux.functional.window import each, paddings, places_of

__all__ = [
    "Geometry",
    "collect",
    "fold",
    "fold_windows",
    "geometry_of",
    "unfold",
    "unfold_windows",
    "views",
]


class Geometry(NamedTuple):
    """How a window moves over an array `(B, H, W, C)` of this shape, all tuples."""

    shape: tuple[int, ...]
    window: tuple[int, ...]
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    pads: tuple[tuple[int, int], ...]
    places: tuple[int, ...]


def unfold(x, window, *, stride=1, pad=0, dilation=1):
    """Cut out what is under a window at each of its places, as one row of features.

    The features are in the order of a convolution's weight: ``unfold(x, window) @
    weight.reshape(-1, O)`` is `conv`.

    Args:
        x: examples of positions of channels.
        window: its size, one number or one an axis.
        stride: how far it moves.
        pad: zeros around the positions, see `flux.functional.window.paddings`.
        dilation: how far apart the entries of the window are.

    Shapes: ``(B, H, W, C) -> (B, H', W', KH * KW * C)``, or with one or three axes in the place of
        ``H, W``.

    >>> unfold(np.arange(4.0).reshape(1, 4, 1), 2).tolist()
    [[[0.0, 1.0], [1.0, 2.0], [2.0, 3.0]]]
    """
    return unfold_windows(x, geometry_of(x.shape, window, stride, pad, dilation))


def fold(x, size, window, *, stride=1, pad=0, dilation=1):
    """Put windows back to their places and add where they overlap: the adjoint of `unfold`.

    Args:
        x: what is under the window at each of its places.
        size: the lengths of the result, one number or one an axis.
        window, stride, pad, dilation: those of the `unfold`.

    Shapes: ``(B, H', W', KH * KW * C) -> (B, *size, C)``.
    Raises: ``ShapeError`` if an `unfold` of this size does not give the shape of `x`.

    >>> fold(np.ones((1, 3, 2)), 4, 2).ravel().tolist()
    [1.0, 2.0, 2.0, 1.0]
    """
    return fold_windows(x, _geometry_of_fold(tuple(x.shape), size, window, stride, pad, dilation))


def unfold_windows(x, geometry, /):
    return namespace(x).concatenate(views(x, geometry, 0), axis=-1)


@rule(unfold_windows)
def _unfold_rule(x, geometry, /):
    return unfold_windows(x, geometry), lambda ct: (fold_windows(ct, geometry), None)


def fold_windows(x, geometry, /):
    channels = geometry.shape[-1]
    count = math.prod(geometry.window)
    return collect([x[..., i * channels : (i + 1) * channels] for i in range(count)], geometry)


@rule(fold_windows)
def _fold_rule(x, geometry, /):
    return fold_windows(x, geometry), lambda ct: (unfold_windows(ct, geometry), None)


@nograd
def geometry_of(shape, window, stride, pad, dilation=1) -> Geometry:
    """The settings in full; a stride of `None` is as long as the window."""
    sizes = tuple(shape[1:-1])
    window = each(window, len(sizes), "window")
    stride = window if stride is None else each(stride, len(sizes), "stride")
    dilation = each(dilation, len(sizes), "dilation")
    pads = paddings(pad, sizes, window, stride, dilation)
    places = places_of(sizes, window, stride, dilation, pads)
    return Geometry(tuple(shape), window, stride, dilation, pads, places)


@nograd
def _geometry_of_fold(shape, size, window, stride, pad, dilation):
    axes = len(shape) - 2
    size, window = each(size, axes, "size"), each(window, axes, "window")
    whole = (shape[0], *size, shape[-1] // math.prod(window))
    geometry = geometry_of(whole, window, stride, pad, dilation)
    wanted = (shape[0], *geometry.places, math.prod(window) * max(whole[-1], 1))
    if shape != wanted:
        raise ShapeError(
            f"fold got windows of shape {shape}: for a result of {size} they must be {wanted}, or "
            f"have another multiple of {math.prod(window)} features.",
            where=user_line(),
        )
    return geometry


@nograd
def _slices(geometry):
    """Where, in the padded positions, each entry of the window lies for all places at once."""
    for offsets in itertools.product(*map(range, geometry.window)):
        yield tuple(
            slice(o * d, o * d + (n - 1) * s + 1, s)
            for o, d, n, s in zip(
                offsets, geometry.dilation, geometry.places, geometry.stride, strict=True
            )
        )


def views(x, geometry, fill):
    """For each entry of the window what lies under it at all places, `fill` beyond the edge."""
    if any(map(any, geometry.pads)):
        padded = ((0, 0), *geometry.pads, (0, 0))
        x = namespace(x).pad(x, padded, constant_values=fill)
    return [x[(slice(None), *places, ...)] for places in _slices(geometry)]


def collect(parts, geometry):
    """The adjoint of `views`: put each part back where it was taken from, and add."""
    shape, pads = geometry.shape, geometry.pads
    sizes = [n + sum(pad) for n, pad in zip(shape[1:-1], pads, strict=True)]
    spread = [
        _spread(*pair, sizes, geometry.stride)
        for pair in zip(parts, _slices(geometry), strict=True)
    ]
    total = functools.reduce(operator.add, spread)
    inner = tuple(slice(lo, lo + n) for n, (lo, _) in zip(shape[1:-1], pads, strict=True))
    return total[(slice(None), *inner, ...)]


def _spread(part, places, sizes, stride):
    """Zeros of the padded size with `part` at `places`."""
    xp = namespace(part)
    if xp is np:
        full = np.zeros((part.shape[0], *sizes, part.shape[-1]), part.dtype)
        full[(slice(None), *places)] = part
        return full
    edges = [
        (place.start, n - place.stop, s - 1)
        for place, n, s in zip(places, sizes, stride, strict=True)
    ]
    if xp is not jnp:
        return xp.spread(part, ((0, 0, 0), *edges, (0, 0, 0)))
    return lax.pad(part, jnp.zeros((), part.dtype), [(0, 0, 0), *edges, (0, 0, 0)])
