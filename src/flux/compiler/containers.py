"""How a compiled call takes containers apart and makes them again: one small class a kind.

An instance is the static side of one container that was met: what a copy of it needs to be made,
and what another container has to agree with to count as alike. It holds none of the container's
parts.
The methods that return text write pieces of the functions that `plan` and `outcome` generate.
"""

from __future__ import annotations

import enum
import functools
import sys
import sysconfig
import weakref
from collections import deque
from collections.abc import Callable
from types import CellType, FunctionType, MethodType, ModuleType, SimpleNamespace
from typing import Any

import jax
import numpy as np

from flux.ad.registry import AUGMENTED, INERT
from flux.tree.objects import blank, fields, is_namedtuple, is_object, set_field

__all__ = ["ARRAYS", "KINDS", "Container", "FunctionOf", "container_of"]

ARRAYS = (jax.Array, np.ndarray, np.generic)
Constant = Callable[[Any], str]
"""Gives a value that generated code needs a name in it."""


class Container:
    """The static side of a container.

    Attributes:
        kind: its class.
        keys: of its parts, in order.
        mutable: it is made empty and filled later; else it is built from its parts at once.
    """

    mutable = True

    def __init__(self, value):
        self.kind = type(value)
        self.keys = tuple(key for key, _, _ in self.parts(value))

    @staticmethod
    def parts(value) -> list[tuple[Any, Any, str]]:
        """Key, part and spelling of everything that the container holds."""
        raise NotImplementedError

    def tests(self, name: str, constant: Constant) -> list[str]:
        """Conditions, each of which says that the container `name` is not alike."""
        return []

    def reader(self, name: str, constant: Constant) -> Callable[[Any], str]:
        """How generated code reads the part with a key."""
        return lambda key: f"{name}[{constant(key)}]"

    def empty(self) -> Any:
        """A new container without parts."""
        return self.kind()

    def fill(self, new, values) -> None:
        """Put the parts into a new container, in the order of `keys`."""
        for key, value in zip(self.keys, values, strict=True):
            new[key] = value

    def build(self, values) -> Any:
        """An immutable container of these parts."""
        raise NotImplementedError

    def setter(self, name: str, key, value: str, constant: Constant) -> str:
        """The statement that sets a part."""
        return f"{name}[{constant(key)}] = {value}"

    def deleter(self, name: str, key, constant: Constant) -> str:
        """The statement that deletes a part."""
        return f"del {name}[{constant(key)}]"


class TupleOf(Container):
    mutable = False

    @staticmethod
    def parts(value):
        return [(i, part, f"[{i}]") for i, part in enumerate(value)]

    def tests(self, name, constant):
        return [f"len({name}) != {len(self.keys)}"]

    def build(self, values):
        return self.kind(*values) if hasattr(self.kind, "_fields") else self.kind(values)


class NamedTupleOf(TupleOf):
    @staticmethod
    def parts(value):
        return [
            (i, part, f".{name}")
            for i, (name, part) in enumerate(zip(value._fields, value, strict=True))
        ]


class ListOf(Container):
    """A list or deque."""

    def __init__(self, value):
        super().__init__(value)
        self.limit = getattr(value, "maxlen", None)

    @staticmethod
    def parts(value):
        return [(i, part, f"[{i}]") for i, part in enumerate(value)]

    def tests(self, name, constant):
        return [f"len({name}) != {len(self.keys)}"]

    def empty(self):
        return self.kind() if self.limit is None else self.kind(maxlen=self.limit)

    def fill(self, new, values):
        new.extend(values)


class DictOf(Container):
    def __init__(self, value):
        super().__init__(value)
        self.factory = getattr(value, "default_factory", None)

    @staticmethod
    def parts(value):
        return [(key, part, f"[{key!r}]") for key, part in value.items()]

    def tests(self, name, constant):
        return [f"len({name}) != {len(self.keys)}", f"tuple({name}) != {constant(self.keys)}"]

    def empty(self):
        return self.kind() if self.factory is None else self.kind(self.factory)


class SetOf(Container):
    """A set; its elements are static."""

    def __init__(self, value):
        super().__init__(value)
        self.content = frozenset(value)

    @staticmethod
    def parts(value):
        return []

    def tests(self, name, constant):
        return [f"{name} != {constant(self.content)}"]

    def fill(self, new, values):
        new.update(self.content)


