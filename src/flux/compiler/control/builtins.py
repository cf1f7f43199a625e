"""What stands in place of Python's operations and functions where they meet traced values."""

from __future__ import annotations

import ast
import functools
import math
import operator
import types
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.dtypes import canonicalize_dtype

from flux.compiler.control import twins
from flux.compiler.control.arguments import as_numpy_has
from flux.compiler.control.checks import note_risk
from flux.compiler.control.doubles import is_, is_not
from flux.compiler.control.growth import STACKING, stack
from flux.compiler.control.iterables import (
    Counting,
    Mapped,
    Numbered,
    Sequence,
    Together,
    Turned,
    several_staged,
    staged,
)
from flux.compiler.control.iterators import advanced, rest_of
from flux.compiler.control.journal import changes
from flux.compiler.control.options import MOST_UNROLLED
from flux.compiler.control.picking import (
    Choice,
    has_kind,
    is_traced_number,
    kind_of,
    not_chosen,
    picked,
    put,
)
from flux.compiler.control.records import chosen, follow_side
from flux.compiler.control.written import (
    guard,
    is_callers,
    is_numpys,
    is_outside,
    made_by,
    note_numpys,
    noting,
    place_in,
    refuse_shared,
    without_lists,
)
from flux.compiler.staging import no_flat
from flux.errors import StagingError, user_line
from flux.ir import prims, sharing

__all__ = [
    "KINDS",
    "PRIMAL",
    "PRIMS",
    "are_numbers",
    "instead_of",
    "always_twin",
    "call_twin",
    "message",
    "of_kind",
    "note_raising",
    "twin",
    "twin_of",
]


def has_traced(values) -> bool:
    """Is one of the values traced, or a list or tuple with a traced item?"""
    return any(
        [isinstance(v, Tracer) or (isinstance(v, tuple | list) and has_traced(v)) for v in values]
    )


# -- operations of the language ----------------------------------------------------------------


def not_(a: Any):
    if isinstance(a, Tracer) and a.size == 1:
        return jnp.logical_not(a.reshape(()))
    return operator.not_(a)


def truth(*args):
    a: Any = args[0] if args else False
    return (a != 0).reshape(()) if isinstance(a, Tracer) and a.size == 1 else bool(*args)


def int_(*args):
    a = args[0] if len(args) == 1 else None
    if isinstance(a, Tracer) and a.size == 1:
        return jnp.trunc(a.reshape(())).astype(jnp.result_type(int))
    return int(*args)


def float_(*args):
    a = args[0] if len(args) == 1 else None
    if isinstance(a, Tracer) and a.size == 1:
        kind = a.dtype if jnp.issubdtype(a.dtype, jnp.floating) else jnp.result_type(float)
        return a.reshape(()).astype(kind)
    return float(*args)


def of_kind(kind: type):
    """A type of NumPy's numbers, such as `np.float32`, as a function."""
    dtype = canonicalize_dtype(kind)

    def function(*args):
        traced = len(args) == 1 and isinstance(args[0], Tracer)
        return args[0].astype(dtype) if traced else kind(*args)

    return function


def no_text() -> StagingError:
    return StagingError(
        "A text of a value that only the data decide cannot be part of a compiled program.",
        where=user_line(),
        hint="Print it with flux.show, or return the value; an error may have an f-string.",
    )


def text_of(python: Callable):
    """`str`, `repr`, `format` or `ascii`."""

    def function(*args, **options):
        if has_traced(args):
            raise no_text()
        return python(*args, **options)

    return function


def percent(a, b):
    """`a % b`, of numbers, or of a text and what goes into it."""
    if isinstance(a, str) and has_traced((b,)):
        raise no_text()
    return operator.mod(a, b)


def fstring(*parts):
    """Text; values come in triples with a conversion and a format."""
    text = ""
    for value, conversion, spec in zip(parts[::3], parts[1::3], parts[2::3], strict=True):
        if conversion is None:
            text += value
        elif isinstance(value, Tracer):
            raise no_text()
        else:
            shown = {-1: lambda v: v, 114: repr, 115: str, 97: ascii}[conversion](value)
            text += format(shown, spec)
    return text


def message(*parts):
    """The text of an error: traced values by their type."""
    return fstring(*[shown(part) for part in parts])


def shown(value):
    return Shown(value) if isinstance(value, Tracer) else value


class Shown:
    """How a traced value stands in the text of an error."""

    def __init__(self, value):
        self.text = f"<{value.dtype} array of shape {value.shape}>"

    def __format__(self, spec):
        return self.text

    def __repr__(self):
        return self.text


def range_(*args):
    return Counting(*args) if has_traced(args) else range(*args)


def equal(a, b):
    if a is not b:
        not_chosen(a, b)
    return a == b


