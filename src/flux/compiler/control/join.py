"""One structure for the values of two traces: the sides of a branch, the ends of an iteration.

A *description* says how a value is made of the outputs of the control flow operation: `Slot` is an
output, `Static` is the same on both sides, `Made` is a container of such, `Either` keeps the values
of both sides apart.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax._src.core import trace_ctx
from jax._src.lax.lax import _convert_element_type
from jax.core import Tracer

from flux.ad.cotangents import dense
from flux.ad.indexed import Indexed
from flux.compiler.containers import ARRAYS, Container, container_of
from flux.compiler.control.doubles import note, originals
from flux.compiler.control.journal import Known
from flux.compiler.control.written import is_numpys, note_numpys
from flux.compiler.plan import same
from flux.errors import StagingError, source_line
from flux.ir.regions import Region, undefined

__all__ = [
    "ABSENT",
    "Either",
    "Join",
    "Made",
    "Out",
    "Slot",
    "Static",
    "build",
    "inside_try",
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


class Join:
    """Describes the values of a first trace, and joins those of a second to them.

    Attributes:
        slots: all outputs.
        outs: the traced arrays that the trace which is running hands over.
        changed: a join found something that the description did not hold before.
        doubles: by `id` of a description of an object, with it: the variable, and what else the
            object may be in plain Python.
        starts: of those, what they may be before the first iteration only.
        absent: the slots that the second side left empty.
        statics: the descriptions of arrays that come from outside.
        recording: what is described belongs to a record, where reads stay the objects they are.
    """

    __constant__ = True

    def __init__(self, region: Region, known: dict[int, Any], loose: set[int] | None = None):
        self.region, self.known, self.loose = region, known, loose
        self.slots: list[Slot] = []
        self.cotangents = region.cotangents
        self.origins: dict[int, tuple[Made, Any]] = {}
        self.same_as: dict[int, tuple[Made, Any]] = {}
        self.touched: Callable[[], set[int]] = set
        self.touched_first: set[int] = set()
        self.doubles: dict[int, tuple[Made, str, list]] = {}
        self.starts: dict[int, list] = {}
        self.statics: list[Static] = []
        self.recording = False
        self.first_trace()

    def first_trace(self) -> None:
        self.outs: list = []
        self.places: dict[int, Out] = {}
        self.memo: dict[Any, Any] = {}
        self.alive: list = []
        self.absent: set[Slot] = set()
        self.partners: dict[int, Made] = {}
        self.links: list[tuple[Made, Made, Any]] = []
        self.side = "first"
        self.changed = False
        self.trace = trace_ctx.trace

    def second_trace(self) -> None:
        self.first_trace()
        self.side = "second"

    def references(self, array) -> int:
        """How many references to an array this holds, and the journal whose things it knows."""
        own = [*self.alive, *[static.value for static in self.statics]]
        journal = self.known.references(array) if isinstance(self.known, Known) else 0
        return journal + sum([value is array for value in own])

    # -- leaves ----------------------------------------------------------------------------------

    def is_inner(self, value) -> bool:
        return isinstance(value, Tracer) and value._trace is self.trace

    def reference(self, value):
        """An `Out` for an array of the running trace; any other value as it is."""
        if not self.is_inner(value):
            return value
        known = self.places.get(id(value))
        if known is None:
            known = Out(len(self.outs), kind_of(value), is_numpys(value))
            self.places[id(value)] = known
            self.outs.append(value)
            self.alive.append(value)
        return known

    def slot(self, first, second, kind, path: str) -> Slot:
        slot = Slot(first, second, kind, path)
        self.slots.append(slot)
        self.changed = True
        return slot

    def alone(self, value, path: str):
        """A slot for a leaf that only this side has."""
        ref = self.reference(value)
        first, second = (ABSENT, ref) if self.side == "second" else (ref, ABSENT)
        return self.slot(first, second, kind_of(value), path)

    # -- one side --------------------------------------------------------------------------------

    def describe(self, value, path: str, carried: bool = False):
        """The description of a value: arrays of the running trace become slots.

        Where `carried`, all arrays and numbers do.
        """
        value = value if self.recording else whole(value)
        if carried and (isinstance(value, ARRAYS) or type(value) in NUMBERS):
            return self.alone(value, path)
        key = (id(value), carried)
        if key in self.memo:
            return self.memo[key]
        self.alive.append(value)
        found = self.described(value, path, carried)
        if not isinstance(value, tuple):
            self.memo[key] = found
        return found

    def described(self, value, path: str, carried: bool):
        if isinstance(value, ARRAYS):
            if self.is_inner(value):
                return self.alone(value, path)
            self.statics.append(Static(value))
            return self.statics[-1]
        if id(value) in self.known:
            return Static(value)
        if isinstance(self.known, Known) and self.known.slots(value):
            return Static(value)
        if type(value) is Either:
            first = self.describe(value.first, path, carried)
            second = self.describe(value.second, path, carried)
            links = [[self.describe(v, path) for v in link] for link in value.links]
            return Both(first, second, links, self.describe(value.test, path))
        shape = container_of(value)
        if shape is None:
            return Static(value)
        if shape.mutable:
            made = Made(shape, [])
            self.memo[id(value), carried] = made
            self.origins[id(made)] = made, value
            self.double(made, path, originals(value))
            made.parts += [self.describe(p, path + n, carried) for _, p, n in shape.parts(value)]
            return made if carried or has_slots(made) else Static(value)
        parts = [self.describe(p, path + n, carried) for _, p, n in shape.parts(value)]
        if all(isinstance(p, Static) for p in parts) and not carried:
            return Static(value)
        return Made(shape, parts)

    # -- the other side --------------------------------------------------------------------------

    def join(self, known, value, path: str):
        """The description of `known` on the first side and `value` on the second."""
        value = whole(value)
        if isinstance(known, Slot):
            return self.join_slot(known, value, path)
        if isinstance(known, Made):
            return self.join_made(known, value, path)
        if isinstance(known, Both):
            return self.both(known.first, value, path)
        return self.join_static(known, value, path)

    def join_slot(self, slot: Slot, value, path: str):
        if value is undefined or (value is None and self.cotangents):
            return self.without_second(slot, path)
        if not (isinstance(value, ARRAYS) or type(value) in NUMBERS):
            raise self.differ(path, slot, value)
        joined = self.join_kinds(slot.kind, kind_of(value), path, slot, value)
        ref = self.reference(value)
        if slot in self.absent or not (slot.second is ABSENT or is_same(slot.second, ref)):
            slot = self.slot(slot.first, ref, joined, path)
        self.changed |= joined != slot.kind
        slot.second, slot.kind = ref, joined
        return slot

    def without_second(self, slot: Slot, path: str) -> Slot:
        """A slot that the second side leaves empty; another that was the same array may not."""
        if slot.second is not ABSENT:
            slot = self.slot(slot.first, ABSENT, slot.kind, path)
        self.absent.add(slot)
        return slot

    def join_kinds(self, a, b, path: str, first, value):
        if a == b:
            return a
        extended = [jnp.issubdtype(k.dtype, jax.dtypes.extended) for k in (a, b)]
        if any(extended) and a.dtype != b.dtype:
            raise self.differ(path, first, value)
        dtype = a.dtype if a.dtype == b.dtype else joined_dtype(a, b)
        weak = bool(a.weak_type and b.weak_type)
        if a.shape == b.shape:
            return jax.ShapeDtypeStruct(a.shape, dtype, weak_type=weak)
        if a.shape == () and a.weak_type:
            return jax.ShapeDtypeStruct(b.shape, dtype, weak_type=weak)
        if b.shape == () and b.weak_type:
            return jax.ShapeDtypeStruct(a.shape, dtype, weak_type=weak)
        raise self.differ(path, first, value)

    def join_made(self, made: Made, value, path: str):
        if value is undefined:
            return made
        if value is None and self.cotangents:
            return self.or_zero(made, path)
        shape = container_of(value)
        if shape is None or not alike(made.shape, shape) or not self.may_stand_for(value):
            raise self.differ(path, made, value)
        key = (id(made), id(value))
        if key in self.memo:
            return self.memo[key]
        self.alive.append((made, value))
        if shape.mutable and self.partners.setdefault(id(value), made) is not made:
            raise self.differ(path, made, value)  # one object there, and two here
        joined = Made(shape, []) if shape.mutable else None
        if joined is not None:
            self.memo[key] = joined
            self.links.append((joined, made, value))
            self.origins[id(joined)] = joined, self.origins.get(id(made), (made, None))[1]
            self.starts[id(joined)] = self.starts.get(id(made), [])
            _, _, others = self.doubles.get(id(made), (made, path, []))
            self.double(joined, path, [*others, *self.instead_of(value)])
        parts = [
            self.join(part, inner, path + name)
            for part, (_, inner, name) in zip(made.parts, shape.parts(value), strict=True)
        ]
        if joined is None:
            return Made(shape, parts)
        joined.parts += parts
        return joined

    def join_static(self, static: Static, value, path: str):
        first = static.value
        if first is value:
            return static
        if first is undefined or (first is None and self.cotangents):
            return self.describe_new(value, path, first is None)
        if value is undefined:
            return static
        if value is None and self.cotangents:
            return self.or_zero(static, path)
        leaf = [isinstance(v, ARRAYS) or type(v) in NUMBERS for v in (first, value)]
        if all(leaf):
            if type(first) in NUMBERS and same(first, value):
                return static
            slot = self.slot(first, ABSENT, kind_of(first), path)
            return self.join_slot(slot, value, path)
        shape, other = container_of(first), container_of(value)
        if shape is None and other is None and not any(leaf) and same(first, value):
            return static
        if shape is None or other is None or not alike(shape, other):
            raise self.differ(path, static, value)
        if id(first) in self.known and self.loose is not None:
            return self.join_loose(first, shape, value, path)
        if not self.may_stand_for(first):
            raise self.differ(path, static, value)
        made = Made(shape, [Static(part) for _, part, _ in shape.parts(first)])
        self.same_as[id(made)] = made, first
        self.double(made, path, self.instead_of(first))
        return self.join_made(made, value, path)

    def may_stand_for(self, value) -> bool:
        """May another object take the place of `value`? Not if both sides know it changed."""
        if id(value) not in self.known:
            return True
        return self.loose is None and id(value) not in self.touched() | self.touched_first

    def instead_of(self, value) -> list:
        """What another object in the place of `value` may be in plain Python."""
        return [*([value] if id(value) in self.known else []), *originals(value)]

    def double(self, made: Made, path: str, others: list) -> None:
        """The object that is built of `made` may be one of `others` in plain Python."""
        if made.shape.mutable:
            self.doubles[id(made)] = made, path, others

    def note_doubles(self, memo: dict[int, Any], started: bool = False) -> None:
        """The objects were built: those that are doubles are known as such from now on.

        Args:
            started: the loop had an iteration, and what was there before is left.
        """
        where = source_line(self.region.filename, self.region.where.line)
        for key, (_, path, others) in self.doubles.items():
            if not started:
                others = [*others, *self.starts.get(key, [])]
            if key in memo and others:
                note(memo[key], others, path, where)

    def join_loose(self, first, shape: Container, value, path: str):
        """An object that the loop was given, and another that takes its name or place.

        One that something else may reach, too, is left to it, if there is an iteration at all.
        """
        if self.loose is None or id(value) in self.known or id(first) in self.touched():
            raise self.differ(path, Static(first), value)
        parts = [
            self.describe(part, path + name, carried=isinstance(part, ARRAYS))
            for _, part, name in shape.parts(first)
        ]
        made = Made(shape, [self.outer(part) for part in parts])
        self.origins[id(made)] = made, first
        self.starts[id(made)] = self.instead_of(first)
        self.double(made, path, [])
        self.changed = True
        return self.join_made(made, value, path)

    def outer(self, part):
        """A slot for a value from outside stands for it at the start."""
        if isinstance(part, Slot) and part.first is ABSENT:
            part.first, part.second = part.second, ABSENT
        return part

    def describe_new(self, value, path: str, zero: bool):
        """What only the second side has; the first is zero, or is never read."""
        described = self.describe(value, path, carried=zero)
        self.changed = True
        return described

    def or_zero(self, known, path: str):
        """A cotangent of the first side only: on the second it is zero."""
        if isinstance(known, Slot):
            return self.without_second(known, path)
        if isinstance(known, Made):
            return Made(known.shape, [self.or_zero(part, path) for part in known.parts])
        if isinstance(known, Static):
            value = known.value
            if isinstance(value, ARRAYS) or type(value) in NUMBERS:
                return self.slot(value, ABSENT, kind_of(value), path)
            shape = container_of(value)
            if isinstance(value, tuple) and shape is not None:
                return Made(shape, [self.or_zero(Static(part), path) for part in value])
        return known

    def record(self, value, path: str):
        """The description of what the reverse will need: it meets the very objects again."""
        self.recording = True
        try:
            return self.describe(value, path)
        finally:
            self.recording = False

    def both(self, known, value, path: str):
        """The values of a record: each side keeps its own."""
        return Both(known, self.record(value, path), [], Static(None))

    def object_of(self, description, memo: dict[int, Any]):
        """The object that a description stands for; `None` if it was not built."""
        if isinstance(description, Static):
            return description.value
        known = self.same_as.get(id(description))
        return memo.get(id(description)) if known is None else known[1]

    # -- errors ----------------------------------------------------------------------------------

    def differ(self, path: str, known, value) -> StagingError:
        region = self.region
        if (
            isinstance(value, BaseException)
            or isinstance(known, Static)
            and isinstance(known.value, BaseException)
        ):
            return inside_try(source_line(region.filename, region.where.line))
        first, second = named(known), named(value)
        if first == second:
            first, second = "the object that it was", "another one"
        line = source_line(region.filename, region.where.line)
        return StagingError(
            f"{path} is {first} on one path and {second} on another, and only the data decide "
            "which: a compiled program needs one type and shape for both.",
            where=line,
            hint="Give it the same type and shape on every path, starting with the value before "
            "the branch or loop.",
        )


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


def inside_try(where: str | None) -> StagingError:
    """The error for an exception that the user's code catches, and that only the data decide."""
    return StagingError(
        "Inside a `try`, an exception that only the data decide cannot be part of a compiled "
        "program.",
        where=where,
        hint="Decide with `if` what shall happen instead of the exception.",
    )


