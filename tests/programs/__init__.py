"""Sample programs: plain functions by topic, each with arguments and its conformance line.

`@program(line, *args)` registers a function. No tests stand here; `tests/test_conformance.py` runs
every program through value, gradient, second pullback call and, where it can be, compilation.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any, NamedTuple

TOPICS = ("source", "expressions", "control", "functions", "objects", "exceptions", "semantics")


class Program(NamedTuple):
    """One sample: the conformance lines that it shows, the function and its arguments."""

    lines: tuple[int, ...]
    fn: Callable
    args: tuple[Any, ...]


PROGRAMS: list[Program] = []


def program(lines: int | tuple[int, ...], *args):
    """Register the decorated function as a sample for the conformance `lines`."""

    def register(fn):
        PROGRAMS.append(Program(lines if isinstance(lines, tuple) else (lines,), fn, args))
        return fn

    return register


def all_programs() -> list[Program]:
    """Every sample of every topic."""
    for topic in TOPICS:
        importlib.import_module(f"programs.{topic}")
    return PROGRAMS
