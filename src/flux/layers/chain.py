"""Layers one after the other."""

from __future__ import annotations

from flux.layers.layer import layer
from flux.layers.show import tree_repr

__all__ = ["Chain"]


@layer
class Chain:
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
        if len(layers) == 1 and isinstance(layers[0], list | tuple):
            layers = tuple(layers[0])
        for name in named:
            if hasattr(Chain, name) or name in ("layers", "names"):
                raise ValueError(f"Chain cannot have a layer named `{name}`: Chain uses that name.")
        self.layers = (*layers, *named.values())
        self.names = (*(None for _ in layers), *named)
        for position, part in enumerate(self.layers):
            if not callable(part):
                raise TypeError(f"Chain got {part!r} as layer {position + 1}: it is not callable.")

    def __call__(self, *inputs):
        if not self.layers:
            return inputs[0] if len(inputs) == 1 else inputs
        y = self.layers[0](*inputs)
        for part in self.layers[1:]:
            y = part(y)
        return y

    def __getitem__(self, index):
        if isinstance(index, slice):
            chosen = Chain(*self.layers[index])
            chosen.names = self.names[index]
            return chosen
        return self.layers[self.names.index(index) if isinstance(index, str) else index]

    def __getattr__(self, name):
        names = self.__dict__.get("names") or ()
        if name in names and not name.startswith("__"):
            return self.layers[names.index(name)]
        raise AttributeError(f"Chain has no layer or attribute named `{name}`")

    def __len__(self):
        return len(self.layers)

    def __iter__(self):
        return iter(self.layers)

    def __repr__(self):
        if not self.layers:
            return "Chain()"
        return tree_repr(self, list(zip(self.names, self.layers, strict=True)))
