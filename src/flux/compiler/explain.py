"""Why a function is compiled again: the first difference between two signatures, in words."""

from __future__ import annotations

import re
import sys

from flux.compiler.plan import Plan

__all__ = ["change_of_shape", "difference", "say", "short", "tell"]


def say(name: str, reason: str) -> None:
    """Tell the user, on standard error, that `name` is compiled again."""
    tell(f"{name} is compiled again: {reason}")


def tell(text: str) -> None:
    """Write a line about what is compiled, on standard error."""
    print(f"flux: {text}", file=sys.stderr)


def difference(old: Plan, new: Plan) -> str:
    """What makes the structure `new` another than `old`."""
    for path, now in new.fixed.items():
        if path in old.fixed:
            before = old.fixed[path]
            if before is not now and before != now:
                return f"{spelled(path)} was {short(before)} and is {short(now)}."
    paths = {leaf.path for leaf in old.leaves}
    for leaf in new.leaves:
        if leaf.path not in paths:
            number = leaf.path in new.moving and leaf.path in old.fixed
            kind = "changes from call to call, and is an input now" if number else "is an array now"
            return f"{spelled(leaf.path)} {kind}."
    added = [path for path in new.fixed if path not in old.fixed]
    if added:
        return f"{spelled(added[0])} is new."
    gone = [path for path in (*old.fixed, *paths) if path not in new.fixed]
    gone = [path for path in gone if path not in {leaf.path for leaf in new.leaves}]
    if gone:
        return f"{spelled(gone[0])} is gone."
    return "its arguments share other parts, or their classes changed."


def change_of_shape(plan: Plan, old: tuple, new: tuple) -> str:
    """Which arrays have another shape or dtype."""
    changed = [
        f"{spelled(leaf.path)} was {before.str_short()} and is {now.str_short()}"
        for leaf, before, now in zip(plan.leaves, old, new, strict=True)
        if before != now
    ]
    more = f", and {len(changed) - 3} more" if len(changed) > 3 else ""
    return "; ".join(changed[:3]) + more + "."


def spelled(path: str) -> str:
    """A path from the call, as the user would name it.

    >>> spelled("[1][0].layers[2]"), spelled("[2]['mask']"), spelled("[0] captured `model`.bias")
    ('argument 0.layers[2]', 'argument mask', 'the function captured `model`.bias')
    """
    path = re.sub(r"^\[0\]", "the function", path)
    path = re.sub(r"^\[1\]\[(\d+)\]", r"argument \1", path)
    return re.sub(r"^\[2\]\['(\w+)'\]", r"argument \1", path)


def short(value) -> str:
    text = repr(value)
    return text if len(text) < 60 else text[:57] + "..."