def unequal(a, b):
    if a is not b:
        not_chosen(a, b)
    return a != b


def contains(a, b):
    not_chosen(a, *(b if isinstance(b, list | tuple) else ()))
    if isinstance(b, jax.Array | np.ndarray) and has_traced((a, b)):
        return jnp.any(jnp.asarray(b) == a)
    if isinstance(a, Tracer) and isinstance(b, range):
        inside = (a >= min(b)) & (a <= max(b)) if b else jnp.asarray(False)
        return inside & ((a - b.start) % b.step == 0)
    if isinstance(a, Tracer) and isinstance(b, set | frozenset | dict):
        b = [key for key in b if isinstance(key, int | float)]
    if isinstance(b, list | tuple) and has_traced((a, *b)):
        same = [jnp.asarray(a is item) | jnp.all(jnp.asarray(a == item)) for item in b]
        return functools.reduce(jnp.logical_or, same, jnp.asarray(False))
    return a in b


def lacks(a, b):
    return not_(contains(a, b))


def isinstance_(x, kinds):
    """What stands for a value of NumPy's is an instance of NumPy's types, too."""
    if type(x) is Choice:
        return has_kind(x, kinds)
    if isinstance(x, kinds) or not (isinstance(x, Tracer) and is_numpys(x)):
        return isinstance(x, kinds)
    return issubclass(np.ndarray if x.ndim else x.dtype.type, kinds)


def item(owner, index):
    if is_traced_number(owner, index):
        from flux.compiler.control.calls import call_

        return call_(picked, owner, index)
    return prims.getitem.fn(owner, without_lists(owner, place_in(owner, index)))


def update_item(owner, index, value):
    """`owner[index] = value`; the owner afterwards."""
    if is_traced_number(owner, index):
        from flux.compiler.control.calls import call_

        return call_(put, owner, index, value)
    index = without_lists(owner, place_in(owner, index))
    if isinstance(owner, np.flatiter) and has_traced((index, value)):
        raise no_flat()
    if isinstance(owner, Tracer) and is_callers(owner):
        raise StagingError(
            "A compiled function cannot change a NumPy array that it was given.",
            where=user_line(),
            hint="Change a copy (`y = x.copy()`) and return it, or hand in a JAX array.",
        )
    if isinstance(owner, np.ndarray):
        owner = changeable(owner, has_traced((index, value)))
    if isinstance(owner, jax.Array):
        refuse_shared(owner)
        index = without_lists(owner, index)
        if isinstance(index, Tracer) and index.dtype == bool and index.shape == owner.shape:
            return jnp.where(index, value, owner).astype(owner.dtype)
        return owner.at[index].set(value)
    owner[index] = value
    return owner


def changeable(array: np.ndarray, traced: bool):
    """The array that a write changes: `array` itself, or a new one of JAX's or NumPy's."""
    if not traced and not is_outside(array):
        return array
    refuse_shared(array)
    return jnp.asarray(array) if traced else array.copy()


def put_item(owner, index, value):
    """Put a changed array back where it was read from."""
    if type(value) is np.ndarray:
        changed = isinstance(owner, np.ndarray | jax.Array) or owner[index] is not value
    else:
        changed = isinstance(value, jax.Array)
    return update_item(owner, index, value) if changed else owner


def put_attribute(owner, name, value):
    """Put a changed array back where it was read from."""
    if isinstance(value, jax.Array | np.ndarray) and getattr(owner, name, None) is not value:
        setattr(owner, name, value)


def in_place(prim: prims.Prim, base: prims.Prim):
    """`y op= v`, where a NumPy array becomes another one if it cannot be changed itself."""

    def function(y, value):
        if type(y) is not np.ndarray:
            refuse_shared(y)
            return prim.fn(y, value)
        traced = has_traced((value,))
        now = changeable(y, traced)
        if not traced:
            return prim.fn(now, value)
        total = base.fn(now, value)
        if total.shape != y.shape or not np.can_cast(total.dtype, y.dtype, "same_kind"):
            return prim.fn(y, np.zeros(value.shape, value.dtype))  # NumPy's error
        return total.astype(y.dtype)

    return function


def setitem(owner, index, value):
    if is_traced_number(owner, index):
        update_item(owner, index, value)
        return
    if isinstance(owner, jax.Array) or (type(owner) is np.ndarray and has_traced((index, value))):
        raise StagingError(
            "A compiled function cannot change an array of a global or captured variable in place.",
            where=user_line(),
            hint="Assign the changed array: `x = x.at[i].set(v)`, of one of JAX's.",
        )
    owner[index] = value


