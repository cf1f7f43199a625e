"""The memory that a compiled program works in, on a CPU: in pieces that the process can keep.

XLA asks for all of it as one block at each call. A block of more than 32 MiB goes back to the
system when it is freed, and the next call has every page of it faulted in again. Of small pieces
most stay with the process.

XLA cannot write a program with several pieces to disk: such a one is compiled in every process. So
programs that need little, and those whose arrays are large themselves, have one block.
"""

from __future__ import annotations

import math

import jax
from jax.extend.core import ClosedJaxpr, Jaxpr, Literal

__all__ = ["bytes_of", "in_pieces", "programs_in"]

LITTLE, PIECE, LARGE = 32_700_000, 8 << 20, 12 << 20
"""Bytes: of a block that stays with the process, of a piece, of an array that is not divided."""


def in_pieces(traced: jax.stages.Traced) -> dict[str, int]:
    """How XLA is to compile a program: the options that divide its memory."""
    if jax.default_backend() != "cpu":
        return {}
    peak, largest = memory_of(traced.jaxpr)
    if peak <= LITTLE or largest > LARGE:
        return {}
    return {"xla_multiheap_size_constraint_per_heap": max(PIECE, largest + largest // 4)}


def memory_of(closed: ClosedJaxpr) -> tuple[int, int]:
    """About how many bytes a program needs at once, and how many its largest array has.

    XLA needs less: what it makes in one go with something else is counted here.
    """
    equations, last = closed.jaxpr.eqns, {}
    for i, equation in enumerate(equations):
        last.update({v: i for v in equation.invars if not isinstance(v, Literal)})
    last.update({v: len(equations) for v in closed.jaxpr.outvars if not isinstance(v, Literal)})
    live = peak = largest = 0
    ending: dict[int, int] = {}
    for i, equation in enumerate(equations):
        sizes = [bytes_of(v.aval) for v in equation.outvars]
        inner = [memory_of(program) for program in programs_in(equation)]
        live += sum(sizes)
        peak = max(peak, live + max([inside for inside, _ in inner], default=0))
        largest = max([largest, *sizes, *[size for _, size in inner]])
        for v, size in zip(equation.outvars, sizes, strict=True):
            end = last.get(v, i)
            ending[end] = ending.get(end, 0) + size
        live -= ending.pop(i, 0)
    return peak, largest


def bytes_of(aval) -> int:
    shape, dtype = getattr(aval, "shape", ()), getattr(aval, "dtype", None)
    return math.prod(shape) * getattr(dtype, "itemsize", 0)


def programs_in(equation) -> list[ClosedJaxpr]:
    """The programs that an operation runs: the body of a loop, the sides of a branch."""
    found = []
    for value in equation.params.values():
        parts = value if isinstance(value, tuple | list) else (value,)
        found += [part for part in parts if isinstance(part, ClosedJaxpr)]
        found += [ClosedJaxpr(part, ()) for part in parts if isinstance(part, Jaxpr)]
    return found
