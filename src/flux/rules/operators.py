"""Derivatives of Python's operators, on numbers, arrays and objects that define them.

Two plain values (numbers, arrays) meet the formula at once. Anything else goes Python's own way:
the `__mul__` or `__rmul__` of a class is called and differentiated as any other function.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from types import FunctionType

from flux.ad.carries import carries
from flux.ad.cotangents import dense
from flux.ad.inert import not_differentiable, nothing
from flux.ad.registry import AUGMENTED, inert
from flux.ad.runtime import call
from flux.ad.spaces import VALUE, project, space_of
from flux.errors import NotDifferentiable, user_line
from flux.ir import prims
from flux.ir.sharing import keep

__all__ = ["FACTORS", "LOGARITHMS", "PRODUCTS", "SLOPES", "WHOLE", "matmul", "matmul_cotangents",
           "matmul_left", "matmul_right", "plain"]  # fmt: skip

NONE2 = (None, None)


def plain(kind: type) -> bool:
    """Is arithmetic on `kind` that of numbers and arrays?"""
    return kind in VALUE or space_of(kind) is not None


# -- formulas: cotangents of both arguments from that of the result -------------------------------


def add(a, b):
    if type(a) in VALUE and type(b) in VALUE:

        def back(ct, store):
            return project(ct, a), project(ct, b)

        return a + b, back
    return by_class(ADD, a, b)


def sub(a, b):
    if type(a) in VALUE and type(b) in VALUE:

        def back(ct, store):
            return project(ct, a), None if ct is None else project(-ct, b)

        return a - b, back
    return by_class(SUB, a, b)


def mul(a, b):
    if type(a) in VALUE and type(b) in VALUE:

        def back(ct, store):
            if ct is None:
                return NONE2
            return project(ct * b, a), project(ct * a, b)

        return a * b, back
    return by_class(MUL, a, b)


def truediv(a, b):
    if type(a) in VALUE and type(b) in VALUE:
        y = a / b

        def back(ct, store):
            if ct is None:
                return NONE2
            da = ct / b
            return project(da, a), project(-da * y, b)

        return y, back
    return by_class(DIV, a, b)


def power(a, b):
    if type(a) in VALUE and type(b) in VALUE:
        y = a**b

        def back(ct, store):
            if ct is None:
                return NONE2
            da = project(ct * power_slope(a, b), a) if differs(a) else None
            db = project(ct * y * log_or_zero(a), b) if differs(b) else None
            return da, db

        return y, back
    return by_class(POW, a, b)


def differs(x) -> bool:
    """Does `x` carry a derivative at all?"""
    return type(x) is float or (type(x) is not int and type(x) is not bool)


def power_slope(a, b):
    """`b * a**(b-1)`, and 0 where `b` is 0."""
    if type(b) is int or type(b) is float:
        if b == 2:
            return 2 * a
        if b == 1:
            return 1
        if b == 0:
            return 0 * a
        if type(a) is float and a == 0.0 and 0 < b < 1:
            return math.inf
        return b * a ** (b - 1)
    if type(b) in SLOPES:
        return SLOPES[type(b)](a, b)
    safe = b + (b == 0)
    return b * a ** (safe - 1)


def log_or_zero(a):
    """`log a`, and 0 where `a` is 0: the slope of `a**b` in `b` over `a**b`."""
    if type(a) is float or type(a) is int:
        return math.log(a) if a > 0 else 0.0
    logarithm, _ = call(LOGARITHMS[type(a)] if type(a) in LOGARITHMS else missing_log, a)
    return logarithm


LOGARITHMS: dict[type, Callable] = {}
"""By array type: the logarithm of an array, 0 where the array is 0. Filled by the rule rooms."""
SLOPES: dict[type, Callable] = {}
"""By type of an array `b` that adds no truth values: `b * a**(b-1)`, 0 where `b` is 0."""
PRODUCTS: dict[type, tuple[Callable, Callable]] = {}
"""By type of arrays without the method `swapaxes`: `matmul_left` and `matmul_right`."""
FACTORS: dict[type, tuple[Callable, Callable, Callable]] = {}
"""By type of the cotangent: the cotangents of both factors, and of each; they may be lazy."""


def missing_log(a):
    raise NotDifferentiable(
        f"`a ** b` with `a` of type {type(a).__name__} has no derivative in `b`.",
        where=user_line(),
        hint="Write it as exp(b * log(a)).",
    )


def matmul(a, b):
    if type(a) in VALUE and type(b) in VALUE:

        def back(ct, store):
            if ct is None:
                return NONE2
            return FACTORS.get(type(ct), WHOLE)[0](ct, a, b)

        return a @ b, back
    return by_class(MATMUL, a, b)


def matmul_left(ct, a, b):
    """The cotangent of `a` in `a @ b`."""
    if type(b) in PRODUCTS:
        return PRODUCTS[type(b)][0](ct, a, b)
    if b.ndim == 1:
        return project(ct * b if a.ndim == 1 else ct[..., None] * b, a)
    if a.ndim == 1:
        return project((b @ ct[..., None])[..., 0], a)
    return project(ct @ b.swapaxes(-1, -2), a)


def matmul_right(ct, a, b):
    """The cotangent of `b` in `a @ b`; for a matrix `b` one product over all leading axes."""
    if type(a) in PRODUCTS:
        return PRODUCTS[type(a)][1](ct, a, b)
    if a.ndim == 1:
        return project(ct * a if b.ndim == 1 else a[:, None] * ct[..., None, :], b)
    if b.ndim == 1:
        return project((a.swapaxes(-1, -2) @ ct[..., None])[..., 0], b)
    if b.ndim == 2 and a.ndim > 2:
        a, ct = a.reshape((-1, a.shape[-1])), ct.reshape((-1, ct.shape[-1]))
    return project(a.swapaxes(-1, -2) @ ct, b)


def matmul_cotangents(ct, a, b):
    """The cotangents of both arguments of `a @ b`."""
    return matmul_left(ct, a, b), matmul_right(ct, a, b)


WHOLE = matmul_cotangents, matmul_left, matmul_right


def mod(a, b):
    if type(a) in VALUE and type(b) in VALUE:
        y = a % b

        def back(ct, store):
            if ct is None:
                return NONE2
            return project(ct, a), project(-ct * (a // b), b)

        return y, back
    return by_class(MOD, a, b)


def flat(op):
    """An operator that is locally constant, or acts on integers."""
    if op is operator.floordiv:
        prim = FLOORDIV
    else:
        prim = OF_OPERATOR[op]

    def augmented(a, b):
        if type(a) in VALUE and type(b) in VALUE:

            def back(ct, store):
                if ct is None:
                    return NONE2
                return project(0.0 * ct, a), project(0.0 * ct, b)

            return op(a, b), back
        return by_class(prim, a, b)

    return augmented


# -- one argument known to carry no derivative ----------------------------------------------------


def add_left(a, b):
    if type(a) in VALUE and type(b) in VALUE:

        def back(ct, store):
            return project(ct, a), None

        return a + b, back
    return by_class(ADD, a, b)


def add_right(a, b):
    if type(a) in VALUE and type(b) in VALUE:

        def back(ct, store):
            return None, project(ct, b)

        return a + b, back
    return by_class(ADD, a, b)


def sub_left(a, b):
    if type(a) in VALUE and type(b) in VALUE:

        def back(ct, store):
            return project(ct, a), None

        return a - b, back
    return by_class(SUB, a, b)


def sub_right(a, b):
    if type(a) in VALUE and type(b) in VALUE:

        def back(ct, store):
            return None, None if ct is None else project(-ct, b)

        return a - b, back
    return by_class(SUB, a, b)


def mul_left(a, b):
    if type(a) in VALUE and type(b) in VALUE:

        def back(ct, store):
            return None if ct is None else project(ct * b, a), None

        return a * b, back
    return by_class(MUL, a, b)


def mul_right(a, b):
    if type(a) in VALUE and type(b) in VALUE:

        def back(ct, store):
            return None, None if ct is None else project(ct * a, b)

        return a * b, back
    return by_class(MUL, a, b)


def truediv_left(a, b):
    if type(a) in VALUE and type(b) in VALUE:

        def back(ct, store):
            return None if ct is None else project(ct / b, a), None

        return a / b, back
    return by_class(DIV, a, b)


def truediv_right(a, b):
    if type(a) in VALUE and type(b) in VALUE:
        y = a / b

        def back(ct, store):
            return None, None if ct is None else project(-ct * y / b, b)

        return y, back
    return by_class(DIV, a, b)


def power_left(a, b):
    if type(a) in VALUE and type(b) in VALUE:

        def back(ct, store):
            if ct is None or not differs(a):
                return NONE2
            return project(ct * power_slope(a, b), a), None

        return a**b, back
    return by_class(POW, a, b)


def matmul_only_left(a, b):
    if type(a) in VALUE and type(b) in VALUE:

        def back(ct, store):
            return None if ct is None else FACTORS.get(type(ct), WHOLE)[1](ct, a, b), None

        return a @ b, back
    return by_class(MATMUL, a, b)


def matmul_only_right(a, b):
    if type(a) in VALUE and type(b) in VALUE:

        def back(ct, store):
            return None, None if ct is None else FACTORS.get(type(ct), WHOLE)[2](ct, a, b)

        return a @ b, back
    return by_class(MATMUL, a, b)


# -- one argument ----------------------------------------------------------------------------------


def neg(a):
    if type(a) in VALUE:

        def back(ct, store):
            return (None if ct is None else project(-ct, a),)

        return -a, back
    return by_method(operator.neg, "__neg__", a)


def pos(a):
    if type(a) in VALUE:

        def back(ct, store):
            return (project(ct, a),)

        return +a, back
    return by_method(operator.pos, "__pos__", a)


def invert(a):
    if type(a) in VALUE:
        return ~a, back_of_nothing
    return by_method(operator.invert, "__invert__", a)


def absolute(a):
    if type(a) is float or type(a) is int:
        # JAX's convention at zero: the slope of abs is 1 there.
        def back(ct, store):
            return (None if ct is None else project(ct if a >= 0 else -ct, a),)

        return abs(a), back
    if type(a) is complex:
        size = abs(a)

        def back_complex(ct, store):
            return (None if ct is None or not size else ct * a.conjugate() / size,)

        return size, back_complex
    rule = AUGMENTED.get((abs, type(a)))
    if rule is not None:
        return rule(a)
    return by_method(abs, "__abs__", a)


def back_of_nothing(ct, store):
    return (None,)


# -- user classes, and sequences -------------------------------------------------------------------


def by_class(prim, a, b):
    """A binary operator on values that are not both plain: Python's own dispatch."""
    for kind in (type(a), type(b)):
        if kind not in VALUE and space_of(kind) is not None:
            pass  # `space_of` has now entered the type among the plain ones
    if type(a) in VALUE and type(b) in VALUE:
        return AUGMENTED[prim](a, b)
    rule = AUGMENTED.get((prim, type(a), type(b)))
    if rule is not None:
        return rule(a, b)
    if isinstance(a, str | bytes):  # formatting and joining of text
        return prim.fn(a, b), _back_of_two
    op, name, reflected = DUNDERS[prim]
    for method, first, second, swapped in _methods(name, reflected, a, b):
        if type(method) is not FunctionType or is_array_with(first, second):
            continue
        y, inner = call(method, first, second)
        if y is NotImplemented:
            continue
        keep(a)
        keep(b)
        return y, _in_order(inner, swapped)
    y = op(a, b)  # what it raises is Python's
    if carries(a) or carries(b):
        raise not_differentiable(op)
    return y, _back_of_two


