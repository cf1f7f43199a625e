"""What the layers that hold other layers have in common: index, slice, names, length, tree."""

from __future__ import annotations

from flux.errors import ArgumentError, brief, user_line
from flux.layers.show import tree_repr

__all__ = ["Container"]


class Container:
    """Layers in an order, some of them with names; the base of `Chain` and its like.

    `layers` is a tuple of them, `names` the tuple of their names, `None` for those without. A
    slice is a container of the same kind with the same other attributes; layers are shared, not
    copied.
    """

    def hold(self, layers, named):
        """Take the layers that the constructor was given, after a look at each."""
        kind = type(self).__name__
        if len(layers) == 1 and isinstance(layers[0], list | tuple):
            layers = tuple(layers[0])
        for name in named:
            if hasattr(type(self), name) or name in ("layers", "names", "connection"):
                raise ArgumentError(
                    f"{kind} cannot have a layer named `{name}`: it uses that name.",
                    where=user_line(),
                )
        self.layers = (*layers, *named.values())
        self.names = (*[None for _ in layers], *named)
        for position, part in enumerate(self.layers):
            if not callable(part):
                raise ArgumentError(
                    f"{kind} expected a layer or a function as layer {position + 1}, and got "
                    f"{brief(part)}: it is not callable.",
                    where=user_line(),
                )

    def __getitem__(self, index):
        if isinstance(index, slice):
            chosen = object.__new__(type(self))
            vars(chosen).update(vars(self))
            chosen.layers, chosen.names = self.layers[index], self.names[index]
            return chosen
        return self.layers[self.names.index(index) if isinstance(index, str) else index]

    def __getattr__(self, name):
        names = self.__dict__.get("names") or ()
        if name in names and not name.startswith("__"):
            return self.layers[names.index(name)]
        raise AttributeError(f"{type(self).__name__} has no layer or attribute named `{name}`")

    def __len__(self):
        return len(self.layers)

    def __iter__(self):
        return iter(self.layers)

    def __repr__(self):
        parts = list(zip(self.names, self.layers, strict=True))
        if hasattr(self, "connection"):
            parts.insert(0, (None, self.connection))
        return tree_repr(self, parts) if parts else f"{type(self).__name__}()"
