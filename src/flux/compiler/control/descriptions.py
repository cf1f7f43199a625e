"""How a value is made of the outputs of a control flow operation, and how it is built of them.

A *description* says which part is what: `Slot` is an output, `Static` is the same on both sides,
`Made` is a container of such, `Either` keeps the values of both sides apart.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
from jax._src.lax.lax import _convert_element_type

from flux.compiler.containers import ARRAYS, Container
from flux.compiler.control.written import is_numpys, note_numpys

__all__ = [
    "ABSENT",
    "NUMBERS",
    "Both",
    "Either",
    "Made",
    "Out",
    "Slot",
    "Static",
    "build",
    "collect_slots",
    "has_slots",
    "kind_of",
    "named",
    "resolve",
    "zeros",
]

NUMBERS = (bool, int, float, complex)


class Absent:
    """No value on this side: it is never read there."""

    __constant__ = True

    def __repr__(self):
        return "absent"


ABSENT = Absent()


@dataclass
class Out:
    """Output number `index` of the trace that a value was made in; would NumPy have made it?"""

    __constant__ = True
    index: int
    kind: Any
    numpys: bool = field(default=False, compare=False)


@dataclass(eq=False)
class Slot:
    """An output of the operation.

    Attributes:
        first, second: on each side, an `Out`, a value from outside, or `ABSENT`.
        kind: its shape, dtype and weak type.
        path: of which variable it is a part.
    """

    __constant__ = True
    first: Any
    second: Any
    kind: Any
    path: str

    def numpys(self) -> bool:
        """Would NumPy have made it, on one side at least?"""
        sides = self.first, self.second
        return any([s.numpys if isinstance(s, Out) else is_numpys(s) for s in sides])


@dataclass(eq=False)
class Static:
    """The same on both sides."""

    value: Any


@dataclass(eq=False)
class Made:
    """A container of described parts."""

    shape: Container
    parts: list


@dataclass(eq=False)
class Both:
    """What belongs to one side of a branch each, which ran, and the links between their objects."""

    first: Any
    second: Any
    links: list
    test: Any = None


class Either:
    """Values of the two sides of a branch, of which only one was made when the program ran.

    Attributes:
        links: objects after the branch, each with what it was on the first and the second side.
        test: did the first side run? An array.
    """

    __slots__ = ("first", "links", "second", "test")
    __constant__ = False

    def __init__(self, first, second, test=None):
        self.first, self.second, self.test = first, second, test
        self.links: list[tuple] = []


def kind_of(value) -> Any:
    """Shape, dtype and weak type of an array or number."""
    if type(value) in NUMBERS:
        dtype = jnp.result_type(value)
        return jax.ShapeDtypeStruct((), dtype, weak_type=type(value) is not bool)
    if isinstance(value, jax.Array):
        known: Any = jax.typeof(value)
        return jax.ShapeDtypeStruct(known.shape, known.dtype, weak_type=known.weak_type)
    array: Any = jnp.asarray(value)
    return jax.ShapeDtypeStruct(array.shape, array.dtype)


def resolve(ref, outs, kind):
    """The array that a side hands over for a slot."""
    if ref is ABSENT or ref is None:
        return zeros(kind)
    value: Any = outs[ref.index] if isinstance(ref, Out) else ref
    if jnp.issubdtype(kind.dtype, jax.dtypes.extended):
        return value
    convert: Any = _convert_element_type
    value = convert(jnp.asarray(value), kind.dtype, weak_type=kind.weak_type)
    return value if value.shape == kind.shape else jnp.broadcast_to(value, kind.shape)


def zeros(kind):
    """An array of zeros of this kind."""
    if jnp.issubdtype(kind.dtype, jax.dtypes.prng_key):
        return jax.random.wrap_key_data(jnp.zeros((*kind.shape, 2), jnp.uint32))
    return _convert_element_type(
        jnp.zeros(kind.shape, kind.dtype), kind.dtype, weak_type=kind.weak_type
    )


def build(description, leaves, memo: dict[int, Any] | None = None):
    """The value that is described, of these outputs; `leaves` has an array for each slot."""
    memo = {} if memo is None else memo
    key = id(description)
    if key in memo:
        return memo[key]
    if isinstance(description, Slot):
        leaf = leaves[description]
        if description.numpys():
            note_numpys(leaf)
        return leaf
    if isinstance(description, Static):
        return description.value
    if isinstance(description, Both):
        parts = (description.first, description.second, description.test)
        made = Either(*[build(part, leaves, memo) for part in parts])
        made.links += [
            tuple([build(part, leaves, memo) for part in link]) for link in description.links
        ]
        return made
    shape = description.shape
    if shape.mutable:
        memo[key] = new = shape.empty()
        shape.fill(new, [build(part, leaves, memo) for part in description.parts])
        return new
    memo[key] = new = shape.build([build(part, leaves, memo) for part in description.parts])
    return new


def has_slots(made: Made) -> bool:
    """Is there an output anywhere in a described container?"""
    waiting: list[Any] = [made]
    seen: set[int] = set()
    while waiting:
        part = waiting.pop()
        if isinstance(part, Slot):
            return True
        if id(part) not in seen:
            seen.add(id(part))
            waiting += part.parts if isinstance(part, Made) else []
            if isinstance(part, Both):
                waiting += [
                    part.test,
                    part.first,
                    part.second,
                    *[p for link in part.links for p in link],
                ]
    return False


def collect_slots(part, found: dict[Slot, None]) -> None:
    waiting, seen = [part], set()
    while waiting:
        part = waiting.pop()
        if id(part) in seen:
            continue
        seen.add(id(part))
        if isinstance(part, Slot):
            found[part] = None
        elif isinstance(part, Made):
            waiting += reversed(part.parts)
        elif isinstance(part, Both):
            waiting += [
                part.second,
                part.first,
                part.test,
                *[p for link in part.links for p in link],
            ]


def named(value) -> str:
    """How an error speaks of a value or description."""
    if isinstance(value, Static):
        value = value.value
    if isinstance(value, Slot):
        return text_of(value.kind)
    if isinstance(value, Made):
        kind, size = value.shape.kind.__name__, len(value.parts)
        return f"a {kind} of {size}" if kind in ("tuple", "list", "dict") else f"a `{kind}`"
    if isinstance(value, ARRAYS):
        return text_of(kind_of(value))
    if type(value) in NUMBERS:
        return f"the number {value!r}"
    if value is None or isinstance(value, str):
        return repr(value)
    if isinstance(value, tuple | list | dict):
        return f"a {type(value).__name__} of {len(value)}"
    return f"a `{type(value).__name__}`"


def text_of(kind) -> str:
    return f"an array of {kind.dtype} of shape {tuple(kind.shape)}"
