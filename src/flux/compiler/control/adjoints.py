"""The adjoints of functions that a compiled program is made of: control flow in both directions."""

from __future__ import annotations

import functools
import operator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from flux.ad import runtime
from flux.ad.api import pullback
from flux.ad.cotangents import dense
from flux.ad.entries import STAGING
from flux.ad.indexed import Indexed
from flux.ad.inert import nothing
from flux.ad.own import users_own
from flux.ad.registry import AUGMENTED, inert
from flux.ad.reverse import REVERSED
from flux.ad.spaces import project
from flux.compiler.control import twins
from flux.compiler.control.branches import if_, made_twice
from flux.compiler.control.builtins import (
    KINDS,
    PRIMS,
    always_twin,
    are_numbers,
    enumerate_,
    float_,
    has_traced,
    int_,
    larger,
    message,
    note_raising,
    of_kind,
    range_,
    reversed_,
    smaller,
    truth,
    truth_of_all,
    twin,
    twin_of,
    zip_,
)
from flux.compiler.control.checks import NoneInsideTry
from flux.compiler.control.descriptions import Either
from flux.compiler.control.draws import is_generator, refuse_draw
from flux.compiler.control.growth import STACKING, stack_again
from flux.compiler.control.iterables import (
    Numbered,
    Rows,
    Sequence,
    Together,
    Turned,
    staged,
)
from flux.compiler.control.iterators import not_spent
from flux.compiler.control.loops import for_, while_
from flux.compiler.control.managers import note_entered, refuse_swallowing
from flux.compiler.control.methods import instead_of_method
from flux.compiler.control.picking import is_traced_number, picked, put
from flux.compiler.control.records import Stacked, backwards, chosen
from flux.compiler.control.twice import pullback_again
from flux.compiler.control.unbound import bound, value_of
from flux.compiler.control.written import (
    guard_adjoint,
    is_numpys,
    made_by,
    note_numpys,
    noting,
    refuse_in_place,
    refuse_method,
    without_lists,
)
from flux.compiler.staging import no_flat, refuse_catching
from flux.errors import user_line
from flux.ir import prims, sharing
from flux.ir.emit import Emitted, emit
from flux.ir.program import Prim, Program
from flux.ir.regions import Control, RegionWriter

__all__ = ["adjoints"]


# -- loops over arrays ---------------------------------------------------------------------------


def cotangent_of_item(items: Sequence, index, ct) -> Any:
    """The cotangent of `items`, given that of its item number `index`."""
    if ct is None:
        return None
    if isinstance(items, Rows):
        return Indexed(items.array, index, ct) if is_float(items.array) else None
    if isinstance(items, Numbered):
        return cotangent_of_item(items.items, index, ct[1])
    if isinstance(items, Turned):
        return cotangent_of_item(items.items, items.length - 1 - index, ct)
    if isinstance(items, Together):
        return tuple(
            [cotangent_of_item(part, index, c) for part, c in zip(items.several, ct, strict=True)]
        )
    return None


def is_float(array) -> bool:
    return jnp.issubdtype(array.dtype, jnp.inexact)


class Pairs(Sequence):
    """Items of a sequence, each with its pullback."""

    def __init__(self, items: Sequence):
        self.items, self.length = items, items.length

    @property
    def bound(self):
        return self.items.bound

    def item(self, index):
        return self.items.item(index), self.back(index)

    def back(self, index):
        items = self.items

        def back(ct, store):
            return (cotangent_of_item(items, index, ct),)

        return back

    def columns(self):
        return self.items.columns()

    def item_of(self, index, rows):
        return self.items.item_of(index, rows), self.back(index)


def items(iterable):
    """Pairs of an item and its pullback."""
    not_spent(iterable)
    found = None if isinstance(iterable, Stacked) else staged(iterable)
    if found is not None:
        found.begin()
    return runtime.items(iterable) if found is None else Pairs(found)


# -- calls ---------------------------------------------------------------------------------------


def of_one(f):
    """A function that makes a number of a value; its pullback."""

    def augmented(*args):
        y = f(*args)

        def back(ct, store):
            if ct is None or not args:
                return tuple([None for _ in args])
            return (project(ct, args[0]), *[None for _ in args[1:]])

        return y, back

    return augmented


