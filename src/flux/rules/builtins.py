"""Derivatives of Python's built-in functions, and of the standard library's functional tools.

Most are told by an equivalent in plain Python (`as_python`), which is differentiated as written.
"""

from __future__ import annotations

import ast
import copy
import dataclasses
import functools
import inspect
import math
import operator
import random
import threading
import types
import typing
from types import FunctionType
from typing import Any

from flux.ad.carries import carries, is_capturing
from flux.ad.cotangents import whole_of_partial
from flux.ad.inert import back_of_text, no_back, not_differentiable, nothing, reading
from flux.ad.registry import AUGMENTED, CONSTRUCTORS, FINDERS, INERT_MODULES, augments, inert
from flux.ad.runtime import call
from flux.ad.spaces import project, space_of
from flux.ad.unknown import of_text
from flux.errors import NotDifferentiable, user_line
from flux.rules.containers import (
    as_python,
    give_back,
    is_own_iterable,
    list_sort,
    listed,
    sequence,
    solid,
)
from flux.tree.objects import blank, fields, is_object, set_field

# -- numbers ---------------------------------------------------------------------------------------


def by_own_method(name, rule):
    """The rule of a function that asks for the method `name`, where that is written in Python."""

    def augmented(*args, **keywords):
        method = getattr(type(args[0]), name, None) if args else None
        own = type(method) is FunctionType and method.__module__ not in ("fractions", "numbers")
        if own and space_of(type(args[0])) is None:
            return call(method, *args, **keywords)
        return rule(*args, **keywords)

    return augmented


def float_(x=0.0):
    y = float(x)

    def back(ct, store):
        return (project(ct, x),)

    return y, back if space_of(type(x)) is not None else back_of_text(y, (x,))


for read in (float.fromhex, eval, ast.literal_eval):
    AUGMENTED[read] = reading(read)


@augments(float.as_integer_ratio)
def as_integer_ratio(x):
    raise NotDifferentiable(
        "the whole numbers of `x.as_integer_ratio()` have no derivative.",
        where=user_line(),
        hint="Use the number itself, or flux.stop_gradient of it.",
    )


AUGMENTED[float] = by_own_method("__float__", float_)


@augments(complex)
def complex_(*parts):
    y = complex(*parts)

    def back(ct, store):
        if ct is None:
            return (None,) * len(parts)
        if len(parts) == 1:
            return (of_text(ct) if isinstance(parts[0], str) else project(ct, parts[0]),)
        return project(ct.real, parts[0]), project((ct * 1j).real, parts[1])

    return y, back


def round_(x, *digits, **named):
    y = round(x, *digits, **named)

    def back(ct, store):
        space = space_of(type(x))
        zero = None if ct is None or space is None else space.zero(x)
        return (zero, *[None for _ in (*digits, *named)])

    return y, back


AUGMENTED[round] = by_own_method("__round__", round_)


@as_python(divmod)
def divmod_(a, b):
    return a // b, a % b


@augments(pow)
def pow_(base, exp, mod=None, **named):
    if mod is None and not named:
        return call(operator.pow, base, exp)
    y = pow(base, exp, **({} if mod is None else {"mod": mod}), **named)
    return y, nothing(2 + (mod is not None) + len(named))


# -- reductions ------------------------------------------------------------------------------------


@as_python(sum)
def sum_(values, /, start=0):
    total = start
    for value in values:
        total = total + value
    return total


def first_best(values, key, better):
    best = None
    best_key = None
    empty = True
    for value in values:
        value_key = value if key is None else key(value)
        if empty or better(value_key, best_key):
            best, best_key = value, value_key
            empty = False
    return best, empty


def extreme(name, values, key, default, better):
    if len(values) == 1:
        values = values[0]
    best, empty = first_best(values, key, better)
    if empty:
        if default:
            return default[0]
        raise ValueError(f"{name}() iterable argument is empty")
    return best


@augments(max)
def max_(*values, **options):
    return best_of(max_python, values, options)


@augments(min)
def min_(*values, **options):
    return best_of(min_python, values, options)


def max_python(values, key, default):
    return extreme("max", values, key, default, operator.gt)


def min_python(values, key, default):
    return extreme("min", values, key, default, operator.lt)


