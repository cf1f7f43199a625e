"""A derivative of a derivative where the program cannot keep what the first reverse used.

That is so where a loop has as many iterations as only the data decide. Let `g(x, ct)` be the
gradient of `<F(x), ct>` in all that `F` reaches. A cotangent `v` of `g` is handed on as follows:

    in x:   d/de g(x + e v, ct) at e = 0        in ct:   F'(x) v

Both are one directional derivative of the program that computes `F` and `g`: second derivatives do
not depend on their order. It goes forwards through loops, and so needs no more memory than the
first reverse, whatever their length (Pearlmutter, "Fast exact multiplication by the Hessian", 1994;
Griewank & Walther, *Evaluating Derivatives*, 2008, chapter 5). It holds for derivatives that are
derivatives: a function with a rule of the user's own, or none, is refused.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any, NoReturn

import jax
import jax.numpy as jnp

from flux.ad import runtime
from flux.ad.api import given, pullback, structural
from flux.ad.cotangents import dense, deposit, gradient_of, own_memory, snapshot
from flux.ad.higher import State
from flux.ad.own import freezing, without_own
from flux.ad.registry import FINDERS
from flux.ad.store import Store
from flux.compiler.containers import ARRAYS
from flux.compiler.control.checks import collected, current, is_users_error
from flux.compiler.control.journal import Journal, Names, contents, put
from flux.compiler.control.traces import Traced
from flux.errors import StagingError, user_line

__all__ = ["pullback_again"]


def pullback_again(f: Callable, /, *args, **keywords):
    """The augmented form of `flux.pullback`, in a program that is being made."""
    journal = Journal(f, current(), given=(args, keywords))
    try:
        return runtime.resolve(pullback)(f, *args, **keywords)
    except Exception as error:
        if is_users_error(error):
            raise
        problem = error
    journal.restore()
    try:
        y, inner = of_what_it_computes(f, args, keywords, journal)
    except Refused:
        raise
    except Exception:
        raise problem from None
    again = Again(f, args, keywords, y, inner)
    again.remember(journal)

    def back(ct, store):
        cts = (None,) * (1 + len(args) + len(keywords))
        if ct is not None:
            cts = inner(ct[0], store)
        total: Any = runtime.accumulate(tuple(cts), store.take(again, "args"))
        return total

    return (y, again), back


def of_what_it_computes(f: Callable, args: tuple, keywords: dict, journal: Journal):
    """The value and the pullback of a function; refused where this is more than a derivative."""
    before = random_state(f, args, keywords)
    declared: list[str] = []
    with without_own(declared.append):
        y, inner = runtime.call_value(f, *args, **keywords)
    if declared:
        refuse(f"`{declared[0]}`, whose derivative is declared")
    if random_state(f, args, keywords) != before:
        refuse("a function that draws random numbers of Python's or NumPy's")
    if any([journal.things[place] is not current() for place in journal.changed()]):
        refuse("a function that changes what is there outside of it")
    return y, inner


class Refused(StagingError):
    """A second derivative that is not covered."""


BOUND = "Give the loop a known bound: `for _ in range(n)` with `break`."


def refuse(what: str, hint: str = BOUND) -> NoReturn:
    raise Refused(
        "In a compiled program, a derivative of a derivative through a loop of unknown length "
        f"cannot go through {what}.",
        where=user_line(),
        hint=hint,
    )


def random_state(*values) -> bytes:
    """What Python's and NumPy's generators of random numbers go on from."""
    state = State(values)
    own = [s for _, s in state.generators if isinstance(s, dict)]
    return pickle.dumps((state.random, state.numpy, own))


def constant(value):
    """An array that `stop_gradient` was given, for JAX."""
    return jax.lax.stop_gradient(value) if isinstance(value, jax.Array) else value


class Places:
    """Where the contents of things belong; the same in every iteration of a loop.

    Attributes:
        spaces: the global variables, for those things that are such.
        keys: of each thing.
    """

    __constant__ = True

    def __init__(self, spaces: list, keys: list):
        self.spaces, self.keys = spaces, keys


class Again:
    """The pullback of a function, differentiated forwards.

    Attributes:
        function, args, keywords: the call.
        y, inner: what its augmented form returned.
    """

    def __init__(self, function: Callable, args: tuple, keywords: dict, y, inner: Callable):
        self.function, self.args, self.keywords = function, args, keywords
        self.y, self.inner = y, inner
        self.things: list[Any] = []
        self.contents: list[list] = []
        self.places = Places([], [])

    def remember(self, journal: Journal) -> None:
        """Keep what everything that the function reaches holds now."""
        for thing, (keys, values) in zip(journal.things, journal.before, strict=True):
            if thing is current():
                continue
            space = thing if isinstance(thing, Names) else None
            self.things.append(None if space is not None else thing)
            self.contents.append(values)
            self.places.spaces.append(space)
            self.places.keys.append(keys)

    def as_then(self) -> Journal:
        """Let everything be as it was; the journal takes that back."""
        pairs = zip(self.things, self.places.spaces, strict=True)
        things = [thing if space is None else space for thing, space in pairs]
        journal = Journal(self.function, given=(self.args, self.keywords, self.things))
        for space in self.places.spaces:
            if space is not None:
                journal.keep(space)
        for thing, keys, values in zip(things, self.places.keys, self.contents, strict=True):
            now_keys, now = contents(thing)
            same = len(now) == len(values) and all(
                [a is b for a, b in zip(now, values, strict=True)]
            )
            if not same or now_keys != keys:
                put(thing, keys, values)
        return journal

    def __call__(self, ct) -> tuple:
        """The gradients, one per positional argument."""
        store, memo, made = Store(), {}, {}
        snapshot(self.args, memo)
        _, *cts = self.inner(given(self.y, ct, store), store)
        for value in (ct, *self.args):
            own_memory(value, made)
        pairs = zip(self.args, cts, strict=False)
        return tuple([gradient_of(value, part, store, memo, made) for value, part in pairs])

    def along(self, tangents: list, inside: list, ct) -> tuple:
        """The derivative of the value and its gradients along tangents of the arguments.

        Args:
            tangents: of the arguments, by value.
            inside: owner, key and tangent of what mutable things hold.
            ct: the cotangent of the value.

        Returns: the derivative of the value, those of the cotangents of function, arguments and
            keywords by value, and owner, key and derivative of those in things.
        """
        leaves: list[tuple[Any, Any]] = []
        marked = [marks(v, t, leaves) for v, t in zip(self.args, tangents, strict=True)]
        things = [
            (owner, key, marks(held(owner, key), tangent, leaves)) for owner, key, tangent in inside
        ]
        owners: list[tuple[Any, Any]] = []
        trees: list[Any] = []

        def run(*arrays):
            journal = self.as_then()
            try:
                with collected() as checks, freezing(constant):
                    checks.errors = errors
                    for owner, key, mark in things:
                        hold(owner, key, filled(mark, arrays))
                    args = [filled(mark, arrays) for mark in marked]
                    found = self.gradients(args, ct, owners)
            finally:
                journal.restore()
            flat, tree = jax.tree.flatten(found)
            trees.append(tree)
            return [jnp.asarray(value) for value in flat]

        errors = current().errors
        primals = [jnp.asarray(value) for value, _ in leaves]
        directions = [
            jnp.broadcast_to(jnp.asarray(t, p.dtype), p.shape)
            for p, (_, t) in zip(primals, leaves, strict=True)
        ]
        closed = jax.make_jaxpr(run)(*primals)
        program = Traced(closed.jaxpr, closed.consts).silent()
        _, slopes = jax.jvp(lambda *arrays: program(*arrays), primals, directions)
        slopes = [None if s.dtype == jax.dtypes.float0 else s for s in slopes]
        y, cts, others = jax.tree.unflatten(trees[-1], slopes)
        return y, cts, [(*place, ct) for place, ct in zip(owners, others, strict=True)]

    def gradients(self, args: list, ct, owners: list) -> tuple:
        """The value where `ct` has one, the cotangents by value, and those in `owners`, a list."""
        y, inner = runtime.call_value(self.function, *args, **self.keywords)
        store = Store()
        cts = inner(given(y, ct, store), store)
        owners[:] = [(store.owners[o], key) for o, found in store.slots.items() for key in found]
        others = [dense(store.peek(*place)) for place in owners]
        return where_given(y, ct), tuple([dense(part) for part in cts]), others


def where_given(y, ct):
    """The parts of a value that have a cotangent."""
    if ct is None:
        return None
    if isinstance(ct, tuple):
        return tuple([where_given(a, b) for a, b in zip(y, ct, strict=True)])
    if not is_number(ct):
        refuse(f"a function that returns a {type(y).__name__}")
    return y


def is_number(value) -> bool:
    return isinstance(value, (*ARRAYS, float, complex))


class Mark:
    """The place of a number or array among those that vary."""

    def __init__(self, place: int):
        self.place = place


def marks(value, tangent, leaves: list) -> Any:
    """`value` with a mark for everything that has a tangent; `leaves` gets value and tangent."""
    if tangent is None or not isinstance(value, tuple):
        if tangent is None or not is_number(value):
            return value
        leaves.append((value, dense(tangent)))
        return Mark(len(leaves) - 1)
    parts = [marks(v, t, leaves) for v, t in zip(value, tangent, strict=True)]
    return type(value)(*parts) if hasattr(value, "_fields") else tuple(parts)


def filled(value, arrays):
    """`value` with arrays in the place of its marks."""
    if isinstance(value, Mark):
        return arrays[value.place]
    if type(value) is tuple:
        return tuple([filled(part, arrays) for part in value])
    if isinstance(value, tuple):
        return type(value)(*[filled(part, arrays) for part in value])
    return value


def held(owner, key):
    """What a mutable thing holds."""
    keys, values = contents(owner)
    return values[keys.index(key)]


def hold(owner, key, value) -> None:
    keys, values = contents(owner)
    put(owner, keys, [value if k == key else v for k, v in zip(keys, values, strict=True)])


class Outer:
    """The pullback of the gradients that a pullback gave."""

    def __init__(self, again: Again, gradients: tuple, ct):
        self.again, self.gradients, self.ct = again, gradients, ct

    def __call__(self, outer, store) -> tuple:
        whole = structural(self.gradients, outer, store)
        if whole is None:
            return (None,)
        inside, args = Store(), self.again.args
        tangents = [deposit(v, t, inside) for v, t in zip(args, whole, strict=True)]
        places = [
            (inside.owners[owner], key, tangent)
            for owner, found in inside.slots.items()
            for key, tangent in found.items()
        ]
        slope, cts, others = self.again.along(tangents, places, self.ct)
        for owner, key, part in others:
            store.add(owner, key, part)
        store.add(self.again, "args", cts)
        return (slope,)


def find_again(f) -> Callable | None:
    """The augmented form of a pullback that is differentiated forwards."""
    if isinstance(f, Outer):
        refuse(
            "the pullback of a gradient, as `flux.pushforward` of a gradient does",
            "Take the gradient of its product with the direction, "
            "`flux.grad(lambda x: np.sum(flux.grad(f)(x) * direction))`; or give the loop a known "
            "bound.",
        )
    if not isinstance(f, Again):
        return None

    def augmented(ct):
        gradients = f(ct)
        return gradients, Outer(f, gradients, ct)

    return augmented


FINDERS.append(find_again)
