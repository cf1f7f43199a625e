"""Derivatives of element-by-element functions; ties and kinks as JAX has them."""

from __future__ import annotations

import math

from flux.rules.arrayapi.forms import MAKERS, by_formulas, no_derivative, rule
from flux.rules.arrayapi.libraries import NAMESPACES, is_complex
from flux.rules.arrayapi.space import RULES, power_slope, safe_log

LN2, LN10 = math.log(2), math.log(10)


# -- one argument ----------------------------------------------------------------------------------


def unary(functions, formula):
    """Register functions of one array; `formula(xp, ct, y, x)` is its cotangent."""
    rule(functions, "x", x=formula)


unary("negative", lambda xp, ct, y, x: -ct)
unary("positive", lambda xp, ct, y, x: ct)
unary("sin", lambda xp, ct, y, x: ct * xp.cos(x))
unary("cos", lambda xp, ct, y, x: -ct * xp.sin(x))
unary("tan", lambda xp, ct, y, x: ct + ct * y * y)
unary("asin arcsin", lambda xp, ct, y, x: ct / xp.sqrt(1 - x * x))
unary("acos arccos", lambda xp, ct, y, x: -ct / xp.sqrt(1 - x * x))
unary("atan arctan", lambda xp, ct, y, x: ct / (1 + x * x))
unary("sinh", lambda xp, ct, y, x: ct * xp.cosh(x))
unary("cosh", lambda xp, ct, y, x: ct * xp.sinh(x))
unary("tanh", lambda xp, ct, y, x: ct - ct * y * y)
unary("asinh arcsinh", lambda xp, ct, y, x: ct / xp.sqrt(1 + x * x))
unary("acosh arccosh", lambda xp, ct, y, x: ct / (xp.sqrt(x - 1) * xp.sqrt(x + 1)))
unary("atanh arctanh", lambda xp, ct, y, x: ct / (1 - x * x))
unary("exp", lambda xp, ct, y, x: ct * y)
unary("expm1", lambda xp, ct, y, x: ct * y + ct)
unary("log", lambda xp, ct, y, x: ct / x)
unary("log2", lambda xp, ct, y, x: ct / (x * LN2))
unary("log10", lambda xp, ct, y, x: ct / (x * LN10))
unary("log1p", lambda xp, ct, y, x: ct / (1 + x))
unary("sqrt", lambda xp, ct, y, x: ct / (y + y))
unary("square", lambda xp, ct, y, x: ct * (x + x))
unary("reciprocal", lambda xp, ct, y, x: -ct * y * y)
unary("floor ceil trunc", lambda xp, ct, y, x: xp.zeros_like(ct))
rule("round", "x decimals", x=lambda xp, ct, y, x, decimals=0: xp.zeros_like(ct))
unary("real", lambda xp, ct, y, x: ct)
unary(
    "imag",
    lambda xp, ct, y, x: xp.astype(ct, x.dtype) * -1j if is_complex(x) else xp.zeros_like(ct),
)


def conjugate(xp, x):
    """`xp.conj`, which not all libraries have for real numbers."""
    return xp.conj(x) if is_complex(x) else x


def absolute_part(xp, ct, y, x):
    """1 at zero for real numbers; `conj(x) / |x|`, and 0 at zero, for complex ones."""
    if is_complex(x):
        return ct * xp.conj(x) / xp.where(y == 0, xp.ones_like(y), y)
    return xp.where(x >= 0, ct, -ct)


def sign_part(xp, ct, y, x):
    """0 for real numbers; for `x / |x|` the part across the direction of `x`."""
    if not is_complex(x):
        return xp.zeros_like(ct)
    size = xp.abs(x)
    size = xp.where(size == 0, xp.ones_like(size), size)
    along = xp.real(ct * y)
    return xp.where(x == 0, xp.zeros_like(ct), (ct - along * xp.conj(y)) / size)


unary("conj conjugate", lambda xp, ct, y, x: conjugate(xp, ct))
unary("abs absolute", absolute_part)
unary("sign", sign_part)


def absolute(x):
    """`abs(x)`."""
    xp = NAMESPACES[type(x)]
    return MAKERS["abs"](xp, xp.abs)(x)


RULES[abs] = absolute


# -- two arguments ---------------------------------------------------------------------------------


def binary(functions, left, right):
    """Register functions of two arrays that broadcast; a formula `(xp, ct, y, a, b)` for each."""
    rule(
        functions,
        "x1 x2",
        x1=lambda xp, ct, y, x1, x2: left(xp, ct, y, x1, x2),
        x2=lambda xp, ct, y, x1, x2: right(xp, ct, y, x1, x2),
    )