def best_of(python, values, options):
    """`max` and `min` by their equivalents; one cotangent for each keyword that was given."""
    default = (options["default"],) if "default" in options else ()
    y, inner = call(python, values, options.get("key"), default)

    def back(ct, store):
        cts, _, rest = inner(ct, store)
        cts = (None,) * len(values) if cts is None else cts
        own = {"key": None, "default": rest[0] if rest else None}
        return (*cts, *[own[name] for name in options])

    return y, back


# -- sequences -------------------------------------------------------------------------------------


def tupled(values):
    return tuple([value for value in values])


@augments(tuple.__new__)
def tuple_new(cls, values=()):
    values, solidify = solid(values)
    y = tuple.__new__(cls, values)

    def back(ct, store):
        whole = None if ct is None else give_back(values, ct, store)
        return None, whole if solidify is None else solidify(None, store)[0]

    return y, back


@augments(list)
def list_(*values):
    if not values:
        return [], nothing(0)
    if isinstance(values[0], dict | str | range | bytes):
        return list(values[0]), nothing(1)
    if is_own_iterable(values[0]):
        return call(listed, values[0])
    items = sequence(values[0])
    made = list(items)
    count = len(items)

    def back(ct, store):
        cts = tuple([store.take(made, i) for i in range(count)])
        return (give_back(values[0], cts, store),)

    return made, back


@augments(tuple)
def tuple_(*values):
    if not values:
        return (), nothing(0)
    if isinstance(values[0], dict | str | range | bytes):
        return tuple(values[0]), nothing(1)
    if is_own_iterable(values[0]):
        return call(tupled, values[0])
    items = sequence(values[0])

    def back(ct, store):
        return (None if ct is None else give_back(values[0], ct, store),)

    return items, back


@as_python(dict)
def dict_(*sources, **named):
    made = {}
    made.update(*sources, **named)
    return made


@augments(sorted)
def sorted_(values, **options):
    made, inner_list = list_(values)
    _, inner = list_sort(made, **options)

    def back(ct, store):
        _, *named = inner(None, store)
        return (*inner_list(None, store), *named)

    return made, back


@as_python(any)
def any_(values):
    for value in values:
        if value:
            return True
    return False


@as_python(all)
def all_(values):
    for value in values:
        if not value:
            return False
    return True


# -- copies ----------------------------------------------------------------------------------------


def copied(value, deep, memo):
    """`(copy, pairs)`: the copy of `value`, and each container with its copy."""
    known = memo.get(id(value))
    if known is not None:
        return known[1]
    if isinstance(value, tuple):
        items = [copied(item, deep, memo) if deep else item for item in value]
        return type(value)(*items) if hasattr(type(value), "_fields") else tuple(items)
    if isinstance(value, list | dict) and type(value) not in (list, dict):
        return copied_subclass(value, deep, memo)
    if isinstance(value, list):
        made = []
        memo[id(value)] = (value, made)
        made.extend([copied(item, deep, memo) if deep else item for item in value])
        return made
    if isinstance(value, dict):
        made = {}
        memo[id(value)] = (value, made)
        for key, item in value.items():
            made[key] = copied(item, deep, memo) if deep else item
        return made
    kind = type(value)
    own_copy = hasattr(kind, "__deepcopy__" if deep else "__copy__")
    if is_object(value) and space_of(kind) is None and not own_copy:
        made = blank(kind)
        memo[id(value)] = (value, made)
        for name, item in fields(value).items():
            set_field(made, name, copied(item, deep, memo) if deep else item)
        return made
    return copy.deepcopy(value) if deep else copy.copy(value)


def copied_subclass(value, deep, memo):
    """A copy of a list or dict of another class; what it holds as an object is not followed."""
    if any([carries(item) for item in fields(value).values()]):
        raise not_differentiable(copy.deepcopy if deep else copy.copy)
    made = copy.copy(value)
    memo[id(value)] = (value, made)
    for key in range(len(made)) if isinstance(made, list) else list(made):
        if deep:
            made[key] = copied(made[key], deep, memo)
    return made


