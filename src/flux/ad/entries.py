"""The adjoint of each code object, made once, and how it is bound to a function of that code.

An `Entry` holds the two programs of one `def` as Python code. `Entry.bind` makes the augmented
function of one closure; `Entry.augmented` fits it to the arguments that a call may have.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from dataclasses import replace
from types import CodeType, FunctionType
from typing import Any

from flux.ad.adjoint import Adjoint
from flux.ad.plan import RunTime
from flux.ad.registry import inert
from flux.ad.scalars import (
    ScalarAdjoint,
    hoist_numbers,
    is_candidate,
    numbers_of,
    scalar_types,
)
from flux.errors import SourceError
from flux.ir.analyse import lower_collects, take_keywords
from flux.ir.emit import Emitted, bind, emit
from flux.ir.parse import parse
from flux.ir.program import Program

__all__ = ["ENTRIES", "STAGING", "Entry", "captured_cells", "cells_of", "entry_of", "known_entry",
           "take_default"]  # fmt: skip


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

    def __init__(self, program: Program, adjoint: Adjoint):
        self.program, self.adjoint = program, adjoint
        self.numbers = numbers_of(program)
        self.variants: dict[tuple, Entry | None] | None = (
            {} if not isinstance(adjoint, ScalarAdjoint) and is_candidate(program) else None
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
            adjoint = ScalarAdjoint(self.program, self.adjoint.rt, types) if types else None
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


def entry_of(f: FunctionType, runtime: RunTime) -> Entry:
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
        entry = Entry(program, Adjoint(program, runtime))
        key = id(code)
        ENTRIES[key] = (weakref.ref(code, lambda _, pop=ENTRIES.pop: pop(key, None)), entry)
        return entry


def known_entry(f: FunctionType) -> Entry | None:
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


inert(Entry.bind, Entry.variant)
