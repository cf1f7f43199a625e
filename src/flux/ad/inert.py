"""Callees without a derivative: they are run, and their pullbacks give nothing.

`no_back` is for those of which that is known, `quiet` for those of modules that compute nothing
with a derivative, `opaque` for those that cannot be looked into, `reading` for those that make
numbers of texts. Where a derivative would be lost, the call is refused.
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

from flux.ad.carries import carries, is_capturing
from flux.ad.registry import inert
from flux.ad.unknown import Text, of_text, text_only
from flux.errors import NotDifferentiable, user_line

__all__ = ["no_back", "not_differentiable", "nothing", "opaque", "quiet", "reading"]


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


def quiet(f) -> Callable:
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


inert(nothing, user_line)
