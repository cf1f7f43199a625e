"""`flux.vmap`: a function over a leading axis of its arguments, control flow included.

The function is traced once for one example; what it does becomes one program for all of them. A
branch that differs from example to example runs both sides and picks; a loop runs until the last
example is done.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextlib import contextmanager
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from flux.ad import runtime
from flux.ad.cotangents import dense, deposit, gradient_of, snapshot
from flux.ad.registry import FINDERS
from flux.ad.store import Store
from flux.compiler.control.adjoints import adjoints
from flux.compiler.control.calls import call_
from flux.compiler.control.checks import Checks, collected, current
from flux.compiler.control.descriptions import Slot, build, collect_slots, resolve
from flux.compiler.control.join import Join
from flux.compiler.control.journal import Journal
from flux.compiler.control.options import Options, current as current_options, using
from flux.compiler.staging import in_user_terms
from flux.errors import ShapeError, StagingError, user_line
from flux.ir.program import Where
from flux.ir.regions import Region

__all__ = ["Mapped", "vmap"]

Axes = int | None | tuple


def vmap(f: Callable, in_axes: Axes = 0, out_axes: Axes = 0) -> Callable:
    """`f`, written for one example, applied to all examples along an axis.

    Args:
        f: takes arrays, or tuples, lists, dicts and objects of arrays; may branch and loop on them.
        in_axes: the axis of all arrays in the arguments that counts examples; a tuple has one for
            each argument, and `None` gives the argument to every example as it is.
        out_axes: where that axis is in the arrays of the result; a tuple has one for each item of
            a tuple that `f` returns.

    Returns:
        A function of the same arguments. It works by itself, in `flux.jit`, under `flux.gradient`
        and in another `flux.vmap`.

    Raises: `ShapeError` if arguments count different numbers of examples; `StagingError` where `f`
        changes an object, or does what a compiled program cannot.

    >>> import flux, jax.numpy as jnp
    >>> def collatz(n):
    ...     steps = 0
    ...     while n > 1:
    ...         n = n // 2 if n % 2 == 0 else 3 * n + 1
    ...         steps += 1
    ...     return steps
    >>> flux.vmap(collatz)(jnp.array([1, 6, 7])).tolist()
    [0, 8, 16]
    """
    return Mapped(f, in_axes, out_axes)


class Mapped:
    """A function over examples.

    Attributes:
        function: of one example.
        in_axes, out_axes: as `vmap` was given them.
    """

    def __init__(self, function: Callable, in_axes: Axes, out_axes: Axes):
        self.function, self.in_axes, self.out_axes = function, in_axes, out_axes
        functools.update_wrapper(self, function, updated=())

    def __repr__(self):
        return f"vmap({getattr(self.function, '__qualname__', self.function)!s})"

    def __call__(self, *args):
        examples = Examples(self, args)
        try:
            with separate():
                return examples.run(call_)
        except Exception as error:
            problem = in_user_terms(error, self.function)
        raise problem


@contextmanager
def separate():
    """Functions are written as parts of a program, within another one or by themselves."""
    checks, options = current(), Options(current_options().unroll)
    with using(options), adjoints(), collected() as inner:
        inner.errors = checks.errors
        yield
    current_options().prints |= options.prints
    add(checks, inner.code)
    if not isinstance(checks.code, Tracer) and int(checks.code):
        raise checks.error(int(checks.code))


def add(checks: Checks, code) -> None:
    """Hand the error that examples met to the checks of the program around them."""
    if isinstance(code, int) and code == 0:
        return
    worst = jnp.max(jnp.asarray(code))
    checks.code = jnp.where(jnp.asarray(checks.code) == 0, worst, checks.code)


REGION = Region(("the result",), "", Where(0, 0, 0, 0))


def description(join: Join, value, path: str, carried: bool = False):
    """How a value is made of arrays, and these: its slots in order."""
    part = join.describe(value, path, carried)
    found: dict[Slot, None] = {}
    collect_slots(part, found)
    return part, list(found)


class Examples:
    """The arguments of a call, taken apart."""

    def __init__(self, mapped: Mapped, args: tuple):
        self.mapped = mapped
        axes = mapped.in_axes
        axes = axes if isinstance(axes, tuple) else (axes,) * len(args)
        if len(axes) != len(args):
            raise ShapeError(
                f"{mapped!r} was given {len(args)} arguments; in_axes has {len(axes)} entries.",
                where=user_line(),
                hint="Give one axis for each argument, or one for all.",
            )
        self.args = args
        self.parts: list[Any] = []
        self.result: Any = None
        self.record: Any = None
        self.outs: list[Slot] = []
        self.kept: list[Slot] = []
        self.arrays: list[Any] = []
        self.axes: list[int] = []
        self.slots: list[Slot] = []
        join = Join(REGION, {})
        join.trace = None
        for place, (value, axis) in enumerate(zip(args, axes, strict=True)):
            if axis is None:
                self.parts.append(None)
                continue
            part, slots = description(join, as_arrays(value), f"argument {place}", carried=True)
            self.parts.append(part)
            self.slots += slots
            self.arrays += [resolve(slot.first, (), slot.kind) for slot in slots]
            self.axes += [axis] * len(slots)
        self.check()

    def check(self) -> None:
        sizes: dict[int, str] = {}
        for slot, array, axis in zip(self.slots, self.arrays, self.axes, strict=True):
            if not -array.ndim <= axis < array.ndim:
                raise ShapeError(
                    f"{self.mapped!r}: {slot.path} has shape {array.shape}, without axis {axis}.",
                    where=user_line(),
                    hint="in_axes=None gives an argument to every example as it is.",
                )
            sizes.setdefault(array.shape[axis], slot.path)
        if len(sizes) != 1:
            given = ", ".join(f"{path} counts {n}" for n, path in sizes.items()) or "none is mapped"
            raise ShapeError(
                f"{self.mapped!r}: the arguments must count the same number of examples: {given}.",
                where=user_line(),
            )
        (self.count,) = sizes

    def one(self, rows) -> list:
        """The arguments of one example."""
        leaves = dict(zip(self.slots, rows, strict=True))
        memo: dict = {}
        return [
            value if part is None else build(part, leaves, memo)
            for value, part in zip(self.args, self.parts, strict=True)
        ]

    def map(self, function: Callable, *more) -> list:
        """`function(rows, *more rows)`, a list of arrays, of every example."""
        axes = (self.axes, *[0 for _ in more])
        raises = []

        def example(*rows):
            outs = function(*rows)
            code = current().code
            raises[:] = [] if isinstance(code, int) and code == 0 else [True]
            return outs, [code for _ in raises]

        outs, codes = jax.vmap(example, axes)(self.arrays, *more)
        if raises:
            current().code = codes[0]
        return outs

    def run(self, call: Callable):
        """The result, its arrays with the axis of the examples."""

        def example(rows):
            journal = Journal(self.mapped.function, given=self.args)
            result = call(self.mapped.function, *self.one(rows))
            unchanged(journal, self.mapped)
            join = Join(REGION, journal.known)
            self.result, self.outs = description(join, result, "the result", carried=True)
            return [resolve(slot.first, join.outs, slot.kind) for slot in self.outs]

        outs = self.map(example)
        return self.with_axes(build(self.result, dict(zip(self.outs, outs, strict=True))))

    def with_axes(self, result):
        """The result with the axis of examples where `out_axes` says."""
        axes = self.mapped.out_axes
        if axes == 0:
            return result
        if isinstance(axes, tuple):
            return tuple([moved(part, axis) for part, axis in zip(result, axes, strict=True)])
        return moved(result, axes)


def as_arrays(value):
    return jnp.asarray(value) if isinstance(value, np.ndarray | list | float | int) else value


def moved(value, axis):
    return jax.tree.map(lambda a: a[0] if axis is None else jnp.moveaxis(a, 0, axis), value)


def unchanged(journal: Journal, mapped: Mapped) -> None:
    """Refuse a function that changes things: there is one of them, and many examples."""
    current_checks = current()
    for place in journal.changed():
        thing = journal.things[place]
        if thing is current_checks:
            continue
        journal.restore()
        raise StagingError(
            f"{mapped!r} changes the {type(thing).__name__} {journal.paths[place]}".rstrip()
            + ", which all examples share.",
            where=user_line(),
            hint="Return the new value instead.",
        )


# -- the derivative ------------------------------------------------------------------------------


def augmented(mapped: Mapped, *args):
    """The result, and a pullback that maps that of the function."""
    if mapped.out_axes != 0:
        raise StagingError(
            f"The derivative of {mapped!r} needs out_axes=0.",
            where=user_line(),
            hint="Move the axis of the result with jnp.moveaxis.",
        )
    examples = Examples(mapped, args)

    def example(rows):
        journal = Journal(mapped.function, given=args)
        one = examples.one(rows)
        result, back = runtime.call_value(mapped.function, *one)
        unchanged(journal, mapped)
        join = Join(REGION, journal.known)
        examples.result, examples.outs = description(join, result, "the result", carried=True)
        arrays = [resolve(slot.first, join.outs, slot.kind) for slot in examples.outs]
        record = Join(REGION, journal.known)
        record.recording = True
        examples.record, examples.kept = description(record, (back, one, result), "the pullback")
        return arrays, [resolve(slot.first, record.outs, slot.kind) for slot in examples.kept]

    with separate():
        outs, kept = examples.map(example)
    y = build(examples.result, dict(zip(examples.outs, outs, strict=True)))
    return y, lambda ct, store: mapped_back(examples, y, kept, ct, store)


class Described:
    """Values of an example, by the arrays of all examples."""

    def __init__(self):
        self.values: list[tuple[Any, list[Slot]]] = []

    def arrays(self, values: list) -> list:
        join = Join(REGION, {})
        self.values = [description(join, v, "a cotangent", carried=True) for v in values]
        refs = [slot for _, slots in self.values for slot in slots]
        return [resolve(slot.first, join.outs, slot.kind) for slot in refs]

    def of_all(self, arrays: list, summed: list[bool]) -> list:
        """The values of all examples: with their axis, or summed over it."""
        rest, found = list(arrays), []
        for (part, slots), total in zip(self.values, summed, strict=True):
            own = [rest.pop(0) for _ in slots]
            own = [jnp.sum(a, 0) for a in own] if total else own
            found.append(build(part, dict(zip(slots, own, strict=True))))
        return found


def structural(value, ct, store):
    """The cotangent of a value in the value's structure."""
    memo: dict = {}
    snapshot(value, memo)
    return gradient_of(value, ct, store, memo, {})


