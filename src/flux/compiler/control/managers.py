"""Managers of `with` while a program is made.

A function of `math` raises an error for some data, where its compiled form gives nan. That is as
good where the error would leave the function; not where a manager would swallow it.
"""

from __future__ import annotations

import ast
import contextlib
import threading
from types import FunctionType
from typing import Any

from flux.compiler.control.checks import inside_try, risks_so_far
from flux.errors import SourceError, user_line
from flux.ir import prims
from flux.ir.source import find_source

__all__ = ["enter", "leave", "may_swallow", "note_entered", "refuse_swallowing"]

LOCAL = threading.local()


def enter(manager):
    note_entered(manager)
    return prims.enter.fn(manager)


def leave(manager, error):
    refuse_swallowing(manager)
    return prims.exit_.fn(manager, error)


def note_entered(manager) -> None:
    """Note what was risky before; asked now, for a generator's manager forgets its function."""
    entered = LOCAL.__dict__.setdefault("entered", {})
    entered[id(manager)] = risks_so_far() if may_swallow(manager) else None


def refuse_swallowing(manager) -> None:
    """Refuse to leave a manager that would have swallowed an error that only the data decide."""
    before = LOCAL.__dict__.get("entered", {}).pop(id(manager), None)
    if before is not None and risks_so_far() > before:
        raise inside_try(user_line())


def may_swallow(manager) -> bool:
    """May `with manager` end an exception? Where that is not sure, it may.

    >>> import contextlib, threading
    >>> may_swallow(contextlib.suppress(ValueError)), may_swallow(threading.Lock())
    (True, False)
    """
    leaves: Any = type(manager).__exit__
    made = isinstance(manager, contextlib._GeneratorContextManager)
    function: Any = getattr(manager, "func", None) if made else leaves
    if type(function) is not FunctionType:
        return made
    try:
        node = find_source(function).node
    except SourceError:
        return True
    if made:  # what its `yield` raises can only end in a handler or in another manager
        return any([isinstance(part, ast.ExceptHandler | ast.With) for part in ast.walk(node)])
    return any([isinstance(part, ast.Return) and gives(part.value) for part in ast.walk(node)])


def gives(value: ast.expr | None) -> bool:
    """May what is returned be true?"""
    return value is not None and not (isinstance(value, ast.Constant) and not value.value)
