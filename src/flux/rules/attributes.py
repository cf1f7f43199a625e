"""Derivatives of reading, setting and deleting attributes.

Objects keep their cotangents in the store, by identity and attribute name; properties, descriptors
and `__getattr__` that are written in Python are called, and differentiated as any other function.
"""

from __future__ import annotations

import functools
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any

from flux.ad import registry
from flux.ad.carries import carries
from flux.ad.cotangents import accumulate
from flux.ad.inert import nothing
from flux.ad.registry import AUGMENTED, augments, inert
from flux.ad.runtime import call
from flux.ad.spaces import SPACES, space_of
from flux.ad.store import instance_dict
from flux.errors import NotDifferentiable, user_line
from flux.ir import prims
from flux.ir.sharing import BELIEVED, keep

__all__ = ["getattr_", "missing"]

NONE2 = (None, None)


# -- reading ---------------------------------------------------------------------------------------


def to_owner(ct, store):
    """What belongs to a bound method by value belongs to the object."""
    return ct, None


def attribute_rule(kind, name):
    """The rule for the attribute `name` of arrays of type `kind`."""
    rule = registry.ATTRIBUTES.get((kind, name))
    if rule is None:
        for finder in registry.ATTRIBUTE_FINDERS:
            rule = finder(kind, name)
            if rule is not None:
                return rule
    return rule


@augments(prims.getattr_, getattr)
def getattr_(owner, name, *default) -> Any:
    """`owner.name`; a default is used, and gets the cotangent, where there is no such attribute."""
    if default:
        return getattr_or(owner, name, *default)
    if name == "__dict__":
        return dict_of(owner), nothing(2)
    kind = type(owner)
    rule = attribute_rule(kind, name) if space_of(kind) is not None else None
    hook = None if rule is not None else getattr(kind, "__getattribute__", None)
    if rule is not None:
        y, own = rule(owner)
    elif type(hook) is FunctionType and not isinstance(owner, ModuleType | type):
        y, own = call(hook, owner, name)
    elif not in_class(kind, name) and missing(kind, owner, name):
        y, own = call(kind.__getattr__, owner, name)
    else:
        y, own = object_getattribute(owner, name)
        if name in BELIEVED:
            keep(y)
        return y, own
    return y, lambda ct, store: (own(ct, store)[0], None)


@augments(object.__getattribute__)
def object_getattribute(owner, name):
    """As Python looks an attribute up if the class has no hook of its own."""
    kind = type(owner)
    found: Any = of_class(kind, name)
    if type(found) is property:
        y, own = call(found.fget, owner)
        return y, lambda ct, store: (own(ct, store)[0], None)
    if type(found) is functools.cached_property:
        return cached(found, owner, name)
    if has_getter(found, owner, name):
        y, own = call(type(found).__get__, found, owner, kind)
        return y, lambda ct, store: (own(ct, store)[1], None)
    hooked = type(getattr(kind, "__getattribute__", None)) is FunctionType
    return attribute_read(
        owner, name, object.__getattribute__(owner, name) if hooked else getattr(owner, name)
    )


def dict_of(owner) -> dict:
    """What an object holds; an array has its derivative as a whole."""
    if space_of(type(owner)) is not None:
        raise NotDifferentiable(
            f"the `__dict__` of a {type(owner).__name__} is not covered by the automatic "
            "differentiation.",
            where=user_line(),
            hint="Read its attributes by their names.",
        )
    return instance_dict(owner)


AUGMENTED[vars] = lambda owner: (dict_of(owner), nothing(1))


def getattr_or(owner, name, default):
    is_property = type(getattr(type(owner), name, None)) is property
    if not is_property and not hasattr(owner, name):
        return default, lambda ct, store: (None, None, ct)
    y, inner = getattr_(owner, name)
    return y, lambda ct, store: (*inner(ct, store), None)


def of_class(kind, name):
    """What the class itself holds under `name`, no descriptor being asked."""
    for cls in kind.__mro__:
        if name in cls.__dict__:
            return cls.__dict__[name]
    return None


def in_class(kind, name) -> bool:
    """Does the class itself hold something under `name`, be it `None`?"""
    return any([name in cls.__dict__ for cls in kind.__mro__])


def has_getter(found, owner, name) -> bool:
    """Will Python ask a `__get__` that is written in Python?"""
    if found is None or type(getattr(type(found), "__get__", None)) is not FunctionType:
        return False
    return hasattr(type(found), "__set__") or name not in getattr(owner, "__dict__", ())


def cached(found: functools.cached_property, owner, name):
    """The first read computes and stores; the ones after it read what was stored."""
    parts = instance_dict(owner)
    if name in parts:
        return attribute_read(owner, name, parts[name])
    y, inner = call(found.func, owner)
    parts[name] = y

    def back(ct, store):
        return inner(accumulate(ct, store.take(owner, name)), store)[0], None

    return y, back


def missing(kind, owner, name) -> bool:
    """Will Python ask a `__getattr__` that is written in Python?"""
    hook = getattr(kind, "__getattr__", None)
    return type(hook) is FunctionType and name not in getattr(owner, "__dict__", ())


