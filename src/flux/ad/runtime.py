"""What generated programs call: find a callee's augmented form, run it, keep its pullback.

`resolve(f)` decides, at run time and by the callee alone: a rule? declared without derivative? a
bound method, a partial, a class, an object with `__call__`? a function of a library with a finder
(JAX)? Python source? Otherwise an error that says how to go on.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from types import BuiltinFunctionType, FunctionType, MethodType, MethodWrapperType

from flux.ad.cotangents import accumulate, dense, own_memory
from flux.ad.entries import entry_of, known_entry, take_default
from flux.ad.inert import no_back, nothing, opaque, quiet
from flux.ad.own import DECLARED, users_own
from flux.ad.plan import RunTime
from flux.ad.registry import (
    AUGMENTED,
    CONSTRUCTORS,
    FINDERS,
    INERT,
    METHOD_FINDERS,
    inert,
    is_inert,
    of_inert_module,
)
from flux.ad.spaces import project, space_of
from flux.errors import NotDifferentiable
from flux.ir import prims
from flux.ir.program import Prim

__all__ = ["RUNTIME", "Pullback", "call", "call_value", "items", "method_of_array", "resolve"]


class Pullback(partial):
    """The pullback of a generated function: its back program, applied to its residuals."""

    __slots__ = ()


def call(f, /, *args, **keywords):
    """`(f(*args, **keywords), back)` for a callee whose own cotangent nobody asks for."""
    try:
        augmented = AUGMENTED.get(f)
    except TypeError:
        augmented = None
    if augmented is None:
        augmented = resolve(f)
    return augmented(*args, **keywords)


def call_value(f, /, *args, **keywords):
    """As `call`; `back` returns the cotangent of `f` first (a partial's, a bound method's)."""
    kind = type(f)
    if kind is MethodType:
        return (_of_array(f) or resolve(f.__func__))(f.__self__, *args, **keywords)
    if isinstance(f, partial):
        y, inner = call_value(f.func, *f.args, *args, **{**f.keywords, **keywords})
        bound, given, names = len(f.args), len(args), tuple({**f.keywords, **keywords})

        def back_partial(ct, store):
            df, *cts = inner(ct, store)
            own = cts[:bound]
            named = dict(zip(names, cts[bound + given :], strict=True))
            kept = tuple([None if name in keywords else named[name] for name in f.keywords])
            ct_f = (df, tuple(own), kept)
            return (ct_f, *cts[bound : bound + given], *[named[name] for name in keywords])

        return y, back_partial
    if kind in BOUND_KINDS:
        unbound = _unbound(f)
        if unbound is not None:
            return unbound(f.__self__, *args, **keywords)
    if isinstance(f, tuple):
        return call(kind.__call__, f, *args, **keywords)
    y, inner = call(f, *args, **keywords)

    def back(ct, store):
        return (None, *inner(ct, store))

    return y, back


def resolve(f) -> Callable:
    """The augmented form of any callee; `NotDifferentiable` if there is none."""
    try:
        augmented = AUGMENTED.get(f)
        if augmented is not None:
            return augmented
        has_none = f in INERT
    except TypeError:
        has_none = False
    if has_none:
        if f in DECLARED:
            users_own(getattr(f, "__name__", repr(f)))
            return lambda *a, **k: (f(*a, **k), lambda ct, store: (None,) * (len(a) + len(k)))
        return no_back(f)
    kind = type(f)
    if kind is MethodType:
        return _method(f)
    if kind is FunctionType:
        entry = known_entry(f)
        if entry is not None:
            return entry.augmented(f)
        return _library(f) or entry_of(f, RUNTIME).augmented(f)
    if isinstance(f, partial):
        return lambda *a, **k: _without_self(call_value(f, *a, **k))
    found = _library(f)
    if found is not None:
        return found
    if isinstance(f, type):
        return _construct(f)
    unbound = _unbound(f) if kind in BOUND_KINDS else None
    if unbound is not None:
        return lambda *a, **k: _without_self(unbound(f.__self__, *a, **k))
    method = kind.__call__
    if type(method) is FunctionType:
        return lambda *a, **k: _without_self(call(method, f, *a, **k))
    return opaque(f)


BOUND_KINDS = (BuiltinFunctionType, MethodWrapperType)
"""Bound methods of classes that are written in C."""


def _unbound(f) -> Callable | None:
    """The augmented form of the method that was bound to make `f`, if it has a rule."""
    method = getattr(getattr(f, "__objclass__", type(f.__self__)), f.__name__, None)
    found = AUGMENTED.get(method) if method is not None and method is not f else None
    return found or _of_array(f)


def _of_array(f) -> Callable | None:
    """The augmented form of the method of an array or number that was bound to make `f`."""
    kind, name = type(f.__self__), f.__name__
    if space_of(kind) is None or getattr(f.__self__, name, None) != f:
        return None
    return method_of_array(kind, name)


def method_of_array(kind: type, name: str) -> Callable | None:
    """The augmented form of a method of an array's type."""
    for finder in METHOD_FINDERS:
        found = finder(kind, name)
        if found is not None:
            return found
    return None