def copy_rule(deep):
    def augmented(value):
        memo = {}
        made = copied(value, deep, memo)
        links = list(memo.values())

        def back(ct, store):
            for owner, other in links:
                slots = dict(store.of(other))
                for key in slots:
                    store.add(owner, key, store.take(other, key))
            return (ct,)

        return made, back

    return augmented


AUGMENTED[copy.copy] = copy_rule(False)
AUGMENTED[copy.deepcopy] = copy_rule(True)


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


CONSTRUCTORS.append(generated_init)
inert(new_instance, init_fields, is_init_only)


# -- the operator module ---------------------------------------------------------------------------


@as_python(operator.getitem)
def getitem_(owner, index):
    return owner[index]


@as_python(operator.itemgetter)
def itemgetter_(*keys):
    if len(keys) == 1:
        return lambda owner: owner[keys[0]]
    return lambda owner: tuple([owner[key] for key in keys])


@as_python(operator.attrgetter)
def attrgetter_(*names):
    if len(names) == 1:
        return lambda owner: read_path(owner, names[0])
    return lambda owner: tuple([read_path(owner, name) for name in names])


def read_path(owner, path):
    """`owner.a.b` for the path `"a.b"`."""
    for name in path.split("."):
        owner = getattr(owner, name)
    return owner


def made_getter(f):
    """A getter of the `operator` module that was made elsewhere."""
    if type(f) is operator.itemgetter:
        getter = itemgetter_(*f.__reduce__()[1])
    elif type(f) is operator.attrgetter:
        getter = attrgetter_(*f.__reduce__()[1])
    else:
        return None
    return lambda owner: call(getter, owner)


FINDERS.append(made_getter)


@as_python(operator.methodcaller)
def methodcaller_(name, *args, **keywords):
    return lambda owner: getattr(owner, name)(*args, **keywords)


@augments(functools.partial)
def partial_(f, *args, **keywords):
    """A partial is a value: its cotangent is that of the function, arguments and keywords.

    Python makes one partial of a partial of a partial.
    """
    y = functools.partial(f, *args, **keywords)
    before = len(y.args) - len(args)

    def back(ct, store):
        own, given, named = whole_of_partial(y, ct, store.take)
        by_name = dict(zip(y.keywords, named, strict=True))
        if isinstance(f, functools.partial) and y.func is f.func:
            kept = tuple([None if name in keywords else by_name[name] for name in f.keywords])
            own = (own, tuple(given[:before]), kept)
        return (own, *given[before:], *[by_name[name] for name in keywords])

    return y, back


inert(len, isinstance, issubclass, callable, hasattr, id, hash, type, repr, str, int, bool, print,
      range, slice, format, ord, chr, bin, hex, oct, bytes, object, object.__init__, super,
      frozenset, operator.eq, operator.ne, operator.lt, operator.le, operator.gt, operator.ge,
      operator.not_, operator.is_, operator.is_not, operator.contains, operator.truth,
      dataclasses.fields, dataclasses.is_dataclass)  # fmt: skip
AUGMENTED[slice] = no_back(slice)


@augments(threading.Thread.start)
def start(thread):
    """A thread runs on its own: nothing of it could be reversed."""
    target = getattr(thread, "_target", None)
    if is_capturing(target) or any([carries(value) for value in getattr(thread, "_args", ())]):
        raise not_differentiable(threading.Thread.start)
    return thread.start(), nothing(1)


INERT_MODULES.update(
    "os sys time logging warnings re json pathlib datetime threading inspect types typing "
    "collections.abc string textwrap uuid secrets hashlib traceback rich".split()
)
AUGMENTED[frozenset] = no_back(frozenset)
inert(random.Random.random, random.Random.randrange, random.Random.randint, random.Random.seed,
      random.Random.getrandbits, random.Random._randbelow,  # pyright: ignore[reportAttributeAccessIssue]
      random.Random.getstate,
      random.Random.setstate, random.random, random.randrange, random.randint, random.seed,
      random.getrandbits)  # fmt: skip


@as_python(math.fsum)
def fsum(values):
    return sum(values)


@as_python(math.prod)
def prod(values, *, start=1):
    total = start
    for value in values:
        total = total * value
    return total


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


CONSTRUCTORS.append(named_tuple)


@as_python(typing.cast)
def cast(kind, value):
    return value


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


CONSTRUCTORS.append(namespace)
