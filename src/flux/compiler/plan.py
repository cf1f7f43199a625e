"""How a compiled function takes its arguments apart: generated code for one structure.

`make_plan(root)` walks the objects that a call reaches and writes a Python function `gather` for
exactly this structure: it checks types, keys and static values on the way and returns the array
leaves, or `None` where anything differs. Objects need no registration; identity and sharing are
part of the structure.
"""

from __future__ import annotations

import functools
import weakref
from types import CellType, FunctionType, MethodType
from typing import Any

import jax
import numpy as np

from flux.tree.objects import blank, fields, is_object, set_field

__all__ = ["Node", "Plan", "make_plan", "parts_of", "rebuild"]

ARRAYS = (jax.Array, np.ndarray, np.generic)
CELL, NUMBER = "cell_contents", (int, float, complex)


class Node:
    """A container that a call reaches: a list, dict, tuple, object, function or cell.

    Attributes:
        value: the container.
        parts: `(key, part)` pairs; a part is a `Node`, a `Leaf` or a `Fixed`.
        path: how one spells it from the arguments.
    """

    __slots__ = ("parts", "path", "value")

    def __init__(self, value, path: str):
        self.value, self.path = value, path
        self.parts: list[tuple[Any, Any]] = []


class Leaf:
    """An array, or a number that changes from call to call: an input of the program."""

    __slots__ = ("index", "path", "value")

    def __init__(self, value, index: int, path: str):
        self.value, self.index, self.path = value, index, path


class Fixed:
    """A value that is part of the program: another value is another program."""

    __slots__ = ("path", "value")

    def __init__(self, value, path: str):
        self.value, self.path = value, path


def is_array(value) -> bool:
    return isinstance(value, ARRAYS)


def parts_of(value) -> list[tuple[Any, Any, str]] | None:
    """Key, part and spelling of everything that a container holds; `None` for what is none."""
    if isinstance(value, tuple):
        return [(i, part, f"[{i}]") for i, part in enumerate(value)]
    if isinstance(value, list):
        return [(i, part, f"[{i}]") for i, part in enumerate(value)]
    if isinstance(value, dict):
        return [(key, part, f"[{key!r}]") for key, part in value.items()]
    if isinstance(value, CellType):
        try:
            return [(CELL, value.cell_contents, "")]
        except ValueError:
            return []
    if isinstance(value, FunctionType):
        cells = zip(value.__code__.co_freevars, value.__closure__ or (), strict=True)
        found = [(name, cell, f" captured `{name}`") for name, cell in cells]
        return found or None
    if isinstance(value, MethodType):
        return [("__self__", value.__self__, "")]
    if isinstance(value, functools.partial):
        return [("func", value.func, ".func"), ("args", value.args, ".args"),
                ("keywords", value.keywords, ".keywords")]  # fmt: skip
    if not isinstance(value, ARRAYS) and is_object(value) and not is_constant(value):
        return [(name, part, f".{name}") for name, part in fields(value).items()]
    return None


def is_constant(value) -> bool:
    """Does the class of `value` say that its instances never change (`__constant__ = True`)?"""
    return getattr(type(value), "__constant__", False) or isinstance(value, weakref.ref)


class Plan:
    """The structure of a call.

    Attributes:
        root: its node.
        nodes: every container, in the order met; the mutable ones may be written to.
        leaves: every input, in the order of the program's arguments.
        gather: `gather(root)` gives `(leaves, nodes)`, or `None` for another structure.
    """

    def __init__(self, root, moving: frozenset[str]):
        self.moving = moving
        self.nodes: list[Node] = []
        self.leaves: list[Leaf] = []
        self.fixed: dict[str, Any] = {}
        self.by_id: dict[int, Node | Leaf] = {}
        self.root = self.visit(root, "")
        self.gather = Writer(self).function()

    def visit(self, value, path: str):
        known = self.by_id.get(id(value))
        if known is not None:
            return known
        if is_array(value) or (type(value) in NUMBER and path in self.moving):
            leaf = Leaf(value, len(self.leaves), path)
            self.leaves.append(leaf)
            if is_array(value):
                self.by_id[id(value)] = leaf
            return leaf
        parts = parts_of(value)
        if parts is None:
            self.fixed[path] = value
            return Fixed(value, path)
        node = Node(value, path)
        self.by_id[id(value)] = node
        self.nodes.append(node)
        node.parts = [(key, self.visit(part, path + name)) for key, part, name in parts]
        return node

    def spelled(self, path: str) -> str:
        return path or "the function"


