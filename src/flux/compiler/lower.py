"""`flux.lower`: the program of a call without running it, to read or to count."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
from jax.extend.core import ClosedJaxpr, jaxpr_as_fun

from flux.compiler.control.options import Options
from flux.compiler.control.surroundings import Reached
from flux.compiler.heaps import programs_in
from flux.compiler.jit import Jitted
from flux.compiler.places import Places
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
    function, options = f, Options()
    if isinstance(f, Jitted):
        function, options = f.function, Options(f.unroll)
    root = (function, args, keywords)
    places = Places()
    while True:
        plan = Plan(root, places=places.inputs())
        name = getattr(f, "__name__", "program")
        program = Program(plan, name, options=options, constant=places.constant)
        found = program.gather(root)
        assert found is not None
        try:
            return Lowered(program.lowering(found[0]))
        except Reached as more:
            places.add(more.places)
            continue
        except Exception as error:
            problem = in_user_terms(error, function)
        if not places.known:
            raise problem
        places = places.as_constants()


class Lowered:
    """A program that has not been run."""

    def __init__(self, traced: jax.stages.Traced):
        self.traced, self.lowered = traced, traced.lower()

    def as_text(self) -> str:
        """The program in StableHLO."""
        return self.lowered.as_text()

    def cost(self) -> dict[str, float]:
        """The compiler's estimate of one call, on the machine that it compiles for.

        Returns: `flops` (additions, multiplications and the like), `transcendentals` (`exp`, `sin`
            ...), `bytes` read and written, and `unknown_loops`: how many loops there are whose
            number of iterations only the data decide. Of these one iteration is counted, of any
            other loop all; of a branch the side that costs more.

        >>> import flux, numpy as np
        >>> def power(a, n):
        ...     b = a
        ...     for _ in range(n):
        ...         b = b @ a
        ...     return b
        >>> flops = [flux.lower(power, np.ones((8, 8), np.float32), n).cost()["flops"]
        ...          for n in (10, 20)]
        >>> round(flops[1] / flops[0], 2)
        2.0
        """
        total, unknown = with_loops(estimate(self.lowered), self.traced.jaxpr)
        return {**total, "unknown_loops": float(unknown)}


Cost = dict[str, float]
KEYS = {"flops": "flops", "transcendentals": "transcendentals", "bytes": "bytes accessed"}


def estimate(lowered: jax.stages.Lowered) -> Cost:
    """The compiler's estimate, which counts one iteration of every loop."""
    found: Any = lowered.compile().cost_analysis() or {}
    return {key: float(found.get(name, 0.0)) for key, name in KEYS.items()}


def with_loops(cost: Cost, closed: ClosedJaxpr) -> tuple[Cost, int]:
    """The cost of a program whose estimate is `cost` with all iterations of its loops, and the
    number of loops whose length is unknown."""
    total, unknown = dict(cost), 0
    for equation in closed.jaxpr.eqns:
        more = dict.fromkeys(KEYS, 0.0)
        for inner in programs_in(equation):
            found, loops = missing_in(equation, inner)
            more = {key: max(value, found[key]) for key, value in more.items()}
            unknown += loops
        total = {key: value + more[key] for key, value in total.items()}
        unknown += equation.primitive.name == "while"
    return total, unknown


def missing_in(equation, inner: ClosedJaxpr) -> tuple[Cost, int]:
    """What the estimate of an operation that runs `inner` leaves out."""
    inside, loops = with_loops(dict.fromkeys(KEYS, 0.0), inner)
    if equation.primitive.name != "scan":
        return inside, loops
    length, step = equation.params["length"], equation.params["unroll"]
    times = max(0, length - step - length % step)  # the others stand in the program
    body = estimate_of(inner) if times else inside
    return {key: length * inside[key] + times * body[key] for key in KEYS}, loops


def estimate_of(closed: ClosedJaxpr) -> Cost:
    avals = [jax.ShapeDtypeStruct(a.shape, a.dtype) for a in closed.in_avals]
    return estimate(jax.jit(jaxpr_as_fun(closed)).lower(*avals))
