"""A weight as a length times a direction."""

from __future__ import annotations

import copy
from typing import Any

from flux.ad import nograd
from flux.errors import FluxError, user_line
from flux.functional.arrays import namespace, narrow, widen
from flux.layers.layer import layer
from flux.layers.show import label, tree_repr

__all__ = ["WeightNorm"]


@layer
class WeightNorm:
    """Call a layer with its weight written as ``scale * v / |v|``, and learn `scale` and `v`.

    `v` stays where the weight was, in the layer; `scale` starts as ``|v|``, so that at first
    nothing changes.

    Args:
        layer: any layer with a weight.
        name: the attribute that holds the weight.
        axis: the axis (or a tuple of axes) with one length for each index: by default the last one,
            an output channel of `Dense` and `Conv`; `None` for one length in all.

    Attributes:
        scale: the lengths, with the weight's number of axes.

    Shapes: those of the layer.
    Raises: ``FluxError`` if the layer has no such weight, or one of length zero.
    Source: Salimans and Kingma (2016), Weight normalization, section 2.

    >>> import numpy as np
    >>> from flux.layers import Dense
    >>> plain = Dense(3, 2)
    >>> layer = WeightNorm(plain)
    >>> layer.scale.shape, bool(abs(layer(np.ones((1, 3))) - plain(np.ones((1, 3)))).max() < 1e-6)
    ((1, 2), True)
    """

    def __init__(self, layer, name="weight", *, axis=-1):
        direction = getattr(layer, name, None)
        if not hasattr(direction, "shape"):
            raise FluxError(
                f"WeightNorm got {label(layer)}, which has no weight named `{name}`.",
                where=user_line(),
            )
        self.layer, self.name, self.axis = layer, name, axis
        self.scale = _length(direction, axis)
        if not (self.scale > 0).all():
            raise FluxError(
                f"WeightNorm got {label(layer)}, whose `{name}` has the length 0 somewhere: a "
                "direction is needed.",
                where=user_line(),
            )

    @property
    def weight(self):
        """The weight that the layer is called with."""
        direction = getattr(self.layer, self.name)
        return self.scale * (direction / _length(direction, self.axis))

    def __call__(self, *inputs, **options):
        direction = getattr(self.layer, self.name)
        setattr(self.layer, self.name, self.weight)
        try:
            return self.layer(*inputs, **options)
        finally:
            setattr(self.layer, self.name, direction)

    def merged(self):
        """The layer without this one around it: a copy whose weight is the product."""
        plain = copy.deepcopy(self.layer)
        setattr(plain, self.name, self.weight)
        return plain

    def __repr__(self):
        parts: list[tuple[str | None, Any]] = [(None, self.layer)]
        if self.name not in ("weight", None):
            parts.append((None, self.name))
        if self.axis != -1 and self.name is not None:
            parts.append(("axis", self.axis))
        return tree_repr(self, parts)


def _length(v, axis):
    """The root of the sum of squares over all axes but `axis`, which keep the length 1."""
    wide = widen(v)
    total = namespace(v).sum(wide * wide, axis=_others(v.ndim, axis), keepdims=True)
    return narrow(total**0.5, v)


@nograd
def _others(axes, kept):
    kept = () if kept is None else kept if isinstance(kept, tuple) else (kept,)
    kept = [axis % axes for axis in kept]
    return tuple(axis for axis in range(axes) if axis not in kept)