def mapped_back(examples: Examples, y, kept: list, ct, store) -> tuple:
    """The cotangents of the function and of the arguments."""
    join = Join(REGION, {})
    join.trace = None
    whole = structural(y, ct, store)
    part, slots = description(join, whole, "the cotangent", carried=True)
    described = Described()
    shared: list[tuple[Any, Any]] = []

    def example(_, kept, cts):
        memo: dict = {}
        leaves = dict(zip(examples.kept, kept, strict=True))
        found: Any = build(examples.record, leaves, memo)
        back, one, result = found
        inner = Store()
        ct = deposit(result, build(part, dict(zip(slots, cts, strict=True))), inner)
        df, *parts = back(ct, inner)
        own = {id(made) for made in memo.values()}
        values = [
            dense(df),
            *[
                structural(arg, ct, inner) if made is not None else dense(ct)
                for arg, ct, made in zip(one, parts, examples.parts, strict=True)
            ],
        ]
        shared[:] = [
            (inner.owners[owner], key)
            for owner, found in inner.slots.items()
            for key in found
            if owner not in own
        ]
        return described.arrays([*values, *[dense(inner.peek(*place)) for place in shared]])

    with separate():
        rows = [resolve(slot.first, (), slot.kind) for slot in slots]
        outs = examples.map(example, kept, rows)
    mapped = [part is not None for part in examples.parts]
    summed = [True, *[not m for m in mapped], *[True for _ in shared]]
    df, *cts = described.of_all(outs, summed)
    for (owner, key), value in zip(shared, cts[len(mapped) :], strict=True):
        store.add(owner, key, value)
    back = zip(examples.args, cts, axes_of(examples), strict=False)
    return (df, *[
        ct if axis is None else deposit(arg, moved_back(ct, axis), store)
        for arg, ct, axis in back
    ])  # fmt: skip


def axes_of(examples: Examples) -> list:
    axes = examples.mapped.in_axes
    return list(axes) if isinstance(axes, tuple) else [axes] * len(examples.args)


def moved_back(ct, axis):
    """The cotangent of an argument with the axis of examples where the argument has it."""
    if ct is None or not axis:
        return ct
    return jax.tree.map(lambda a: jnp.moveaxis(a, 0, axis), ct)


def find_mapped(f) -> Callable | None:
    """Under differentiation, the pullback of the function is mapped."""
    if not isinstance(f, Mapped):
        return None

    def without_function(*args):
        y, back = augmented(f, *args)
        return y, lambda ct, store: back(ct, store)[1:]

    return without_function


FINDERS.append(find_mapped)
