"""What a compiled call leaves behind: its result, and the changes to the objects it was given.

While a function is traced it works on a copy of its arguments. `describe` compares the copy with
what it was, and writes down, as static data, how the caller's objects have to change and how the
result is put together from the program's outputs.
"""

from __future__ import annotations

import functools
from types import CellType, FunctionType, MethodType
from typing import Any

import jax
import numpy as np

from flux.compiler.plan import Fixed, Leaf, Plan, parts_of
from flux.tree.objects import blank, is_object, set_field

__all__ = ["Outcome", "describe"]

ARRAYS = (jax.Array, jax.core.Tracer, np.ndarray, np.generic)


class Outcome:
    """How to finish a call: `result(outputs, leaves, nodes)`, and `writes` to do first.

    Attributes:
        outputs: the arrays that the program returns, as traced.
        result: builds the result.
        writes: `(node index, key, builder)`; a builder `None` deletes.
    """

    def __init__(self, result, writes, outputs):
        self.result, self.writes, self.outputs = result, writes, outputs

    def finish(self, outputs, leaves, nodes):
        """Change the caller's objects, and give the result."""
        memo: dict[int, Any] = {}
        new = [
            (index, key, None if make is None else make(outputs, leaves, nodes, memo))
            for index, key, make in self.writes
        ]
        for (index, key, value), (_, _, make) in zip(new, self.writes, strict=True):
            write(nodes[index], key, value, make is None)
        return self.result(outputs, leaves, nodes, memo)


def write(owner, key, value, delete: bool) -> None:
    """Set or delete one part of a caller's container."""
    if isinstance(owner, list):
        owner[:] = value
    elif isinstance(owner, dict):
        if delete:
            del owner[key]
        else:
            owner[key] = value
    elif isinstance(owner, CellType):
        owner.cell_contents = value
    elif delete:
        object.__delattr__(owner, key)
    else:
        set_field(owner, key, value)


def describe(plan: Plan, copies: list, leaves, result) -> Outcome:
    """Compare the traced copies with the plan; `leaves` are the inputs as they were traced."""
    builder = Builder(plan, copies, leaves)
    writes = []
    for index, (node, copy) in enumerate(zip(plan.nodes, copies, strict=True)):
        if not isinstance(copy, tuple | FunctionType | MethodType | functools.partial):
            writes += [(index, key, make) for key, make in changes(node, copy, builder)]
    return Outcome(builder.make(result), writes, builder.outputs)


def changes(node, copy, builder: Builder):
    """The parts of a container that the trace set or deleted."""
    before = {key: builder.traced(part) for key, part in node.parts}
    now = {key: part for key, part, _ in parts_of(copy) or ()}
    if isinstance(copy, list):
        if list(before.values()) != list(now.values()) if len(before) != len(now) else any(
            before[key] is not now[key] for key in now
        ):
            items = [builder.make(part) for part in copy]
            yield None, lambda o, x, n, m: [make(o, x, n, m) for make in items]
        return
    for key, part in now.items():
        if key not in before or before[key] is not part:
            yield key, builder.make(part)
    for key in before:
        if key not in now:
            yield key, None


class Builder:
    """Writes down how values are made again from outputs, inputs and the caller's objects."""

    def __init__(self, plan: Plan, copies: list, leaves):
        self.outputs: list[Any] = []
        self.places: dict[int, int] = {}
        self.inputs = {id(leaf): index for index, leaf in enumerate(leaves)}
        self.leaves = leaves
        self.nodes = {id(copy): index for index, copy in enumerate(copies)}
        self.copies = {id(node): copy for node, copy in zip(plan.nodes, copies, strict=True)}
        self.made: dict[int, Any] = {}

    def traced(self, part):
        """What stood in the copy for a part of the plan."""
        if isinstance(part, Leaf):
            return self.leaves[part.index]
        return part.value if isinstance(part, Fixed) else self.copies[id(part)]

    def make(self, value):
        """A function `(outputs, leaves, nodes, memo)` that makes `value` again."""
        if isinstance(value, ARRAYS):
            return self.array(value)
        if id(value) in self.nodes:
            index = self.nodes[id(value)]
            return lambda o, x, n, m: n[index]
        if id(value) in self.made:
            return self.made[id(value)]
        if isinstance(value, tuple):
            return self.tuple(value)
        container = isinstance(value, list | dict | FunctionType | CellType | functools.partial)
        if (container or is_object(value)) and parts_of(value):
            return self.container(value)
        if isinstance(value, MethodType):
            owner, function = self.make(value.__self__), value.__func__
            return lambda o, x, n, m: MethodType(function, owner(o, x, n, m))
        if isinstance(value, list | dict):
            kind = type(value)
            return lambda o, x, n, m: kind()
        return lambda o, x, n, m: value

    def array(self, value):
        if id(value) in self.inputs:
            index = self.inputs[id(value)]
            return lambda o, x, n, m: x[index]
        place = self.places.get(id(value))
        if place is None:
            place = self.places[id(value)] = len(self.outputs)
            self.outputs.append(value)
        return lambda o, x, n, m: o[place]

    def tuple(self, value):
        items = [self.make(part) for part in value]
        kind = type(value)
        if hasattr(kind, "_fields"):
            return lambda o, x, n, m: kind(*[make(o, x, n, m) for make in items])
        if len(items) == 2:
            first, second = items
            return lambda o, x, n, m: (first(o, x, n, m), second(o, x, n, m))
        return lambda o, x, n, m: tuple([make(o, x, n, m) for make in items])

    def container(self, value):
        """A new container; one that occurs twice is made once a call."""
        key = id(value)
        parts: list[tuple[Any, Any]] = []
        kind = type(value)

        def again(o, x, n, m):
            if key in m:
                return m[key]
            if kind is list:
                m[key] = made = []
                made.extend([make(o, x, n, m) for _, make in parts])
            elif isinstance(value, dict):
                m[key] = made = kind()
                for name, make in parts:
                    made[name] = make(o, x, n, m)
            elif isinstance(value, CellType):
                m[key] = made = CellType()
                for _, make in parts:
                    made.cell_contents = make(o, x, n, m)
            elif isinstance(value, FunctionType):
                cells = tuple([make(o, x, n, m) for _, make in parts])
                made = FunctionType(
                    value.__code__, value.__globals__, value.__name__, value.__defaults__, cells
                )
                made.__kwdefaults__ = value.__kwdefaults__
                m[key] = made
            elif isinstance(value, functools.partial):
                func, args, keywords = (make(o, x, n, m) for _, make in parts)
                m[key] = made = kind(func, *args, **keywords)
            else:
                m[key] = made = blank(kind)
                for name, make in parts:
                    set_field(made, name, make(o, x, n, m))
            return made

        self.made[key] = again
        self.keep = [*getattr(self, "keep", []), value]
        parts.extend((name, self.make(part)) for name, part, _ in parts_of(value) or ())
        return again


