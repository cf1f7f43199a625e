"""Derivatives of Python's built-in functions.

Most are told by an equivalent in plain Python (`as_python`), which is differentiated as written.
"""

from __future__ import annotations

import ast
import operator
from types import FunctionType

from flux.ad.inert import back_of_text, nothing, reading
from flux.ad.registry import AUGMENTED, augments
from flux.ad.runtime import call
from flux.ad.spaces import project, space_of
from flux.ad.unknown import of_text
from flux.errors import NotDifferentiable, user_line
from flux.rules.equivalents import as_python
from flux.rules.items import give_back, is_own_iterable, listed, sequence, solid
from flux.rules.methods import list_sort

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
