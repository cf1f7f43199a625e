"""`flux.jit`: a Python function over arbitrary objects, compiled into one XLA program.

Arrays that the call reaches are inputs; everything else is part of the program, and another value
is another program. What the function changes in the objects that it was given is changed in the
caller's objects when it returns.
"""

from __future__ import annotations

import copy
import functools
import os
import re
import threading
from collections.abc import Callable, Collection
from contextlib import suppress
from typing import Any

import jax

from flux.ad.registry import FINDERS
from flux.ad.runtime import call as differentiated_call
from flux.compiler.cache import use_persistent_cache
from flux.compiler.containers import KINDS, Container
from flux.compiler.control.checks import is_collecting
from flux.compiler.control.options import Options
from flux.compiler.control.surroundings import Reached
from flux.compiler.control.watch import is_watching
from flux.compiler.explain import difference, say
from flux.compiler.places import FILLED, Places
from flux.compiler.plan import ARRAY_KINDS, Plan, same
from flux.compiler.program import Program, inside
from flux.compiler.staging import in_user_terms
from flux.compiler.watched import run_watched
from flux.errors import ArgumentError, brief, told_options, user_line

__all__ = ["Jitted", "jit"]

MAX_PROGRAMS = 64
ARGUMENT = re.compile(r"\[1\]\[\d+\]|\[2\]\['\w+'\]")


STATIC = (
    "Arrays are inputs; whatever else is given (an int, a string) is part of the program as it is: "
    "leave the option away."
)


@told_options(
    "jit",
    static_argnums=STATIC,
    static_argnames=STATIC,
    donate_argnums="Say donate=True: the memory of the arrays that are written over is reused.",
)
def jit(
    f: Callable | None = None, *, unroll: bool | int | str = "auto", donate: bool = False
) -> Any:
    """`f`, compiled into one XLA program for every signature it is called with.

    Args:
        f: any callable: a function, a closure, a method, a model.
        unroll: whether loops over `range` are unrolled in the program; `"auto"` decides by cost.
        donate: let the program reuse the memory of the arrays that it writes over; other
            references to these arrays must not be used any more.

    The signature is the structure of everything that the call reaches (arguments, captured and
    global variables, the object of a method), the shapes and dtypes of its arrays, and the values
    of the rest. A number held in an object that changes from call to call becomes an input.
    `FLUX_EXPLAIN=1` prints why a function is compiled again.

    Raises: `StagingError` where Python needs a value that only the data decide.

    >>> import flux, numpy as np
    >>> area = flux.jit(lambda x: (x * x).sum())
    >>> float(area(np.ones(3, np.float32)))
    3.0
    """
    if f is None:
        return functools.partial(jit, unroll=unroll, donate=donate)
    if not callable(f):
        raise ArgumentError(f"jit expected a function, and got {brief(f)}.", where=user_line())
    if not isinstance(unroll, int) and unroll != "auto":
        raise ArgumentError(
            f'jit expected "auto", a bool or an int as unroll, and got {brief(unroll)}.',
            where=user_line(),
        )
    return Jitted(f, donate, unroll)


