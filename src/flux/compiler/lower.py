"""`flux.lower`: the program of a call without running it, to read or to count."""

from __future__ import annotations

from collections.abc import Callable

import jax

from flux.compiler.jit import Jitted
from flux.compiler.plan import Plan
from flux.compiler.program import Program
from flux.compiler.staging import in_user_terms

__all__ = ["Lowered", "lower"]


def lower(f: Callable, *args, **keywords) -> Lowered:
    """The program that `flux.jit(f)` would run for these arguments; nothing runs or changes.

    Raises: `StagingError` as `flux.jit`.

    >>> import flux, numpy as np
    >>> program = flux.lower(lambda a: a @ a, np.ones((8, 8), np.float32))
    >>> program.cost()["flops"]
    1024.0
    """
    function = f.function if isinstance(f, Jitted) else f
    root = (function, args, keywords)
    program = Program(Plan(root), getattr(f, "__name__", "program"))
    found = program.gather(root)
    assert found is not None
    try:
        return Lowered(program.compiled.lower(*found[0]))
    except Exception as error:
        problem = in_user_terms(error, function)
    raise problem


class Lowered:
    """A program that has not been run."""

    def __init__(self, lowered: jax.stages.Lowered):
        self.lowered = lowered

    def as_text(self) -> str:
        """The program in StableHLO."""
        return self.lowered.as_text()

    def cost(self) -> dict[str, float]:
        """The compiler's estimate: `flops`, `bytes` read and written, and what else it says."""
        found = self.lowered.compile().cost_analysis() or {}
        cost = {str(key): float(value) for key, value in found.items()}  # type: ignore[union-attr]
        return {"flops": cost.get("flops", 0.0), "bytes": cost.get("bytes accessed", 0.0), **cost}