def share(xp, ct, a, b, y):
    """`ct` where `a` is the chosen one, one half of it at a tie."""
    return xp.where(a == b, 0.5 * ct, xp.where(a == y, ct, xp.zeros_like(ct)))


def weight(xp, difference):
    """`exp(difference)`; one half where two equal infinities were subtracted."""
    half = 0.5 * xp.ones_like(difference)
    return xp.where(xp.isnan(difference), half, xp.exp(difference))


def to_sign(xp, ct, y, a, b):
    return xp.where(xp.signbit(a) == xp.signbit(y), ct, -ct)


def flat(xp, ct, y, a, b):
    return xp.zeros_like(ct)


binary("add", lambda xp, ct, y, a, b: ct, lambda xp, ct, y, a, b: ct)
binary("subtract", lambda xp, ct, y, a, b: ct, lambda xp, ct, y, a, b: -ct)
binary("multiply", lambda xp, ct, y, a, b: ct * b, lambda xp, ct, y, a, b: ct * a)
binary("divide true_divide", lambda xp, ct, y, a, b: ct / b, lambda xp, ct, y, a, b: -ct * y / b)
binary("atan2 arctan2", lambda xp, ct, y, a, b: ct * b / (a * a + b * b),
       lambda xp, ct, y, a, b: -ct * a / (a * a + b * b))  # fmt: skip
binary("hypot", lambda xp, ct, y, a, b: ct * a / y, lambda xp, ct, y, a, b: ct * b / y)
binary("logaddexp", lambda xp, ct, y, a, b: ct * weight(xp, a - y),
       lambda xp, ct, y, a, b: ct * weight(xp, b - y))  # fmt: skip
binary("maximum minimum", lambda xp, ct, y, a, b: share(xp, ct, a, b, y),
       lambda xp, ct, y, a, b: share(xp, ct, b, a, y))  # fmt: skip
binary("remainder mod", lambda xp, ct, y, a, b: ct, lambda xp, ct, y, a, b: -ct * (a // b))
binary("copysign", to_sign, flat)
binary("floor_divide nextafter", flat, flat)
binary("pow power", lambda xp, ct, y, a, b: ct * power_slope(a, b),
       lambda xp, ct, y, a, b: ct * y * safe_log(a))  # fmt: skip


# -- choosing --------------------------------------------------------------------------------------


def to_first(xp, ct, y, condition, x1, x2):
    return xp.where(condition, ct, xp.zeros_like(ct))


def to_second(xp, ct, y, condition, x1, x2):
    return xp.where(condition, xp.zeros_like(ct), ct)


def gate(xp, ct, a, b, below):
    """`ct` where `a` is below (or above) `b`, one half of it where they are equal."""
    inside = a < b if below else a > b
    return xp.where(a == b, 0.5 * ct, xp.where(inside, ct, xp.zeros_like(ct)))


def raised(xp, x, low):
    """`maximum(x, low)`."""
    return x if low is None else xp.where(x > low, x, low)


def inside(xp, ct, y, x, min=None, max=None):
    """1 inside the bounds and, as JAX has it, one half exactly at a bound."""
    if min is not None:
        ct = gate(xp, ct, x, min, False)
    return ct if max is None else gate(xp, ct, raised(xp, x, min), max, True)


def at_lower(xp, ct, y, x, min, max=None):
    """The part of a lower bound: where it is above `x`, and not cut off by the upper one."""
    ct = gate(xp, ct, x, min, True)
    return ct if max is None else gate(xp, ct, raised(xp, x, min), max, True)


def at_upper(xp, ct, y, x, max, min=None):
    return gate(xp, ct, raised(xp, x, min), max, False)


def where(xp, f):
    """`where(condition)` alone gives places."""
    chosen = by_formulas(xp, f, ["condition", "x1", "x2"], {"x1": to_first, "x2": to_second})

    def augmented(*args):
        if len(args) == 1:
            return f(*args), lambda ct, store: (None,)
        return chosen(*args)

    return augmented


MAKERS["where"] = where
rule("clip", "x min max", x=inside, min=at_lower, max=at_upper)
no_derivative("""
    equal not_equal less less_equal greater greater_equal logical_and logical_or logical_not
    logical_xor bitwise_and bitwise_or bitwise_xor bitwise_invert bitwise_left_shift
    bitwise_right_shift isfinite isinf isnan signbit isclose allclose array_equal
""")
