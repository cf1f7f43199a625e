"""How a compiled function takes its arguments apart: generated code for one structure.

`Plan(root)` walks everything that a call reaches and writes a Python function `gather` for exactly
this structure: it checks types, keys and static values on the way and returns the arrays and the
containers, or `None` where anything differs. Objects need no registration; identity and sharing are
part of the structure. A plan keeps none of the caller's arrays and mutable containers alive.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from types import CellType, FunctionType, ModuleType
from typing import Any

import jax
import numpy as np
from jax.core import Tracer

from flux.compiler.containers import ARRAYS, CellOf, Container, FunctionOf, TupleOf, container_of
from flux.compiler.namespaces import global_names, is_users
from flux.compiler.places import GlobalsOf, Place, VariablesOf, variables_of
from flux.errors import ArgumentError, user_line

__all__ = ["ARRAY_KINDS", "Fixed", "Leaf", "Node", "Plan", "rebuild", "same"]

ARRAY_KINDS = {np.ndarray, np.float32, np.float64}
"""Types of which every instance is an array; the compiler adds JAX's."""


class Leaf:
    """An array, or a number that changes from call to call: an input of the program."""

    __slots__ = ("index", "kind", "path")

    def __init__(self, value, index: int, path: str):
        self.kind, self.index, self.path = type(value), index, path


class Fixed:
    """A value that is part of the program: another value is another program."""

    __slots__ = ("path", "value")

    def __init__(self, value, path: str):
        self.value, self.path = value, path


class Node:
    """A container that a call reaches.

    Attributes:
        shape: its static side.
        parts: a `Node`, `Leaf` or `Fixed` for each of the keys of `shape`, and for a function that
            uses global variables the node of these.
        path: how one spells it from the call.
        live: it can be written to, or holds what can; else `value` is used as it is.
        index: its place among the live nodes.
    """

    __slots__ = ("index", "live", "parts", "path", "shape", "value")

    def __init__(self, shape: Container, path: str, value):
        self.shape, self.path, self.value = shape, path, value
        self.parts: list[Node | Leaf | Fixed] = []
        self.live, self.index = shape.mutable, -1

    def keyed(self) -> list[tuple[Any, Node | Leaf | Fixed]]:
        """Pairs of a key and its part, without the global variables of a function."""
        return list(zip(self.shape.keys, self.parts, strict=False))