PRIMS: dict[prims.Prim, Callable] = {
    prims.not_: not_,
    prims.INERT_BUILTINS["bool"]: truth,
    prims.fstring: fstring,
    prims.INERT_BUILTINS["int"]: int_,
    prims.INERT_BUILTINS["isinstance"]: isinstance_,
    prims.INERT_BUILTINS["type"]: kind_of,
    prims.INERT_BUILTINS["range"]: range_,
    prims.COMPARE[ast.Is]: is_,
    prims.COMPARE[ast.IsNot]: is_not,
    prims.COMPARE[ast.Eq]: equal,
    prims.COMPARE[ast.NotEq]: unequal,
    **{p: contains for p in prims.COMPARE.values() if p.name == "in"},
    **{p: lacks for p in prims.COMPARE.values() if p.name == "not in"},
    **{prims.FOLLOW_SIDE[s]: functools.partial(follow_side, side=s) for s in (True, False)},
    **{prims.TAKE_SIDE[s]: functools.partial(chosen, side=s) for s in (True, False)},
    **{
        prims.UNPACK_SIDE[s]: lambda value, count, store, s=s: tuple(chosen(value, store, s))
        for s in (True, False)
    },
}
"""In programs and in their adjoints."""
PRIMAL: dict[prims.Prim, Callable] = {
    prims.update_item: update_item,
    prims.put_item: put_item,
    prims.put_attribute: put_attribute,
    prims.setitem: setitem,
    sharing.guard: guard,
    prims.getitem: noting(item),
    **{p: noting(p.fn) for p in (*prims.BINARY.values(), *prims.UNARY.values())},
    prims.BINARY[ast.Mod]: noting(percent),
    **{p: in_place(p, prims.BINARY[kind]) for kind, p in prims.INPLACE.items()},
}
"""In programs only: the adjoints have rules for these."""


# -- Python's functions ------------------------------------------------------------------------


def zip_(*several, strict=False):
    found = several_staged(several, strict)
    return zip(*several, strict=strict) if found is None else Together(found)


def enumerate_(items, start=0):
    found = staged(items)
    return enumerate(items, start) if found is None else Numbered(found, start)


def reversed_(items):
    found = staged(items)
    return reversed(items) if found is None else Turned(found)


def map_(f, *several):
    from flux.compiler.control.calls import call_

    found = several_staged(several, False)
    if found is None:
        return map(functools.partial(call_, f), *several)
    return Mapped(functools.partial(call_, f), Together(found))


def filter_(f, items):
    from flux.compiler.control.calls import call_

    return filter(f if f is None else functools.partial(call_, f), items)


def reduce_(f, items, *first):
    from flux.compiler.control.calls import call_

    return functools.reduce(functools.partial(call_, f), items, *first)


def larger(a, b):
    """What `max` takes: the first of equals."""
    return jnp.where(b > a, b, a)


def smaller(a, b):
    return jnp.where(b < a, b, a)


def extreme(python: Callable, of_two: Callable, of_array: Callable):
    def function(*args, **options):
        items = list(args[0]) if len(args) == 1 and isinstance(args[0], list | tuple) else args
        if len(args) == 1 and isinstance(args[0], jax.Array) and args[0].ndim == 1:
            return of_array(args[0])
        if len(args) == 1 and isinstance(args[0], list | tuple) and are_numbers(items):
            return of_key(python, list(items), options.get("key"), of_two)
        if options or not has_traced(items):
            return python(*args, **options)
        return functools.reduce(of_two, items)

    return function


def of_key(python: Callable, items: list, key, of_two: Callable):
    """`max(items, key=key)` or `min`, of numbers."""
    if key is None:
        return functools.reduce(of_two, items)
    keys = list(map_(key, items))
    if not are_numbers(keys):
        return python(items, key=key)
    place = (jnp.argmax if python is max else jnp.argmin)(jnp.stack(keys))
    return jnp.stack(items)[place]


def truth_of_all(python: Callable, of_two: Callable):
    """`any` or `all`: what comes after the first traced item is taken in any case."""

    def function(items):
        waiting, found = iter(items), []
        for item in waiting:
            found.append(item)
            if has_traced((item,)):
                plain = waiting is not items and isinstance(items, list | tuple)
                found += waiting if plain else rest_of(waiting, changes, MOST_UNROLLED)
                return functools.reduce(of_two, [truth(item) for item in found])
            if python(found) is not python([]):
                break
        return python(found)

    return function


def next_(*args):
    if isinstance(args[0], Sequence):
        raise advanced("over an array gives a single item")
    return next(*args)


def sum_(items, start=0):
    if isinstance(items, jax.Array) and items.ndim:
        return start + jnp.sum(items, axis=0)
    return sum(items, start)


def sorted_(items, **options):
    items = list(items)
    if not are_numbers(items):
        return sorted(items, **options)
    key = options.get("key")
    keys = items if key is None else list(map_(key, items))
    if not are_numbers(keys):
        return sorted(items, **options)
    return twins.ordered(items, keys, bool(options.get("reverse")))


