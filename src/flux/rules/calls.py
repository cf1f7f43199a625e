"""Derivatives of calls of methods, and of calls with `*args` and `**keywords`.

Methods that are written in Python are differentiated as any other function.
"""

from __future__ import annotations

from types import BuiltinFunctionType, MethodType, ModuleType

from flux.ad import registry
from flux.ad.carries import carries
from flux.ad.inert import not_differentiable, nothing
from flux.ad.registry import AUGMENTED, augments
from flux.ad.runtime import call, call_value, method_of_array
from flux.ad.spaces import space_of
from flux.ad.unknown import Text
from flux.ir import prims
from flux.ir.sharing import BELIEVED, keep
from flux.rules.attributes import getattr_, missing

__all__ = ["method_call"]


# -- calls of methods ------------------------------------------------------------------------------


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
        raise not_differentiable(bound)
    return bound(*args, **keywords), nothing(len(values) + 1)


# -- calls with `*args` and `**keywords` -----------------------------------------------------------


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
