"""Convolution over one, two or three axes, and its adjoint in the input."""

from __future__ import annotations

import math

import jax.numpy as jnp

from flux.ad import nograd
from flux.errors import ShapeError, user_line
from flux.functional.arrays import namespace
from flux.functional.convolve import convolved, spread
from flux.functional.patches import Geometry, fold_windows, geometry_of, unfold_windows
from flux.functional.window import Sizes, each, paddings

__all__ = ["conv", "conv_transpose"]


def conv(x, weight, *, stride: Sizes = 1, pad: Sizes | str = 0, dilation: Sizes = 1, groups=1):
    """Slide a window over positions and mix what is under it (cross-correlation: not flipped).

    ``y[b, i, o] = sum over k, c of x[b, i * stride + k * dilation, c] * weight[k, c, o]``.

    Args:
        x: examples of positions of channels.
        weight: the window, for each input channel (of a group) and output channel.
        stride: how far the window moves.
        pad: zeros around the positions, see `flux.functional.window.paddings`.
        dilation: how far apart the entries of the window are.
        groups: into how many runs the channels are divided; each mixes only its own.

    Shapes: ``(B, H, W, C), (KH, KW, C/groups, O) -> (B, H', W', O)``, or with one or three axes in
        the place of ``H, W``.
    Dtypes: that of the operands.

    >>> conv(jnp.ones((1, 5, 5, 2)), jnp.ones((3, 3, 2, 4))).shape
    (1, 3, 3, 4)
    """
    axes = len(weight.shape) - 2
    geometry = geometry_of(x.shape, tuple(weight.shape[:axes]), stride, pad, dilation)
    xp = namespace(x, weight)
    if xp is not jnp:
        return _by_windows(x, weight, geometry, groups)
    return convolved(jnp.asarray(x), jnp.asarray(weight), geometry, groups)


def conv_transpose(
    x,
    weight,
    *,
    stride: Sizes = 1,
    pad: Sizes | str = 0,
    outpad: Sizes = 0,
    dilation: Sizes = 1,
    groups=1,
):
    """The adjoint of `conv` in its input: spread each position over a window.

    Maps the result's shape of a convolution with these settings back to its input's.

    Args:
        x: examples of positions of channels.
        weight: the weight of that convolution: its output channels are this one's input.
        stride, dilation, groups: those of the convolution.
        pad: that of the convolution: positions cut off the result. With `"same"` the result is as
            long as the input times the stride.
        outpad: positions added after the result, to choose between the lengths that the convolution
            would have mapped to one.

    Shapes: ``(B, H, W, C), (KH, KW, O/groups, C) -> (B, H', W', O)`` with ``H' = (H - 1) * stride +
        dilation * (KH - 1) + 1 - pad_before - pad_after + outpad``.

    >>> conv_transpose(jnp.ones((1, 3, 3, 4)), jnp.ones((3, 3, 2, 4)), stride=2).shape
    (1, 7, 7, 2)
    """
    axes = len(weight.shape) - 2
    window = weight.shape[:axes]
    strides, dilations = each(stride, axes, "stride"), each(dilation, axes, "dilation")
    pads = _adjoint_paddings(pad, outpad, x.shape[1:-1], window, strides, dilations)
    geometry = _adjoint_geometry(x.shape, weight.shape, strides, dilations, pads, groups)
    if namespace(x, weight) is not jnp:
        return _to_windows(x, weight, geometry, groups)
    return spread(jnp.asarray(x), jnp.asarray(weight), geometry, groups)


def _by_windows(x, weight, geometry, groups):
    """A convolution as a product of what is under the window with the weight, by group."""
    _check_channels(x.shape, weight.shape, groups)
    xp = namespace(x, weight)
    count, (batch, *_, channels) = math.prod(geometry.window), x.shape
    n_in, n_out = channels // groups, weight.shape[-1] // groups
    windows = unfold_windows(x, geometry)
    windows = _groups_first(xp, windows, (-1, count, groups, n_in), 2)
    kernel = _groups_first(xp, weight, (count, n_in, groups, n_out), 2)
    kernel = xp.reshape(kernel, (groups, count * n_in, n_out))
    mixed = xp.reshape(windows, (groups, -1, count * n_in)) @ kernel
    return xp.reshape(xp.moveaxis(mixed, 0, 1), (batch, *geometry.places, groups * n_out))


def _to_windows(x, weight, geometry, groups):
    """The adjoint of `_by_windows`."""
    xp = namespace(x, weight)
    count, n_in = math.prod(geometry.window), geometry.shape[-1] // groups
    n_out = weight.shape[-1] // groups
    rows = _groups_first(xp, x, (-1, groups, n_out), 1)
    kernel = _groups_first(xp, weight, (count, n_in, groups, n_out), 2)
    kernel = xp.reshape(kernel, (groups, count * n_in, n_out))
    windows = rows @ xp.swapaxes(kernel, -1, -2)
    windows = xp.moveaxis(xp.reshape(windows, (groups, -1, count, n_in)), 0, 2)
    windows = xp.reshape(windows, (*x.shape[:-1], count * groups * n_in))
    return fold_windows(windows, geometry)


def _groups_first(xp, x, shape, axis):
    return xp.moveaxis(xp.reshape(x, shape), axis, 0)


@nograd
def _check_channels(shape, weight_shape, groups):
    if shape[-1] != weight_shape[-2] * groups or weight_shape[-1] % groups:
        raise ShapeError(
            f"conv got an array of shape {tuple(shape)} and a weight of shape "
            f"{tuple(weight_shape)}: for {groups} groups they must be (B, ..., C) and "
            f"(..., C / {groups}, O), and {groups} must divide O.",
            where=user_line(),
        )


@nograd
def _adjoint_geometry(shape, weight_shape, stride, dilation, pads, groups) -> Geometry:
    """The convolution of the result that leads to the input; `pads` are those of the adjoint.

    Where they reach beyond the last window, the result ends in zeros.
    """
    *window, n_in, _ = weight_shape
    spans = [d * (k - 1) for k, d in zip(window, dilation, strict=True)]
    cut = tuple((span - lo, span - hi) for span, (lo, hi) in zip(spans, pads, strict=True))
    places = tuple(shape[1:-1])
    reached = [(n - 1) * s + span + 1 for n, s, span in zip(places, stride, spans, strict=True)]
    sizes = [n - lo - hi for n, (lo, hi) in zip(reached, cut, strict=True)]
    whole = (shape[0], *sizes, n_in * groups)
    cut = tuple((lo, max(hi, 0)) for lo, hi in cut)
    return Geometry(whole, tuple(window), stride, dilation, cut, places)


@nograd
def _adjoint_paddings(pad, outpad, sizes, window, stride, dilation):
    spans = [d * (k - 1) for k, d in zip(window, dilation, strict=True)]
    extra = (outpad,) * len(window) if isinstance(outpad, int) else tuple(outpad)
    if isinstance(pad, str):
        target = tuple(n * s for n, s in zip(sizes, stride, strict=True))
        extra = tuple(max(s - span - 1, 0) for s, span in zip(stride, spans, strict=True))
        cut = paddings(pad, target, window, stride, dilation)
    else:
        cut = paddings(pad, sizes, window, stride, dilation)
    return tuple(
        (span - before, span - after + more)
        for span, (before, after), more in zip(spans, cut, extra, strict=True)
    )