def is_array_with(first, second) -> bool:
    """An array whose own method, though written in Python, does not know the other's class?"""
    return space_of(type(first)) is not None and space_of(type(second)) is None


_back_of_two = nothing(2)


def _methods(name, reflected, a, b):
    """The methods that Python tries, in its order."""
    left = (getattr(type(a), name, None), a, b, False)
    right = (getattr(type(b), reflected, None), b, a, True)
    if type(a) is type(b):
        return [left]
    if issubclass(type(b), type(a)) and right[0] is not getattr(type(a), reflected, None):
        return [right, left]
    return [left, right]


def _in_order(inner, swapped):
    def back(ct, store):
        first, second = inner(ct, store)
        return (dense(second), dense(first)) if swapped else (dense(first), dense(second))

    return back


def by_method(op, name, a):
    """A unary operator on an object that defines it."""
    if space_of(type(a)) is not None and type(a) in VALUE:
        return AUGMENTED[UNARY[op]](a)
    method = getattr(type(a), name, None)
    if type(method) is FunctionType:
        y, inner = call(method, a)
        return y, lambda ct, store: (dense(inner(ct, store)[0]),)
    if carries(a):
        raise not_differentiable(op)
    return op(a), back_of_nothing


def inplace(prim, name):
    """`a += b`: the class's own `__iadd__` if it has one, otherwise `a + b`."""

    def augmented(a, b):
        rule = AUGMENTED.get(("inplace", prim, type(a)))
        if rule is not None:
            return rule(a, b)
        if type(a) in VALUE:
            return AUGMENTED[prim](a, b)
        method = getattr(type(a), name, None)
        if type(method) is FunctionType:
            y, inner = call(method, a, b)
            keep(b)
            if y is not NotImplemented:
                return y, _in_order(inner, False)
        return AUGMENTED[prim](a, b)

    return augmented


