"""What a compiled call leaves behind: its result, and the changes to the objects it was given.

While a function is traced it works on a copy of its arguments. `describe` compares the copy with
what it was, and writes a Python function that puts the result together from the program's outputs
and changes the caller's objects in the same way, at every call.
"""

from __future__ import annotations

from collections.abc import Callable
from types import FunctionType
from typing import Any

import jax
import jax.numpy as jnp

from flux.compiler.containers import ARRAYS, Container, FunctionOf, ListOf, SetOf, container_of
from flux.compiler.places import VariablesOf
from flux.compiler.plan import Fixed, Leaf, Node, Plan

__all__ = ["Outcome", "describe"]


class Outcome:
    """How a call ends.

    Attributes:
        outputs: the arrays that the program returns.
        finish: `finish(outputs, leaves, nodes)` changes the caller's containers, gives the result.
        overwritten: the inputs that nobody can see any more afterwards.
    """

    def __init__(self, outputs: list, finish: Callable, overwritten: tuple[int, ...]):
        self.outputs, self.finish, self.overwritten = outputs, finish, overwritten


def describe(plan: Plan, copies: list, leaves, result) -> Outcome:
    """Compare the traced copies with the plan; `leaves` are the inputs as they were traced."""
    writer = Writer(plan, copies, leaves)
    for node, copy in zip(plan.nodes, copies, strict=True):
        if node.shape.mutable:
            writer.changes(node, copy)
    finish = writer.function(writer.expression(result))
    return Outcome(writer.outputs, finish, writer.overwritten())


class Writer:
    """Writes the function that ends a call, as Python source.

    In that source `o` are the outputs, `x` the inputs and `n` the caller's containers.
    """

    def __init__(self, plan: Plan, copies: list, leaves):
        self.plan, self.copies, self.leaves = plan, copies, leaves
        self.inputs = {id(leaf): index for index, leaf in enumerate(leaves)}
        self.nodes = {id(copy): index for index, copy in enumerate(copies)}
        self.outputs: list[Any] = []
        self.places: dict[int, int] = {}
        self.made: dict[int, str] = {}
        self.alive: list[Any] = []  # while ids are compared
        self.lines: list[str] = []
        self.writes: list[str] = []
        self.names: dict[str, Any] = {}
        self.replaced: set[tuple[int, Any]] = set()
        self.used: set[int] = set()

    def function(self, result: str) -> Callable:
        body = "\n    ".join([*self.lines, *self.writes, f"return {result}"])
        exec(compile(f"def finish(o, x, n):\n    {body}\n", "<flux finish>", "exec"), self.names)
        return self.names["finish"]

    def constant(self, value) -> str:
        if type(value) in (str, int):
            return repr(value)
        name = f"c{len(self.names)}"
        self.names[name] = value
        return name

    # -- values

    def expression(self, value) -> str:
        """Source that gives `value` again."""
        if isinstance(value, ARRAYS):
            return self.array(value)
        if id(value) in self.nodes:
            return f"n[{self.nodes[id(value)]}]"
        if id(value) in self.made:
            return self.made[id(value)]
        shape = container_of(value)
        return self.constant(value) if shape is None else self.container(value, shape)

    def array(self, value) -> str:
        if id(value) in self.inputs:
            index = self.inputs[id(value)]
            self.used.add(index)
            return f"x[{index}]"
        if id(value) not in self.places:
            self.places[id(value)] = len(self.outputs)
            self.outputs.append(value if isinstance(value, jax.Array) else jnp.asarray(value))
            self.alive.append(value)
        return f"o[{self.places[id(value)]}]"

    def container(self, value, shape: Container) -> str:
        """A new container; one that occurs twice is made once a call."""
        parts = [part for _, part, _ in shape.parts(value)]
        if type(value) is tuple:
            return f"({''.join(self.expression(part) + ', ' for part in parts)})"
        if isinstance(shape, FunctionOf):
            return self.code(value, shape, parts)
        name = self.named(value)
        if shape.mutable:
            self.lines.append(f"{name} = {self.constant(shape.empty)}()")
            self.lines.append(f"{self.constant(shape.fill)}({name}, {self.several(parts)})")
        else:
            items = self.several(parts)
            self.lines.append(f"{name} = {self.constant(shape.build)}({items})")
        return name

    def named(self, value) -> str:
        self.made[id(value)] = name = f"m{len(self.alive)}"
        self.alive.append(value)
        return name

    def code(self, function: FunctionType, shape: FunctionOf, parts: list) -> str:
        """A function; where nothing in it depends on the call it is used as it is."""
        items = self.several(parts)
        if id(shape.namespace) in self.nodes:
            items = f"{items[:-1]}{self.expression(shape.namespace)}, )"
        elif not parts:
            return self.constant(function)
        name = self.named(function)
        self.lines.append(f"{name} = {self.constant(shape.build)}({items})")
        return name

    def several(self, parts) -> str:
        return f"({''.join(self.expression(part) + ', ' for part in parts)})"

    # -- changes

    def before(self, part: Node | Leaf | Fixed):
        """What stood in the copy for a part of the plan."""
        if isinstance(part, Leaf):
            return self.leaves[part.index]
        if isinstance(part, Fixed) or not part.live:
            return part.value
        return self.copies[part.index]

    def changes(self, node: Node, copy) -> None:
        """Write down which parts of a container the trace set or deleted."""
        shape, name = node.shape, f"n[{node.index}]"
        if isinstance(shape, SetOf):
            if copy != shape.content:
                self.writes += [
                    f"{name}.clear()",
                    f"{name}.update({self.constant(frozenset(copy))})",
                ]
            return
        before = {key: self.before(part) for key, part in node.keyed()}
        now = self.parts_now(node, copy)
        if isinstance(shape, ListOf) and len(before) != len(now):
            self.replaced.update((node.index, key) for key in before)
            items = self.several(now.values())
            self.writes += [f"{name}.clear()", f"{name}.extend({items})"]
            return
        for key, part in now.items():
            if key not in before or before[key] is not part:
                self.replaced.add((node.index, key))
                value = self.expression(part)
                self.writes.append(shape.setter(name, key, value, self.constant))
        for key in before:
            if key not in now:
                self.replaced.add((node.index, key))
                self.writes.append(shape.deleter(name, key, self.constant))

    def parts_now(self, node: Node, copy) -> dict[Any, Any]:
        shape = node.shape
        if isinstance(shape, VariablesOf):  # only those that are followed
            found = shape.found(copy)
            return {name: found[name] for name in (*shape.keys, *shape.absent) if name in found}
        return {key: part for key, part, _ in shape.parts(copy)}

    def overwritten(self) -> tuple[int, ...]:
        """The inputs all of whose places were set anew, and that nothing else refers to."""
        kept = set(self.used)
        for node in self.plan.nodes:
            for key, part in node.keyed():
                if isinstance(part, Leaf) and (node.index, key) not in self.replaced:
                    kept.add(part.index)
        return tuple(i for i in range(len(self.leaves)) if i not in kept)