class Plan:
    """The structure of a call.

    Args:
        root: function, arguments and keywords.
        moving: the paths of numbers that are inputs.
        places: what else is read, and filled in place when the function is traced.

    Attributes:
        root: its node.
        nodes: every container that can be written to or holds such, in the order met.
        leaves: every input, in the order of the program's arguments.
        fixed: every static value by its path.
        traced: one of the inputs is a traced array: the call is inside of another program.
        spaces: the namespaces, classes and cells of the places.
        own: how many of the nodes met are reached without these.
        gather: `gather(root)` gives `(leaves, containers)`, or `None` for another structure.
    """

    def __init__(self, root, moving: frozenset[str] = frozenset(), places: Iterable[Place] = ()):
        self.moving = moving
        self.leaves: list[Leaf] = []
        self.fixed: dict[str, Any] = {}
        self.traced = False
        self.namespaces: dict[int, Node] = {}
        self.met: list[Node] = []
        self.known: dict[int, Node | Leaf] = {}
        self.alive: list[Any] = []  # while ids are compared
        self.spaces: list[Node] = []
        self.root = self.visit(root, "")
        self.own = len(self.met)
        for place in places:
            self.add_place(place)
        del self.known, self.alive
        self.nodes = self.find_live()
        self.gather = Writer(self).function()

    def visit(self, value, path: str) -> Node | Leaf | Fixed:
        known = self.known.get(id(value))
        if known is not None:
            return known
        if isinstance(value, ARRAYS) or (path in self.moving and type(value) in (int, float)):
            return self.leaf(value, path)
        shape = container_of(value)
        if shape is None:
            self.fixed[path] = value
            return Fixed(value, path)
        node = Node(shape, path, value)
        self.met.append(node)
        self.alive.append(value)
        if not isinstance(shape, TupleOf):  # equal tuples may be one object by chance
            self.known[id(value)] = node
        node.parts = [self.visit(part, path + name) for _, part, name in shape.parts(value)]
        if isinstance(value, FunctionType) and is_users(value.__code__.co_filename):
            self.add_globals(node, value)
        return node

    def leaf(self, value, path: str) -> Leaf:
        if isinstance(value, np.ndarray) and value.dtype.kind in "OUSMm":
            raise ArgumentError(
                f"a compiled function expected arrays of numbers, and got one of dtype "
                f"{value.dtype}, of shape {value.shape}.",
                where=user_line(),
                hint="Keep strings and objects in a list, or outside of the function.",
            )
        leaf = Leaf(value, len(self.leaves), path)
        self.leaves.append(leaf)
        self.traced |= isinstance(value, Tracer)
        if not isinstance(value, np.generic | int | float):
            self.known[id(value)] = leaf
            self.alive.append(value)
        return leaf

    def add_globals(self, node: Node, function: FunctionType) -> None:
        """Visit the global variables that a function uses; modules and classes stay as they are."""
        space = self.variables(function.__globals__)
        read, assigned = global_names(function.__code__)
        space.shape.assigned |= bool(assigned)  # type: ignore[attr-defined]
        for name in sorted(read | assigned):
            self.add_name(space, name, (ModuleType, type))
        node.parts.append(space)

    def variables(self, space: Any) -> Node:
        """The node of a namespace or class."""
        node = self.namespaces.get(id(space))
        if node is None:
            node = self.namespaces[id(space)] = Node(variables_of(space), "", space)
            self.met.append(node)
        return node

    def add_name(self, node: Node, name: str, constant: tuple[type, ...] = ()) -> None:
        """Visit a variable, unless it is of a type that stays as it is."""
        shape = node.shape
        assert isinstance(shape, VariablesOf)
        if name in shape.keys or name in shape.absent:
            return
        found = shape.found()
        if name not in found:
            shape.absent += (name,)
        elif not isinstance(found[name], constant):
            shape.keys += (name,)
            index = len(shape.keys) - 1
            node.parts.append(Fixed(None, ""))
            node.parts[index] = self.visit(found[name], shape.path(name))

    def add_place(self, place: Place) -> None:
        """Visit what a place holds."""
        if isinstance(place.space, CellType):
            node = self.visit(place.space, f"captured `{place.name}`")
            assert isinstance(node, Node) and isinstance(node.shape, CellOf)
            node.shape.space = place.space
        else:
            node = self.variables(place.space)
            assert isinstance(node.shape, VariablesOf)
            node.shape.shared = True
            self.add_name(node, place.name)
        if node not in self.spaces:
            self.spaces.append(node)

    def find_live(self) -> list[Node]:
        """Mark the nodes that need a copy when the function is traced."""
        for node in self.met:
            if isinstance(node.shape, GlobalsOf):
                node.live = node.shape.assigned or node.shape.shared
            elif is_cell_of_code(node):
                node.live = False
        changed = True
        while changed:
            changed = False
            for node in self.met:
                if not node.live and any(is_live(part) for part in node.parts):
                    node.live = changed = True
        live = [node for node in self.met if node.live]
        for index, node in enumerate(live):
            node.index, node.value = index, None
        return live


def is_live(part) -> bool:
    return isinstance(part, Leaf) or (isinstance(part, Node) and part.live)


def is_cell_of_code(node: Node) -> bool:
    """Is `node` the cell of a captured function or class, which nobody assigns anew?"""
    if node.shape.keys != ("cell_contents",):
        return False
    part = node.parts[0]
    if isinstance(part, Fixed):
        return callable(part.value)
    return isinstance(part, Node) and isinstance(part.shape, FunctionOf)


def same(a, b) -> bool:
    """Are two static values interchangeable?

    >>> same(1, 1), same(1, 1.0), same((0.0,), (-0.0,)), same(float("nan"), float("nan"))
    (True, False, False, True)
    """
    if a is b:
        return True
    if type(a) is not type(b):
        return False
    if isinstance(a, float):
        return (a == b and math.copysign(1, a) == math.copysign(1, b)) or (a != a and b != b)
    if isinstance(a, tuple):
        return len(a) == len(b) and all(map(same, a, b))
    try:
        return bool(a == b)
    except Exception:  # an odd `__eq__`: then it is another value
        return False


def is_input(value) -> bool:
    """Is `value` an array, and not a traced one?"""
    return isinstance(value, ARRAYS) and not isinstance(value, Tracer)