def attribute_read(owner, name, y):
    """A stored attribute, a bound method, or a field of a named tuple."""
    kind = type(y)
    if name == "__self__" and isinstance(owner, MethodType | BuiltinFunctionType):
        return y, to_owner
    if kind in SPACES or isinstance(y, tuple) or space_of(kind) is not None:
        if isinstance(owner, ModuleType | type):
            return y, nothing(2)
        if isinstance(owner, tuple):
            names = names_of(owner)
            return y, field_back(owner, names.index(name)) if name in names else nothing(2)
        if isinstance(owner, functools.partial) and name == "args":
            return y, args_back(owner)
        if carries(y) and space_of(type(owner)) is not None:
            raise NotDifferentiable(
                f"the attribute `{name}` of a {type(owner).__name__} has no derivative rule.",
                where=user_line(),
                hint="Compute it with functions that have one, or cut it with flux.stop_gradient.",
            )

        def back(ct, store):
            store.add(owner, name, ct)
            return NONE2

        return y, back
    if kind is MethodType or kind is BuiltinFunctionType:
        return y, to_owner
    if isinstance(owner, functools.partial) and name == "func":
        nones = (None,) * len(owner.args), (None,) * len(owner.keywords)
        return y, lambda ct, store: (None if ct is None else (ct, *nones), None)
    if callable(y) and not isinstance(owner, ModuleType | type | tuple):

        def back_callable(ct, store):
            store.add(owner, name, ct)
            return NONE2

        return y, back_callable
    return y, nothing(2)


def args_back(owner: functools.partial):
    """The arguments that a partial holds travel by value."""
    nones = (None,) * len(owner.keywords)
    return lambda ct, store: (None if ct is None else (None, ct, nones), None)


def names_of(owner: tuple) -> tuple:
    """The names of the items of a named tuple, or of one that is written in C."""
    return getattr(owner, "_fields", None) or getattr(type(owner), "__match_args__", ())


def field_back(owner, index):
    """The cotangent of a named tuple is a tuple."""
    count = len(owner)

    def back(ct, store):
        if ct is None:
            return NONE2
        return (None,) * index + (ct,) + (None,) * (count - index - 1), None

    return back


# -- setting ---------------------------------------------------------------------------------------


@augments(prims.setattr_, setattr)
def setattr_(owner, name, value):
    kind = type(owner)
    if name == "__dict__":
        raise NotDifferentiable(
            "`__dict__` of an object is replaced, which the automatic differentiation does not "
            "cover.",
            where=user_line(),
            hint="Set the attributes one by one, or use `obj.__dict__.update(...)`.",
        )
    if (kind, name) in registry.ATTRIBUTES:
        raise NotDifferentiable(
            f"`{name}` of a {kind.__name__} is set, which the automatic differentiation does not "
            "cover.",
            where=user_line(),
            hint="Make a new one instead.",
        )
    hook = kind.__setattr__
    if type(hook) is FunctionType and not is_frozen(kind):
        return call(hook, owner, name, value)
    if isinstance(owner, ModuleType | type) and carries(value):
        raise NotDifferentiable(
            f"`{owner.__name__}.{name}` of a module or class is set to a value that carries a "
            "derivative.",
            where=user_line(),
            hint="Keep it in an object, or cut it with flux.stop_gradient.",
        )
    if is_frozen(kind):
        setattr(owner, name, value)  # raises
    return object_setattr(owner, name, value)


@augments(object.__setattr__)
def object_setattr(owner, name, value):
    """As Python sets an attribute if the class has no hook of its own."""
    found: Any = of_class(type(owner), name)
    if type(found) is property and found.fset is not None:
        y, inner = call(found.fset, owner, value)

        def back_property(ct, store):
            first, last = inner(None, store)
            return first, None, last

        return y, back_property
    if type(getattr(type(found), "__set__", None)) is FunctionType:
        y, inner = call(type(found).__set__, found, owner, value)

        def back_descriptor(ct, store):
            _, first, last = inner(None, store)
            return first, None, last

        return y, back_descriptor
    if isinstance(owner, ModuleType | type):
        setattr(owner, name, value)
    else:
        object.__setattr__(owner, name, value)

    def back(ct, store):
        return None, None, store.take(owner, name)

    return None, back


def is_frozen(kind) -> bool:
    """Is `kind` a frozen dataclass? Its `__setattr__` has no source; it raises."""
    parameters = getattr(kind, "__dataclass_params__", None)
    return parameters is not None and parameters.frozen


# -- deleting --------------------------------------------------------------------------------------


@augments(prims.delattr_, delattr)
def delattr_(owner, name):
    found = of_class(type(owner), name)
    if type(found) is property and found.fdel is not None:
        y, inner = call(found.fdel, owner)
        return y, lambda ct, store: (inner(ct, store)[0], None)
    hook = type(owner).__delattr__
    if type(hook) is FunctionType and not is_frozen(type(owner)):
        return call(hook, owner, name)
    delattr(owner, name)

    def back(ct, store):
        store.take(owner, name)
        return NONE2

    return None, back


inert(names_of, instance_dict, of_class, has_getter, is_frozen)
