"""Run functions operation by operation, and look at every result: for finding a fault's place.

In this mode nothing is compiled: functions are written once more, each operation through one of the
hooks below, which hand what went in and what came out to the *watchers* that are on. The adjoints
are written in the same way, so that the way back is watched, too. A function of a library, and one
of ours that is not a layer, is one operation.
"""

from __future__ import annotations

import functools
import linecache
import threading
import weakref
from collections.abc import Callable
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple

from flux.ad import runtime
from flux.ad.entries import STAGING
from flux.ad.registry import AUGMENTED
from flux.compiler.control.calls import CONTROL, call_, is_written
from flux.compiler.control.checks import is_collecting
from flux.compiler.namespaces import is_users
from flux.errors import NonFiniteValue, OutOfBounds, StagingError, source_line, user_line
from flux.ir import prims, sharing
from flux.ir.emit import Emitted, Writer, emit
from flux.ir.program import Call, Const, Prim, Program, Var, Where

__all__ = ["Site", "Watcher", "callee_of", "is_watching", "watchers", "watching"]

LOCAL = threading.local()
FAULTS = NonFiniteValue, OutOfBounds
"""What watchers raise."""


class Site(NamedTuple):
    """An operation in the source.

    Attributes:
        filename, place: where it is written.
        prim: which operation of the language it is; `None` for a call.
    """

    filename: str
    place: Where
    prim: Prim | None

    def text(self) -> str:
        """Its source, shortened to one line."""
        place = self.place
        lines = [linecache.getline(self.filename, n).encode()
                 for n in range(place.line, place.end_line + 1)]  # fmt: skip
        lines[-1] = lines[-1][: place.end_column]
        lines[0] = lines[0][place.column :]
        text = " ".join(b" ".join(lines).decode().split())
        return text if len(text) < 70 else text[:67] + "..."

    def where(self) -> str | None:
        """The user's line: its own, or the one that led to it."""
        if is_users(self.filename):
            return source_line(self.filename, self.place.line)
        return user_line()


class Watcher:
    """What looks at operations."""

    def before(self, site: Site, callee: Any, args: tuple, keywords: dict) -> None:
        """An operation is about to run; `callee` is what is called, if it is a call."""

    def after(self, site: Site, args: tuple, y: Any) -> None:
        """An operation gave `y`."""

    def back(self, site: Site, ct: Any, cts: Any) -> None:
        """The derivative of an operation made `cts` of `ct`."""

    def end(self, name: str, outputs: list) -> None:
        """A compiled function returns, or leaves in objects, new arrays."""


def watchers() -> tuple[Watcher, ...]:
    """Those that are on in this thread."""
    return getattr(LOCAL, "watchers", ())


def is_watching() -> bool:
    """Are functions run operation by operation, in this thread and now?"""
    return getattr(STAGING, "write", None) is write


@contextmanager
def watching(watcher: Watcher):
    """Let `watcher` look at what functions do."""
    if is_collecting():
        raise StagingError(
            "A function that is being compiled cannot be watched from inside.",
            where=user_line(),
            hint="Put `with flux.debug_nans():` or `with flux.check_bounds():` around the call.",
        )
    before, mode = watchers(), getattr(STAGING, "write", None)
    LOCAL.watchers = (*before, watcher)
    STAGING.write = write
    try:
        yield
    finally:
        LOCAL.watchers = before
        STAGING.write = mode


# -- the hooks -------------------------------------------------------------------------------------

BACKS: weakref.WeakKeyDictionary[Any, Any] = weakref.WeakKeyDictionary()
"""By pullback: the object that was called to get it."""


def operation(site: Site, fn: Callable, /, *args, **keywords):
    """An operation of the language."""
    site, callee, given = looked_at(site, args)
    before(site, callee, given, keywords)
    y = fn(*args, **keywords)
    after(site, given, y[0] if fn is attempted and not_a_fault(y) else y)
    return y


def function(site: Site, callee: Callable, /, *args, **keywords):
    """A call."""
    before(site, callee, args, keywords)
    y = call_(callee, *args, **keywords)
    after(site, (*args, *keywords.values()), y)
    return y


def pair(site: Site, fn: Callable, /, *args, **keywords):
    """An operation of an augmented program, which returns its value and its pullback."""
    attempts = site.prim in prims.ATTEMPTS
    site, callee, given = looked_at(site, args)
    before(site, callee, given, keywords)
    y, back = fn(*args, **keywords)
    if callee is not None:
        with suppress(TypeError):  # of a pullback that nobody can refer to weakly
            BACKS[back] = callee
    after(site, (*given, *keywords.values()), y[0] if attempts and not_a_fault(y) else y)
    return y, back


def before(site: Site, callee: Any, given: tuple, keywords: dict) -> None:
    for watcher in watchers():
        watcher.before(site, callee if site.prim is None else None, given, keywords)


def after(site: Site, given: tuple, y: Any) -> None:
    for watcher in watchers():
        watcher.after(site, given, y)


