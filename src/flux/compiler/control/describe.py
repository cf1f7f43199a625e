"""The values of one trace as descriptions: its arrays become slots, what is outside stays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax._src.core import trace_ctx
from jax.core import Tracer

from flux.ad.cotangents import dense
from flux.ad.indexed import Indexed
from flux.compiler.containers import ARRAYS, container_of
from flux.compiler.control.descriptions import (
    ABSENT,
    NUMBERS,
    Both,
    Either,
    Made,
    Out,
    Slot,
    Static,
    has_slots,
    kind_of,
)
from flux.compiler.control.doubles import note, originals
from flux.compiler.control.journal import Known
from flux.compiler.control.written import is_numpys
from flux.ir.regions import Region

__all__ = ["Describer", "whole"]


class Describer:
    """Describes the values of a trace; what a second one hands over is joined to them.

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

    # -- values ----------------------------------------------------------------------------------

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

    def record(self, value, path: str):
        """The description of what the reverse will need: it meets the very objects again."""
        self.recording = True
        try:
            return self.describe(value, path)
        finally:
            self.recording = False

    # -- objects ---------------------------------------------------------------------------------

    def double(self, made: Made, path: str, others: list) -> None:
        """The object that is built of `made` may be one of `others` in plain Python."""
        if made.shape.mutable:
            self.doubles[id(made)] = made, path, others

    def note_doubles(self, memo: dict[int, Any], started: bool = False) -> None:
        """The objects were built: those that are doubles are known as such from now on.

        Args:
            started: the loop had an iteration, and what was there before is left.
        """
        where = self.region.line
        for key, (_, path, others) in self.doubles.items():
            if not started:
                others = [*others, *self.starts.get(key, [])]
            if key in memo and others:
                note(memo[key], others, path, where)

    def object_of(self, description, memo: dict[int, Any]):
        """The object that a description stands for; `None` if it was not built."""
        if isinstance(description, Static):
            return description.value
        known = self.same_as.get(id(description))
        return memo.get(id(description)) if known is None else known[1]


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
