"""What an iteration hands to the next: found by tracing the body until its end fits its start.

Carried are the variables that the body assigns, and changes of things that it reaches. The rest is
closed over.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flux.compiler.control.checks import current as current_checks
from flux.compiler.control.descriptions import ABSENT, Out, Slot, build, collect_slots, resolve
from flux.compiler.control.doubles import note
from flux.compiler.control.growth import Growth
from flux.compiler.control.join import Join
from flux.compiler.control.records import Links
from flux.compiler.control.traces import state_of, traced
from flux.compiler.control.unbound import begun, described, handed_on, join_flagged
from flux.errors import StagingError
from flux.ir.regions import Region

__all__ = ["Ended", "Loop", "leaves_of", "next_of"]

ROUNDS = 12
"""After so many rounds the types of a loop's variables have to agree."""
Ended = tuple[tuple, tuple]
"""The carried values after a loop, and what it collected."""


class Loop:
    """A loop of the program that is being made.

    Attributes:
        params: descriptions of the carried variables.
        state: of what the body changes.
        run: one iteration, traced.
        slots: the carried arrays.
        started: there is an iteration at least.
    """

    def __init__(self, body: Callable, inits: tuple, region: Region, *reached, started=False):
        self.body, self.region, self.started = body, region, started
        inits = handed_on(inits, region)
        self.state = state_of(body, *reached, region=region, given=inits)
        self.join = Join(region, self.state.journal.known, self.state.journal.loose)
        self.join.touched = self.state.journal.touched
        self.join.trace = None  # what comes from outside stays as it is
        self.params = [self.start_of(i, value) for i, value in enumerate(inits)]
        self.ys: list[Any] = []
        self.growth = Growth(body, region)
        self.inside: list[tuple] = []
        self.links = Links([], [])
        self.stop: Any = False

    def path(self, place: int) -> str:
        return f"`{self.region.names[place]}`"

    def start_of(self, place: int, value):
        """The description of a carried variable before the first iteration."""
        if place not in self.region.flagged:
            return self.join.describe(value, self.path(place), carried=True)
        # The flag that an iteration leaves is the only one that is read.
        flag = True if self.started and place in self.region.unasked else None
        return described(self.join, value, self.path(place), True, flag)

    def find(self, kinds: list, arguments: Callable) -> None:
        """Trace the body until what it hands on has the types of what it is given.

        `arguments(*arrays)` makes the first arguments of the body of further traced inputs.
        """
        try:
            for _ in range(ROUNDS):
                slots = self.used()
                count = len(kinds)

                def run(*arrays, slots=slots, count=count):
                    self.join.second_trace()
                    self.iterate(lambda: arguments(*arrays[:count]), slots, arrays[count:])

                self.run = traced(run, [*kinds, *[slot.kind for slot in slots]], self.join)
                self.state.journal.restore()
                if not self.join.changed:
                    self.slots = slots
                    return
        finally:
            self.state.journal.restore()
        raise StagingError(
            f"The types of {', '.join(f'`{n}`' for n in self.region.names)} change with every "
            "iteration.",
            where=self.region.line,
            hint="Let every iteration end with the types and shapes that it started with.",
        )

    def used(self) -> list[Slot]:
        found: dict[Slot, None] = {}
        for part in (*self.params, *[p for _, parts in self.state.parts.values() for p in parts]):
            collect_slots(part, found)
        return list(found)

    def iterate(self, arguments: Callable, slots: list[Slot], arrays) -> None:
        leaves = dict(zip(slots, arrays, strict=True))
        self.memo = memo = {}
        for slot in slots:
            slot.second = ABSENT
        self.state.apply(lambda part: build(part, leaves, memo))
        values = [build(part, leaves, memo) for part in self.params]
        self.note_doubles(memo)
        self.join.note_doubles(memo)
        self.take(self.body(*arguments(), *values))

    def note_doubles(self, memo: dict[int, Any]) -> None:
        for made in self.join.origins:
            if made in memo:
                note(memo[made])

    def take(self, result) -> None:
        raise NotImplementedError

    def join_values(self, values, collect) -> None:
        join = self.join
        flagged = self.region.flagged
        pairs = zip(self.params, handed_on(values, self.region), strict=True)
        self.params = [
            (join_flagged if i in flagged else Join.join)(join, known, value, self.path(i))
            for i, (known, value) in enumerate(pairs)
        ]
        self.state.join(join)
        ys = Join(self.region, join.known)
        ys.outs, ys.places, ys.trace, ys.side = join.outs, join.places, join.trace, "second"
        self.ys = [ys.record(value, "what the loop collects") for value in collect]
        self.inside = [
            (ys.memo.get((id(self.memo.get(id(made))), False)), ys.memo.get((id(value), False)))
            for _, made, value in join.links
        ]

    # -- the pieces of the loop ------------------------------------------------------------------

    def init(self) -> list:
        return [resolve(slot.first, (), slot.kind) for slot in self.slots]

    def next(self, outs) -> list:
        """The carried arrays after an iteration; `None` where an output is left out."""
        return next_of(self.slots)(outs)

    def y_slots(self) -> list[Slot]:
        found: dict[Slot, None] = {}
        for part in self.ys:
            collect_slots(part, found)
        return list(found)

    def y_arrays(self, outs) -> list:
        return [resolve(slot.second, outs, slot.kind) for slot in self.y_slots()]

    def is_fine(self, carry):
        """Has no check failed yet?"""
        for place, (_, parts) in self.state.parts.items():
            if self.state.journal.things[place] is current_checks():
                (code,) = [carry[self.slots.index(p)] for p in parts if isinstance(p, Slot)]
                return code == 0
        return True

    def finish(self, carry) -> tuple:
        leaves = dict(zip(self.slots, carry, strict=True))
        memo: dict = {}
        end = begun if self.started else lambda part: part
        self.state.apply(lambda part: build(end(part), leaves, memo))
        values = tuple([build(end(part), leaves, memo) for part in self.params])
        self.note_doubles(memo)
        self.join.note_doubles(memo, self.started)
        origins = self.join.origins
        self.links.outside += [
            (origins[id(joined)][1], memo.get(id(joined))) for joined, _, _ in self.join.links
        ]
        self.links.inside += self.inside
        return values


def next_of(slots: list[Slot]) -> Callable:
    """The carried arrays after an iteration, of its outputs; `None` where one is left out."""
    refs, kinds = parts_of(slots)

    def following(outs):
        return [
            None if isinstance(ref, Out) and outs[ref.index] is None else resolve(ref, outs, kind)
            for ref, kind in zip(refs, kinds, strict=True)
        ]

    return following


def leaves_of(slots: list[Slot]) -> Callable:
    """The arrays by slot at the end of an iteration, of its outputs."""
    refs, kinds = parts_of(slots)

    def leaves(outs):
        triples = zip(slots, refs, kinds, strict=True)
        return {slot: resolve(ref, outs, kind) for slot, ref, kind in triples}

    return leaves


def parts_of(slots: list[Slot]) -> tuple[list, list]:
    """What an iteration hands over for slots, and its kinds, for functions that outlive the loop.

    A slot is a constant: what it holds of a loop around this one would stay that of one iteration.
    """
    return [slot.second for slot in slots], [slot.kind for slot in slots]
