"""The class decorator that adds conveniences to a layer; it adds no base class."""

from __future__ import annotations

import dataclasses
import functools

from flux.layers.show import tree_repr

__all__ = ["layer"]


def layer(cls):
    """Give a class a constructor from its annotations, a tree-shaped repr and JAX's acceptance.

    What the class defines itself stays. Any callable is a layer without this decorator too; with
    it, less has to be written.

    Args:
        cls: a class. Without an `__init__` it gets one whose arguments are the annotated
            attributes, in their order, with their defaults, as in a dataclass.

    >>> @layer
    ... class Twice:
    ...     inner: object
    ...     factor: float = 2.0
    ...
    ...     def __call__(self, x):
    ...         return self.factor * self.inner(x)
    >>> double = Twice(abs)
    >>> double(-3.0), double
    (6.0, Twice(inner=abs, factor=2.0))
    """
    if "__init__" not in cls.__dict__ and _takes_annotations(cls):
        cls = dataclasses.dataclass(repr=False, eq=False)(cls)
    cls.__repr__ = tree_repr if cls.__repr__ is object.__repr__ else _for_any(cls.__repr__)
    from flux.compiler.pytree import register_class  # the compiler need not be there before

    register_class(cls)
    return cls


def _for_any(own):
    """The class's own repr; that of a tree for what has the layer's form, such as its gradient."""

    @functools.wraps(own)
    def __repr__(self):
        try:
            return own(self)
        except (AttributeError, TypeError, ValueError):
            return tree_repr(self)

    return __repr__


def _takes_annotations(cls) -> bool:
    return "__annotations__" in cls.__dict__ or cls.__init__ is object.__init__