def joined_dtype(a, b):
    """The dtype that JAX gives the sum of two arrays."""
    return jnp.result_type(
        *[np.zeros((), k.dtype).item() if k.weak_type else k.dtype for k in (a, b)]
    )


def whole(value):
    """A value without lazy cotangents: rows are added to the array that is there already."""
    if type(value) is tuple and any([type(part) is Indexed for part in value]):
        return tuple([whole(part) for part in value])
    if type(value) is not Indexed:
        return value
    reads = value.reads()
    if not isinstance(value.like, jax.Array):
        return dense(value)
    wholes = [ct for index, ct in reads if index is ...]
    total = wholes[0] if wholes else jnp.zeros(value.like.shape, value.like.dtype)
    for ct in wholes[1:]:
        total = total + ct
    for index, ct in reads:
        if index is not ...:
            total = added(total, index, ct)
    return total


def added(total, index, ct):
    """`total` with `ct` added at `index`; a single row is written in place by a loop."""
    if not isinstance(index, Tracer) or index.ndim or index.dtype == bool:
        return total.at[index].add(ct)
    count = total.shape[0]
    place = jnp.where(index < 0, index + count, index)
    row = lax.dynamic_index_in_dim(total, place, 0, keepdims=False)
    more = jnp.where((place >= 0) & (place < count), ct, jnp.zeros_like(row))
    return lax.dynamic_update_index_in_dim(total, row + more, place, 0)


def is_same(a, b) -> bool:
    """Do two references of one side name the same array?"""
    if isinstance(a, Out) and isinstance(b, Out):
        return a.index == b.index
    return a is b


def alike(a: Container, b: Container) -> bool:
    """Are two containers of one kind, with the same keys, made by the same code?"""
    codes = getattr(a, "code", None), getattr(b, "code", None)
    return (
        a.kind is b.kind
        and a.keys == b.keys
        and codes[0] is codes[1]
        and getattr(a, "structure", None) == getattr(b, "structure", None)
        and getattr(a, "function", None) is getattr(b, "function", None)
    )


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
