"""One structure for the values of two traces: the sides of a branch, the ends of an iteration."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from flux.compiler.containers import ARRAYS, Container, container_of
from flux.compiler.control.checks import inside_try
from flux.compiler.control.describe import Describer, whole
from flux.compiler.control.descriptions import (
    ABSENT,
    NUMBERS,
    Both,
    Made,
    Out,
    Slot,
    Static,
    kind_of,
    named,
)
from flux.compiler.control.doubles import originals
from flux.compiler.plan import same
from flux.errors import StagingError
from flux.ir.regions import undefined

__all__ = ["Join"]


class Join(Describer):
    """Describes the values of a first trace, and joins those of a second to them."""

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

    def both(self, known, value, path: str):
        """The values of a record: each side keeps its own."""
        return Both(known, self.record(value, path), [], Static(None))

    # -- errors ----------------------------------------------------------------------------------

    def differ(self, path: str, known, value) -> StagingError:
        region = self.region
        if (
            isinstance(value, BaseException)
            or isinstance(known, Static)
            and isinstance(known.value, BaseException)
        ):
            return inside_try(region.line)
        first, second = named(known), named(value)
        if first == second:
            first, second = "the object that it was", "another one"
        line = region.line
        return StagingError(
            f"{path} is {first} on one path and {second} on another, and only the data decide "
            "which: a compiled program needs one type and shape for both.",
            where=line,
            hint="Give it the same type and shape on every path, starting with the value before "
            "the branch or loop.",
        )


def joined_dtype(a, b):
    """The dtype that JAX gives the sum of two arrays."""
    return jnp.result_type(
        *[np.zeros((), k.dtype).item() if k.weak_type else k.dtype for k in (a, b)]
    )


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
