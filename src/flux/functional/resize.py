"""More or fewer positions: interpolation between them, and channels that become positions."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from jax import lax

from flux.ad import nograd, rule
from flux.errors import ShapeError, user_line
from flux.functional.arrays import namespace, narrow, reshape, widen
from flux.functional.gather import gather
from flux.functional.window import each

__all__ = ["pixel_shuffle", "pixel_unshuffle", "upsample"]

LINEAR = {"linear": (1, 2, 3), "bilinear": (2,), "trilinear": (3,)}
"""How many axes of positions each mode is for."""


def upsample(x, scale=None, *, size=None, mode="nearest", align_corners=False):
    """Resize images, sequences or volumes: every position between is made from its neighbours.

    Args:
        x: examples of positions of channels.
        scale: how many times as long each axis becomes, one number or one an axis; fractions round
            the length down.
        size: the new lengths instead, one number or one an axis.
        mode: `"nearest"` repeats the neighbour; `"linear"` (for two axes also `"bilinear"`, for
            three `"trilinear"`) mixes the two nearest along each axis by distance.
        align_corners: in linear modes, whether the centres of the outermost positions stay where
            they are; otherwise their outer edges do.

    Shapes: ``(B, H, W, C) -> (B, H', W', C)``, or with one or three axes in the place of ``H, W``.
    Dtypes: as ``x``.
    Raises: ``ValueError`` unless one of `scale` and `size` is given, and for another mode.

    >>> x = np.array([0.0, 4.0]).reshape(1, 2, 1)
    >>> upsample(x, 2).ravel().tolist(), upsample(x, 2, mode="linear").ravel().tolist()
    ([0.0, 0.0, 4.0, 4.0], [0.0, 1.0, 3.0, 4.0])
    """
    sizes = _sizes(tuple(x.shape), scale, size, mode)
    for axis, n in enumerate(sizes, 1):
        if n == x.shape[axis]:
            continue
        if mode == "nearest":
            x = _nearest(x, n, axis)
        else:
            x = _interpolate(x, _taps(x.shape[axis], n, align_corners), axis)
    return x


def _nearest(x, n, axis):
    old = x.shape[axis]
    if n % old == 0:
        return namespace(x).repeat(x, n // old, axis=axis)
    return gather(x, _neighbours(old, n), axis=axis)


@nograd
def _neighbours(old, n):
    return np.arange(n) * old // n


def _interpolate(x, taps, axis, /):
    """Multiply an axis by a matrix of taps, ``(new, old)``."""
    wide = widen(x)
    xp = namespace(x)
    taps = xp.asarray(taps, dtype=wide.dtype)
    if xp is jnp:
        y = jnp.tensordot(wide, taps, (axis, 1), precision=lax.Precision.HIGHEST)
    else:
        y = xp.tensordot(wide, taps, (axis, 1))
    return narrow(xp.moveaxis(y, -1, axis), x)


@rule(_interpolate)
def _interpolate_rule(x, taps, axis, /):
    return _interpolate(x, taps, axis), lambda ct: (_interpolate(ct, taps.T, axis), None, None)


@nograd
def _taps(old, n, align_corners):
    """How much each old position gives to each new one, ``(new, old)``."""
    place = np.arange(n) * ((old - 1) / max(n - 1, 1))
    if not align_corners:
        place = np.clip((np.arange(n) + 0.5) * (old / n) - 0.5, 0, old - 1)
    return np.maximum(1 - abs(place[:, None] - np.arange(old)), 0)


@nograd
def _sizes(shape, scale, size, mode):
    axes = len(shape) - 2
    if axes not in LINEAR["linear"]:
        raise ShapeError(
            f"upsample got an array of shape {shape}: it must be (B, ..., C) with one to three "
            "axes of positions.",
            where=user_line(),
        )
    if mode != "nearest" and axes not in LINEAR.get(mode, ()):
        raise ValueError(
            f"mode is {mode!r}: for {axes} axes of positions it must be nearest or "
            f"{' or '.join(name for name, fits in LINEAR.items() if axes in fits)}."
        )
    if (scale is None) == (size is None):
        raise ValueError("upsample needs either a scale or a size, and not both.")
    if scale is None:
        return each(size, axes, "size")
    scales = (scale,) * axes if isinstance(scale, int | float) else tuple(scale)
    if len(scales) != axes or any(int(n * s) < 1 for n, s in zip(shape[1:], scales, strict=False)):
        raise ValueError(
            f"scale is {scale!r}: it must be a positive number, or {axes} of them, one an axis, "
            "which leave at least one position."
        )
    return tuple(int(n * s) for n, s in zip(shape[1:-1], scales, strict=True))


def pixel_shuffle(x, r):
    """Make channels into positions: an image `r` times as high and wide, with fewer channels.

    Channel ``c * r**2 + i * r + j`` becomes position ``(i, j)`` of a block in channel ``c``.

    Args:
        x: examples of positions of channels.
        r: how many times as long each axis becomes.

    Shapes: ``(B, H, W, C * r**2) -> (B, H * r, W * r, C)``, or with one or three axes in the place
        of ``H, W``.
    Raises: ``ShapeError`` if the channels cannot be divided so.
    Source: Shi et al. (2016), Real-time single image and video super-resolution, section 3.2.

    >>> pixel_shuffle(np.arange(4.0).reshape(1, 1, 1, 4), 2)[0, :, :, 0].tolist()
    [[0.0, 1.0], [2.0, 3.0]]
    """
    _check_divides("pixel_shuffle", x, r, (x.ndim - 1,), r ** (x.ndim - 2))
    batch, *sizes, channels = x.shape
    axes = len(sizes)
    xp = namespace(x)
    parts = reshape(x, (batch, *sizes, channels // r**axes, *[r] * axes))
    blocks = xp.transpose(parts, _interleaved(axes))
    return reshape(blocks, (batch, *[n * r for n in sizes], channels // r**axes))


def pixel_unshuffle(x, r):
    """Make positions into channels, the reverse of `pixel_shuffle`.

    Args:
        x: examples of positions of channels.
        r: how many times as short each axis becomes.

    Shapes: ``(B, H * r, W * r, C) -> (B, H, W, C * r**2)``, or with one or three axes in the place
        of ``H, W``.
    Raises: ``ShapeError`` if `r` does not divide the lengths.

    >>> pixel_unshuffle(np.arange(4.0).reshape(1, 2, 2, 1), 2).ravel().tolist()
    [0.0, 1.0, 2.0, 3.0]
    """
    _check_divides("pixel_unshuffle", x, r, tuple(range(1, x.ndim - 1)), r)
    batch, *sizes, channels = x.shape
    axes = len(sizes)
    split = [part for n in sizes for part in (n // r, r)]
    xp = namespace(x)
    parts = xp.transpose(reshape(x, (batch, *split, channels)), _apart(axes))
    return reshape(parts, (batch, *[n // r for n in sizes], channels * r**axes))


@nograd
def _interleaved(axes):
    """Each axis of positions before its axis in the blocks; channels last."""
    pairs = [place for a in range(axes) for place in (1 + a, 2 + axes + a)]
    return (0, *pairs, 1 + axes)


@nograd
def _apart(axes):
    """The reverse of `_interleaved`."""
    return tuple(int(place) for place in np.argsort(_interleaved(axes)))


@nograd
def _check_divides(name, x, r, axes, divisor):
    if len(x.shape) < 3 or any(x.shape[a] % divisor for a in axes):
        what = "channels" if axes == (len(x.shape) - 1,) else "lengths"
        raise ShapeError(
            f"{name} got an array of shape {tuple(x.shape)}: {divisor} must divide its {what}.",
            where=user_line(),
        )
