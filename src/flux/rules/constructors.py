"""Derivatives of making instances of classes whose `__init__` has no source.

Dataclasses, named tuples and namespaces: their constructors are told in plain Python.
"""

from __future__ import annotations

import dataclasses
import inspect
import types
from typing import Any

from flux.ad.registry import CONSTRUCTORS, augments, inert
from flux.ad.runtime import call
from flux.tree.objects import blank

# -- dataclasses: their `__init__` is generated, and has no source ---------------------------------


def generated_init(cls):
    """The constructor of a dataclass, told in plain Python."""
    if not dataclasses.is_dataclass(cls) or cls.__init__.__code__.co_filename != "<string>":
        return None

    def make(*args, **keywords):
        instance = new_instance(cls, args, keywords)
        position, initial = 0, []
        for field in init_fields(cls):
            name = field.name
            if field.init and position < len(args):
                value = args[position]
                position += 1
            elif field.init and name in keywords:
                value = keywords[name]
            elif field.default_factory is not dataclasses.MISSING:
                value = field.default_factory()
            elif field.default is not dataclasses.MISSING:
                value = field.default
            else:
                continue
            if is_init_only(field):
                initial.append(value)
            else:
                object.__setattr__(instance, name, value)
        if hasattr(cls, "__post_init__"):
            instance.__post_init__(*initial)
        return instance

    return lambda *args, **keywords: call(make, *args, **keywords)


def new_instance(cls, args, keywords):
    """A bare instance; the arguments are checked as Python would."""
    inspect.signature(cls.__init__).bind(None, *args, **keywords)
    return cls.__new__(cls)


def init_fields(cls):
    """The fields in order, those that only `__init__` sees included."""
    return [f for f in cls.__dataclass_fields__.values() if not is_class_variable(f)]


def is_class_variable(field):
    return field._field_type is dataclasses._FIELD_CLASSVAR  # type: ignore[attr-defined]


def is_init_only(field):
    return field._field_type is dataclasses._FIELD_INITVAR  # type: ignore[attr-defined]


@augments(dataclasses.replace)
def replace_(value, **changes):
    given = {f.name: getattr(value, f.name) for f in dataclasses.fields(value) if f.init}
    y, inner = call(type(value), **{**given, **changes})
    names = tuple({**given, **changes})

    def back(ct, store):
        cts = dict(zip(names, inner(ct, store), strict=True))
        for name in given:
            if name not in changes:
                store.add(value, name, cts[name])
        return (None, *[cts[name] for name in changes])

    return y, back


CONSTRUCTORS.append(generated_init)
inert(new_instance, init_fields, is_init_only)


# -- named tuples and namespaces -------------------------------------------------------------------


def named_tuple(cls: Any):
    """`Point(x, y)` of a class made by `NamedTuple` or `namedtuple`: a tuple of its fields."""
    if not (issubclass(cls, tuple) and hasattr(cls, "_fields")):
        return None
    names: tuple[str, ...] = getattr(cls, "_fields", ())

    def augmented(*args, **keywords):
        y = cls(*args, **keywords)
        count = len(args)

        def back(ct, store):
            if ct is None:
                return (None,) * (count + len(keywords))
            return (*ct[:count], *[ct[names.index(name)] for name in keywords])

        return y, back

    return augmented if cls.__new__.__qualname__.endswith("__new__") else None


def namespace(cls: type):
    """`types.SimpleNamespace(a=x)`: an object like any other."""
    if cls is not types.SimpleNamespace:
        return None

    def make(**parts):
        made = blank(cls)
        for name, value in parts.items():
            setattr(made, name, value)
        return made

    return lambda *args, **parts: call(make, *args, **parts)


CONSTRUCTORS.append(named_tuple)
CONSTRUCTORS.append(namespace)