class ObjectOf(Container):
    """An instance of a class written in Python, as its fields."""

    def __init__(self, value):
        super().__init__(value)
        self.table = getattr(value, "__dict__", None) is not None
        self.slots = tuple(name for name in self.keys if name not in getattr(value, "__dict__", ()))
        known = [s for c in self.kind.__mro__ for s in _slots(c)]
        self.unset = tuple(name for name in known if name not in self.keys)

    @staticmethod
    def parts(value):
        return [(name, part, f".{name}") for name, part in fields(value).items()]

    def tests(self, name, constant):
        count = len(self.keys) - len(self.slots)
        tests = [f"len({name}.__dict__) != {count}"] if self.table else []
        return tests + [f"hasattr({name}, {slot!r})" for slot in self.unset]

    def reader(self, name, constant):
        return lambda key: f"{name}.{key}" if key in self.slots else f"{name}.__dict__[{key!r}]"

    def empty(self):
        return SimpleNamespace() if self.kind is SimpleNamespace else blank(self.kind)

    def fill(self, new, values):
        for name, value in zip(self.keys, values, strict=True):
            set_field(new, name, value)

    def setter(self, name, key, value, constant):
        if self.table and key not in self.slots and key not in self.unset:
            return f"{name}.__dict__[{key!r}] = {value}"
        return f"{constant(set_field)}({name}, {key!r}, {value})"

    def deleter(self, name, key, constant):
        return f"{constant(object.__delattr__)}({name}, {key!r})"


def _slots(cls: type) -> list[str]:
    slots = cls.__dict__.get("__slots__", ())
    names = (slots,) if isinstance(slots, str) else tuple(slots)
    return [name for name in names if name not in ("__dict__", "__weakref__")]


class CellOf(Container):
    """The cell of a captured variable, with content or without.

    Attributes:
        space: the cell itself, where a trace works on it and not on a copy.
    """

    space: CellType | None = None

    @staticmethod
    def parts(value):
        try:
            return [("cell_contents", value.cell_contents, "")]
        except ValueError:
            return []

    def tests(self, name, constant):
        return [] if self.keys else [f"{constant(self.parts)}({name})"]

    def reader(self, name, constant):
        return lambda key: f"{name}.cell_contents"

    def empty(self):
        return CellType() if self.space is None else self.space

    def fill(self, new, values):
        for value in values:
            new.cell_contents = value

    def setter(self, name, key, value, constant):
        return f"{name}.cell_contents = {value}"

    def deleter(self, name, key, constant):
        return f"del {name}.cell_contents"


class FunctionOf(Container):
    """A function: its cells, its defaults, and the global variables that it uses.

    The last part, with the key `GLOBALS`, is only there if the planner adds it.
    """

    mutable = False
    GLOBALS = "__globals__"

    def __init__(self, value):
        super().__init__(value)
        self.code, self.namespace = value.__code__, value.__globals__
        self.names = value.__name__, value.__qualname__, value.__module__
        self.attributes = dict(value.__dict__)
        self.places = {name: i for i, name in enumerate(self.code.co_freevars)}

    @staticmethod
    def parts(value):
        cells = zip(value.__code__.co_freevars, value.__closure__ or (), strict=True)
        found: list[tuple[Any, Any, str]] = [(n, cell, f" captured `{n}`") for n, cell in cells]
        for key in ("__defaults__", "__kwdefaults__"):
            if getattr(value, key) is not None:
                found.append((key, getattr(value, key), f".{key}"))
        return found

    def tests(self, name, constant):
        return [
            f"{name}.__code__ is not {constant(self.code)}",
            f"{name}.__globals__ is not {constant(self.namespace)}",
            *[
                f"{name}.{key} is not None"
                for key in ("__defaults__", "__kwdefaults__")
                if key not in self.keys
            ],
            *[
                f"{name}.__dict__.get({key!r}) is not {constant(value)}"
                for key, value in self.attributes.items()
                if not key.startswith("__")
            ],
        ]

    def reader(self, name, constant):
        places = self.places
        return lambda key: (
            f"{name}.__closure__[{places[key]}]" if key in places else f"{name}.{key}"
        )

    def build(self, values):
        part = dict(zip(self.keys, values, strict=False))
        if len(values) > len(self.keys):
            part[self.GLOBALS] = values[-1]
        cells = tuple([part[name] for name in self.code.co_freevars])
        namespace = part.get(self.GLOBALS, self.namespace)
        new = FunctionType(self.code, namespace, self.names[0], part.get("__defaults__"), cells)
        new.__kwdefaults__ = part.get("__kwdefaults__")
        _, new.__qualname__, new.__module__ = self.names
        new.__dict__.update(self.attributes)
        return new


