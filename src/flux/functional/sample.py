"""Read images at places that are given as numbers."""

from __future__ import annotations

import itertools

from flux.ad import nograd, stop_gradient
from flux.errors import ShapeError, user_line
from flux.functional.arrays import convert, namespace, narrow, reshape, shape_of, widen
from flux.functional.gather import lookup

__all__ = ["grid_sample"]


def grid_sample(x, grid, *, mode="linear", padding="zeros", align_corners=False):
    """Read each image at the places of a grid, between its positions too.

    A place is written ``(x, y)``, the axes in reverse order: first along ``W``, then along ``H``.
    The image spans -1 to 1 along each axis.

    Args:
        x: examples of positions of channels.
        grid: a place for each position of the result.
        mode: `"linear"` (or `"bilinear"`) mixes the neighbours by distance, `"nearest"` takes one.
        padding: what is outside the image: `"zeros"`, `"border"` (the nearest position of it) or
            `"reflection"` (the image again, mirrored at its edge).
        align_corners: whether -1 and 1 are the centres of the outermost positions; otherwise they
            are their outer edges.

    Shapes: ``(B, H, W, C), (B, H', W', 2) -> (B, H', W', C)``; with one or three axes in the place
        of ``H, W`` the grid has as many numbers a place.
    Dtypes: as ``x``.
    Raises: ``ShapeError`` if the shapes do not fit; ``ValueError`` for another mode or padding.
    Source: Jaderberg et al. (2015), Spatial transformer networks, section 3.3.

    >>> import numpy as np
    >>> image = np.array([[0.0, 1.0], [2.0, 3.0]]).reshape(1, 2, 2, 1)
    >>> grid_sample(image, np.array([[[[0.0, 0.0], [0.5, 0.5]]]])).ravel().tolist()
    [1.5, 3.0]
    """
    _check(x, grid, mode, padding)
    wide = widen(x)
    places = convert(grid, wide)
    sizes = x.shape[1:-1]
    axes = [
        _place(places[..., len(sizes) - 1 - a], n, padding, align_corners)
        for a, n in enumerate(sizes)
    ]
    if mode == "nearest":
        return narrow(_read(wide, [_round(place) for place in axes], None), x)
    lows = [_floor(place) for place in axes]
    total = 0.0
    for corner in _corners(len(sizes)):
        share = 1.0
        for place, low, step in zip(axes, lows, corner, strict=True):
            share = share * ((place - low) if step else (1 - (place - low)))
        places = [low + step for low, step in zip(lows, corner, strict=True)]
        total = total + _read(wide, places, share)
    return narrow(total, x)


def _place(numbers, n, padding, align_corners):
    """Numbers from -1 to 1 as places from 0 to ``n - 1``."""
    xp = namespace(numbers)
    place = (numbers + 1) / 2 * (n - 1) if align_corners else ((numbers + 1) * n - 1) / 2
    if padding == "zeros":
        return place
    if padding == "reflection":
        low, span = (0.0, n - 1) if align_corners else (-0.5, n)
        place = abs(place - low)
        flips = stop_gradient(xp.floor(place / max(span, 1)))
        place = place - flips * span
        place = low + xp.where(flips % 2 == 0, place, span - place)
    return xp.clip(place, 0, n - 1)


@nograd
def _floor(place):
    return namespace(place).floor(place)


@nograd
def _round(place):
    return namespace(place).round(place)


@nograd
def _corners(axes):
    return list(itertools.product((0, 1), repeat=axes))


def _read(x, places, share):
    """The channels at whole `places`, times `share`; zeros outside the image."""
    rows = reshape(x, (-1, x.shape[-1]))
    index, inside = _row_numbers(x.shape, places)
    xp = namespace(rows, index)
    found = lookup(rows, index)
    found = xp.where(inside[..., None], found, 0)
    return found if share is None else found * share[..., None]


@nograd
def _row_numbers(shape, places):
    """Which row of the image's flat positions each place is, and whether it is in the image."""
    xp = namespace(*places)
    batch = reshape(xp.arange(shape[0]), (-1, *[1] * (places[0].ndim - 1)))
    index, inside = batch, True
    for place, n in zip(places, shape[1:-1], strict=True):
        inside = (place >= 0) & (place <= n - 1) & inside
        index = index * n + xp.astype(xp.clip(xp.nan_to_num(place), 0, n - 1), "int32")
    return index, inside


@nograd
def _check(x, grid, mode, padding):
    axes = len(x.shape) - 2
    if mode not in ("linear", "bilinear", "nearest"):
        raise ValueError(f"mode is {mode!r}: it must be linear, bilinear or nearest.")
    if padding not in ("zeros", "border", "reflection"):
        raise ValueError(f"padding is {padding!r}: it must be zeros, border or reflection.")
    shape = shape_of(grid)
    if axes < 1 or len(shape) != axes + 2 or shape[0] != x.shape[0] or shape[-1] != axes:
        raise ShapeError(
            f"grid_sample got an array of shape {tuple(x.shape)} and a grid of shape {shape}: they "
            "must be (B, H, W, C) and (B, H', W', 2), with as many axes as numbers a place.",
            where=user_line(),
        )
