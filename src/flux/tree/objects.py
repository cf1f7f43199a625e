"""Objects as fields: what an instance holds, and how to make one without running `__init__`."""

from __future__ import annotations

from types import (
    BuiltinFunctionType,
    CellType,
    FunctionType,
    MethodType,
    ModuleType,
    SimpleNamespace,
)
from typing import Any

__all__ = ["blank", "fields", "is_filled", "is_namedtuple", "is_object", "set_field"]

NOT_OBJECTS = (type, ModuleType, FunctionType, MethodType, BuiltinFunctionType, BaseException)


def fields(obj) -> dict[str, Any]:
    """The attributes that the instance itself holds, in `__slots__` and in `__dict__`, in order.

    >>> class Point:
    ...     def __init__(self, x, y):
    ...         self.x, self.y = x, y
    >>> fields(Point(1, 2))
    {'x': 1, 'y': 2}
    """
    found: dict[str, Any] = {}
    for cls in reversed(type(obj).__mro__):
        slots = cls.__dict__.get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            if name not in ("__dict__", "__weakref__") and hasattr(obj, name):
                found[name] = getattr(obj, name)
    found.update(getattr(obj, "__dict__", ()))
    return found


def blank(cls: type) -> Any:
    """An instance of `cls` that no `__init__` has touched."""
    return cls.__new__(cls) if cls is SimpleNamespace else object.__new__(cls)


def set_field(obj, name: str, value) -> None:
    """Set an attribute, of a frozen dataclass too."""
    object.__setattr__(obj, name, value)


def is_object(value) -> bool:
    """Is `value` an instance of a class written in Python, to be seen as its fields?"""
    cls = type(value)
    if cls is SimpleNamespace:
        return True
    if isinstance(value, NOT_OBJECTS):
        return False
    made_in_python = cls.__new__ is object.__new__ or isinstance(cls.__new__, FunctionType)
    if not made_in_python or cls is object or has_dtype(value):
        return False  # whatever has a dtype is an array, and seen as a whole
    return hasattr(value, "__dict__") or any("__slots__" in c.__dict__ for c in cls.__mro__[:-1])


def has_dtype(value) -> bool:
    """Has a value a dtype? The user's `__getattr__` is not asked, which may do something."""
    if hasattr(type(value), "__getattr__"):
        return hasattr(type(value), "dtype") or "dtype" in getattr(value, "__dict__", ())
    return hasattr(value, "dtype")


def is_namedtuple(value) -> bool:
    """Is `value` a named tuple?"""
    return isinstance(value, tuple) and hasattr(type(value), "_fields")


def is_filled(cell: CellType) -> bool:
    """Does a cell of a closure hold a value yet?"""
    try:
        cell.cell_contents  # noqa: B018
    except ValueError:
        return False
    return True