def without(f):
    def augmented(*args, **keywords):
        return f(*args, **keywords), nothing(len(args) + len(keywords))

    return augmented


def zip_again(*several, **keywords):
    y = zip_(*several, **keywords)
    if not isinstance(y, Sequence):
        return runtime.call(zip, *several, **keywords)
    rest = tuple([None for _ in keywords])

    def back(ct, store):
        cts = tuple([None for _ in several]) if ct is None else tuple(ct)
        return (*cts, *rest)

    return y, back


def enumerate_again(iterable, *start, **keywords):
    y = enumerate_(iterable, *start, **keywords)
    if not isinstance(y, Sequence):
        return runtime.call(enumerate, iterable, *start, **keywords)
    rest = tuple([None for _ in (*start, *keywords)])
    return y, lambda ct, store: (ct, *rest)


def reversed_again(iterable):
    y = reversed_(iterable)
    if not isinstance(y, Sequence):
        return runtime.call(reversed, iterable)
    return y, lambda ct, store: (ct,)


def extreme_again(python, of_two, of_array):
    def augmented(*args, **keywords):
        if len(args) == 1 and isinstance(args[0], jax.Array) and args[0].ndim == 1:
            return runtime.call(of_array, *args, **keywords)
        if keywords or len(args) < 2 or not has_traced(args):
            return runtime.call(python, *args, **keywords)
        total, backs = args[0], []
        for value in args[1:]:
            total, back = runtime.call(of_two, total, value)
            backs.append(back)

        def back_all(ct, store):
            cts = []
            for inner in reversed(backs):
                ct, part = inner(ct, store)
                cts.append(part)
            return (ct, *reversed(cts))

        return total, back_all

    return augmented


def sorted_again(items, **keywords):
    if not are_numbers(list(items)):
        return runtime.call(sorted, items, **keywords)
    y, inner = runtime.call(in_order, items, **{"key": None, "reverse": False, **keywords})
    return y, lambda ct, store: inner(ct, store)[: 1 + len(keywords)]


def in_order(items, key, reverse):
    rows = [v for v in items]
    keys = rows if key is None else [key(v) for v in rows]
    if not are_numbers(keys):
        return sorted(rows, key=key, reverse=reverse)
    return twins.ordered(rows, keys, reverse)


inert(are_numbers)
AUGMENTED_HERE = {
    zip: zip_again,
    enumerate: enumerate_again,
    reversed: reversed_again,
    range: without(range_),
    bool: without(truth),
    int: without(int_),
    float: of_one(float_),
    any: without(truth_of_all(any, jnp.logical_or)),
    all: without(truth_of_all(all, jnp.logical_and)),
    max: extreme_again(max, larger, twins.largest),
    min: extreme_again(min, smaller, twins.smallest),
    complex: lambda *args: runtime.call(twins.complex_number, *args),
    sorted: sorted_again,
    **{kind: of_one(of_kind(kind)) for kind in KINDS if issubclass(kind, np.inexact)},
    **{kind: without(of_kind(kind)) for kind in KINDS if not issubclass(kind, np.inexact)},
}


def of_items(f, args, keywords):
    found = jax_twin(f, (*args, *keywords.values()), keywords)
    y, back = runtime.call(found, *args, **keywords)
    if found is f:
        return made_by(f, y), back
    note_numpys(y)
    return y, back


for stacking in STACKING:
    AUGMENTED_HERE[stacking] = stack_again(stacking, of_items)


def here(f, args, keywords):
    """The augmented form of a function that is special where a program is made."""
    try:
        found = AUGMENTED_HERE.get(f)
    except Exception:  # not hashable, or an odd `__eq__`
        return None
    return found if found is not None and staged_among(args) else None


def staged_among(args) -> bool:
    return has_traced(args) or any([isinstance(a, Sequence | jax.Array) for a in args])


