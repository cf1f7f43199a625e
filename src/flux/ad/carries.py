"""Can a value hold something that has a derivative? Asked where a callee has none."""

from __future__ import annotations

from functools import partial
from types import FunctionType, MethodType

from flux.ad.registry import inert
from flux.ad.spaces import VALUE, space_of
from flux.tree.objects import is_filled, is_object

__all__ = ["carries", "is_capturing"]


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


def is_capturing(value) -> bool:
    """Is `value` a function that captured something that has a derivative?"""
    if isinstance(value, partial):
        return is_capturing(value.func) or carries([*value.args, *value.keywords.values()])
    if isinstance(value, FunctionType):
        return any(
            [carries(cell.cell_contents) for cell in value.__closure__ or () if is_filled(cell)]
        )
    return isinstance(value, MethodType) and carries(value.__self__)


inert(carries)