class MethodOf(Container):
    mutable = False

    def __init__(self, value):
        super().__init__(value)
        self.function = value.__func__

    @staticmethod
    def parts(value):
        return [("__self__", value.__self__, "")]

    def tests(self, name, constant):
        return [f"{name}.__func__ is not {constant(self.function)}"]

    def reader(self, name, constant):
        return lambda key: f"{name}.__self__"

    def build(self, values):
        return MethodType(self.function, values[0])


class PartialOf(Container):
    mutable = False

    @staticmethod
    def parts(value):
        return [(key, getattr(value, key), f".{key}") for key in ("func", "args", "keywords")]

    def reader(self, name, constant):
        return lambda key: f"{name}.{key}"

    def build(self, values):
        function, args, keywords = values
        return self.kind(function, *args, **keywords)


class PytreeOf(Container):
    """What JAX takes for a tree and Python for a value of its own, such as a sparse array."""

    mutable = False

    def __init__(self, value):
        super().__init__(value)
        self.structure = jax.tree.structure(value)

    @staticmethod
    def parts(value):
        return [(i, part, f".{i}") for i, part in enumerate(jax.tree.leaves(value))]

    def tests(self, name, constant):
        return [f"{constant(jax.tree.structure)}({name}) != {constant(self.structure)}"]

    def reader(self, name, constant):
        return lambda key: f"{constant(jax.tree.leaves)}({name})[{key}]"

    def build(self, values):
        return jax.tree.unflatten(self.structure, values)


KINDS: list[tuple[type, type[Container]]] = [
    (list, ListOf),
    (deque, ListOf),
    (dict, DictOf),
    (set, SetOf),
    (CellType, CellOf),
    (FunctionType, FunctionOf),
    (MethodType, MethodOf),
    (functools.partial, PartialOf),
]
ATOMS = (str, bytes, int, float, complex, type(None), type, frozenset, range, slice, enum.Enum,
         ModuleType, weakref.ref, type({}.keys()), type({}.values()), type({}.items()))  # fmt: skip


def container_of(value) -> Container | None:
    """The container that `value` is, without its parts; `None` for an array or a static value."""
    if isinstance(value, ARRAYS) or isinstance(value, ATOMS):
        return None
    if isinstance(value, tuple):
        return NamedTupleOf(value) if is_namedtuple(value) else TupleOf(value)
    if is_registered(value):
        return None
    for kind, container in KINDS:
        if isinstance(value, kind):
            return container(value)
    if type(value) is SimpleNamespace or (is_object(value) and not is_opaque(type(value))):
        return ObjectOf(value)
    if hasattr(type(value), "__next__"):
        return None
    if not jax.tree_util.treedef_is_leaf(jax.tree.structure(value)):
        return PytreeOf(value)
    return None


def is_registered(value) -> bool:
    """Does `value` stand, as itself, in the tables of derivatives? A copy would lose its rule."""
    try:
        return value in AUGMENTED or value in INERT
    except Exception:  # not hashable, or an odd `__eq__`
        return False


@functools.lru_cache(maxsize=4096)
def is_opaque(cls: type) -> bool:
    """Are instances of `cls` taken as a whole? Those of the standard library and of JAX are."""
    constant = getattr(cls, "__constant__", None)
    if constant is not None:
        return constant
    if cls.__module__.startswith(MACHINERY):
        return True
    file = getattr(sys.modules.get(cls.__module__), "__file__", None) or ""
    if cls.__module__ == "collections":
        return False
    return file.startswith(OPAQUE) or (file.startswith(STANDARD) and not file.startswith(OTHERS))


def _folder(module) -> str:
    return str(module.__file__).rpartition("__init__")[0]


MACHINERY = (
    "flux.ir.", "flux.ad.adjoint", "flux.ad.entries", "flux.ad.plan", "flux.ad.runtime",
    "flux.ad.spaces", "flux.ad.scalars", "flux.compiler.plan", "flux.compiler.containers",
)  # fmt: skip
"""Modules of ours whose objects hold nothing of the user's that could change."""
OPAQUE = (_folder(jax), _folder(np))
STANDARD = sysconfig.get_paths()["stdlib"]
OTHERS = tuple({sysconfig.get_paths()[key] for key in ("purelib", "platlib")})