class Jitted:
    """A compiled function.

    Attributes:
        function: the original.
        programs: what was compiled so far, the last used one first.
        moving: the paths of numbers that are inputs.
        settled: the paths of numbers that cannot be inputs, because Python needs them.
        places: the variables that methods and modules read and that are inputs.
    """

    def __init__(self, function: Callable, donate: bool = False, unroll: Any = "auto"):
        self.function, self.donate, self.unroll = function, donate, unroll
        self.programs: tuple[Program, ...] = ()
        self.moving: frozenset[str] = frozenset()
        self.settled: frozenset[str] = frozenset()
        self.places = Places()
        self.lock = threading.RLock()
        functools.update_wrapper(self, function, updated=())

    def __get__(self, instance, owner=None):
        return self if instance is None else functools.partial(self, instance)

    def __repr__(self):
        function = self.function
        return f"jit({getattr(function, '__qualname__', type(function).__qualname__)})"

    def __copy__(self):
        return Jitted(self.function, self.donate, self.unroll)

    def __deepcopy__(self, memo):
        return Jitted(copy.deepcopy(self.function, memo), self.donate, self.unroll)

    def __call__(self, *args, **keywords):
        root = (self.function, args, keywords)
        if is_watching() and not Plan(root, self.moving).traced:
            return self.watched(root)
        for program in self.programs:
            found = program.gather(root)
            if found is not None and program.is_current(found[1]):
                if program is not self.programs[0] and not is_collecting():
                    self.first(program)
                try:
                    return program.run(*found)
                except Reached as error:  # for arrays of another shape
                    self.places.add(error.places)
                    break
                except Exception as error:
                    problem = in_user_terms(error, self.function)
                raise problem
        return self.first_call(root)

    def watched(self, root):
        """A call that runs operation by operation."""
        while True:
            plan = Plan(root, self.moving, self.places.inputs())
            try:
                return run_watched(plan, root, repr(self), self.places.constant)
            except Reached as error:
                self.places.add(error.places)

    def first(self, program: Program) -> None:
        """Try `program` before the others from now on, and forget the oldest."""
        with self.lock:
            others = [other for other in self.programs if other is not program]
            self.programs = (program, *others[: MAX_PROGRAMS - 1])

    def first_call(self, root):
        """A call whose structure has no program yet."""
        if is_collecting():  # another program is being made
            return inside(root, Options(self.unroll))
        with self.lock:
            with FILLED:  # until another thread has taken traced arrays out of places
                numbers, reason = self.follow(root)
                plan = Plan(root, self.moving, self.places.inputs())
            if not plan.traced:
                use_persistent_cache()
                return self.compile(root, plan, numbers, reason)
        return inside(root, Options(self.unroll))

    def follow(self, root) -> tuple[set[str], str]:
        """Let what programs have read, and what is not as it was, be inputs.

        Returns: the paths of numbers among it; one of the changes in words.
        """
        paths: set[str] = set()
        reason = ""
        for program in self.programs:
            if program.gather(root) is not None:
                places, numbers, words = program.moved()
                self.places.propose(places)
                paths |= numbers
                reason = reason or words
        return paths, reason

    def compile(self, root, plan: Plan, numbers: Collection[str] = (), reason: str = ""):
        """Make a program and run it for the first time; `numbers` are paths of some that move."""
        moving = self.numbers_that_move(plan)
        moving |= {p for p in numbers if p in plan.fixed and self.can_move(p, plan.fixed[p])}
        if moving:
            moved = Plan(root, self.moving | moving, self.places.inputs())
            try:
                return self.try_program(root, moved, reason)
            except Exception:  # Python needs one of them as a number: they stay fixed
                self.settled |= moving
        try:
            return self.try_program(root, plan, reason)
        except Exception as error:
            problem = in_user_terms(error, self.function)
        if self.places.known:  # Python needs what is in one of them
            places, self.places = self.places, self.places.as_constants()
            with suppress(Exception):
                return self.try_program(root, Plan(root, self.moving), reason)
            self.places = places
        raise problem

    def try_program(self, root, plan: Plan, reason: str = ""):
        if self.programs and os.environ.get("FLUX_EXPLAIN"):
            say(repr(self), reason or difference(self.programs[0].plan, plan))
        options = Options(self.unroll, ordered=True)
        while True:
            program = Program(plan, repr(self), self.donate, options, self.places.constant)
            with FILLED:
                found = program.gather(root)
            if found is None:
                raise RuntimeError(f"the structure of a call of {self!r} changed as it was read.")
            try:
                result = program.run_first(*found)
                break
            except Reached as error:
                self.places.add(error.places)
                plan = Plan(root, plan.moving, self.places.inputs())
        self.moving = plan.moving
        self.first(program)
        return result

    def numbers_that_move(self, plan: Plan) -> frozenset[str]:
        """The paths of numbers in containers that differ from an otherwise equal program's."""
        for program in self.programs:
            old, new = program.plan.fixed, plan.fixed
            if old.keys() != new.keys() or len(program.plan.leaves) != len(plan.leaves):
                continue
            changed = {path for path in new if not same(old[path], new[path])}
            if changed and all(self.can_move(path, new[path]) for path in changed):
                return frozenset(changed)
        return frozenset()

    def can_move(self, path: str, value) -> bool:
        """Is `value` a number that is held somewhere (not itself an argument)?"""
        held = type(value) in (int, float) and not ARGUMENT.fullmatch(path)
        return held and path not in self.settled


class JittedOf(Container):
    """A compiled function inside a call: what it captured is an input of the outer program."""

    mutable = False

    def __init__(self, value):
        super().__init__(value)
        self.donate, self.unroll = value.donate, value.unroll

    @staticmethod
    def parts(value):
        return [("function", value.function, "")]

    def reader(self, name, constant):
        return lambda key: f"{name}.function"

    def build(self, values):
        return Jitted(values[0], self.donate, self.unroll)


def find_jitted(f):
    """Under differentiation a compiled function is the function that it was made from."""
    if isinstance(f, Jitted):
        return lambda *args, **keywords: differentiated_call(f.function, *args, **keywords)
    return None


with jax.ensure_compile_time_eval():  # this room may be loaded while a program is traced
    ARRAY_KINDS.add(type(jax.numpy.zeros(())))
KINDS.append((Jitted, JittedOf))
FINDERS.append(find_jitted)
