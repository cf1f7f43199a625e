"""Derivatives of attribute reads and writes, method calls, cells and globals.

Objects keep their cotangents in the store, by identity and attribute name; properties, methods and
`__getattr__` that are written in Python are called, and differentiated as any other function.
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
from flux.ad.runtime import call, call_value, method_of_array
from flux.ad.spaces import SPACES, space_of
from flux.ad.store import instance_dict
from flux.ad.unknown import Text
from flux.errors import NotDifferentiable, user_line
from flux.ir import prims
from flux.ir.sharing import BELIEVED, keep
from flux.tree.objects import is_filled

__all__ = ["getattr_", "method_call"]

NONE2 = (None, None)
NONE3 = (None, None, None)


def back_of_two(ct, store):
    return NONE2


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


@augments(prims.call_method)
def method_call(owner, name, *args, **keywords):
    """`owner.name(...)`: without a bound method where the function itself can be called."""
    kind = type(owner)
    if kind is ModuleType:
        y, inner = call(getattr(owner, name), *args, **keywords)
        return y, lambda ct, store: (None, None, *inner(ct, store))
    if kind is str or kind is set or kind is bytes:
        return inert_method(owner, name, args, keywords)
    rule = method_rule(kind, name)
    if rule is not None:
        y, inner = rule(owner, *args, **keywords)
        return y, after_name(inner)
    found = getattr(kind, name, None)
    if type(found) is property or (found is None and missing(kind, owner, name)):
        return two_steps(owner, name, args, keywords)
    bound = getattr(owner, name)
    if type(bound) is MethodType:
        y, inner = call(bound.__func__, bound.__self__, *args, **keywords)
        if name in BELIEVED:
            for value in (y, *args, *keywords.values()):
                keep(value)
        return y, after_name(inner) if bound.__self__ is owner else without_self(inner)
    if type(bound) is BuiltinFunctionType and not isinstance(owner, type):
        return builtin_method(found, owner, bound, args, keywords)
    y, inner = call_value(bound, *args, **keywords)

    def back(ct, store):
        df, *cts = inner(ct, store)
        store.add(owner, name, df)
        return (None, None, *cts)

    return y, back


def method_rule(kind, name):
    """The rule for the method `name` of a built-in or array type."""
    rule = AUGMENTED.get(getattr(kind, name, None)) if kind in BUILTIN_KINDS else None
    if rule is None and space_of(kind) is not None:
        return method_of_array(kind, name)
    return rule


BUILTIN_KINDS = {list, dict, tuple, float, int, complex}


def after_name(inner):
    """Make room for the name between the object and the arguments."""

    def back(ct, store):
        first, *rest = inner(ct, store)
        return (first, None, *rest)

    return back


def without_self(inner):
    def back(ct, store):
        _, *rest = inner(ct, store)
        return (None, None, *rest)

    return back


def two_steps(owner, name, args, keywords):
    """Read the attribute, then call it."""
    f, read = getattr_(owner, name)
    y, inner = call_value(f, *args, **keywords)

    def back(ct, store):
        df, *cts = inner(ct, store)
        first, _ = read(df, store)
        return (first, None, *cts)

    return y, back


def inert_method(owner, name, args, keywords):
    if any([carries(a) for a in (*args, *keywords.values())]) and type(owner) is set:
        from flux.ad.inert import not_differentiable

        raise not_differentiable(getattr(owner, name))
    y, count = getattr(owner, name)(*args, **keywords), 2 + len(args) + len(keywords)
    if kind_of_text(owner) and any([isinstance(value, list | tuple) for value in (y, *args)]):
        return y, text_back(y, args, count)
    return y, nothing(count)


def kind_of_text(value) -> bool:
    return isinstance(value, str | bytes)


def text_back(y, args, count):
    """The pullback of a method of a text that cuts it into a list, or joins a list."""

    def back(ct, store):
        parts = list(store.of(y).values()) if type(y) is list else ct if type(ct) is tuple else [ct]
        texts = [part for part in parts if type(part) is Text]
        for arg in args if texts else ():
            for i in range(len(arg)) if type(arg) is list else ():
                store.add(arg, i, texts[0])
        given = texts[0] if texts else None
        cts = [(given,) * len(arg) if type(arg) is tuple else given for arg in args]
        return (given, None, *cts, *[None for _ in range(count - 2 - len(args))])

    return back


def builtin_method(found, owner, bound, args, keywords):
    """A method that is written in C: by its rule, or because nothing carries a derivative."""
    rule = AUGMENTED.get(found)
    if rule is not None:
        y, inner = rule(owner, *args, **keywords)
        return y, after_name(inner)
    rule = AUGMENTED.get(bound)
    if rule is not None:
        y, inner = rule(*args, **keywords)
        return y, lambda ct, store: (None, None, *inner(ct, store))
    values = (owner, *args, *keywords.values())
    if any([carries(value) for value in values]) and found not in registry.INERT:
        from flux.ad.inert import not_differentiable

        raise not_differentiable(bound)
    return bound(*args, **keywords), nothing(len(values) + 1)


# -- cells and globals --------------------------------------------------------------------------


@augments(prims.read_cell)
def read_cell(cell, name):
    """A captured variable that may have no value."""
    return load_cell(cell, prims.read_cell.fn(cell, name))


@augments(prims.bound)
def bound(value, name):
    """A local variable that may have no value."""
    return prims.bound.fn(value, name), lambda ct, store: (ct, None)


@augments(prims.load_cell)
def load_cell(cell, value):
    """A captured variable; read through the cell, so that the read is differentiated in turn."""
    y = cell.cell_contents

    def back(ct, store):
        store.add(cell, "cell_contents", ct)
        return NONE2

    return y, back


@augments(prims.store_cell)
def store_cell(cell, value):
    if not is_filled(cell):
        return init_cell(cell, value)
    cell.cell_contents = value

    def back(ct, store):
        return None, store.take(cell, "cell_contents")

    return None, back


@augments(prims.init_cell)
def init_cell(cell, value):
    """The first value of a cell, which is the running function's own."""
    cell.cell_contents = value

    def back(ct, store):
        return None, store.take(cell, "cell_contents")

    return None, back


@augments(prims.load_global)
def load_global(module, name):
    value = prims.load_global.fn(module, name)

    def back(ct, store):
        store.add(module, name, ct)
        return NONE2

    return value, back


@augments(prims.store_global)
def store_global(module, name, value):
    module[name] = value

    def back(ct, store):
        return None, None, store.take(module, name)

    return None, back


@augments(prims.var_keywords)
def var_keywords(keywords):
    """`**keywords` is a dict made for this call: its cotangent is what the store holds."""
    names = tuple(keywords)

    def back(ct, store):
        return (tuple([(name, store.take(keywords, name)) for name in names]),)

    return None, back


@augments(prims.call_star)
def call_star(f, args, keywords):
    """`f(*args, **keywords)`."""
    y, inner = call_value(f, *args, **keywords)
    count, names = len(args), tuple(keywords)

    def back(ct, store):
        df, *cts = inner(ct, store)
        for name, part in zip(names, cts[count:], strict=True):
            store.add(keywords, name, part)
        return df, tuple(cts[:count]), None

    return y, back


inert(names_of, instance_dict, is_filled, of_class, has_getter, is_frozen)
