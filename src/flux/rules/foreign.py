"""Arrays of one library that are given to a function of another: their derivative would be lost."""

from __future__ import annotations

from types import BuiltinFunctionType, FunctionType

from flux.ad.registry import inert
from flux.ad.spaces import space_of
from flux.errors import NotDifferentiable, user_line

__all__ = ["refuse_foreign"]

PLAIN = frozenset(
    [int, bool, str, slice, tuple, list, type, type(None), type(...), FunctionType,
     BuiltinFunctionType, float, complex]
)  # fmt: skip


def refuse_foreign(value, library: str) -> None:
    """Refuse `value` if it carries a derivative that the rules of `library` do not know."""
    kind = type(value)
    if kind in PLAIN:
        return
    space = space_of(kind)
    if space is not None and space.zero(value) is not None:
        raise NotDifferentiable(
            f"a function of {library} that is given a {kind.__module__}.{kind.__name__} has no "
            "derivative rule.",
            where=user_line(),
            hint="Use functions of its own library, or convert it outside of this function.",
        )


inert(refuse_foreign)
