"""One compiled program: a plan of its arguments, and JAX's function of the plan's leaves."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from contextlib import contextmanager
from typing import Any

import jax
import numpy as np

from flux.compiler.control.adjoints import adjoints
from flux.compiler.control.calls import call_
from flux.compiler.control.checks import Checks, collected, is_collecting
from flux.compiler.control.doubles import check_results, doubles
from flux.compiler.control.iterators import advanced, is_iterator, position, same_position, spending
from flux.compiler.control.options import Options, using
from flux.compiler.control.surroundings import ReadOnly, Surroundings, noticing
from flux.compiler.control.written import callers
from flux.compiler.explain import change_of_shape, say
from flux.compiler.heaps import bytes_of, in_pieces
from flux.compiler.outcome import describe
from flux.compiler.places import Place, in_place
from flux.compiler.plan import Leaf, Plan, rebuild

__all__ = ["Program", "inside"]


class Finished:
    """The outputs of a program, as a pytree whose static side is how a call ends."""

    __slots__ = ("finish", "outputs", "overwritten")

    def __init__(self, outputs: Any, finish: Callable, overwritten: tuple[int, ...] = ()):
        self.outputs, self.finish, self.overwritten = outputs, finish, overwritten


jax.tree_util.register_pytree_node(
    Finished,
    lambda done: (done.outputs, (done.finish, done.overwritten)),
    lambda static, outputs: Finished(outputs, *static),
)


@contextmanager
def making(options: Options, numpy_inputs: list):
    """A program is being made: how its loops are treated, the errors that it may raise."""
    with (
        using(options),
        callers(numpy_inputs),
        spending(),
        adjoints(),
        doubles(),
        collected() as checks,
    ):
        yield checks


def checked(finish: Callable, checks: Checks) -> Callable:
    """Raise the user's exception that the program met, before anything else is done."""

    def finish_checked(outputs, leaves, nodes):
        code = int(outputs[-1])
        if code:
            raise checks.error(code)
        return finish(outputs[:-1], leaves, nodes)

    return finish_checked


def printed(finish: Callable) -> Callable:
    """Wait until everything that the program printed is there."""

    def finish_printed(outputs, leaves, nodes):
        jax.effects_barrier()
        return finish(outputs, leaves, nodes)

    return finish_printed


def inside(root, options: Options):
    """A call from within a program that is being made: a part of it."""
    function, args, keywords = root
    if is_collecting():
        return call_(function, *args, **keywords)
    with making(options, []) as checks:  # the program is JAX's own, or a transformation of JAX
        result = call_(function, *args, **keywords)
    if not isinstance(checks.code, int):
        jax.debug.callback(functools.partial(complain, checks), checks.code)
    elif checks.code:
        raise checks.error(checks.code)
    return result


def complain(checks: Checks, code) -> None:
    if code.any():
        raise checks.error(int(code.max()))


class Outgrown(Exception):
    """The leaves of a call are larger than those that the program was compiled for."""


def size_of(leaves) -> int:
    return sum(map(bytes_of, leaves))


