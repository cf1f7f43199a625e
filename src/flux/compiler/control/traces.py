"""Run a block while its operations are written down, on the objects that it reaches."""

from __future__ import annotations

import re
from collections.abc import Callable
from types import CellType
from typing import Any

import jax
from jax.core import eval_jaxpr
from jax.extend.core import Literal

from flux.ad.store import Store
from flux.compiler.control.checks import Unreached, current, is_users_error
from flux.compiler.control.descriptions import Static
from flux.compiler.control.doubles import scope
from flux.compiler.control.join import Join
from flux.compiler.control.journal import Journal, put
from flux.compiler.control.silence import silent
from flux.compiler.control.unbound import join_contents
from flux.compiler.control.written import block
from flux.errors import StagingError
from flux.ir.regions import Region, undefined

__all__ = ["State", "Traced", "state_of", "traced", "values_or_none"]


class Traced:
    """The operations of a block.

    Attributes:
        jaxpr, consts: of JAX.
    """

    def __init__(self, jaxpr, consts):
        self.jaxpr, self.consts = jaxpr, consts

    def __call__(self, *inputs) -> list:
        return eval_jaxpr(self.jaxpr, self.consts, *inputs)

    def reads(self, places: list[int]) -> set[int]:
        """The places of the inputs that the outputs at these places depend on."""
        wanted = [self.jaxpr.outvars[i] for i in places]
        known = {v for v in wanted if not isinstance(v, Literal)}
        for equation in reversed(self.jaxpr.eqns):
            if known.intersection(equation.outvars):
                known.update(v for v in equation.invars if not isinstance(v, Literal))
        return {i for i, v in enumerate(self.jaxpr.invars) if v in known}

    def silent(self) -> Traced:
        """The same without its printing."""
        return Traced(silent(self.jaxpr), self.consts)


def traced(run: Callable, kinds, join: Join) -> Traced:
    """Trace `run(*arrays)`; it leaves the arrays that it hands over in `join.outs`."""

    def body(*arrays):
        with scope(), block(join):
            run(*arrays)
        return list(join.outs)

    closed = jax.make_jaxpr(body)(*kinds)
    return Traced(closed.jaxpr, closed.consts)


def values_or_none(block: Callable, state: State):
    """What the block returns; `None` where it raises an exception of the user's."""
    try:
        return block()
    except Unreached:
        state.journal.restore()
        return None
    except Exception as error:
        if not is_users_error(error):
            raise
        state.journal.restore()
        current().happen(error)
        return None


CELL = ("cell_contents",)
INTERNAL = re.compile(r"`t\d+`")
"""A name that the program gave, not the user."""


class State:
    """What a region changes in the things that it reaches.

    Attributes:
        parts: by place in the journal: keys, and a description for each.
    """

    def __init__(self, journal: Journal, region: Region):
        self.journal, self.region = journal, region
        self.parts: dict[int, tuple[tuple, list]] = {}

    def note(self, join: Join) -> None:
        """Describe what the first trace changed."""
        for place, (keys, values) in self.journal.changed().items():
            self.parts[place] = (
                keys,
                [
                    join.describe(value, self.path(place, key))
                    for key, value in zip(keys, values, strict=True)
                ],
            )

    def join(self, join: Join) -> None:
        """Join what the second trace changed, which may be other things."""
        changed = self.journal.changed()
        for place in {**self.parts, **changed}:
            thing = self.journal.things[place]
            before = self.journal.before[place]
            keys, known = self.parts.get(place) or (before[0], list(map(Static, before[1])))
            new_keys, values = changed.get(place) or before
            if isinstance(thing, Store):
                every = tuple({**dict.fromkeys(keys), **dict.fromkeys(new_keys)})
                by_key = dict(zip(keys, known, strict=True))
                now = dict(zip(new_keys, values, strict=True))
                keys = every
                known = [by_key.get(key, Static(None)) for key in every]
                values = [now.get(key) for key in every]
            elif keys != new_keys:
                keys, known, values = self.same_keys(place, keys, known, new_keys, values)
            outer, join.cotangents = join.cotangents, isinstance(thing, Store)
            kind = join_contents if isinstance(thing, CellType) else Join.join
            self.parts[place] = (
                keys,
                [
                    kind(join, part, value, self.path(place, key))
                    for key, part, value in zip(keys, known, values, strict=True)
                ],
            )
            join.cotangents = outer

    def same_keys(self, place: int, keys, known, new_keys, values):
        """Cells may be empty on one path; any other difference is an error."""
        if not keys and new_keys == CELL:
            return new_keys, [Static(undefined)], values
        if not new_keys and keys == CELL:
            return keys, known, [undefined]
        thing = self.journal.things[place]
        path = self.journal.paths[place].strip().removeprefix("captured ")
        path = "" if INTERNAL.fullmatch(path) else path
        what = f"The {type(thing).__name__} {path}".rstrip()
        raise StagingError(
            f"{what} gets other items, keys or attributes on one path than on another, and only "
            "the data decide which.",
            where=self.region.line,
            hint="Set the same ones on every path; for a list whose length the data decide, use "
            "an array and a count.",
        )

    def path(self, place: int, key) -> str:
        thing = self.journal.things[place]
        name = f"`{key}`" if isinstance(key, str) else f"item {key!r}"
        base = self.journal.paths[place].strip()
        return f"{name} of {base or 'a ' + type(thing).__name__}"

    def apply(self, make: Callable) -> None:
        """Put the new values into the things themselves."""
        for place, (keys, parts) in self.parts.items():
            values = [make(part) for part in parts]
            if any([value is undefined for value in values]):
                keys, values = (), []  # an empty cell
            put(self.journal.things[place], keys, values)


def state_of(*roots: Any, region: Region, given: tuple = ()) -> State:
    """The state that functions and what they are given reach, the program's checks among it."""
    return State(Journal(*roots, current(), given=given), region)
