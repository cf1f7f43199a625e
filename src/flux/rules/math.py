"""Derivatives of the functions of Python's `math` module, on Python numbers."""

from __future__ import annotations

import cmath
import math

from flux.ad.registry import ATTRIBUTES, AUGMENTED, inert
from flux.ad.runtime import call
from flux.ad.scalars import SLOPES
from flux.ad.spaces import project
from flux.rules.equivalents import as_python

__all__ = ["scalar"]

NONE1 = (None,)


def scalar(f, slope):
    """Register `f` of one number; `slope(x, y)` is its derivative."""

    def augmented(x):
        y = f(x)

        def back(ct, store):
            return NONE1 if ct is None else (project(ct * slope(x, y), x),)

        return y, back

    AUGMENTED[f] = augmented
    if f.__module__ == "math":
        SLOPES[f.__name__] = slope


scalar(math.sin, lambda x, y: math.cos(x))
scalar(math.cos, lambda x, y: -math.sin(x))
scalar(math.tan, lambda x, y: 1 + y * y)
scalar(math.asin, lambda x, y: 1 / math.sqrt(1 - x * x) if abs(x) < 1 else math.inf)
scalar(math.acos, lambda x, y: -1 / math.sqrt(1 - x * x) if abs(x) < 1 else -math.inf)
scalar(math.atan, lambda x, y: 1 / (1 + x * x))
scalar(math.sinh, lambda x, y: math.cosh(x))
scalar(math.cosh, lambda x, y: math.sinh(x))
scalar(math.tanh, lambda x, y: 1 - y * y)
scalar(math.asinh, lambda x, y: 1 / math.sqrt(1 + x * x))
scalar(math.acosh, lambda x, y: 1 / math.sqrt(x * x - 1) if x > 1 else math.inf)
scalar(math.atanh, lambda x, y: 1 / (1 - x * x))
scalar(math.exp, lambda x, y: y)
scalar(math.exp2, lambda x, y: y * math.log(2))
scalar(math.expm1, lambda x, y: y + 1)
scalar(math.log2, lambda x, y: 1 / (x * math.log(2)))
scalar(math.log10, lambda x, y: 1 / (x * math.log(10)))
scalar(math.log1p, lambda x, y: 1 / (1 + x))
scalar(math.sqrt, lambda x, y: 0.5 / y if y else math.inf)
scalar(math.cbrt, lambda x, y: 1 / (3 * y * y) if y else math.inf)
scalar(math.fabs, lambda x, y: 1.0 if x >= 0 else -1.0)
scalar(math.erf, lambda x, y: 2 / math.sqrt(math.pi) * math.exp(-x * x))
scalar(math.erfc, lambda x, y: -2 / math.sqrt(math.pi) * math.exp(-x * x))
scalar(math.degrees, lambda x, y: 180 / math.pi)
scalar(math.radians, lambda x, y: math.pi / 180)
scalar(cmath.exp, lambda x, y: y)
scalar(cmath.sin, lambda x, y: cmath.cos(x))
scalar(cmath.cos, lambda x, y: -cmath.sin(x))
scalar(cmath.sqrt, lambda x, y: 0.5 / y)


def pair(f, left, right):
    """Register `f` of two numbers with the slopes in each."""

    def augmented(x, z):
        y = f(x, z)

        def back(ct, store):
            if ct is None:
                return None, None
            return project(ct * left(x, z, y), x), project(ct * right(x, z, y), z)

        return y, back

    AUGMENTED[f] = augmented


pair(math.pow, lambda x, z, y: z * math.pow(x, z - 1) if z else 0.0,
     lambda x, z, y: y * math.log(x) if x > 0 else 0.0)  # fmt: skip
pair(math.atan2, lambda x, z, y: z / (x * x + z * z) if x or z else math.nan,
     lambda x, z, y: -x / (x * x + z * z) if x or z else math.nan)  # fmt: skip
pair(math.remainder, lambda x, z, y: 1.0, lambda x, z, y: -float(round((x - y) / z)))
pair(math.ldexp, lambda x, z, y: math.ldexp(1.0, z), lambda x, z, y: 0.0)
pair(math.fmod, lambda x, z, y: 1.0, lambda x, z, y: -float(math.trunc(x / z)))
pair(math.copysign, lambda x, z, y: math.copysign(1.0, x) * math.copysign(1.0, z),
     lambda x, z, y: 0.0)  # fmt: skip


def hypot(*values):
    y = math.hypot(*values)

    def back(ct, store):
        if ct is None:
            return (None,) * len(values)
        return tuple([project(ct * (v / y) if y else math.nan, v) for v in values])

    return y, back


AUGMENTED[math.hypot] = hypot


def log(x, *base):
    y = math.log(x, *base)

    def back(ct, store):
        if ct is None:
            return (None,) * (1 + len(base))
        if not base:
            return (project(ct / x, x),)
        b = base[0]
        return project(ct / (x * math.log(b)), x), project(-ct * y / (b * math.log(b)), b)

    return y, back


AUGMENTED[math.log] = log


def dist(p, q):
    """The distance of two points."""
    return math.hypot(*[a - b for a, b in zip(p, q, strict=True)])


def modf(x):
    """The part after the point and the one before it."""
    parts = math.modf(x)

    def back(ct, store):
        return (None if ct is None or ct[0] is None else project(ct[0], x),)

    return parts, back


AUGMENTED[math.dist] = lambda p, q: call(dist, p, q)
AUGMENTED[math.modf] = modf
SLOPES["log"] = lambda x, y: 1 / x
inert(math.floor, math.ceil, math.trunc, math.isnan, math.isinf, math.isfinite, math.isclose,
      math.gcd, math.comb, math.factorial, math.isqrt, math.perm, math.lcm)  # fmt: skip


@as_python(math.fsum)
def fsum(values):
    return sum(values)


@as_python(math.prod)
def prod(values, *, start=1):
    total = start
    for value in values:
        total = total * value
    return total


# -- parts of Python numbers ---------------------------------------------------------------------


def real_part(x):
    return x.real, lambda ct, store: (None if ct is None else project(ct, x),)


def imaginary_part(x):
    """As JAX has it: the cotangent of `x` is that of `Im x` times `-i`."""
    return x.imag, lambda ct, store: (None if ct is None else project(ct * -1j, x),)


def conjugate(x):
    return x.conjugate(), lambda ct, store: (
        None if ct is None else project(ct.conjugate() if isinstance(ct, complex) else ct, x),
    )


for kind in (float, complex):
    ATTRIBUTES[kind, "real"] = real_part
    ATTRIBUTES[kind, "imag"] = imaginary_part
    AUGMENTED[kind.conjugate] = conjugate
inert(float.is_integer, float.as_integer_ratio, float.hex)