class Writer:
    """Writes the `gather` function of a plan as Python source."""

    def __init__(self, plan: Plan):
        self.plan = plan
        self.lines: list[str] = []
        self.names: dict[str, Any] = {"same": same, "is_input": is_input, "kinds": ARRAY_KINDS}
        self.named: dict[int, str] = {}
        self.count = 0

    def function(self):
        plan = self.plan
        self.write(plan.root, "root")
        for node in plan.spaces:
            if id(node) not in self.named:
                self.write(node, self.constant(node.shape.space))  # type: ignore[attr-defined]
        self.distinct()
        leaves = "".join(self.named[id(leaf)] + ", " for leaf in plan.leaves)
        nodes = "".join(self.named[id(node)] + ", " for node in plan.nodes)
        self.lines.append(f"return ({leaves}), ({nodes})")
        body = "\n        ".join(self.lines)
        text = (
            "def gather(root):\n    try:\n        " + body + "\n"
            "    except (KeyError, IndexError, AttributeError, ValueError):\n        return None\n"
        )
        exec(compile(text, "<flux gather>", "exec"), self.names)
        return self.names["gather"]

    def distinct(self) -> None:
        """Test that what was found in different places is not one thing."""
        things = [n for n in self.plan.nodes if not isinstance(n.shape, TupleOf)]
        arrays = [
            leaf for leaf in self.plan.leaves if issubclass(leaf.kind, jax.Array | np.ndarray)
        ]
        names = [self.named[id(part)] for part in (*things, *arrays)]
        if len(names) > 1:
            self.test(f"len(set(map(id, ({', '.join(names)})))) != {len(names)}")

    def test(self, condition: str) -> None:
        self.lines.append(f"if {condition}: return None")

    def constant(self, value) -> str:
        if type(value) in (str, int):
            return repr(value)
        name = f"c{len(self.names)}"
        self.names[name] = value
        return name

    def name(self, part, expression: str) -> str:
        name = f"v{self.count}"
        self.count += 1
        self.lines.append(f"{name} = {expression}")
        if part is not None:
            self.named[id(part)] = name
        return name

    def write(self, part, expression: str) -> None:
        if id(part) in self.named:
            self.test(f"{expression} is not {self.named[id(part)]}")
        elif isinstance(part, Fixed):
            self.fixed(part.value, expression)
        elif isinstance(part, Leaf):
            name = self.name(part, expression)
            number = ""
            if part.path in self.plan.moving:
                number = f" and type({name}) is not int and type({name}) is not float"
            self.test(f"type({name}) not in kinds and not is_input({name}){number}")
        else:
            self.node(part, expression)

    def fixed(self, value, expression: str) -> None:
        if value is None or value is True or value is False:
            self.test(f"{expression} is not {value}")
            return
        name = self.name(None, expression)
        self.names[constant := f"c{len(self.names)}"] = value
        self.test(f"{name} is not {constant} and not same({name}, {constant})")

    def node(self, node: Node, expression: str) -> None:
        name, shape = self.name(node, expression), node.shape
        self.test(f"type({name}) is not {self.constant(shape.kind)}")
        for test in shape.tests(name, self.constant):
            self.test(test)
        read = shape.reader(name, self.constant)
        for key, part in node.keyed():
            self.write(part, read(key))
        for part in node.parts[len(shape.keys) :]:
            if id(part) not in self.named:
                assert isinstance(part, Node) and isinstance(part.shape, VariablesOf)
                self.write(part, self.constant(part.shape.space))


def rebuild(plan: Plan, leaves) -> tuple[Any, list[Any]]:
    """A copy of the planned structure over other leaves: the root, and the copy of every live node.

    Nothing runs an `__init__`; sharing is as in the original. Where the plan has places, call it
    inside of `in_place`: the variables there are set, and their spaces stand for copies.
    """
    made: dict[int, Any] = {}
    waiting: list[tuple[Node, Any]] = []

    def copy(part):
        if isinstance(part, Leaf):
            return leaves[part.index]
        if isinstance(part, Fixed) or not part.live:
            return part.value
        if part.index not in made:
            if part.shape.mutable:
                made[part.index] = part.shape.empty()
                waiting.append((part, made[part.index]))
            else:
                made[part.index] = part.shape.build([copy(inner) for inner in part.parts])
        return made[part.index]

    root = copy(plan.root)
    for node in plan.spaces:
        copy(node)
    while waiting:
        node, new = waiting.pop()
        node.shape.fill(new, [copy(part) for part in node.parts])
    return root, [made[index] for index in range(len(plan.nodes))]