def make_plan(root, moving: frozenset[str] = frozenset()) -> Plan:
    """The plan of a call; `moving` are the paths of numbers that are inputs."""
    return Plan(root, moving)


def same(a, b) -> bool:
    """Are two static values interchangeable?"""
    if a is b:
        return True
    if type(a) is not type(b):
        return False
    if isinstance(a, FunctionType):
        return a.__code__ is b.__code__ and a.__defaults__ == b.__defaults__
    try:
        return bool(a == b)
    except Exception:  # an odd `__eq__`: then it is another value
        return False


class Writer:
    """Writes the `gather` function of a plan as Python source."""

    def __init__(self, plan: Plan):
        self.plan = plan
        self.lines: list[str] = []
        self.names: dict[str, Any] = {
            "same": same, "fields": fields, "ARRAYS": ARRAYS, "kinds": ARRAY_KINDS,
            "CellType": CellType, "NUMBER": NUMBER,
        }  # fmt: skip
        self.named: dict[int, str] = {}
        self.count = 0

    def function(self):
        plan = self.plan
        self.write(plan.root, "root")
        leaves = ", ".join(self.named[id(leaf)] for leaf in plan.leaves)
        nodes = ", ".join(self.named[id(node)] for node in plan.nodes)
        mutable = [self.named[id(n)] for n in plan.nodes if not isinstance(n.value, tuple)]
        if len(mutable) > 1:
            distinct = ", ".join(f"id({name})" for name in mutable)
            self.test(f"len({{{distinct}}}) != {len(mutable)}")
        comma = "," if plan.leaves else ""
        self.lines.append(f"return ({leaves}{comma}), ({nodes},)")
        body = "\n        ".join(self.lines)
        text = (
            "def gather(root):\n    try:\n        " + body + "\n"
            "    except (KeyError, IndexError, AttributeError, ValueError):\n        return None\n"
        )
        exec(compile(text, "<flux gather>", "exec"), self.names)
        return self.names["gather"]

    def test(self, condition: str) -> None:
        self.lines.append(f"if {condition}: return None")

    def constant(self, value) -> str:
        name = f"c{len(self.names)}"
        self.names[name] = value
        return name

    def name(self, part, expression: str) -> str:
        name = f"v{self.count}"
        self.count += 1
        self.named[id(part)] = name
        self.lines.append(f"{name} = {expression}")
        return name

    def write(self, part, expression: str) -> None:
        if id(part) in self.named:
            self.test(f"{expression} is not {self.named[id(part)]}")
        elif isinstance(part, Fixed):
            self.fixed(part, expression)
        elif isinstance(part, Leaf):
            name = self.name(part, expression)
            if is_array(part.value):
                self.test(f"type({name}) not in kinds and not isinstance({name}, ARRAYS)")
            else:
                self.test(f"type({name}) is not {self.constant(type(part.value))}")
        else:
            self.node(part, expression)

    def fixed(self, part: Fixed, expression: str) -> None:
        value = part.value
        if value is None or value is True or value is False:
            self.test(f"({expression}) is not {value}")
            return
        constant = self.constant(value)
        name = f"v{self.count}"
        self.count += 1
        self.lines.append(f"{name} = {expression}")
        self.test(f"{name} is not {constant} and not same({name}, {constant})")

    def node(self, node: Node, expression: str) -> None:
        name = self.name(node, expression)
        value = node.value
        kind = type(value)
        self.test(f"type({name}) is not {self.constant(kind)}")
        if isinstance(value, tuple | list | dict):
            self.test(f"len({name}) != {len(value)}")
        if isinstance(value, dict):
            self.test(f"tuple({name}) != {self.constant(tuple(value))}")
        access = self.access(node, name)
        for key, part in node.parts:
            self.write(part, access(key))

    def access(self, node: Node, name: str):
        """How the parts of a node are read."""
        value = node.value
        if isinstance(value, tuple | list):
            return lambda key: f"{name}[{key}]"
        if isinstance(value, dict):
            return lambda key: f"{name}[{self.constant(key)}]"
        if isinstance(value, CellType):
            if not node.parts:
                self.lines.append(f"v_empty = [c for c in [{name}] if holds(c)]")
                self.names["holds"] = lambda cell: bool(parts_of(cell))
                self.test("v_empty")
            return lambda key: f"{name}.cell_contents"
        if isinstance(value, FunctionType):
            self.test(f"{name}.__code__ is not {self.constant(value.__code__)}")
            defaults = self.constant((value.__defaults__, value.__kwdefaults__))
            self.test(f"not same(({name}.__defaults__, {name}.__kwdefaults__), {defaults})")
            places = {n: i for i, n in enumerate(value.__code__.co_freevars)}
            return lambda key: f"{name}.__closure__[{places[key]}]"
        if isinstance(value, MethodType):
            self.test(f"{name}.__func__ is not {self.constant(value.__func__)}")
            return lambda key: f"{name}.{key}"
        if isinstance(value, functools.partial):
            return lambda key: f"{name}.{key}"
        own = getattr(value, "__dict__", None)
        slotted = set(fields(value)) - set(own or ())
        if own is not None:
            table = f"d{self.count}"
            self.lines.append(f"{table} = {name}.__dict__")
            self.test(f"len({table}) != {len(own)}")
            return lambda key: f"{name}.{key}" if key in slotted else f"{table}[{key!r}]"
        return lambda key: f"{name}.{key}"


