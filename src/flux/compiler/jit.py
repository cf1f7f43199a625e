"""`flux.jit`: a Python function over arbitrary objects, compiled into one XLA program.

Arrays that the call reaches are inputs; everything else is part of the program, and another value
is another program. What the function changes in the objects that it was given is changed in the
caller's objects when it returns.
"""

from __future__ import annotations

import functools
import os
import sys
import threading
from collections.abc import Callable
from typing import Any

import jax

from flux.ad.registry import FINDERS
from flux.ad.runtime import call as differentiated_call
from flux.compiler.cache import use_persistent_cache
from flux.compiler.explain import difference
from flux.compiler.outcome import Outcome, describe
from flux.compiler.plan import ARRAY_KINDS, Plan, make_plan, rebuild
from flux.compiler.staging import staging_error

__all__ = ["Jitted", "jit"]

ARRAY_KINDS.add(type(jax.numpy.zeros(())))
MAX_PROGRAMS = 64


def jit(f: Callable | None = None, *, unroll: bool | int | str = "auto", donate: bool = False):
    """`f`, compiled into one XLA program for every signature it is called with.

    Args:
        f: any callable: a function, a closure, a method, a model.
        unroll: whether loops over `range` are unrolled in the program; `"auto"` decides by cost.
        donate: let the program reuse the memory of the inputs that it overwrites.

    The signature is the structure of everything that the call reaches (arguments, captured
    variables, the object of a method), the shapes and dtypes of its arrays, and the values of the
    rest. A number held in an object or container that changes from call to call becomes an input.

    Raises: `StagingError` where Python needs a value that only the data decide.

    >>> import flux, numpy as np
    >>> area = flux.jit(lambda x: (x * x).sum())
    >>> float(area(np.ones(3, np.float32)))
    3.0
    """
    if f is None:
        return functools.partial(jit, unroll=unroll, donate=donate)
    return Jitted(f, donate)


class Program:
    """One compiled program: its plan, and JAX's function of the plan's leaves."""

    def __init__(self, function: Callable, plan: Plan, donate: bool):
        self.plan = plan
        self.donate = donate
        self.compiled = jax.jit(self.trace)
        self.donating: Any = None

    def trace(self, *leaves):
        """Run the function on a copy of its arguments, with `leaves` in the places of arrays."""
        (function, args, keywords), copies = rebuild(self.plan, leaves)
        result = function(*args, **keywords)
        outcome = describe(self.plan, copies, leaves, result)
        outputs = [jax.numpy.asarray(v) for v in outcome.outputs]
        outcome.outputs = []
        return Finished(outputs, outcome)

    def run(self, leaves, nodes):
        if self.donate and self.donating is None:
            self.donating = self.with_donation(leaves)
        done = (self.donating or self.compiled)(*leaves)
        return done.outcome.finish(done.outputs, leaves, nodes)

    def with_donation(self, leaves):
        """Donate the inputs that are written over."""
        done = jax.eval_shape(self.trace, *leaves)
        written = {(index, key) for index, key, _ in done.outcome.writes}
        places = [
            part.index
            for index, node in enumerate(self.plan.nodes)
            for key, part in node.parts
            if (index, key) in written and hasattr(part, "index")
        ]
        return jax.jit(self.trace, donate_argnums=tuple(sorted(set(places))))


class Finished:
    """The outputs of a program with its outcome, as a pytree: the outcome is static."""

    __slots__ = ("outcome", "outputs")

    def __init__(self, outputs, outcome: Outcome):
        self.outputs, self.outcome = outputs, outcome


jax.tree_util.register_pytree_node(
    Finished, lambda f: (f.outputs, f.outcome), lambda outcome, outputs: Finished(outputs, outcome)
)


class Jitted:
    """A compiled function. `function` is the original, `programs` are what was compiled so far."""

    def __init__(self, function: Callable, donate: bool = False):
        self.function = function
        self.donate = donate
        self.programs: list[Program] = []
        self.moving: frozenset[str] = frozenset()
        self.fixed: set[str] = set()
        self.lock = threading.RLock()
        functools.update_wrapper(self, function, updated=())

    def __get__(self, instance, owner=None):
        return self if instance is None else functools.partial(self, instance)

    def __repr__(self):
        return f"jit({getattr(self.function, '__qualname__', self.function)!s})"

    def __call__(self, *args, **keywords):
        root = (self.function, args, keywords)
        for program in self.programs:
            found = program.plan.gather(root)
            if found is not None:
                try:
                    return program.run(*found)
                except jax.errors.JAXTypeError as error:
                    raise staging_error(error, self.function) from None
        return self.first_call(root)

    def first_call(self, root):
        """A call whose structure has no program yet."""
        with self.lock:
            plan = make_plan(root, self.moving)
            if any(isinstance(leaf.value, jax.core.Tracer) for leaf in plan.leaves):
                function, args, keywords = root
                return function(*args, **keywords)
            use_persistent_cache()
            moving = self.numbers_that_move(plan)
            if moving != self.moving:
                plan = make_plan(root, moving)
            if self.programs and os.environ.get("FLUX_EXPLAIN"):
                print(f"flux: {self!r} is compiled again: "
                      f"{difference(self.programs[0].plan, plan)}", file=sys.stderr)  # fmt: skip
            return self.compile(root, plan, moving)

    def compile(self, root, plan: Plan, moving: frozenset[str]):
        program = Program(self.function, plan, self.donate)
        found = plan.gather(root)
        assert found is not None
        try:
            result = program.run(*found)
        except jax.errors.JAXTypeError as error:
            if moving - self.moving:
                # A number that was to be an input is needed as a Python number: it stays fixed.
                self.fixed |= moving - self.moving
                return self.compile(root, make_plan(root, self.moving), self.moving)
            raise staging_error(error, self.function) from None
        self.moving = moving
        self.programs = [program, *self.programs[: MAX_PROGRAMS - 1]]
        return result

    def numbers_that_move(self, plan: Plan) -> frozenset[str]:
        """The paths of numbers in containers that differ from an otherwise equal program's."""
        for program in self.programs:
            old, new = program.plan.fixed, plan.fixed
            if old.keys() != new.keys() or len(program.plan.leaves) != len(plan.leaves):
                continue
            changed = [p for p in new if type(old[p]) is not type(new[p]) or old[p] != new[p]]
            held = [p for p in changed if is_held_number(p, new[p]) and p not in self.fixed]
            if changed and held == changed:
                return self.moving | set(held)
        return self.moving


def is_held_number(path: str, value) -> bool:
    """Is `value` a number inside an object or container (not itself an argument)?"""
    inside = path.count("[") + path.count(".") > 2 or "." in path
    return type(value) in (int, float) and inside


def find_jitted(f):
    """Under differentiation a compiled function is the function that it was made from."""
    if isinstance(f, Jitted):
        return lambda *args, **keywords: differentiated_call(f.function, *args, **keywords)
    return None


FINDERS.append(find_jitted)
