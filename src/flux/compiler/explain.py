"""Why a function is compiled again: the first difference between two plans, in words."""

from __future__ import annotations

from flux.compiler.plan import Plan

__all__ = ["difference"]


def difference(old: Plan, new: Plan) -> str:
    """What makes `new` another signature than `old`."""
    for path in new.fixed:
        if path not in old.fixed:
            continue
        before, now = old.fixed[path], new.fixed[path]
        if before is not now and before != now:
            return f"{spelled(path)} was {short(before)} and is {short(now)}."
    before_leaves = {leaf.path: leaf.value for leaf in old.leaves}
    for leaf in new.leaves:
        if leaf.path not in before_leaves:
            return f"{spelled(leaf.path)} is an array now."
    added = [path for path in new.fixed if path not in old.fixed]
    return f"{spelled(added[0])} is new." if added else "the structure of its arguments changed."


def spelled(path: str) -> str:
    """A path from the call's root, as the user would name it."""
    if path.startswith("[0]"):
        return "the function" + path[3:]
    if path.startswith("[1]["):
        number, _, rest = path[4:].partition("]")
        return f"argument {number}{rest}"
    return "argument " + path[3:].strip("[]") if path.startswith("[2]") else path


def short(value) -> str:
    text = repr(value)
    return text if len(text) < 60 else text[:57] + "..."
