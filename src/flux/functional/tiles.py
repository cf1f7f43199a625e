"""A convolution of few channels on a CPU: a product that makes several neighbouring places at once.

XLA's convolution mixes what is under one window at a time, a product too small to be fast where
there are few channels. Here the windows of `count` neighbours along the last axis overlap in one
row of numbers, and the weight is written into a *band*: a matrix with a copy of it for each
neighbour, zero elsewhere. More numbers are multiplied, and fewer copied, in a product that is large
enough.
"""

from __future__ import annotations

import functools
import itertools
import operator
from typing import NamedTuple

import jax.numpy as jnp
from jax import lax

from flux.ad import nograd, rule
from flux.functional.patches import Geometry

__all__ = ["Tiling", "band_of", "fold_tiles", "tiling_of", "unfold_tiles", "weight_of"]


class Tiling(NamedTuple):
    """How the places along the last axis are divided into runs of `together`.

    Attributes:
        geometry: how the window moves.
        together: places in a run.
        runs: how many runs there are; the last one may reach beyond the last place.
        step: positions from one run to the next.
        width: positions under the windows of a run.
        pieces: runs of positions that these reach into.
    """

    geometry: Geometry
    together: int
    runs: int
    step: int
    width: int
    pieces: int


@nograd
def tiling_of(geometry: Geometry) -> Tiling:
    """Runs of two places; of four where two would be too few numbers to copy at a time."""
    stride, span = geometry.stride[-1], geometry.dilation[-1] * (geometry.window[-1] - 1)
    count = 4 if stride * geometry.shape[-1] == 1 else 2
    runs, step, width = -(-geometry.places[-1] // count), count * stride, (count - 1) * stride
    width += span + 1
    return Tiling(geometry, count, runs, step, width, -(-width // step))


@nograd
def _reach(tiling: Tiling) -> list[int]:
    """How many positions each axis has when it is padded: the last one for whole runs.

    There is always a zero more than needed: XLA then makes the padded array once, and does not make
    its parts again wherever one is read.
    """
    shape, pads = tiling.geometry.shape, tiling.geometry.pads
    sizes = [n + lo + hi for n, (lo, hi) in zip(shape[1:-1], pads, strict=True)]
    return [*sizes[:-1], (tiling.runs + tiling.pieces) * tiling.step]


@nograd
def _parts(tiling: Tiling) -> list[tuple[tuple[int, ...], int, int]]:
    """Where each part of a row is read: the offsets on the axes before, the piece, its length."""
    geometry, channels = tiling.geometry, tiling.geometry.shape[-1]
    offsets = itertools.product(*[range(k) for k in geometry.window[:-1]])
    return [
        (
            tuple([o * d for o, d in zip(offset, geometry.dilation[:-1], strict=True)]),
            piece,
            min(tiling.step, tiling.width - piece * tiling.step) * channels,
        )
        for offset in offsets
        for piece in range(tiling.pieces)
    ]


def unfold_tiles(x, tiling, /):
    """What is under the windows of each run, in one row.

    Shapes: ``(B, H, W, C) -> (B * H' * runs, KH * width * C)``.
    """
    geometry, reach = tiling.geometry, _reach(tiling)
    edges = [(0, 0, 0)]
    for n, (lo, _), whole in zip(x.shape[1:-1], geometry.pads, reach, strict=True):
        edges.append((lo, whole - n - lo, 0))
    x = lax.pad(x, jnp.zeros((), x.dtype), [*edges, (0, 0, 0)])
    runs = x.reshape((*x.shape[:-2], reach[-1] // tiling.step, tiling.step * x.shape[-1]))
    strides, places = geometry.stride[:-1], geometry.places[:-1]
    rows = []
    for offset, piece, length in _parts(tiling):
        ends = [o + (n - 1) * s + 1 for o, n, s in zip(offset, places, strides, strict=True)]
        stops = (x.shape[0], *ends, piece + tiling.runs, length)
        rows.append(lax.slice(runs, (0, *offset, piece, 0), stops, (1, *strides, 1, 1)))
    joined = jnp.concatenate(rows, axis=-1)
    return joined.reshape((-1, joined.shape[-1]))


def fold_tiles(rows, tiling, /):
    """Put rows back where they were read, and add: the adjoint of `unfold_tiles`.

    In two halves that are joined: XLA then makes the sums once, and not again wherever one is read.
    """
    batch = tiling.geometry.shape[0]
    if not isinstance(batch, int) or batch < 2:  # of any length, in a program that is exported
        return _folded(rows, batch, tiling)
    half, count = batch // 2, rows.shape[0] // batch
    first = _folded(rows[: half * count], half, tiling)
    return jnp.concatenate([first, _folded(rows[half * count :], batch - half, tiling)])


def _folded(rows, batch, tiling):
    geometry, reach = tiling.geometry, _reach(tiling)
    shape, strides, places = geometry.shape, geometry.stride[:-1], geometry.places[:-1]
    rows = rows.reshape((batch, *places, tiling.runs, rows.shape[-1]))
    whole, start, zero = tiling.step * shape[-1], 0, jnp.zeros((), rows.dtype)
    spread = []
    for offset, piece, length in _parts(tiling):
        edges = [(0, 0, 0)]
        for o, n, s, size in zip(offset, places, strides, reach[:-1], strict=True):
            edges.append((o, size - o - (n - 1) * s - 1, s - 1))
        edges += [(piece, tiling.pieces - piece, 0), (0, whole - length, 0)]
        spread.append(lax.pad(rows[..., start : start + length], zero, edges))
        start += length
    total = functools.reduce(operator.add, spread).reshape((batch, *reach, shape[-1]))
    # The pads may be negative: positions that no window reaches are zeros of the result.
    sides = [
        (-lo, n + lo - size, 0)
        for n, (lo, _), size in zip(shape[1:-1], geometry.pads, reach, strict=True)
    ]
    return lax.pad(total, zero, [(0, 0, 0), *sides, (0, 0, 0)])


@rule(unfold_tiles)
def _unfold_rule(x, tiling, /):
    return unfold_tiles(x, tiling), lambda ct: (fold_tiles(ct, tiling), None)


@rule(fold_tiles)
def _fold_rule(rows, tiling, /):
    return fold_tiles(rows, tiling), lambda ct: (unfold_tiles(ct, tiling), None)


def band_of(weight, tiling, /):
    """The weight, once for each place of a run.

    Shapes: ``(KH, KW, C, O) -> (KH * width * C, together * O)``.
    """
    zero, axis = jnp.zeros((), weight.dtype), weight.ndim - 3
    copies = []
    for start, rest, between in _copies(tiling):
        edges = [(0, 0, 0)] * weight.ndim
        edges[axis] = (start, rest, between)
        copies.append(lax.pad(weight, zero, edges))
    band = jnp.stack(copies, axis=-2)
    return band.reshape((-1, tiling.together * weight.shape[-1]))


def weight_of(band, tiling, /):
    """The copies in a band, added: the adjoint of `band_of`."""
    geometry = tiling.geometry
    channels, out = geometry.shape[-1], band.shape[-1] // tiling.together
    shape = (*geometry.window[:-1], tiling.width, channels, tiling.together, out)
    band, axis = band.reshape(shape), len(geometry.window) - 1
    copies = [
        lax.slice_in_dim(band[..., i, :], start, tiling.width - rest, between + 1, axis=axis)
        for i, (start, rest, between) in enumerate(_copies(tiling))
    ]
    return functools.reduce(operator.add, copies)


@nograd
def _copies(tiling: Tiling) -> list[tuple[int, int, int]]:
    """For each place of a run: zeros before the weight, after it, and between its entries."""
    stride, dilation = tiling.geometry.stride[-1], tiling.geometry.dilation[-1]
    span = dilation * (tiling.geometry.window[-1] - 1) + 1
    return [
        (i * stride, tiling.width - span - i * stride, dilation - 1) for i in range(tiling.together)
    ]


@rule(band_of)
def _band_rule(weight, tiling, /):
    return band_of(weight, tiling), lambda ct: (weight_of(ct, tiling), None)


@rule(weight_of)
def _weight_rule(band, tiling, /):
    return weight_of(band, tiling), lambda ct: (band_of(ct, tiling), None)
