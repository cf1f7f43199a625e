"""A layer over time in both directions."""

from __future__ import annotations

import copy

from flux.ad import rule
from flux.functional.arrays import namespace
from flux.layers.cells import Cell, check_parts, initialstates
from flux.layers.layer import layer
from flux.layers.parts import modules
from flux.layers.steps import beside
from flux.random import RandomState, generator

__all__ = ["Bidirectional"]


@layer
class Bidirectional:
    """Run a layer forwards and another one backwards over time, and join their features.

    Args:
        layer: a layer over time, such as `LSTM(3, 4)`; it goes forwards.
        backward: the layer that goes backwards. By default a copy of `layer`, in which the
            weights of recurrent cells have another random order, as good as drawn anew.
        rng: seed or generator of that order; `flux.seed` sets the default one.

    Called with the input, and with `state`, `return_state` and `lengths` as the layer is; a state
    is the pair of that forwards and that backwards. With lengths, each example is reversed within
    its own.

    Shapes: ``(B, T, F) -> (B, T, 2 * H)``, the features of the forward layer first.
    Source: Schuster and Paliwal (1997), Bidirectional recurrent neural networks.

    >>> import numpy as np
    >>> from flux.layers import LSTM
    >>> Bidirectional(LSTM(3, 4))(np.ones((2, 5, 3))).shape
    (2, 5, 8)
    """

    def __init__(self, layer, backward=None, *, rng=None):
        self.forward = layer
        self.backward = renewed(layer, generator(rng)) if backward is None else backward

    def __call__(self, x, state=None, *, return_state=False, lengths=None):
        options = {"return_state": True} if return_state else {}
        if lengths is not None:
            options["lengths"] = lengths
        starts = ((), ())
        if state is not None:
            check_parts(self, state, ("forward", "backward"))
            starts = ((state[0],), (state[1],))
        y = self.forward(x, *starts[0], **options)
        z = self.backward(turned(x, lengths), *starts[1], **options)
        if not return_state:
            return joined(y, turned(z, lengths))
        (y, first), (z, second) = y, z
        return joined(y, turned(z, lengths)), (first, second)

    def initialstates(self, batch):
        return initialstates(self.forward, batch), initialstates(self.backward, batch)


def renewed(layer, rng):
    """A copy of a layer with random weights and random state of its own."""
    made = copy.deepcopy(layer)
    for part in modules(made):
        if isinstance(part, Cell):
            part.shuffle(rng)
        if isinstance(getattr(part, "rng", None), RandomState):
            vars(part)["rng"] = RandomState(rng)
    return made


def joined(y, z):
    return namespace(y, z).concatenate([y, z], axis=-1)


def turned(x, lengths):
    """Reverse the time of each example, within its length if there are lengths."""
    if lengths is None:
        return namespace(x).flip(x, axis=1)
    xp = namespace(x, lengths)
    times = xp.arange(x.shape[1])
    lengths = xp.minimum(xp.asarray(lengths), x.shape[1])[:, None]
    back = xp.where(times < lengths, lengths - 1 - times, times)
    return xp.take_along_axis(xp.asarray(x), beside(back, x), axis=1)


@rule(turned)
def _turned_rule(x, lengths):
    return turned(x, lengths), lambda ct: (turned(ct, lengths), None)
