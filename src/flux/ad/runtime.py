"""What generated programs call: find a callee's augmented form, run it, keep its pullback.

`resolve(f)` decides, at run time and by the callee alone: a rule? declared without derivative? a
bound method, a partial, a class, an object with `__call__`? a function of a library with a finder
(JAX)? Python source? Otherwise an error that says how to go on.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from types import (
    BuiltinFunctionType,
    CodeType,
    FunctionType,
    MethodType,
    MethodWrapperType,
    ModuleType,
)
from typing import Any

from flux.ad.adjoint import Adjoint, RunTime
from flux.ad.cotangents import accumulate, dense, own_memory
from flux.ad.own import DECLARED, users_own
from flux.ad.registry import (
    AUGMENTED,
    CONSTRUCTORS,
    FINDERS,
    INERT,
    METHOD_FINDERS,
    is_inert,
    of_inert_module,
)
from flux.ad.scalars import (
    ScalarAdjoint,
    hoist_numbers,
    is_candidate,
    numbers_of,
    scalar_types,
)
from flux.ad.spaces import VALUE, project, space_of, zero_of
from flux.ad.unknown import Text, of_text, text_only
from flux.errors import NotDifferentiable, SourceError, user_line
from flux.ir import prims
from flux.ir.analyse import lower_collects, take_keywords
from flux.ir.emit import Emitted, bind, emit
from flux.ir.parse import parse
from flux.ir.program import Prim, Program
from flux.tree.objects import is_filled, is_object

__all__ = ["Pullback", "call", "call_value", "captured_cells", "cells_of", "entry_of", "no_back",
           "opaque", "resolve"]  # fmt: skip


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


def nothing(count: int) -> Callable:
    """The pullback of something without derivative that was given `count` arguments."""
    return NO_BACKS[count] if count < len(NO_BACKS) else _no_back(count)


def _no_back(count: int) -> Callable:
    cts = (None,) * count

    def back(ct, store):
        return (ct,) * count if type(ct) is Text else cts

    return back


NO_BACKS = [_no_back(count) for count in range(12)]


def no_back(f) -> Callable:
    """The augmented form of a callee without derivative."""

    def augmented(*args, **keywords):
        return f(*args, **keywords), nothing(len(args) + len(keywords))

    return augmented


def resolve(f) -> Callable:
    """The augmented form of any callee; `NotDifferentiable` if there is none."""
    try:
        augmented = AUGMENTED.get(f)
        if augmented is not None:
            return augmented
        inert = f in INERT
    except TypeError:
        inert = False
    if inert:
        if f in DECLARED:
            users_own(getattr(f, "__name__", repr(f)))
            return lambda *a, **k: (f(*a, **k), lambda ct, store: (None,) * (len(a) + len(k)))
        return no_back(f)
    kind = type(f)
    if kind is MethodType:
        return _method(f)
    if kind is FunctionType:
        entry = _known_entry(f)
        if entry is not None:
            return entry.augmented(f)
        return _library(f) or entry_of(f).augmented(f)
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
        return _quiet(f)
    for finder in FINDERS:
        augmented = finder(f)
        if augmented is not None:
            return augmented
    return None


def _quiet(f) -> Callable:
    """A callee without derivative; refused if it hands on what has one, as `typing.cast` does.

    So it is if it is handed a function that captured something: that would run unseen.
    """

    def augmented(*args, **keywords):
        values = (*args, *keywords.values())
        if any([is_capturing(value) for value in values]):
            raise not_differentiable(f)
        y = f(*args, **keywords)
        if carries(y) and any([carries(value) for value in values]):
            raise not_differentiable(f)
        if carries(y):
            return y, back_of_text(y, values)
        return y, lambda ct, store: tuple([handed_to(v, text_only(ct), store) for v in values])

    return augmented


def reading(f) -> Callable:
    """The augmented form of a function that reads numbers from its arguments, texts or bytes."""

    def augmented(*args, **keywords):
        y = f(*args, **keywords)
        return y, back_of_text(y, (*args, *keywords.values()))

    return augmented


def back_of_text(y, values) -> Callable:
    """The pullback of reading `y` from the texts among `values`."""

    def back(ct, store):
        text = of_text(ct, y, store)
        return tuple([handed_to(value, text, store) for value in values])

    return back


def handed_to(value, text, store):
    """The cotangent of a `value` that a text was made of, or numbers are read from."""
    if text is not None and isinstance(value, list):
        for i in range(len(value)):
            store.add(value, i, handed_to(value[i], text, store))
        return None
    if text is not None and isinstance(value, dict):
        for key in value:
            store.add(value, key, handed_to(value[key], text, store))
        return None
    if text is not None and isinstance(value, tuple):
        return tuple([handed_to(item, text, store) for item in value])
    return text


def is_capturing(value) -> bool:
    """Is `value` a function that captured something that has a derivative?"""
    if isinstance(value, partial):
        return is_capturing(value.func) or carries([*value.args, *value.keywords.values()])
    if isinstance(value, FunctionType):
        return any(
            [carries(cell.cell_contents) for cell in value.__closure__ or () if is_filled(cell)]
        )
    return isinstance(value, MethodType) and carries(value.__self__)


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


def opaque(f) -> Callable:
    """A callee that cannot be looked into: allowed where no argument carries a derivative."""

    def augmented(*args, **keywords):
        values = (*args, *keywords.values())
        if owned or any(carries(value) for value in values):
            raise not_differentiable(f)
        return f(*args, **keywords), nothing(len(values))

    owner = getattr(f, "__self__", None)
    owned = not isinstance(owner, ModuleType | type) and carries(owner)
    return augmented


def carries(value, depth: int = 4) -> bool:
    """Can `value` hold something that has a derivative?"""
    kind = type(value)
    if kind in (int, bool, str, bytes, type(None)) or isinstance(value, type | BaseException):
        return False
    space = space_of(kind)
    if space is not None:
        if space.zero(value) is not None:
            return True
        return space.items is not None and carries(space.items(value), depth)
    if kind in VALUE:
        return False
    if isinstance(value, list | tuple | set | frozenset):
        return any(carries(item, depth - 1) for item in value) if depth else True
    if isinstance(value, dict):
        return any(carries(item, depth - 1) for item in value.values()) if depth else True
    if isinstance(value, FunctionType):
        defaults = (*(value.__defaults__ or ()), *(value.__kwdefaults__ or {}).values())
        return bool(value.__closure__) or any(carries(item, depth - 1) for item in defaults)
    if isinstance(value, MethodType):
        return carries(value.__self__, depth)
    if isinstance(value, partial):
        return carries([value.func, *value.args, *value.keywords.values()], depth)
    return is_object(value)


def not_differentiable(f) -> NotDifferentiable:
    """The error for a callee that has no derivative."""
    module = getattr(f, "__module__", None)
    name = getattr(f, "__qualname__", None) or repr(f)
    full = f"{module}.{name}" if module and module != "builtins" else name
    return NotDifferentiable(
        f"`{full}` has no derivative rule, and no Python source that could be differentiated.",
        where=user_line(),
        hint=f"Give it one with @flux.rule({name}), declare that it has none with "
        f"flux.nograd({name}), or compute it in Python.",
    )


# -- functions with Python source ----------------------------------------------------------------


ORIGIN = "__flux_origin__"
"""Where a generated function keeps the function whose default values it shares."""


def owner_of_defaults(f: FunctionType) -> FunctionType:
    """The function of the user that made the default values of `f`."""
    return f.__dict__.get(ORIGIN, f)


STAGING = threading.local()
"""Its `write`, where set, writes the programs of functions that are being compiled or watched; its
`ran` is told of each."""
BOUND = "__flux_augmented__"
"""Where a function keeps its augmented forms by entry, so that all are freed together."""


class Entry:
    """The adjoint of one code object, and how to bind it to a function of that code."""

    def __init__(self, program: Program, adjoint: Adjoint | None = None):
        self.program = program
        self.adjoint = adjoint or Adjoint(program, RUNTIME)
        self.numbers = numbers_of(program)
        self.variants: dict[tuple, Entry | None] | None = (
            {} if adjoint is None and is_candidate(program) else None
        )
        self.back = emit(self.adjoint.back)
        self.back_function = _function(self.back, {}, {})
        self.back_function.__name__ = f"{program.name} (pullback)"
        self.forward: Emitted = emit(self.adjoint.finish(self.back_function))
        self.cells = cells_of(self.forward.names)
        self.staged: dict[Callable, tuple[Emitted, dict]] = {}
        _remember(self.back_function.__code__, self.adjoint.back)
        _remember(self.forward.code, self.adjoint.augmented)
        args = program.args
        self.plain = not (args.vararg or args.kwarg or args.kwonlyargs)
        self.count = len(program.params)

    def holds_for(self, f: FunctionType) -> bool:
        """Are the global names still bound as the program assumes?"""
        namespace = f.__globals__
        for name, module in self.program.modules.items():
            if namespace.get(name) is not module:
                return False
        return not any(name in namespace for name in self.program.builtins)

    def bind(self, f: FunctionType) -> FunctionType:
        """The augmented function for `f`: its globals, defaults and captured cells."""
        known = f.__dict__.get(BOUND)
        write = getattr(STAGING, "write", None)
        key = self if write is None else (self, write)
        ran = None if write is None else getattr(STAGING, "ran", None)
        if ran is not None:
            ran(f)
        if known is not None and key in known:
            defaults, bound = known[key]
            if defaults is f.__defaults__ and bound.__globals__ is f.__globals__:
                return bound
        forward, cells = (self.forward, self.cells) if write is None else self.written(write)
        cells = captured_cells(f, self.program, forward.code, cells)
        bound = bind(forward.code, f.__globals__, cells, like=f)
        if bound.__defaults__ or bound.__kwdefaults__:
            bound.__dict__[ORIGIN] = owner_of_defaults(f)
        if not f.__closure__:
            f.__dict__[BOUND] = {**(known or {}), key: (f.__defaults__, bound)}
        return bound

    def written(self, write: Callable) -> tuple[Emitted, dict]:
        """The augmented program as `write` writes it: for a program that is being made."""
        if write not in self.staged:
            with LOCK:
                back = write(self.adjoint.back, {})
                function = _function(back, {}, {})
                function.__name__ = self.back_function.__name__
                _remember(function.__code__, self.adjoint.back)
                instead = {id(self.back_function): function}
                forward = write(self.adjoint.augmented, instead)
                _remember(forward.code, self.adjoint.augmented)
                self.staged[write] = forward, cells_of(forward.names)
        return self.staged[write]

    def augmented(self, f: FunctionType) -> Callable:
        """The augmented form of `f`."""
        bound = self.bind(f)
        if not self.plain or f.__defaults__:
            return _arranged(bound, self, f)
        if self.variants is not None:
            return _by_types(_positional(bound, self.count), self, f)
        return _positional(bound, self.count)

    def variant(self, kinds: tuple[type, ...]) -> Entry | None:
        """The adjoint for arguments and globals of exactly these types, if it can be in line."""
        assert self.variants is not None
        if len(self.variants) >= 64:
            self.variants.clear()
        if kinds not in self.variants:
            fits = len(kinds) == self.count + len(self.numbers)
            types = scalar_types(self.program, kinds) if fits else None
            adjoint = ScalarAdjoint(self.program, RUNTIME, types) if types else None
            self.variants[kinds] = Entry(self.program, adjoint) if adjoint else None
        return self.variants[kinds]


def captured_cells(f: FunctionType, program: Program, code: CodeType, known: dict) -> dict:
    """The cells for the free variables of code that was generated for `f`."""
    own = dict(zip(f.__code__.co_freevars, f.__closure__ or (), strict=True))
    cells = {**known, **_captured(own, program.freevars)}
    for name in code.co_freevars:
        if name == "_globals":
            cells[name] = _cell(f.__globals__)
        elif name not in cells:
            cells[name] = _cell(cells[name.removeprefix("_cell_")])
    return cells


def _captured(own: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    """The cells of captured variables; a generated function may know one as a cell only, or not."""
    known = {name: own[name] for name in names if name in own}
    only_cells = [name for name in names if name not in own and f"_cell_{name}" in own]
    return {**known, **{name: own[f"_cell_{name}"].cell_contents for name in only_cells}}


def _by_types(general: Callable, entry: Entry, f: FunctionType) -> Callable:
    """A function of numbers has an adjoint of its own for numbers."""

    def augmented(*args, **keywords):
        kinds = [type(a) for a in args]
        if entry.numbers:
            kinds += [type(f.__globals__.get(name)) for name in entry.numbers]
        variant = None if keywords else entry.variant(tuple(kinds))
        if variant is None:
            return general(*args, **keywords)
        return variant.bind(f)(*args)

    return augmented


def _positional(bound: FunctionType, count: int) -> Callable:
    def augmented(*args, **keywords):
        if not keywords:
            return bound(*args)
        names = bound.__code__.co_varnames
        y, inner = bound(*args, **keywords)
        places = [names.index(name) for name in keywords]

        def back(ct, store):
            cts = inner(ct, store)
            return (*cts[: len(args)], *[cts[i] for i in places])

        return y, back

    return augmented


def _arranged(bound: FunctionType, entry: Entry, f: FunctionType) -> Callable:
    """Cotangents come per parameter and leave per argument of the call."""
    args = entry.program.args
    positional = [a.arg for a in (*args.posonlyargs, *args.args)]
    named = [*positional, *(a.arg for a in args.kwonlyargs)]
    only = {a.arg for a in args.posonlyargs}
    places = {name: i for i, name in enumerate(named)}
    star = len(named) if args.vararg else None
    extra = len(named) + bool(args.vararg) if args.kwarg else None
    owner = owner_of_defaults(f)

    def augmented(*values, **keywords):
        y, inner = bound(*values, **keywords)
        given = len(values)

        def back(ct, store):
            cts = inner(ct, store)
            out = [cts[i] for i in range(min(given, len(positional)))]
            if given > len(positional):
                rest = cts[star] or (None,) * (given - len(positional))
                out = out + list(rest)
            others = dict(cts[extra] or ()) if extra is not None else {}
            for name in keywords:
                known = name in places and name not in only
                out = [*out, cts[places[name]] if known else others.get(name)]
            for index, name in enumerate(named):
                if index >= given and name not in keywords:
                    store.add(owner, name, cts[index])
            return tuple(out)

        return y, back

    return augmented


def take_default(store, fn, index: int):
    """The cotangent of the `index`-th default value of `fn`."""
    code = fn.__code__
    count = len(fn.__defaults__ or ())
    if index < count:
        name = code.co_varnames[code.co_argcount - count + index]
    else:
        name = list(fn.__kwdefaults__)[index - count]
    return store.take(fn, name)


ENTRIES: dict[int, tuple[Any, Entry]] = {}
PROGRAMS: dict[int, tuple[weakref.ref[CodeType], Program]] = {}
LOCK = threading.RLock()


def _remember(code: CodeType, program: Program) -> None:
    """Keep the program of a generated function, so that it can be differentiated in turn."""
    key = id(code)
    PROGRAMS[key] = (weakref.ref(code, lambda _, pop=PROGRAMS.pop: pop(key, None)), program)


def entry_of(f: FunctionType) -> Entry:
    """The adjoint of `f`'s code; made once, shared by all closures of one `def`."""
    code = f.__code__
    found = ENTRIES.get(id(code))
    if found is not None and found[1].holds_for(f):
        return found[1]
    with LOCK:
        found = ENTRIES.get(id(code))
        if found is not None and found[1].holds_for(f):
            return found[1]
        program = _program(f)
        entry = Entry(program)
        key = id(code)
        ENTRIES[key] = (weakref.ref(code, lambda _, pop=ENTRIES.pop: pop(key, None)), entry)
        return entry


def _known_entry(f: FunctionType) -> Entry | None:
    """The entry of a function that was differentiated before, and so is no library's."""
    found = ENTRIES.get(id(f.__code__))
    if found is None or found[1] not in f.__dict__.get(BOUND, ()):
        return None
    return found[1] if found[1].holds_for(f) else None


def _program(f: FunctionType) -> Program:
    known = PROGRAMS.get(id(f.__code__))
    if known is not None:
        program = replace(known[1], block=lower_collects(known[1].block))
        take_keywords(program)
        return program
    try:
        program = parse(f)
        if is_candidate(program):
            hoist_numbers(program, f.__globals__)
        return program
    except SourceError as error:
        raise error.with_traceback(None) from None


def _function(emitted: Emitted, namespace: dict, cells: dict) -> FunctionType:
    return bind(emitted.code, namespace, {**cells_of(emitted.names), **cells})


def cells_of(names: dict[str, Any]) -> dict[str, Any]:
    return {name: _cell(value) for name, value in names.items()}


def _cell(value):
    return (lambda: value).__closure__[0]  # type: ignore[index]


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
INERT.update(
    [Entry.bind, Entry.variant, _unbound, space_of, zero_of, resolve, carries, user_line, nothing]
)
