"""Layers one after the other."""

from __future__ import annotations

from typing import Any

from flux.errors import FluxError, user_line
from flux.layers.container import Container
from flux.layers.layer import layer

__all__ = ["Chain", "activations"]


@layer
class Chain(Container):
    """Call layers in turn, each on the result of the one before.

    A layer is anything callable, so activations stand among the others. `chain[0]` is the first
    layer, `chain[1:]` a `Chain` of the others (the same layers, not copies), `chain.name` the layer
    that was given by that name.

    Args:
        *layers: the layers, or one list of them.
        **named: more layers, after those, each with a name.

    Shapes: those of the first layer's input, to those of the last layer's output.

    >>> import numpy as np
    >>> from flux.layers import Dense
    >>> from flux.functional import relu
    >>> model = Chain(Dense(3, 4, relu), head=Dense(4, 2))
    >>> model
    Chain(
      Dense(3, 4, relu),  # 16 parameters
      head=Dense(4, 2),  # 10 parameters
    )  # 26 parameters in 4 arrays
    >>> model(np.ones((5, 3))).shape, len(model), model[1] is model.head
    ((5, 2), 2, True)
    """

    def __init__(self, *layers, **named):
        self.hold(layers, named)

    def __call__(self, *inputs) -> Any:
        if not self.layers:
            return inputs[0] if len(inputs) == 1 else inputs
        y = self.layers[0](*inputs)
        for part in self.layers[1:]:
            y = part(y)
        return y


def activations(chain, *inputs) -> tuple:
    """What every layer of a chain returns, in order; the last is what the chain returns.

    Args:
        chain: a `Chain`, or a list or tuple of layers. A chain inside it counts as one layer.
        inputs: of the first layer.

    Raises: `FluxError` if `chain` is no sequence of layers.

    >>> activations(Chain(abs, lambda x: 2 * x, lambda x: x + 1), -3)
    (3, 6, 7)
    """
    layers = chain.layers if isinstance(chain, Chain) else chain
    if not isinstance(layers, list | tuple):
        raise FluxError(
            f"activations expected a Chain or a list of layers, and got a {type(chain).__name__}.",
            where=user_line(),
        )
    outputs = []
    for part in layers:
        inputs = (part(*inputs),)
        outputs.append(inputs[0])
    return tuple(outputs)
