"""Walk the arrays of a model: every container is entered once, whatever its class.

A class may name fields that are not trained in a class attribute `nontrainable`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from types import CellType, FunctionType, MethodType
from typing import Any, NamedTuple

from flux.tree.objects import fields, is_filled, is_namedtuple, is_object, set_field

__all__ = ["Place", "at_path", "cell_of", "children", "containers", "objects", "places", "spelled"]


class Place(NamedTuple):
    """Where a leaf of a tree is found.

    Attributes:
        owner, key: the container and the index, key or attribute name in it.
        value: the leaf.
        path: the keys from the root, in order.
        trainable: no class on the way says that it is not trained.
    """

    owner: Any
    key: Any
    value: Any
    path: tuple[Any, ...]
    trainable: bool

    @property
    def name(self) -> str:
        """The path as Python spells it: `layers[0].weight`."""
        return spelled(self.path)

    def current(self):
        """What stands there now."""
        indexed = isinstance(self.owner, list | tuple) and not is_namedtuple(self.owner)
        if indexed or isinstance(self.owner, dict):
            return self.owner[self.key]
        return getattr(self.owner, self.key)

    def put(self, value) -> None:
        """Set the leaf in its container."""
        if isinstance(self.owner, list | dict):
            self.owner[self.key] = value
        elif self.key == "cell_contents":
            self.owner.cell_contents = value
        elif isinstance(self.owner, tuple):
            raise TypeError(f"{self.name} stands in a tuple, which cannot be changed.")
        else:
            set_field(self.owner, self.key, value)


def spelled(path: tuple) -> str:
    """A path as Python spells it.

    >>> spelled(("layers", 0, "weight"))
    'layers[0].weight'
    """
    text = ""
    for key in path:
        if isinstance(key, str) and key.isidentifier():
            text += f".{key}" if text else key
        else:
            text += f"[{key!r}]"
    return text


def children(value) -> list[tuple[Any, Any, Any]] | None:
    """`(owner, key, part)` for all that a container holds; `None` for a leaf."""
    if isinstance(value, list | tuple):
        names = value._fields if is_namedtuple(value) else range(len(value))  # type: ignore[union-attr]
        return [(value, key, part) for key, part in zip(names, value, strict=True)]
    if isinstance(value, dict):
        return [(value, key, part) for key, part in value.items()]
    if isinstance(value, FunctionType):
        names = value.__code__.co_freevars
        cells = zip(names, value.__closure__ or (), strict=True)
        return [(cell, name, cell.cell_contents) for name, cell in cells if is_filled(cell)]
    if isinstance(value, MethodType):
        return children(value.__self__)
    if isinstance(value, functools.partial):
        parts = (value.func, value.args, value.keywords)
        return [
            (value, key, part)
            for key, part in zip(("func", "args", "keywords"), parts, strict=True)
        ]
    if is_object(value):
        return [(value, name, part) for name, part in fields(value).items()]
    return None


def places(root, is_leaf: Callable[[Any], bool]) -> Iterator[Place]:
    """Every leaf of `root` that `is_leaf` accepts, each container entered once, in order.

    >>> [(p.name, p.value) for p in places({"a": [1.0, "x"]}, lambda v: isinstance(v, float))]
    [('a[0]', 1.0)]
    """
    seen: set[int] = set()

    def visit(value, path: tuple, trainable: bool) -> Iterator[Place]:
        if id(value) in seen:
            return
        parts = children(value)
        if not parts:
            return
        seen.add(id(value))
        fixed = getattr(type(value), "nontrainable", ())
        for owner, key, part in parts:
            train = trainable and key not in fixed
            here = (*path, key)
            if is_leaf(part):
                own_key = "cell_contents" if isinstance(value, FunctionType) else key
                yield Place(owner, own_key, part, here, train)
            else:
                yield from visit(part, here, train)

    yield from visit(root, (), True)


def at_path(tree, path: tuple):
    """The part of a model, or of its gradient, at a path; `None` where a container is `None`.

    The gradient of a function is a dict by name, that of a method the gradient of its object.
    """
    for key in path:
        if isinstance(tree, MethodType):
            tree = tree.__self__
        if tree is None:
            return None
        if isinstance(tree, dict):
            tree = tree.get(key)
        elif isinstance(tree, list | tuple) and isinstance(key, int):
            tree = tree[key]
        elif isinstance(tree, FunctionType):
            tree = cell_of(tree, key).cell_contents
        else:
            tree = getattr(tree, key)
    return tree


def cell_of(function: FunctionType, name: str) -> CellType:
    """The cell of a captured variable."""
    assert function.__closure__ is not None
    return function.__closure__[function.__code__.co_freevars.index(name)]


def containers(model) -> Iterator[tuple[Any, list[tuple[Any, Any, Any]]]]:
    """Everything in `model` that holds something, with its `children`; each once, parents first."""
    seen: set[int] = set()

    def visit(value) -> Iterator[tuple[Any, list[tuple[Any, Any, Any]]]]:
        parts = None if id(value) in seen else children(value)
        if parts is None:
            return
        seen.add(id(value))
        yield value, parts
        for _, _, part in parts:
            yield from visit(part)

    return visit(model)


def objects(model) -> list[Any]:
    """`model` and every object inside it, each once, parents first."""
    return [value for value, _ in containers(model) if is_object(value)]
