"""Layers that mix features linearly."""

from __future__ import annotations

from typing import Any

from flux.errors import ArgumentError, ShapeError, brief, user_line
from flux.functional import identity, linear
from flux.functional.arrays import convert, namespace, reshape, shape_of
from flux.init import glorot_uniform, ones, zeros
from flux.layers.check import check_activation, check_init, check_sizes, check_width, refuse
from flux.layers.layer import layer
from flux.layers.show import call_repr
from flux.random import generator

__all__ = ["Bilinear", "Dense", "Scale", "make_bias"]


def make_bias(bias, shape, like):
    """The bias that `bias=` asks for: zeros, none, or the given array, checked."""
    if bias is True:
        return zeros(shape, dtype=like.dtype)
    if bias is None or bias is False:
        return None
    if shape_of(bias) != tuple(shape):
        raise ShapeError(
            f"bias has the shape {shape_of(bias)}: it must be {tuple(shape)}.", where=user_line()
        )
    return convert(bias, like)


@layer
class Dense:
    """Mix features: ``activation(x @ weight + bias)``, the fully connected layer.

    Args:
        n_in: length of the last axis of the input.
        n_out: length of the last axis of the output.
        activation: a function of the result.
        bias: `True` for zeros, `False` for none, or an array of shape `(n_out,)`.
        init: initialiser of the weight, see `flux.init`.
        rng: seed or generator for the initialiser; `flux.seed` sets the default one.

    Shapes: ``(..., n_in) -> (..., n_out)``; ``weight`` is ``(n_in, n_out)``.
    Dtypes: the input is brought to the dtype of the weight, float32 at first.
    Raises: ``ShapeError`` if the last axis of the input is not ``n_in``.

    >>> import numpy as np
    >>> from flux.functional import relu
    >>> layer = Dense(3, 2, relu)
    >>> layer(np.ones((5, 3))).shape, layer
    ((5, 2), Dense(3, 2, relu))
    """

    def __init__(
        self, n_in, n_out, activation=identity, *, bias=True, init=glorot_uniform, rng=None
    ):
        check_sizes(type(self).__name__, n_in=n_in, n_out=n_out)
        check_init(type(self).__name__, init)
        self.weight = init((n_in, n_out), rng=generator(rng))
        self.bias = make_bias(bias, (n_out,), self.weight)
        self.activation = check_activation(activation, type(self).__name__)

    def __call__(self, x) -> Any:
        x = convert(x, self.weight)
        check_width(self, x, self.weight.shape[0])
        return self.activation(linear(x, self.weight, self.bias))

    def __repr__(self):
        return call_repr(self, *self.weight.shape, self.activation, bias=self.bias is not None)


@layer
class Scale:
    """Multiply each feature by its own factor: ``activation(x * scale + bias)``.

    Args:
        *size: the shape of the last axes.
        activation: a function of the result.
        bias: `True` for zeros, `False` for none, or an array.
        init: initialiser of the factors.
        rng: seed or generator for the initialiser.

    Shapes: ``(..., *size) -> (..., *size)``.

    >>> import numpy as np
    >>> Scale(3)(np.arange(3)).tolist()
    [0.0, 1.0, 2.0]
    """

    def __init__(self, *size, activation=identity, bias=True, init=ones, rng=None):
        check_sizes(type(self).__name__, **{f"size[{i}]": n for i, n in enumerate(size)})
        check_init(type(self).__name__, init)
        self.scale = init(size, rng=generator(rng))
        self.bias = make_bias(bias, size, self.scale)
        self.activation = check_activation(activation, type(self).__name__)

    def __call__(self, x):
        x = convert(x, self.scale)
        size = self.scale.shape
        if x.shape[len(x.shape) - len(size) :] != size:
            refuse(self, x, f"its last axes must be {size}")
        y = x * self.scale
        if self.bias is not None:
            y = y + self.bias
        return self.activation(y)

    def __repr__(self):
        options = {"activation": self.activation, "bias": self.bias is not None}
        return call_repr(self, *self.scale.shape, **options)


@layer
class Bilinear:
    """Mix the products of two inputs: ``y[k] = activation(x1 @ weight[k] @ x2 + bias[k])``.

    Args:
        n_in: the two input widths, or one number if they are equal.
        n_out: the output width.
        activation: a function of the result.
        bias: `True` for zeros, `False` for none, or an array.
        init: initialiser of the weight.
        rng: seed or generator for the initialiser.

    Called with one input, uses it twice; a tuple is two inputs.

    Shapes: ``(..., n_1), (..., n_2) -> (..., n_out)``; ``weight`` is ``(n_1, n_2, n_out)``.
    Raises: ``ShapeError`` if a width does not fit.

    >>> import numpy as np
    >>> Bilinear((3, 4), 2)(np.ones((5, 3)), np.ones((5, 4))).shape
    (5, 2)
    """

    def __init__(
        self, n_in, n_out, activation=identity, *, bias=True, init=glorot_uniform, rng=None
    ):
        n_1, n_2 = two_widths(n_in)
        check_sizes(type(self).__name__, **{"n_in[0]": n_1, "n_in[1]": n_2, "n_out": n_out})
        check_init(type(self).__name__, init)
        self.weight = init((n_1, n_2, n_out), rng=generator(rng))
        self.bias = make_bias(bias, (n_out,), self.weight)
        self.activation = check_activation(activation, type(self).__name__)

    def __call__(self, x1, x2=None):
        if isinstance(x1, tuple):
            x1, x2 = x1
        x1 = convert(x1, self.weight)
        x2 = x1 if x2 is None else convert(x2, self.weight)
        n_1, n_2, n_out = self.weight.shape
        check_width(self, x1, n_1)
        check_width(self, x2, n_2)
        mixed = linear(x1, reshape(self.weight, (n_1, n_2 * n_out)))
        mixed = reshape(mixed, (*x1.shape[:-1], n_2, n_out)) * x2[..., None]
        y = namespace(mixed).sum(mixed, axis=-2)
        if self.bias is not None:
            y = y + self.bias
        return self.activation(y)

    def __repr__(self):
        *n_in, n_out = self.weight.shape
        return call_repr(self, tuple(n_in), n_out, self.activation, bias=self.bias is not None)


def two_widths(n_in):
    """The widths of two inputs, from a pair or from one number for both."""
    if not isinstance(n_in, tuple | list):
        return n_in, n_in
    if len(n_in) != 2:
        raise ArgumentError(
            f"Bilinear expected one width or two as n_in, and got {brief(n_in)}.",
            where=user_line(),
        )
    return n_in