ARRAY_KINDS = {np.ndarray, np.float32, np.float64}


def rebuild(plan: Plan, leaves) -> tuple[Any, list[Any]]:
    """A copy of the planned structure over other leaves: the root, and every node's copy in order.

    Nothing runs an `__init__`; sharing is as in the original.
    """
    made: dict[int, Any] = {}

    def copy(part):
        if isinstance(part, Leaf):
            return leaves[part.index]
        if isinstance(part, Fixed):
            return part.value
        if id(part) not in made:
            fill(part)
        return made[id(part)]

    def fill(node: Node) -> None:
        value, parts = node.value, node.parts
        kind = type(value)
        if isinstance(value, tuple):
            items = [copy(part) for _, part in parts]
            made[id(node)] = kind(*items) if hasattr(kind, "_fields") else tuple(items)
        elif isinstance(value, list):
            made[id(node)] = new = []
            new.extend(copy(part) for _, part in parts)
        elif isinstance(value, dict):
            made[id(node)] = new = kind() if kind is not dict else {}
            for key, part in parts:
                new[key] = copy(part)
        elif isinstance(value, CellType):
            made[id(node)] = new = CellType()
            for _, part in parts:
                new.cell_contents = copy(part)
        elif isinstance(value, FunctionType):
            cells = tuple(copy(part) for _, part in parts)
            new = FunctionType(
                value.__code__, value.__globals__, value.__name__, value.__defaults__, cells
            )
            new.__kwdefaults__ = value.__kwdefaults__
            new.__qualname__, new.__module__ = value.__qualname__, value.__module__
            new.__dict__.update(value.__dict__)
            made[id(node)] = new
        elif isinstance(value, MethodType):
            made[id(node)] = MethodType(value.__func__, copy(parts[0][1]))
        elif isinstance(value, functools.partial):
            func, args, keywords = (copy(part) for _, part in parts)
            made[id(node)] = kind(func, *args, **keywords)
        else:
            made[id(node)] = new = blank(kind)
            for name, part in parts:
                set_field(new, name, copy(part))

    root = copy(plan.root)
    for node in plan.nodes:
        copy(node)
    return root, [made[id(node)] for node in plan.nodes]
