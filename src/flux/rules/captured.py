"""What callables handed to a library captured: found, and replaced by what the library passes in.

`jax.vmap(f)(x)` hides `f`, and the arrays that `f` captured, inside a function of JAX. They are
inputs of the call all the same: their cotangents go into the store, to the cells and attributes
that hold them.
"""

from __future__ import annotations

import functools
from types import CellType, FunctionType, MethodType
from typing import Any, NamedTuple

from flux.ad.registry import AUGMENTED
from flux.ad.spaces import space_of, zero_of
from flux.tree.objects import blank, fields, is_filled, is_object, set_field

__all__ = ["Captured", "captured_arrays", "with_captured"]


class Captured(NamedTuple):
    """An array in a cell, an attribute or a container, found inside a callable."""

    owner: Any
    key: Any
    value: Any


def captured_arrays(root) -> list[Captured]:
    """The differentiable arrays that the callables inside `root` captured."""
    found: list[Captured] = []
    seen: set[int] = set()

    def holds(owner, key, value) -> None:
        if space_of(type(value)) is not None:
            if zero_of(value) is not None:
                found.append(Captured(owner, key, value))
        else:
            visit(value)

    def visit(value) -> None:
        if id(value) in seen or isinstance(value, type):
            return
        seen.add(id(value))
        for owner, key, part in parts_of(value):
            holds(owner, key, part)

    visit(root)
    return found


def parts_of(value):
    """Triples of owner, key and part of everything that a callable or container holds."""
    if isinstance(value, FunctionType):
        for cell in value.__closure__ or ():
            if is_filled(cell):
                yield cell, "cell_contents", cell.cell_contents
        for name, part in (*positional_defaults(value), *(value.__kwdefaults__ or {}).items()):
            yield value, name, part
        return
    if isinstance(value, MethodType):
        yield None, None, value.__self__
    elif isinstance(value, functools.partial):
        yield value, None, value.func
        for key, part in enumerate(value.args):
            yield value, key, part
        for key, part in value.keywords.items():
            yield value.keywords, key, part
    elif isinstance(value, tuple | list):
        for index, part in enumerate(value):
            yield value, index, part
    elif isinstance(value, dict):
        for key, part in value.items():
            yield value, key, part
    elif is_object(value):
        if space_of(type(value)) is None:
            for name, part in fields(value).items():
                yield value, name, part
    elif hasattr(value, "__wrapped__"):
        yield None, None, value.__wrapped__


def positional_defaults(f: FunctionType) -> list[tuple[str, Any]]:
    """The default values of a function, with the names of their parameters."""
    values = f.__defaults__ or ()
    code = f.__code__
    names = code.co_varnames[code.co_argcount - len(values) : code.co_argcount]
    return list(zip(names, values, strict=True))


def with_captured(root, captured: list[Captured], values: list) -> Any:
    """`root` with `values` in the places of the captured arrays; the originals stay as they are."""
    new = {(id(c.owner), c.key): value for c, value in zip(captured, values, strict=True)}
    memo: dict[int, Any] = {}

    def part(owner, key, value):
        known = new.get((id(owner), key))
        return rebuild(value) if known is None else known

    def rebuild(value):
        if id(value) in memo:
            return memo[id(value)]
        if isinstance(value, type) or not any(True for _ in parts_of(value)):
            return value
        if isinstance(value, FunctionType):
            return function(value)
        if isinstance(value, MethodType):
            return MethodType(value.__func__, rebuild(value.__self__))
        if isinstance(value, functools.partial):
            args = [part(value, i, a) for i, a in enumerate(value.args)]
            keywords = {k: part(value.keywords, k, v) for k, v in value.keywords.items()}
            return functools.partial(part(value, None, value.func), *args, **keywords)
        if isinstance(value, tuple):
            items = [part(value, i, v) for i, v in enumerate(value)]
            return type(value)(*items) if hasattr(value, "_fields") else tuple(items)
        if isinstance(value, list):
            memo[id(value)] = made = []
            made.extend(part(value, i, v) for i, v in enumerate(value))
            return made
        if isinstance(value, dict):
            memo[id(value)] = made = {}
            made.update((k, part(value, k, v)) for k, v in value.items())
            return made
        if is_object(value):
            memo[id(value)] = made = blank(type(value))
            for name, item in fields(value).items():
                set_field(made, name, part(value, name, item))
            return made
        # A compiled function: its Python function, over what it captured.
        return rebuild(value.__wrapped__)

    def function(value: FunctionType):
        cells = tuple(CellType() for _ in value.__closure__ or ())
        defaults = tuple([part(value, *pair) for pair in positional_defaults(value)])
        named = (value.__kwdefaults__ or {}).items()
        made = FunctionType(
            value.__code__, value.__globals__, value.__name__, defaults or None, cells
        )
        made.__kwdefaults__ = {name: part(value, name, item) for name, item in named} or None
        made.__dict__.update(value.__dict__)
        memo[id(value)] = made
        for cell, old in zip(cells, value.__closure__ or (), strict=True):
            if is_filled(old):
                cell.cell_contents = part(old, "cell_contents", old.cell_contents)
        return made

    return rebuild(root)


def captured_again(root):
    """What was found is a read of cells and attributes: its cotangents go back there."""
    found = captured_arrays(root)

    def back(ct, store):
        for i, part in enumerate(found):
            cts = store.take(found, i)
            if cts is not None:
                store.add(part.owner, part.key, cts[2])
        return (None,)

    return found, back


AUGMENTED[captured_arrays] = captured_again
