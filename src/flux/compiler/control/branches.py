"""`if` and conditional expressions whose test only the data decide."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
from jax import lax
from jax.core import Tracer

from flux.compiler.control.descriptions import Either, Static, build, resolve
from flux.compiler.control.join import Join
from flux.compiler.control.traces import State, Traced, state_of, traced, values_or_none
from flux.compiler.control.unbound import Maybe, described, handed_on, join_flagged
from flux.errors import StagingError
from flux.ir.regions import Region, undefined

__all__ = ["if_", "made_twice"]

CHEAP = frozenset(
    "add sub mul neg max min abs sign floor ceil and or not xor eq ne lt le gt ge select_n "
    "convert_element_type broadcast_in_dim reshape squeeze copy is_finite stop_gradient".split()
)
"""Operations that cost less than a branch of the program, on small arrays."""
MOST = 8, 4096
"""Of how many such operations, and on how many elements, both sides are always run."""


def if_(test, then: Callable, orelse: Callable, region: Region) -> tuple:
    """What one of the two blocks returns; both become part of the program if `test` is traced."""
    if type(test) is Either:
        test = test.test  # of the branch that is reversed
    if not isinstance(test, Tracer):
        return own_records((then if test else orelse)(), region)
    return Branch(test, then, orelse, region).values()


def own_records(values: tuple, region: Region) -> tuple:
    """The results of a side that Python chose: its reverse is given what the side kept.

    A branch inside of it may have left a record with two sides of its own, which `chosen` must not
    take for the sides of this one.
    """
    if not any([type(values[place]) is Either for place in region.records]):
        return values
    kept = list(values)
    for place in region.records:
        if type(kept[place]) is Either:
            kept[place] = Either(kept[place], kept[place])
    return tuple(kept)


class Branch:
    """One branch of a program that is being made."""

    def __init__(self, test, then: Callable, orelse: Callable, region: Region):
        self.test = (test != 0).reshape(()) if test.size == 1 else one_truth(test)
        self.region = region
        self.state: State = state_of(then, orelse, region=region)
        self.sides = then, orelse

    def values(self) -> tuple:
        join = Join(self.region, self.state.journal.known)
        try:
            first = traced(lambda: self.run_first(join), (), join)
            self.state.journal.restore()
            second = traced(lambda: self.run_second(join), (), join)
        finally:
            self.state.journal.restore()
        links = [(after, first, inside(join, value)) for after, first, value in join.links]
        tests = [i for i in self.region.records if self.region.names[i].startswith("took")]
        if links and len(tests) > 1:  # a branch of a program that is differentiated twice
            raise made_twice(self.region.line)
        leaves = dict(zip(join.slots, self.arrays(join, first, second), strict=True))
        memo: dict = {}
        self.state.apply(lambda part: build(part, leaves, memo))
        values = tuple([build(part, leaves, memo) for part in self.parts])
        join.note_doubles(memo)
        for place in self.region.records:
            values[place].test = self.test
            values[place].links += [
                (memo.get(id(after)), join.object_of(first, memo), join.object_of(second, memo))
                for after, first, second in links
            ]
        return values

    def path(self, place: int) -> str:
        return f"`{self.region.names[place]}`"

    def run_first(self, join: Join) -> None:
        join.first_trace()
        values = self.side_values(self.sides[0])
        self.parts = [
            self.kind_of_description(i)(join, value, self.path(i)) for i, value in enumerate(values)
        ]
        self.state.note(join)
        join.touched_first = self.state.journal.touched()

    def side_values(self, side: Callable) -> tuple:
        values = values_or_none(side, self.state)
        if values is not None:
            return handed_on(values, self.region)
        nothing = Maybe(undefined, True)  # nothing reads it after an exception
        return tuple([
            nothing if i in self.region.flagged else undefined
            for i in range(len(self.region.names))
        ])  # fmt: skip

    def run_second(self, join: Join) -> None:
        join.second_trace()
        join.touched = self.state.journal.touched
        values = self.side_values(self.sides[1])
        self.parts = [
            self.kind_of_join(i)(join, known, value, self.path(i))
            for i, (known, value) in enumerate(zip(self.parts, values, strict=True))
        ]
        self.state.join(join)

    def kind_of_description(self, place: int) -> Callable:
        if place in self.region.records:
            return Join.record
        return described if place in self.region.flagged else Join.describe

    def kind_of_join(self, place: int) -> Callable:
        if place in self.region.records:
            return Join.both
        return join_flagged if place in self.region.flagged else Join.join

    def arrays(self, join: Join, first: Traced, second: Traced) -> list:
        """The outputs: one of the sides is run, or both where that costs less than a branch."""
        if not join.slots and not first.jaxpr.effects and not second.jaxpr.effects:
            return []

        def side(run: Traced, refs):
            def block():
                outs = run()
                pairs = zip(refs, join.slots, strict=True)
                return [resolve(ref, outs, slot.kind) for ref, slot in pairs]

            return block

        sides = (
            side(first, [slot.first for slot in join.slots]),
            side(second, [slot.second for slot in join.slots]),
        )
        if is_cheap(first) and is_cheap(second):
            pairs: Any = zip(sides[0](), sides[1](), strict=True)
            return [lax.select_n(jnp.broadcast_to(self.test, a.shape), b, a) for a, b in pairs]
        return lax.cond(self.test, *sides)


def inside(join: Join, value):
    """The description of an object as the second side has it."""
    known = join.known.get(id(value))
    return join.memo.get((id(value), False)) if known is None else Static(value)


def made_twice(where: str | None) -> StagingError:
    return StagingError(
        "A derivative of a derivative through a branch that makes or replaces an object is not "
        "supported in compiled programs.",
        where=where,
        hint="Hand numbers and arrays out of the branch, and make the object after it.",
    )


def one_truth(test):
    """Python's error for the truth of an array with many items."""
    raise ValueError(
        f"the truth of an array of shape {test.shape} is ambiguous: use .any() or .all()"
    )


def is_cheap(run: Traced) -> bool:
    count, size = MOST
    equations = run.jaxpr.eqns
    return len(equations) <= count and all(
        e.primitive.name in CHEAP and all(v.aval.size <= size for v in e.outvars) for e in equations
    )