def are_numbers(items) -> bool:
    """Are all items numbers, and one of them traced?"""
    numbers = [type(v) in (int, float, bool) or getattr(v, "shape", None) == () for v in items]
    return all(numbers) and has_traced(items)


KINDS = (np.bool_, np.float16, np.float32, np.float64, np.int8, np.int16, np.int32, np.int64,
         np.uint8, np.uint16, np.uint32, np.uint64, np.complex64, np.complex128)  # fmt: skip
FUNCTIONS: dict[Any, Callable] = {
    zip: zip_,
    enumerate: enumerate_,
    reversed: reversed_,
    range: range_,
    next: next_,
    **{python: text_of(python) for python in (str, repr, format, ascii)},
    bool: truth,
    complex: lambda *args: twins.complex_number(*args) if has_traced(args) else complex(*args),
    **{kind: of_kind(kind) for kind in KINDS},
    int: int_,
    float: float_,
    map: map_,
    filter: filter_,
    functools.reduce: reduce_,
    sum: sum_,
    sorted: sorted_,
    max: extreme(max, larger, twins.largest),
    min: extreme(min, smaller, twins.smallest),
    any: truth_of_all(any, jnp.logical_or),
    all: truth_of_all(all, jnp.logical_and),
}


def by_twin(f, args, named):
    return twin(f, args, named)(*args, **named)


for stacking in STACKING:
    FUNCTIONS[stacking] = stack(stacking, by_twin)


def instead_of(f) -> Callable | None:
    """The function that stands in place of one of Python's."""
    try:
        return FUNCTIONS.get(f)
    except TypeError:
        return None


# -- NumPy's and math's functions ----------------------------------------------------------------

SPACES = {
    "numpy": jnp,
    "numpy.linalg": jnp.linalg,
    "numpy.fft": jnp.fft,
    "math": jnp,
}
OTHER_NAMES = {"fabs": "abs", "pow": "power"}
SPECIAL = {
    "erf": jax.scipy.special.erf,
    "erfc": jax.scipy.special.erfc,
    "lgamma": jax.scipy.special.gammaln,
    "gamma": jax.scipy.special.gamma,
    "prod": twins.prod,
    "log": twins.log,
    "remainder": twins.remainder,
    "isclose": twins.isclose,
    "dist": twins.dist,
    "fsum": lambda items: jnp.sum(jnp.stack(list(items))),
}


NUMPYS = {"fix": jnp.trunc, "choose": twins.choose}
"""Functions of NumPy's that JAX has by another name, or with other defaults."""
RAISING = frozenset([
    getattr(math, name) for name in """
    acos acosh asin atanh cosh exp exp2 expm1 fmod gamma lgamma log log10 log1p log2 pow remainder
    sinh sqrt
    """.split() if hasattr(math, name)
])  # fmt: skip
"""Functions of `math` that raise an error where JAX's give nan or inf."""


def is_maths(f) -> bool:
    return getattr(f, "__module__", None) == "math"


def note_raising(f, values) -> None:
    """Note a function that would raise an error for some data, which a `try` around may catch."""
    if isinstance(f, types.BuiltinFunctionType) and f in RAISING and has_traced(values):
        note_risk()


def twin(f, values, options=()) -> Any:
    """JAX's function of the same name, where a function of NumPy or `math` meets a traced array."""
    note_raising(f, values)
    return twin_of(f, values, options) if has_traced(values) else f


def twin_of(f, values, options) -> Any:
    """JAX's function for one of NumPy's or `math` that is given these values and options."""
    found = always_twin(f)
    listed = any([isinstance(v, list | tuple) for v in values])
    more = isinstance(f, np.ufunc) and len(values) > f.nin
    if found is f or is_maths(f) or not (listed or more or options):
        return found
    return as_numpy_has(found, f)


def call_twin(f, args, keywords):
    """The result of a function, or of JAX's in its place."""
    found = twin(f, (*args, *keywords.values()), keywords)
    y = found(*args, **keywords)
    if found is f:
        return made_by(f, y)
    note_numpys(y)
    return y


def always_twin(f) -> Any:
    """JAX's function of the same name for one of NumPy's or `math`; any other as it is."""
    module = "numpy" if isinstance(f, np.ufunc) else getattr(f, "__module__", None)
    if module not in SPACES or isinstance(f, type | types.MethodType):
        return f
    name: str = getattr(f, "__name__", "")
    special = SPECIAL if module == "math" else NUMPYS
    if name in special:
        return special[name]
    found = getattr(SPACES[module], OTHER_NAMES.get(name, name), None)
    return f if found is None else found
