"""The memory that a compiled program works in, on a CPU: in pieces that the process can keep.

XLA asks for all of it as one block at each call. A block of more than 32 MiB goes back to the
system when it is freed, and the next call has every page of it faulted in again, which is a quarter
of the step of a small ResNet with 128 images; of smaller ones most stay with the process.

XLA cannot write a program with several pieces to disk: such a one is compiled in every process.
"""

from __future__ import annotations

import math

import jax
from jax.extend.core import ClosedJaxpr, Jaxpr

__all__ = ["bytes_of", "in_pieces", "programs_in"]

PIECE = 30 << 20
"""Bytes of a piece, as many as stay: a program that needs no more is kept on disk, too.

An array is never divided: of a larger one XLA would print a warning.
"""


def in_pieces(traced: jax.stages.Traced) -> dict[str, int]:
    """How XLA is to compile a program: the options that divide its memory."""
    if jax.default_backend() != "cpu":
        return {}
    size = largest(traced.jaxpr)
    return {"xla_multiheap_size_constraint_per_heap": max(PIECE, size + size // 4)}


def largest(closed: ClosedJaxpr) -> int:
    """Bytes of the largest array that a program makes."""
    found = 0
    for equation in closed.jaxpr.eqns:
        sizes = [bytes_of(variable.aval) for variable in equation.outvars]
        found = max([found, *sizes, *map(largest, programs_in(equation))])
    return found


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
