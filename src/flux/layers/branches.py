"""Layers side by side, around each other, and in steps that join."""

from __future__ import annotations

import math

from flux.errors import ArgumentError, ShapeError, user_line
from flux.functional.arrays import namespace, reshape, shape_of
from flux.layers.check import check_function
from flux.layers.container import Container
from flux.layers.layer import layer
from flux.layers.show import tree_repr

__all__ = ["Flatten", "Maxout", "PairwiseFusion", "Parallel", "SkipConnection"]


@layer
class SkipConnection:
    """Run layers and join their result with the input: ``connection(layers(x), x)``.

    Args:
        layers: any layer, often a `Chain`.
        connection: a function of the result and the input, in this order.

    Source: He et al. (2016), Deep residual learning.

    >>> SkipConnection(abs, lambda y, x: y - x)(-3)
    6
    """

    def __init__(self, layers, connection):
        self.layers = layers
        self.connection = check_function(connection, type(self).__name__, "connection")

    def __call__(self, x):
        return self.connection(self.layers(x), x)

    def __repr__(self):
        return tree_repr(self, [(None, self.layers), (None, self.connection)])


@layer
class Parallel(Container):
    """Run layers side by side and join what they return: ``connection(f(a), g(b), ...)``.

    One input goes to every layer; several go to one layer each, or all to the one layer that there
    is. A tuple as the only input is several inputs.

    Args:
        connection: a function of as many values as there are results.
        *layers: the layers, or one list of them.
        **named: more layers, each with a name.

    Raises: ``ValueError`` if the number of inputs does not fit.

    >>> Parallel(lambda a, b: a + b, abs, lambda x: 10 * x)(-3)
    -27
    >>> Parallel(lambda a, b: a + b, abs, lambda x: 10 * x)(-3, 2)
    23
    """

    def __init__(self, connection, *layers, **named):
        self.connection = check_function(connection, type(self).__name__, "connection")
        self.hold(layers, named)
        if not self.layers:
            raise ArgumentError(
                "Parallel needs at least one layer beside its connection.", where=user_line()
            )

    def __call__(self, *inputs):
        if len(inputs) == 1 and isinstance(inputs[0], tuple):
            inputs = inputs[0]
        layers = self.layers
        if len(inputs) == 1:
            inputs = inputs * len(layers)
        if len(layers) == 1:
            layers = layers * len(inputs)
        if len(inputs) != len(layers):
            raise ValueError(
                f"Parallel got {len(inputs)} inputs for its {len(layers)} layers: it takes one "
                "for all, or one for each."
            )
        results = []
        for part, x in zip(layers, inputs, strict=True):
            results.append(part(x))
        return self.connection(*results)


@layer
class PairwiseFusion(Container):
    """Run layers in steps that each take in another input, and return what every step gave.

    ``y[0] = f[0](x[0])``, then ``y[i] = f[i](connection(y[i-1], x[i]))``. A single input is the
    input of every step.

    Args:
        connection: a function of a step's result and the next input.
        *layers: the layers, or one list of them.
        **named: more layers, each with a name.

    Raises: ``ValueError`` if the number of inputs does not fit.

    >>> PairwiseFusion(lambda a, b: a + b, abs, lambda x: 10 * x)(-3, 2)
    (3, 50)
    """

    def __init__(self, connection, *layers, **named):
        self.connection = check_function(connection, type(self).__name__, "connection")
        self.hold(layers, named)
        if not self.layers:
            raise ValueError("PairwiseFusion needs at least one layer beside its connection.")

    def __call__(self, *inputs):
        if len(inputs) == 1 and isinstance(inputs[0], tuple):
            inputs = inputs[0]
        if len(inputs) == 1:
            inputs = inputs * len(self.layers)
        if len(inputs) != len(self.layers):
            raise ValueError(
                f"PairwiseFusion got {len(inputs)} inputs for its {len(self.layers)} layers: it "
                "takes one for all, or one for each."
            )
        y = self.layers[0](inputs[0])
        results = [y]
        for part, x in zip(self.layers[1:], inputs[1:], strict=True):
            y = part(self.connection(y, x))
            results.append(y)
        return tuple(results)


@layer
class Maxout(Container):
    """Run layers on one input and keep, entry by entry, the largest result.

    Args:
        *layers: the layers, or one list of them.

    Raises: ``ShapeError`` if the results differ in shape.
    Source: Goodfellow et al. (2013), Maxout networks.

    >>> print(Maxout(lambda x: x, lambda x: -2 * x)(-3.0))
    6.0
    """

    def __init__(self, *layers):
        self.hold(layers, {})
        if not self.layers:
            raise ValueError("Maxout needs at least one layer.")

    def __call__(self, x):
        y = self.layers[0](x)
        for part in self.layers[1:]:
            other = part(x)
            if shape_of(other) != shape_of(y):
                raise ShapeError(
                    f"Maxout got results of the shapes {shape_of(y)} and {shape_of(other)} from "
                    "its layers: they must agree."
                )
            y = namespace(y, other).maximum(y, other)
        return y


@layer
class Flatten:
    """Join all axes but the first, the examples, into one.

    Shapes: ``(B, ...) -> (B, F)``.

    >>> import numpy as np
    >>> Flatten()(np.ones((5, 4, 3, 2))).shape
    (5, 24)
    """

    def __call__(self, x):
        return reshape(x, (x.shape[0], math.prod(x.shape[1:])))