def call(f, /, *args, **keywords):
    """As the run time's `call`, of a function that becomes a part of a compiled program."""
    not_spent(*args)
    if f is runtime.call:  # a second differentiation
        args = (twin(args[0], args[1:]), *args[1:])
    elif f is map or f is functools.reduce or f is filter:
        args = (always_twin(args[0]), *args[1:])
    elif f is pullback:
        return pullback_again(*args, **keywords)
    elif type(f) is jax.custom_jvp and not f.__module__.startswith("jax."):
        users_own(f.__name__)
    augmented = here(f, args, keywords)
    if augmented is not None:
        return augmented(*args, **keywords)
    return of_items(f, args, keywords)


MAKERS = (np.zeros, np.ones, np.full, np.empty, np.eye, np.identity, np.linspace)


def jax_twin(f, values, options=()):
    """JAX's function for one of NumPy's that makes or takes floats: cotangents will be traced."""
    refuse_draw(f)
    refuse_in_place(f, values[:1], {})
    note_raising(f, values)
    if f in MAKERS or any(map(is_floating, values)):
        return twin_of(f, values, options)
    return twin(f, values, options)


def is_floating(value) -> bool:
    if isinstance(value, tuple | list):
        return any(map(is_floating, value))
    kind = getattr(getattr(value, "dtype", None), "kind", "")
    return kind in ("f", "c") or type(value) in (float, complex)


def is_mask(owner, index) -> bool:
    """Is `index` a traced mask of the whole array?"""
    known = isinstance(index, Tracer) and isinstance(owner, jax.Array)
    return known and index.dtype == bool and index.shape == owner.shape


def call_value(f, /, *args, **keywords):
    augmented = here(f, args, keywords)
    if augmented is None:
        return runtime.call_value(
            jax_twin(f, (*args, *keywords.values()), keywords), *args, **keywords
        )
    y, inner = augmented(*args, **keywords)
    return y, lambda ct, store: (None, *inner(ct, store))


CALLEES = {
    id(runtime.call): call,
    id(runtime.call_value): call_value,
    id(runtime.items): items,
}


def attempt(caught, raised, error, fn, /, *args, **keywords):
    """Inside of a `try`; what the making of the program raises is not the user's to catch."""
    with NoneInsideTry(caught):
        augmented = None if raised else attempted_here(fn, args, keywords)
        if augmented is None:
            fn = fn if isinstance(fn, Prim) else twin(fn, args, keywords)
            pair = AUGMENTED[prims.attempt](raised, error, fn, *args, **keywords)
        else:
            y, inner = augmented(*args, **keywords)
            pair = (
                (y, None, False),
                lambda ct, store: (None, None, None, *inner(None if ct is None else ct[0], store)),
            )
    refuse_catching(pair[0][1])
    return pair


def enter_again(manager):
    note_entered(manager)
    return AUGMENTED[prims.enter](manager)


def leave_again(manager, error):
    refuse_swallowing(manager)
    return AUGMENTED[prims.exit_](manager, error)


def attempted_here(fn, args, keywords):
    """The augmented form of what is attempted, if it is special where a program is made."""
    if not isinstance(fn, Prim):
        return here(fn, args, keywords)
    special = fn in PRIMS and fn not in AUGMENTED and has_traced(args)
    return without(PRIMS[fn]) if special else None


def with_name(cts: tuple) -> tuple:
    """The cotangents of a method's array and arguments, with that of its name."""
    return (cts[0], None, *cts[1:])


def method(owner, name, *args, **keywords):
    """A function of a module is called as any other."""
    if is_generator(owner):
        refuse_draw(getattr(owner, name))
    refuse_method(owner, name, args)
    instead = instead_of_method(owner, name, args, keywords)
    if instead is not None:
        y, inner = call(instead, owner, *args, **keywords)
        return y, lambda ct, store: with_name(inner(ct, store))
    if type(owner) is not ModuleType:
        pair = AUGMENTED[prims.call_method](owner, name, *args, **keywords)
        if isinstance(owner, jax.Array) and is_numpys(owner):
            note_numpys(pair[0])
        return pair
    y, inner = call(getattr(owner, name), *args, **keywords)
    return y, lambda ct, store: (None, None, *inner(ct, store))