class Program:
    """A compiled program.

    Attributes:
        plan: the structure of its calls.
        gather: of the plan.
        compiled: JAX's function of the plan's leaves; `None` before the first run.
        constant: the keys of places that are part of the program if they can be.
        given: the `id`s of the caller's containers, while it runs for the first time.
    """

    def __init__(self, plan: Plan, name: str, donate: bool = False, options=None, constant=()):
        self.plan, self.name, self.options = plan, name, options or Options()
        self.constant, self.given = constant, frozenset[int]()
        self.gather = plan.gather
        self.avals: tuple = ()
        self.compiled: Callable | None = None
        self.donates = donate
        self.surroundings: list[Surroundings] = []

    def trace(self, *leaves):
        """Run the function on a copy of its arguments, with `leaves` in the places of arrays."""
        if os.environ.get("FLUX_EXPLAIN"):
            self.explain(leaves)
        with in_place(self.plan):
            return self.traced(leaves)

    def traced(self, leaves) -> Finished:
        (function, args, keywords), copies = rebuild(self.plan, leaves)
        iterators = [(v, position(v)) for v in self.plan.fixed.values() if is_iterator(v)]
        surroundings = Surroundings(self.plan, copies, self.given, self.constant)
        read_only = ReadOnly(self.plan, copies, function, (args, keywords))
        with making(self.options, self.numpy_inputs(leaves)) as checks, noticing(surroundings):
            result = call_(function, *args, **keywords)
            read_only.check()
            if not all([same_position(place, position(v)) for v, place in iterators]):
                raise advanced("of the caller gives an item")
            check_results(copies, result)
        self.surroundings.append(surroundings)
        outcome = describe(self.plan, copies, leaves, result)
        outputs, finish = outcome.outputs, outcome.finish
        if isinstance(checks.code, int) and checks.code:
            raise checks.error(checks.code)
        if not isinstance(checks.code, int):
            outputs, finish = [*outputs, checks.code], checked(finish, checks)
        if self.options.prints:
            finish = printed(finish)
        return Finished(outputs, finish, outcome.overwritten)

    def numpy_inputs(self, leaves) -> list:
        kinds = [leaf.kind for leaf in self.plan.leaves]
        pairs = zip(kinds, leaves, strict=True)
        return [leaf for kind, leaf in pairs if issubclass(kind, np.ndarray | np.generic)]

    def run_first(self, leaves, nodes):
        """Run for the first time, with the objects of the caller known.

        Raises: `Reached` where the plan lacks places.
        """
        self.given = frozenset(map(id, nodes))
        try:
            return self.run(leaves, nodes)
        finally:
            self.given = frozenset()

    def moved(self) -> tuple[list[Place], set[str], str]:
        """What it has read that is not as it was: see `Surroundings.moved`."""
        places, paths, words = [], set(), ""
        for known in self.surroundings:
            more, numbers, text = known.moved()
            places += more
            paths |= numbers
            words = words or text
        return places, paths, words

    def is_current(self, nodes) -> bool:
        """Are the modules and classes that it has read as they were, and not given here?"""
        given = frozenset(map(id, nodes))
        return all([known.apart.isdisjoint(given) and known.is_current()
                    for known in self.surroundings])  # fmt: skip

    def explain(self, leaves) -> None:
        avals = tuple([jax.typeof(leaf) for leaf in leaves])
        if self.avals and avals != self.avals:
            say(self.name, change_of_shape(self.plan, self.avals, avals))
        self.avals = avals

    def run(self, leaves, nodes):
        """Run the program; change the caller's containers; return the result."""
        compiled = self.compiled or self.compile(leaves)
        try:
            done = compiled(*leaves)
        except Outgrown:
            done = self.compile(leaves)(*leaves)
        return done.finish(done.outputs, leaves, nodes)

    def lowering(self, leaves) -> jax.stages.Traced:
        """The program for such leaves, before XLA has seen it."""
        return jax.jit(self.trace).trace(*leaves)

    def compile(self, leaves) -> Callable:
        """Make JAX's function, which knows by now what the program needs.

        For larger leaves than these it raises `Outgrown`.
        """
        size = None

        def trace(*leaves):  # a new one: JAX knows by it what it has traced
            if size is not None and size_of(leaves) > size:
                raise Outgrown
            return self.trace(*leaves)

        traced, arrays = jax.jit(trace).trace(*leaves), []
        size = size_of(traced.jaxpr.in_avals)
        if self.donates:  # the program may reuse the memory of the inputs that it writes over
            written = traced.out_info.overwritten
            arrays = [i for i in written if is_callers(self.plan.leaves[i])]
        pieces = in_pieces(traced)
        self.compiled = jax.jit(trace, donate_argnums=arrays, compiler_options=pieces)
        return self.compiled


def is_callers(leaf: Leaf) -> bool:
    """Is an input an array that the caller has handed over, and not one that stands elsewhere?"""
    return issubclass(leaf.kind, jax.Array) and leaf.path.startswith("[")
