"""Convolutions as layers."""

from __future__ import annotations

from flux.errors import ArgumentError, brief, user_line
from flux.functional import conv, conv_transpose, identity
from flux.functional.arrays import convert
from flux.functional.window import Sizes, each, paddings
from flux.init import glorot_uniform
from flux.layers.check import (
    check_activation,
    check_init,
    check_positions,
    check_sizes,
    check_width,
    check_window,
)
from flux.layers.dense import make_bias
from flux.layers.layer import layer
from flux.layers.show import call_repr
from flux.random import generator

__all__ = ["Conv", "ConvTranspose", "DepthwiseConv"]


def make_weight(layer, kernel, c_in, c_out, groups, init, rng):
    """The weight of a convolution, ``(*kernel, c_in / groups, c_out)``; an int is a square."""
    kernel = tuple(kernel) if isinstance(kernel, tuple | list) else (kernel, kernel)
    if not 1 <= len(kernel) <= 3:
        raise ArgumentError(
            f"{layer}: kernel is {brief(kernel)}: it must have one, two or three axes.",
            where=user_line(),
        )
    each(kernel, len(kernel), f"{layer}: kernel")
    check_sizes(layer, c_in=c_in, c_out=c_out)
    check_sizes(layer, least=1, groups=groups)
    if c_in % groups or c_out % groups:
        raise ArgumentError(
            f"{layer}: groups is {groups}: it must divide the channels, {c_in} and {c_out}.",
            where=user_line(),
        )
    check_init(layer, init)
    return init((*kernel, c_in // groups, c_out), rng=generator(rng))


def check_settings(layer, weight, stride, pad, dilation):
    """Refuse a stride, padding or dilation that no input will fit."""
    window = weight.shape[:-2]
    axes = len(window)
    stride = each(stride, axes, f"{layer}: stride")
    dilation = each(dilation, axes, f"{layer}: dilation")
    paddings(pad, window, window, stride, dilation, f"{layer}: pad")


@layer
class Conv:
    """Slide a window over positions and mix what is under it: ``activation(conv(x) + bias)``.

    The window is not flipped (cross-correlation, as in every Python framework).

    Args:
        kernel: the window, a tuple with one size for each of one to three axes; an int `k` is
            `(k, k)`.
        c_in: channels of the input.
        c_out: channels of the output.
        activation: a function of the result.
        stride: how far the window moves, a number or one an axis.
        pad: zeros around the positions: a number, one an axis, two an axis `(before, after, ...)`,
            or `"same"`, with which the output is as long as the input divided by the stride,
            rounded up, and an odd zero stands after.
        dilation: how far apart the entries of the window are.
        groups: into how many runs the channels are divided; each mixes only its own.
        bias: `True` for zeros, `False` for none, or an array of shape `(c_out,)`.
        init: initialiser of the weight.
        rng: seed or generator for the initialiser.

    Shapes: ``(B, H, W, c_in) -> (B, H', W', c_out)``, with one or three axes in the place of
        ``H, W`` if `kernel` has as many; ``weight`` is ``(*kernel, c_in/groups, c_out)``.
    Dtypes: the input is brought to the dtype of the weight, float32 at first.
    Raises: ``ShapeError`` for another number of axes or channels.

    >>> import numpy as np
    >>> layer = Conv((3, 3), 1, 8, pad="same")
    >>> layer(np.ones((2, 28, 28, 1))).shape, layer
    ((2, 28, 28, 8), Conv((3, 3), 1, 8, pad='same'))
    """

    def __init__(
        self,
        kernel,
        c_in,
        c_out,
        activation=identity,
        *,
        stride: Sizes = 1,
        pad: Sizes | str = 0,
        dilation: Sizes = 1,
        groups=1,
        bias=True,
        init=glorot_uniform,
        rng=None,
    ):
        self.weight = make_weight(type(self).__name__, kernel, c_in, c_out, groups, init, rng)
        check_settings(type(self).__name__, self.weight, stride, pad, dilation)
        self.bias = make_bias(bias, (c_out,), self.weight)
        self.activation = check_activation(activation, type(self).__name__)
        self.stride, self.pad, self.dilation, self.groups = stride, pad, dilation, groups

    def __call__(self, x):
        x = convert(x, self.weight)
        check_positions(self, x, self.weight.ndim - 2)
        check_width(self, x, self.weight.shape[-2] * self.groups)
        check_window(self, x, self.weight.shape[:-2], self.stride, self.pad, self.dilation)
        y = conv(
            x,
            self.weight,
            stride=self.stride,
            pad=self.pad,
            dilation=self.dilation,
            groups=self.groups,
        )
        if self.bias is not None:
            y = y + self.bias
        return self.activation(y)

    def __repr__(self):
        *kernel, c_in, c_out = self.weight.shape
        sizes = tuple(kernel), c_in * self.groups, c_out
        return call_repr(self, *sizes, self.activation, **_settings(self))


@layer
class ConvTranspose:
    """Spread each position over a window: the adjoint of `Conv`, for making images larger.

    Args:
        kernel: the window, a tuple with one size for each of one to three axes; an int `k` is
            `(k, k)`.
        c_in: channels of the input.
        c_out: channels of the output.
        activation: a function of the result.
        stride: by how much the positions are moved apart, a number or one an axis.
        pad: positions cut off the result, as `Conv` takes it; with `"same"` the output is as long
            as the input times the stride.
        outpad: positions added after the result.
        dilation: how far apart the entries of the window are.
        groups: into how many runs the channels are divided; each mixes only its own.
        bias: `True` for zeros, `False` for none, or an array of shape `(c_out,)`.
        init: initialiser of the weight.
        rng: seed or generator for the initialiser.

    Shapes: ``(B, H, W, c_in) -> (B, H', W', c_out)``; ``weight`` is ``(*kernel, c_out/groups,
        c_in)``, that of the `Conv` whose adjoint it is.
    Raises: ``ShapeError`` for another number of axes or channels.
    Source: Dumoulin and Visin (2016), A guide to convolution arithmetic, chapter 4.

    >>> import numpy as np
    >>> ConvTranspose((2, 2), 8, 1, stride=2)(np.ones((2, 7, 7, 8))).shape
    (2, 14, 14, 1)
    """

    def __init__(
        self,
        kernel,
        c_in,
        c_out,
        activation=identity,
        *,
        stride: Sizes = 1,
        pad: Sizes | str = 0,
        outpad: Sizes = 0,
        dilation: Sizes = 1,
        groups=1,
        bias=True,
        init=glorot_uniform,
        rng=None,
    ):
        self.weight = make_weight(type(self).__name__, kernel, c_out, c_in, groups, init, rng)
        check_settings(type(self).__name__, self.weight, stride, pad, dilation)
        self.bias = make_bias(bias, (c_out,), self.weight)
        self.activation = check_activation(activation, type(self).__name__)
        self.stride, self.pad, self.outpad = stride, pad, outpad
        self.dilation, self.groups = dilation, groups

    def __call__(self, x):
        x = convert(x, self.weight)
        check_positions(self, x, self.weight.ndim - 2)
        check_width(self, x, self.weight.shape[-1])
        y = conv_transpose(
            x,
            self.weight,
            stride=self.stride,
            pad=self.pad,
            outpad=self.outpad,
            dilation=self.dilation,
            groups=self.groups,
        )
        if self.bias is not None:
            y = y + self.bias
        return self.activation(y)

    def __repr__(self):
        *kernel, c_out, c_in = self.weight.shape
        sizes = tuple(kernel), c_in, c_out * self.groups
        return call_repr(self, *sizes, self.activation, outpad=self.outpad, **_settings(self))


def DepthwiseConv(kernel, c_in, c_out=None, activation=identity, **settings):
    """A `Conv` in which every input channel has windows of its own: `groups` is `c_in`.

    Args:
        kernel: the window.
        c_in: channels of the input.
        c_out: channels of the output, a multiple of `c_in`; as many as `c_in` if not given.
        activation: a function of the result.
        **settings: the other arguments of `Conv`.

    >>> DepthwiseConv((3, 3), 4, 8)
    Conv((3, 3), 4, 8, groups=4)
    """
    return Conv(kernel, c_in, c_out or c_in, activation, groups=c_in, **settings)


def _settings(layer):
    return {
        "stride": layer.stride,
        "pad": layer.pad,
        "dilation": layer.dilation,
        "groups": layer.groups,
        "bias": layer.bias is not None,
    }