def star(f, args, keywords):
    """A call of `flux.pullback`, that of all gradients, may be a part of a derivative itself."""
    if f is not pullback:
        return AUGMENTED[prims.call_star](f, args, keywords)
    y, inner = pullback_again(*args, **keywords)
    count, names = len(args), tuple(keywords)

    def back(ct, store):
        cts = inner(ct, store)
        for name, part in zip(names, cts[count:], strict=True):
            store.add(keywords, name, part)
        return None, tuple(cts[:count]), None

    return y, back


def item_again(owner, index):
    if is_traced_number(owner, index):
        return runtime.call(picked, owner, index)
    return AUGMENTED[prims.getitem](owner, without_lists(owner, index))


def setitem(owner, index, value):
    if is_traced_number(owner, index):
        _, inner = runtime.call(put, owner, index, value)
        return None, lambda ct, store: inner(None, store)
    return AUGMENTED[prims.setitem](owner, index, value)


def update_item(owner, index, value):
    """A NumPy array that a traced value is written into becomes one of JAX's."""
    if is_traced_number(owner, index):
        return runtime.call(put, owner, index, value)
    if isinstance(owner, np.flatiter) and has_traced((index, value)):
        raise no_flat()
    if isinstance(owner, np.ndarray) and has_traced((index, value)):
        owner = jnp.asarray(owner)
    index = without_lists(owner, index)
    if not is_mask(owner, index):
        return AUGMENTED[prims.update_item](owner, index, value)
    y, inner = runtime.call(jnp.where, index, value, owner)

    def back(ct, store):
        test, part, rest = inner(dense(ct), store)
        return rest, test, part

    return y, back


def of_side(side: bool, rule):
    """The rule for taking a record, on the side of a branch that ran."""

    def augmented(value, *rest):
        return rule(chosen(value, rest[-1], side), *rest)

    return augmented


def follow_again(took, store) -> None:
    """The reverse of a side of a branch begins, in a reverse that is differentiated itself."""
    if type(took) is Either and any([after is not None for after, *_ in took.links]):
        raise made_twice(user_line())


NOTED = (*prims.BINARY.values(), *prims.UNARY.values())


def load_cell(cell, value):
    """The rule of a captured variable; it was checked that `value` is one."""
    y, back = AUGMENTED[prims.load_cell](cell, value)
    return value_of(y), back


def write(program: Program, instead: dict[int, Any]) -> Emitted:
    """Write one of the programs of an adjoint."""
    callees = {
        **CALLEES,
        id(AUGMENTED[prims.attempt]): functools.partial(attempt, True),
        id(AUGMENTED[prims.attempt_through]): functools.partial(attempt, False),
        id(AUGMENTED[prims.enter]): enter_again,
        id(AUGMENTED[prims.exit_]): leave_again,
        id(AUGMENTED[prims.call_method]): method,
        id(AUGMENTED[prims.call_star]): star,
        id(AUGMENTED[prims.setitem]): setitem,
        id(AUGMENTED[prims.update_item]): update_item,
        id(AUGMENTED[prims.load_cell]): load_cell,
    }
    for prim in NOTED:
        callees[id(AUGMENTED[prim])] = noting(AUGMENTED[prim], operator.itemgetter(0))
    callees[id(AUGMENTED[prims.getitem])] = noting(item_again, operator.itemgetter(0))
    for side in (True, False):
        for prim in (prims.TAKE_SIDE[side], prims.UNPACK_SIDE[side]):
            callees[id(AUGMENTED[prim])] = of_side(side, AUGMENTED[prim])
    special = {
        **PRIMS,
        sharing.guard: guard_adjoint,
        REVERSED: backwards,
        prims.FOLLOW_AGAIN: follow_again,
    }
    control = Control(if_, for_, while_, message, bound, None, special, callees, instead)
    return emit(program, functools.partial(RegionWriter, control=control))


@contextmanager
def adjoints():
    """What is differentiated meanwhile becomes a part of the program that is being made."""
    before = getattr(STAGING, "write", None)
    STAGING.write = write
    try:
        yield
    finally:
        STAGING.write = before