BINARY = {prim.name: prim for prim in prims.BINARY.values()}
ADD, SUB, MUL, DIV = (BINARY[n] for n in ("add", "sub", "mul", "truediv"))
POW, MATMUL, MOD, FLOORDIV = (BINARY[n] for n in ("pow", "matmul", "mod", "floordiv"))
DUNDERS = {
    prim: (prim.fn, f"__{prim.name}__", f"__r{prim.name}__") for prim in prims.BINARY.values()
}
OF_OPERATOR = {prim.fn: prim for prim in prims.BINARY.values()}
UNARY = {prim.fn: prim for prim in prims.UNARY.values()} | {abs: abs}

for prim, rule in {ADD: add, SUB: sub, MUL: mul, DIV: truediv, POW: power, MATMUL: matmul,
                   MOD: mod}.items():  # fmt: skip
    AUGMENTED[prim] = AUGMENTED[prim.fn] = rule
for prim in prims.BINARY.values():
    if prim not in AUGMENTED:
        AUGMENTED[prim] = AUGMENTED[prim.fn] = flat(prim.fn)
LEFT, RIGHT = (True, False), (False, True)
AUGMENTED.update({
    (ADD, LEFT): add_left, (ADD, RIGHT): add_right, (SUB, LEFT): sub_left,
    (SUB, RIGHT): sub_right, (MUL, LEFT): mul_left, (MUL, RIGHT): mul_right,
    (DIV, LEFT): truediv_left, (DIV, RIGHT): truediv_right, (POW, LEFT): power_left,
    (MATMUL, LEFT): matmul_only_left, (MATMUL, RIGHT): matmul_only_right,
})  # fmt: skip
for kind, prim in prims.INPLACE.items():
    base = prims.BINARY[kind]
    AUGMENTED[prim] = AUGMENTED[prim.fn] = inplace(base, f"__i{base.name}__")
for prim in prims.UNARY.values():
    rule = {"neg": neg, "pos": pos, "invert": invert}[prim.name]
    AUGMENTED[prim] = AUGMENTED[prim.fn] = rule
AUGMENTED[abs] = AUGMENTED[operator.abs] = absolute
inert(keep)
