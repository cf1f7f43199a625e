"""The functions that a compiled program is made of: each written so that its control flow can be
part of the program, found when it is called."""

from __future__ import annotations

import functools
import threading
import weakref
from collections.abc import Callable
from types import FunctionType, MethodType
from typing import Any

import jax

from flux.ad import runtime
from flux.ad.entries import STAGING, captured_cells, cells_of
from flux.ad.higher import Checkpointed
from flux.ad.reverse import REVERSED
from flux.compiler.containers import is_registered
from flux.compiler.control.branches import if_
from flux.compiler.control.builtins import (
    PRIMAL,
    PRIMS,
    call_twin,
    instead_of,
    message,
)
from flux.compiler.control.checks import PICKING, NoneInsideTry
from flux.compiler.control.draws import refuse_draw
from flux.compiler.control.iterators import not_spent
from flux.compiler.control.loops import for_, while_
from flux.compiler.control.managers import enter, leave
from flux.compiler.control.methods import instead_of_method
from flux.compiler.control.picking import Choice
from flux.compiler.control.records import backwards
from flux.compiler.control.unbound import bound
from flux.compiler.control.written import (
    is_numpys,
    note_numpys,
    refuse_in_place,
    refuse_method,
)
from flux.compiler.namespaces import is_users
from flux.compiler.staging import refuse_catching
from flux.errors import PACKAGE, FluxError
from flux.ir import prims
from flux.ir.emit import bind, emit
from flux.ir.parse import parse
from flux.ir.program import Prim
from flux.ir.regions import Control, RegionWriter

__all__ = ["CONTROL", "call_"]

ROOMS = (*[PACKAGE + room for room in ("layers", "losses")], PICKING)
"""Where our own functions call the user's, or are written as the user's are."""


def call_(f, /, *args, **keywords):
    """Call a function; one of the user's is written as a part of the program."""
    not_spent(*args)
    kind = type(f)
    if kind is FunctionType:
        form = form_of(f)
        return call_twin(f, args, keywords) if form is None else form(*args, **keywords)
    instead = instead_of(f)
    if instead is not None:
        return instead(*args, **keywords)
    refuse_draw(f)
    refuse_in_place(f, args, keywords)
    if kind is MethodType:
        return call_(f.__func__, f.__self__, *args, **keywords)
    if kind is functools.partial or kind is Choice:
        return call_(f.func, *f.args, *args, **{**f.keywords, **keywords})
    if isinstance(f, Checkpointed):
        return call_(f.f, *args, **keywords)
    if isinstance(f, type):
        return made(f, args, keywords)
    method: Any = kind.__call__
    if type(method) is FunctionType and is_ours_to_write(method) and not is_registered(f):
        return call_(method, f, *args, **keywords)
    return call_twin(f, args, keywords)


def made(cls: type, args, keywords):
    """An instance of a class; its `__init__` is written as a part of the program."""
    init: Any = cls.__init__
    plain = type(cls) is type and cls.__new__ is object.__new__
    if plain and hasattr(cls, "__post_init__") and hasattr(cls, "__dataclass_fields__"):
        return runtime.call(cls, *args, **keywords)[0]
    if not plain or type(init) is not FunctionType or form_of(init) is None:
        return cls(*args, **keywords)
    instance = object.__new__(cls)
    call_(init, instance, *args, **keywords)
    return instance


def method(owner, name: str, /, *args, **keywords):
    refuse_method(owner, name, args)
    instead = instead_of_method(owner, name, args, keywords)
    if instead is None:
        y = call_(getattr(owner, name), *args, **keywords)
    else:
        y = call_(instead, owner, *args, **keywords)
    if isinstance(owner, jax.Array) and is_numpys(owner):
        note_numpys(y)
    return y


def is_ours_to_write(f: FunctionType) -> bool:
    """Is `f` the user's, or one of ours that calls the user's functions?"""
    return is_written(f.__code__.co_filename)


def is_written(filename: str) -> bool:
    """Is what stands in a file the user's, or calls the user's functions?"""
    return is_users(filename) or filename.startswith(ROOMS)


def attempt(caught, raised, error, fn, /, *args, **keywords):
    """Call a function inside of a `try`, or a `with`; `caught` if there are handlers."""
    instead = CONTROL.prims.get(fn) if isinstance(fn, Prim) else functools.partial(call_, fn)
    with NoneInsideTry(caught):
        found = prims.attempt.fn(raised, error, instead or fn, *args, **keywords)
    refuse_catching(found[1])
    return found


# -- how a function is written ---------------------------------------------------------------------

FORMS: dict[tuple[int, Any], tuple[Any, Form | None]] = {}
LOCK = threading.RLock()


class Form:
    """The code of a function, written with control flow as calls; or as `make` writes it."""

    def __init__(self, f: FunctionType, make: Callable | None = None):
        self.program = parse(f)
        make = make or (lambda program: RegionWriter(program, CONTROL))
        self.emitted = emit(self.program, make)
        self.cells = cells_of(self.emitted.names)

    def bind(self, f: FunctionType) -> FunctionType:
        """The function for the globals, defaults and captured cells of `f`."""
        noted(f)
        cells = captured_cells(f, self.program, self.emitted.code, self.cells)
        return bind(self.emitted.code, f.__globals__, cells, like=f)


def form_of(f: FunctionType) -> FunctionType | None:
    """`f` with its control flow as calls; `None` if it runs as it is."""
    if not is_ours_to_write(f) or is_registered(f):
        return None
    code = f.__code__
    make = getattr(getattr(STAGING, "write", None), "primal", None)
    key = id(code), make
    found = FORMS.get(key)
    if found is None:
        with LOCK:
            try:
                form = Form(f, make)
            except FluxError:  # no source, or not covered: it runs as it is
                form = None
            reference = weakref.ref(code, lambda _, pop=FORMS.pop: pop(key, None))
            found = FORMS[key] = (reference, form)
    form = found[1]
    if form is not None:
        return form.bind(f)
    noted(f)
    return None


def noted(f: FunctionType) -> None:
    """Tell who wants to know that a function is about to run."""
    ran = getattr(STAGING, "ran", None)
    if ran is not None:
        ran(f)


CONTROL = Control(
    if_,
    for_,
    while_,
    message,
    bound,
    call_,
    {
        **PRIMS,
        **PRIMAL,
        prims.call_method: method,
        prims.attempt: functools.partial(attempt, True),
        prims.attempt_through: functools.partial(attempt, False),
        prims.enter: enter,
        prims.exit_: leave,
        prims.call_star: lambda f, args, keywords: call_(f, *args, **keywords),
        REVERSED: backwards,
    },
)
