"""Convolution over one, two or three axes, and its adjoint in the input."""

from __future__ import annotations

import jax.numpy as jnp
from jax import lax

from flux.ad import nograd
from flux.functional.window import Sizes, each, paddings, places_of

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
    window, sizes = weight.shape[:axes], x.shape[1:-1]
    strides, dilations = each(stride, axes, "stride"), each(dilation, axes, "dilation")
    pads = paddings(pad, sizes, window, strides, dilations)
    places_of(sizes, window, strides, dilations, pads)
    return lax.conv_general_dilated(
        jnp.asarray(x),
        jnp.asarray(weight),
        strides,
        pads,
        rhs_dilation=dilations,
        dimension_numbers=_layout(axes),
        feature_group_count=groups,
    )


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
    return lax.conv_general_dilated(
        jnp.asarray(x),
        _adjoint_weight(jnp.asarray(weight), groups),
        (1,) * axes,
        _adjoint_paddings(pad, outpad, x.shape[1:-1], window, strides, dilations),
        lhs_dilation=strides,
        rhs_dilation=dilations,
        dimension_numbers=_layout(axes),
        feature_group_count=groups,
    )


def _adjoint_weight(weight, groups):
    """The window flipped, and in each group input and output channels exchanged."""
    *window, n_out, n_in = weight.shape
    parts = weight.reshape((*window, n_out, groups, n_in // groups))
    parts = jnp.moveaxis(parts, -3, -1)  # (..., groups, n_in/groups, n_out)
    parts = jnp.moveaxis(parts, -3, -2)  # (..., n_in/groups, groups, n_out)
    parts = parts.reshape((*window, n_in // groups, groups * n_out))
    return jnp.flip(parts, axis=tuple(range(len(window))))


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


@nograd
def _layout(axes):
    """The names that XLA wants: examples first, channels last."""
    letters = "DHW"[3 - axes :]
    return (f"N{letters}C", f"{letters}IO", f"N{letters}C")
