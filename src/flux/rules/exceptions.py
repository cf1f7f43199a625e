"""Derivatives of what is attempted inside a `try`, of managers of `with`, and of patterns."""

from __future__ import annotations

from types import FunctionType

from flux.ad.inert import nothing
from flux.ad.registry import AUGMENTED, augments, inert
from flux.ad.runtime import Pullback, call, call_value
from flux.errors import NotDifferentiable, SourceError, user_line
from flux.ir import patterns, prims
from flux.ir.program import Prim

CHANGES = frozenset(
    """setitem set_slice setattr_ object_setattr delattr_ store_cell store_global delitem
    update_item list_append list_extend list_insert list_pop list_reverse list_sort dict_pop
    dict_setdefault dict_update dict_clear extend_in_place""".split()
)
"""Rules of operations that change an object."""


@augments(prims.attempt)
def attempt(raised, error, fn, *args, **keywords):
    """Call `fn` unless an exception is on its way; of a call that raised, nothing is reversed."""
    count = 3 + len(args) + len(keywords)
    if raised:
        return (None, error, True), nothing(count)
    try:
        y, inner = tried(fn, args, keywords)
    except (NotDifferentiable, SourceError):
        raise
    except BaseException as caught:
        refuse_changes(fn, caught)
        return (None, caught, True), nothing(count)

    def back(ct, store):
        return (None, None, *inner(None if ct is None else ct[0], store))

    return (y, None, False), back


@augments(prims.attempt_through)
def attempt_through(raised, error, fn, *args, **keywords):
    return attempt(raised, error, fn, *args, **keywords)


def tried(fn, args, keywords):
    if not isinstance(fn, Prim):
        return call_value(fn, *args, **keywords)
    rule = AUGMENTED.get(fn)
    if rule is None:
        return fn.fn(*args, **keywords), nothing(1 + len(args) + len(keywords))
    y, inner = rule(*args, **keywords)
    return y, lambda ct, store: (None, *inner(ct, store))


def refuse_changes(fn, error) -> None:
    """Refuse an exception from inside a function that had changed something by then.

    The pullback of the function is lost with it; what it changed would keep the cotangents of its
    old values.
    """
    if isinstance(fn, Prim) and fn is not prims.call_method:
        return
    made: set[int] = set()
    changed: dict[int, object] = {}
    trace = error.__traceback__
    trace = trace and trace.tb_next
    seen: set[int] = set()
    while trace is not None:
        waiting = [v for k, v in trace.tb_frame.f_locals.items() if k.startswith(RECORDS)]
        while waiting:
            value = waiting.pop()
            if id(value) in seen:
                continue
            seen.add(id(value))
            if isinstance(value, list | tuple):
                waiting.extend(value)
            elif isinstance(value, Pullback):
                waiting.extend(value.args)
            elif isinstance(value, FunctionType):
                cells = zip(value.__code__.co_freevars, value.__closure__ or (), strict=True)
                captured = {name: cell.cell_contents for name, cell in cells}
                made.update(id(captured[k]) for k in ("made", "instance") if k in captured)
                if value.__qualname__.startswith("init_cell."):
                    made.add(id(captured["cell"]))
                if is_change(value):
                    changed.update((id(captured[k]), captured[k]) for k in OWNERS if k in captured)
                waiting.extend(captured.values())
        trace = trace.tb_next
    if any(key not in made for key in changed):
        raise NotDifferentiable(
            "a function raised an exception after it had changed an object, and the exception is "
            "caught here.",
            where=user_line(),
            hint="Let it raise before it changes anything, or return a flag instead.",
        ) from error


RECORDS = ("back_", "side_", "step", "residuals")
"""How the names of what a generated function records begin."""
OWNERS = ("owner", "cell", "module")


def is_change(back: FunctionType) -> bool:
    """Is `back` the pullback of an operation that changes an object?"""
    ours = (back.__module__ or "").startswith("flux.rules.")
    return ours and back.__qualname__.partition(".")[0] in CHANGES


inert(refuse_changes)


@augments(prims.unpack_attempt)
def unpack_attempt(value, count):
    nones = (None,) * count
    if value is None:
        return nones, nothing(2)
    return AUGMENTED[prims.unpack](value, count)


def as_python(prim: Prim):
    """Differentiate a primitive as the decorated function."""

    def register(equivalent):
        AUGMENTED[prim] = lambda *args: call(equivalent, *args)
        return equivalent

    return register


@as_python(prims.enter)
def enter(manager):
    return type(manager).__enter__(manager)


@as_python(prims.exit_)
def leave(manager, error):
    if error is None:
        type(manager).__exit__(manager, None, None, None)
        return False
    return bool(type(manager).__exit__(manager, type(error), error, error.__traceback__))


@as_python(patterns.part)
def part(value, name):
    return getattr(value, name) if name else value


@as_python(patterns.without)
def without(value, keys):
    return {key: value[key] for key in value if key not in keys}