def looked_at(site: Site, args: tuple) -> tuple[Site, Any, tuple]:
    """What an operation is, what it calls, and its arguments: those of the attempted one."""
    if site.prim in prims.ATTEMPTS:
        fn = args[2]
        site = site._replace(prim=fn if isinstance(fn, Prim) else None)
        args = args[3:] if site.prim else args[2:]
    if site.prim is None:
        return site, args[0], args[1:]
    return site, called(site.prim, args), args


def called(prim: Prim, args: tuple) -> Any:
    """What an operation calls, if it is one that does: an object's own part, or any callee."""
    if prim is prims.call_star:
        return args[0]
    if prim is prims.call_method:
        return getattr(args[0], "__dict__", {}).get(args[1])
    return None


def attempted(raised, error, fn, /, *args, **keywords):
    """Call a function inside of a `try`."""
    inner = INSTEAD.get(fn, fn) if isinstance(fn, Prim) else functools.partial(call_, fn)
    return prims.attempt.fn(raised, error, inner, *args, **keywords)


def not_a_fault(result: tuple) -> bool:
    """Raise again what a watcher has raised, which no `except` is to catch; else true."""
    _, error, raised = result
    if raised and isinstance(error, FAULTS):
        raise error
    return True


def backward(site: Site, callee: Callable, /, ct, store):
    """A pullback."""
    cts = callee(ct, store)
    for watcher in watchers():
        watcher.back(site, ct, cts)
    return cts


HOOKS = {hook.__code__: hook for hook in (operation, function, pair, backward)}


def callee_of(frame) -> Any:
    """What a hook that runs in a frame calls; `None` for any other frame."""
    hook = HOOKS.get(frame.f_code)
    found = frame.f_locals.get("callee") if hook else None
    return BACKS.get(found) if hook is backward else found


# -- how functions are written ---------------------------------------------------------------------

OPERATORS = frozenset([*prims.BINARY.values(), *prims.INPLACE.values(), *prims.UNARY.values()])
WATCHED = OPERATORS | {
    prims.getitem, prims.update_item, prims.call_method, prims.call_star, *prims.ATTEMPTS,
}  # fmt: skip
INSTEAD: dict[Prim, Callable] = {
    **dict.fromkeys(prims.ATTEMPTS, attempted),
} | {
    prim: CONTROL.prims[prim]
    for prim in (
        prims.update_item, prims.put_item, prims.put_attribute, prims.setitem, prims.call_method,
        prims.call_star, sharing.guard,
    )
}  # fmt: skip
"""In programs, for Python's operations: immutable arrays can be written to, as in compiled code."""
CALLS = (runtime.call, runtime.call_value)


def augmented_prims() -> dict[int, Prim]:
    """By the `id` of an augmented form: of which operation it is."""
    found = {}
    for key, form in AUGMENTED.items():
        prim = key[0] if isinstance(key, tuple) else key
        if isinstance(prim, Prim):
            found[id(form)] = prim
    return found


class AdjointWriter(Writer):
    """Writes a program with other constants for some."""

    def __init__(self, program: Program, instead: dict[int, Any] | None = None):
        super().__init__(program)
        self.instead = instead or {}

    def injected(self, value, name):
        return super().injected(self.instead.get(id(value), value), name)


class WatchedWriter(AdjointWriter):
    """Writes a program with its operations through hooks."""

    def __init__(self, program: Program, instead: dict[int, Any] | None = None):
        super().__init__(program, instead)
        self.forms = augmented_prims()

    def call(self, call: Call):
        fn = call.fn
        if isinstance(fn, Prim):
            instead = INSTEAD.get(fn)
            if fn in WATCHED:
                callee = Const(instead or fn.fn, fn.name.strip("*"))
                return super().call(self.through(operation, call, callee, fn))
            if instead is not None:
                call = replaced(call, Const(instead, fn.name.replace(" ", "_")), call.args)
            return super().call(call)
        if self.program.cotangents:
            hooked = isinstance(fn, Var)
            return super().call(self.through(backward, call, fn) if hooked else call)
        if isinstance(fn, Const):
            prim = self.forms.get(id(fn.value))
            if prim in WATCHED or any(fn.value is known for known in CALLS):
                return super().call(self.through(pair, call, fn, prim))
            return super().call(call)
        return super().call(self.through(function, call, fn))

    def through(self, hook: Callable, call: Call, fn, prim: Prim | None = None) -> Call:
        site = Const(Site(self.program.filename, call.where, prim), "site")
        return replaced(call, Const(hook, f"watched_{hook.__name__}"), (site, fn, *call.args))


def replaced(call: Call, fn, args: tuple) -> Call:
    return Call(call.targets, fn, args, call.where, call.keywords, call.unpack)


def write(program: Program, instead: dict[int, Any]) -> Emitted:
    """Write one of the programs of an adjoint."""
    kind = WatchedWriter if is_written(program.filename) else AdjointWriter
    return emit(program, lambda program: kind(program, instead))


write.primal = WatchedWriter  # type: ignore[attr-defined]