def _without_self(pair):
    y, inner = pair

    def back(ct, store):
        return inner(ct, store)[1:]

    return y, back


def _method(f: MethodType) -> Callable:
    return lambda *a, **k: _without_self(call_value(f, *a, **k))


def _library(f):
    if is_inert(f):
        return no_back(f)
    if not isinstance(f, type) and of_inert_module(f):
        return quiet(f)
    for finder in FINDERS:
        augmented = finder(f)
        if augmented is not None:
            return augmented
    return None


def _construct(cls: type) -> Callable:
    """A class: a new instance, initialised by its own `__init__`, differentiated as written."""
    for finder in CONSTRUCTORS:
        found = finder(cls)
        if found is not None:
            return found
    own_new = cls.__new__ is not object.__new__
    if own_new or type(cls).__call__ is not type.__call__ or issubclass(cls, BaseException):
        return opaque(cls)

    def augmented(*args, **keywords):
        instance = object.__new__(cls)
        init = cls.__init__
        if init is object.__init__:
            init(instance, *args, **keywords)
            return instance, nothing(len(args) + len(keywords))
        y, inner = call(init, instance, *args, **keywords)
        if y is not None:
            raise TypeError(f"__init__() should return None, not '{type(y).__name__}'")

        def back(ct, store):
            return inner(None, store)[1:]

        return instance, back

    return augmented


# -- what the programs are given ------------------------------------------------------------------


def _augmented_prim(prim: Prim, mask: tuple[bool, ...]) -> Callable:
    found = AUGMENTED.get((prim, mask)) or AUGMENTED.get(prim)
    if found is None:
        raise NotDifferentiable(
            f"the operation `{prim.name}` has no derivative rule.", hint="Please report this."
        )
    return found


def items(iterable):
    """Pairs of an item and its pullback, by the rule of the iterable's type."""
    rule = AUGMENTED.get(("items", type(iterable)))
    if rule is None:
        rule = AUGMENTED["items"]
    return rule(iterable)


RUNTIME = RunTime(
    augmented=_augmented_prim,
    call=call,
    call_value=call_value,
    accumulate=accumulate,
    items=items,
    pullback=Pullback,
    take_default=take_default,
    dense=dense,
)


# -- a second differentiation: the rules of what the first one calls ------------------------------


def call_again(f, /, *args, **keywords):
    """`call` itself: its derivative is that of the augmented form, which is Python again."""
    pair, inner = call(resolve(f), *args, **keywords)

    def back(ct, store):
        return (None, *inner(ct, store))

    return pair, back


def pullback_again(f, residuals):
    """Making a pullback: its cotangent is that of a partial."""

    def back(ct, store):
        return (None, None) if ct is None else (None, ct[1][0])

    return Pullback(f, residuals), back


def project_again(ct, x):
    """A projection is linear in the cotangent, and brings its cotangent back the same way."""

    def back(again, store):
        return (None if again is None else project(again, ct)), None

    return project(ct, x), back


def side_again(side: bool) -> None:
    """Taking the records of a branch apart is like any other unpacking."""

    def unpack_again(value, count, inner_store):
        items, back = AUGMENTED[prims.unpack](value, count)
        return items, lambda ct, store: (*back(ct, store), None)

    def take_again(value, inner_store):
        return value, lambda ct, store: (ct, None)

    AUGMENTED[prims.UNPACK_SIDE[side]] = unpack_again
    AUGMENTED[prims.TAKE_SIDE[side]] = take_again


side_again(True)
side_again(False)


def own_memory_again(ct, made):
    return own_memory(ct, made), lambda again, store: (again, None)


AUGMENTED[own_memory] = own_memory_again
AUGMENTED[call] = call_again
AUGMENTED[Pullback] = pullback_again
AUGMENTED[project] = project_again
inert(_unbound, resolve)
