"""Variables of which only the data decide whether they have a value.

A branch that assigns a variable on one side only, or a loop that may have no iteration, leaves a
value and a flag. They are joined by later branches and loops as any values are; a reading takes the
value, and is an error of the run where the flag is false. The region that hands a variable on says
whether it needs a flag (`ir/unbound.py`): without a later reading there is none.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax.numpy as jnp

from flux.compiler.containers import container_of
from flux.compiler.control.checks import current
from flux.compiler.control.descriptions import Made, Slot, Static
from flux.compiler.control.join import Join
from flux.errors import StagingError, user_line
from flux.ir.regions import Region, undefined

__all__ = [
    "Maybe",
    "begun",
    "bound",
    "described",
    "handed_on",
    "join_contents",
    "join_flagged",
    "value_of",
]


class Maybe(NamedTuple):
    """A value, and whether the variable has it."""

    value: Any
    flag: Any

    def refused(self, *_):
        raise StagingError(
            "A function that is not written as part of the program reads a captured variable of "
            "which only the data decide whether it has a value.",
            where=user_line(),
            hint="Give the variable a value before the branch or loop.",
        )

    __getitem__ = __add__ = __mul__ = __rmul__ = __bool__ = __len__ = refused  # type: ignore[assignment]


SHAPE: Any = container_of(Maybe(None, None))


def maybe(value, flag):
    """A value with a flag, or without one where it is known."""
    if isinstance(flag, bool):
        return value if flag else undefined
    return Maybe(value, flag)


SHAPE.build = lambda parts: maybe(*parts)


def split(value) -> tuple:
    """The value and the flag of a variable that is handed on."""
    if type(value) is Maybe:
        return value
    return value, value is not undefined


def value_of(value):
    """What a variable holds that nobody reads later: its value without a flag."""
    return value.value if type(value) is Maybe else value


def bound(value, name: str, free: bool = False):
    """`value`, unless the variable `name` is not bound: an error, of the run if need be."""
    if value is not undefined and type(value) is not Maybe:
        return value
    error = unbound(name, free)
    if value is undefined or value.value is undefined:
        raise error
    current().happen_if(jnp.logical_not(value.flag), error)
    return value.value


def unbound(name: str, free: bool) -> NameError:
    """Python's error, with the line of the user's that reads the variable."""
    kind, text = (NameError, "free") if free else (UnboundLocalError, "local")
    end = " in enclosing scope" if free else ""
    where = user_line()
    line = f"\n  at {where}" if where else ""
    return kind(
        f"cannot access {text} variable '{name}' where it is not associated with a value{end}{line}"
    )


# -- what a branch or loop hands on ----------------------------------------------------------------


def handed_on(values: tuple, region: Region) -> tuple:
    """The values of a region that was traced, with flags where they are needed only."""
    return tuple([
        value if place in region.flagged else value_of(value) for place, value in enumerate(values)
    ])  # fmt: skip


def described(join: Join, value, path: str, carried: bool = False, flag: Any = None) -> Made:
    """The description of a variable with its flag; or with this flag, whatever it has."""
    value, own = split(value)
    parts = [
        join.describe(value, path, carried),
        join.describe(own if flag is None else flag, path),
    ]
    return Made(SHAPE, parts)


def join_flagged(join: Join, known: Any, value, path: str) -> Made:
    """The same of a first and a second side."""
    parts = [join.join(*pair, path) for pair in zip(known.parts, split(value), strict=True)]
    return Made(SHAPE, parts)


def join_contents(join: Join, known: Any, value, path: str):
    """The same of what a cell holds, which needs a flag if it may be empty on one of them."""
    flagged = isinstance(known, Made) and known.shape.kind is Maybe
    static = known.value if isinstance(known, Static) else None
    if not flagged and not any([v is undefined or type(v) is Maybe for v in (static, value)]):
        return join.join(known, value, path)
    if not flagged:
        parts = split(static) if isinstance(known, Static) else (known, True)
        known = Made(SHAPE, [p if p is known else Static(p) for p in parts])
    return join_flagged(join, known, value, path)


def begun(description: Any) -> Made:
    """A carried variable after a loop that had an iteration, if each leaves it with a value."""
    if not isinstance(description, Made) or description.shape is not SHAPE:
        return description
    value, flag = description.parts
    if isinstance(flag, Slot) and flag.second is True:
        return Made(SHAPE, [value, Static(True)])
    return description
