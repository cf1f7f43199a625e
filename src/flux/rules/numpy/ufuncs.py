"""Derivatives of NumPy's element-by-element functions; ties and kinks as JAX has them."""

from __future__ import annotations

import ast
import math

import numpy as np

from flux.ad.registry import AUGMENTED, inert
from flux.ad.spaces import project
from flux.ir import prims
from flux.rules.numpy.forms import binary, like, refused, rule, unary
from flux.rules.numpy.space import INEXACT, is_opaque, lost
from flux.rules.operators import LOGARITHMS, absolute

LN2, LN10 = math.log(2), math.log(10)

# -- one argument --------------------------------------------------------------------------------


def tanh_part(ct, y):
    """`ct * (1 - y * y)`, in one array if it can be."""
    if not (type(y) is type(ct) is np.ndarray and ct.dtype == y.dtype and ct.shape == y.shape):
        return ct * (1 - y * y)
    part = y * y
    np.subtract(1, part, out=part)
    part *= ct
    return part


def augmented_tanh_part(ct, y):
    """`tanh_part` writes through `out=`, which has no derivative, so it has its own."""

    def back(ct_part, store):
        if ct_part is None:
            return None, None
        return project(tanh_part(ct_part, y), ct), project(-2 * ct_part * ct * y, y)

    return tanh_part(ct, y), back


AUGMENTED[tanh_part] = augmented_tanh_part


unary(np.negative, lambda ct, y: -ct, of="y")
unary(np.positive, lambda ct, y: ct, of="y")
unary(np.sin, lambda ct, x: ct * np.cos(x), of="x")
unary(np.cos, lambda ct, x: ct * -np.sin(x), of="x")
unary(np.tan, lambda ct, y: ct + ct * y * y, of="y")
unary(np.arcsin, lambda ct, x: ct / np.sqrt(1 - x * x), of="x")
unary(np.arccos, lambda ct, x: -ct / np.sqrt(1 - x * x), of="x")
unary(np.arctan, lambda ct, x: ct / (1 + x * x), of="x")
unary(np.sinh, lambda ct, x: ct * np.cosh(x), of="x")
unary(np.cosh, lambda ct, x: ct * np.sinh(x), of="x")
unary(np.tanh, tanh_part, of="y")
unary(np.arcsinh, lambda ct, x: ct / np.sqrt(1 + x * x), of="x")
unary(np.arccosh, lambda ct, x: ct / (np.sqrt(x - 1) * np.sqrt(x + 1)), of="x")
unary(np.arctanh, lambda ct, x: ct / (1 - x * x), of="x")
unary(np.exp, lambda ct, y: ct * y, of="y")
unary(np.exp2, lambda ct, y: ct * y * LN2, of="y")
unary(np.expm1, lambda ct, y: ct * y + ct, of="y")
unary(np.log, lambda ct, x: ct / x, of="x")
unary(np.log2, lambda ct, x: ct / (x * LN2), of="x")
unary(np.log10, lambda ct, x: ct / (x * LN10), of="x")
unary(np.log1p, lambda ct, x: ct / (1 + x), of="x")
unary(np.sqrt, lambda ct, y: ct / (y + y), of="y")
unary(np.cbrt, lambda ct, y: ct / (3 * y * y), of="y")
unary(np.square, lambda ct, x: ct * (x + x), of="x")
unary(np.reciprocal, lambda ct, y: -ct * y * y, of="y")
for f in (np.degrees, np.rad2deg):
    unary(f, lambda ct, y: ct * (180 / math.pi), of="y")
for f in (np.radians, np.deg2rad):
    unary(f, lambda ct, y: ct * (math.pi / 180), of="y")
for f in (np.floor, np.ceil, np.rint, np.trunc, np.spacing):
    unary(f, lambda ct, y: ct * 0, of="y")


def absolute_part(ct, y, x):
    """1 at zero for real numbers; `conj(x) / |x|`, and 0 at zero, for complex ones."""
    if np.iscomplexobj(x):
        return ct * np.conj(x) / np.where(y == 0, 1, y)
    return np.where(x >= 0, ct, -ct)


def sign_part(ct, y, x):
    """0 for real numbers; for complex ones `x / |x|` turns with `x`, and 0 at zero."""
    if not np.iscomplexobj(x):
        return ct * 0
    size = np.abs(x)
    return (ct - np.real(ct * y) * np.conj(y)) / np.where(size == 0, 1, size) * (size != 0)


unary(np.absolute, absolute_part)
unary(np.sign, sign_part)
unary(np.fabs, absolute_part)
unary(np.conjugate, lambda ct, y: np.conjugate(ct), of="y")
for kind in (np.ndarray, *INEXACT):
    AUGMENTED[abs, kind] = AUGMENTED[np.absolute]
of_arrays = AUGMENTED[np.absolute]
AUGMENTED[np.absolute] = lambda x, *a, **k: (
    of_arrays(x, *a, **k) if hasattr(x, "dtype") or a or k else absolute(x)
)

for f in (np.round, np.around, np.ndarray.round):
    rule(f, a=lambda ct, y, a, **_: ct * 0)
rule(np.fix, x=lambda ct, y, x, **_: ct * 0)
rule(np.real, val=lambda ct, y, val: ct)
rule(np.imag, val=lambda ct, y, val: ct * -1j if np.iscomplexobj(val) else ct * 0)
rule(np.angle, z=lambda ct, y, z, deg=False: (
    ct * (180 / math.pi if deg else 1) * -1j * np.conj(z) / np.abs(z) ** 2))  # fmt: skip
rule(np.sinc, x=lambda ct, y, x: ct * sinc_slope(x, y))
rule(np.nan_to_num, x=lambda ct, y, x, **_: ct * np.isfinite(x))


def sinc_slope(x, y):
    away = np.where(x == 0, 1, x)
    return np.where(x == 0, 0, (np.cos(math.pi * x) - y) / away)


# -- two arguments -------------------------------------------------------------------------------

binary(np.add, lambda ct, y, a, b: ct, lambda ct, y, a, b: ct)
binary(np.subtract, lambda ct, y, a, b: ct, lambda ct, y, a, b: -ct)
binary(np.multiply, lambda ct, y, a, b: ct * b, lambda ct, y, a, b: ct * a)
binary(np.divide, lambda ct, y, a, b: ct / b, lambda ct, y, a, b: ct * -y / b)
binary(np.arctan2, lambda ct, y, a, b: ct * b / (a * a + b * b),
       lambda ct, y, a, b: ct * -a / (a * a + b * b))  # fmt: skip
binary(np.hypot, lambda ct, y, a, b: ct * a / y, lambda ct, y, a, b: ct * b / y)
binary(np.logaddexp, lambda ct, y, a, b: ct * weight(a - y), lambda ct, y, a, b: ct * weight(b - y))
binary(np.logaddexp2, lambda ct, y, a, b: ct * weight((a - y) * LN2),
       lambda ct, y, a, b: ct * weight((b - y) * LN2))  # fmt: skip
for f in (np.maximum, np.minimum, np.fmax, np.fmin):
    binary(f, lambda ct, y, a, b: ct * share(a, b, y), lambda ct, y, a, b: ct * share(b, a, y))
binary(np.remainder, lambda ct, y, a, b: ct, lambda ct, y, a, b: -ct * np.floor_divide(a, b))
binary(np.fmod, lambda ct, y, a, b: ct, lambda ct, y, a, b: -ct * np.trunc(a / b))
binary(np.copysign, lambda ct, y, a, b: np.where(np.signbit(a) == np.signbit(y), ct, -ct),
       lambda ct, y, a, b: ct * 0)  # fmt: skip
binary(np.heaviside, lambda ct, y, a, b: ct * 0, lambda ct, y, a, b: ct * (a == 0))
for f in (np.floor_divide, np.nextafter):
    binary(f, lambda ct, y, a, b: ct * 0, lambda ct, y, a, b: ct * 0)
binary(np.ldexp, lambda ct, y, a, b: ct * 2.0**b, lambda ct, y, a, b: ct * y * LN2)
for f in (np.power, np.float_power):
    binary(f, lambda ct, y, a, b: ct * power_slope(a, b), lambda ct, y, a, b: ct * y * safe_log(a))


def weight(difference):
    """`exp(difference)`; one half where two equal infinities were subtracted."""
    return np.where(np.isnan(difference), 0.5, np.exp(difference))


def share(a, b, y):
    """1 where `a` is the chosen one, one half at a tie."""
    return np.where(a == b, 0.5, a == y)


def power_slope(a, b):
    """`b * a ** (b - 1)`, and 0 where `b` is 0."""
    if np.ndim(b) == 0 and b == 2:
        return a + a
    return np.where(b == 0, 0, b * a ** np.where(b == 0, 1, b - 1))


def safe_log(a):
    """`log a`, 0 where `a` is 0: the slope of `a ** b` in `b`, over `a ** b`."""
    zero = a == 0
    return np.log(np.where(zero, 1, a)) if np.iscomplexobj(a) else logarithm(a)


def logarithm(a):
    """The logarithm of what is positive, 0 at zero and NaN below."""
    if is_opaque(a):
        return lost(a)
    return np.log(np.where(a > 0, a, np.where(a == 0, 1, np.nan)))


for kind in (np.ndarray, *INEXACT):
    LOGARITHMS[kind] = safe_log


@like(np.divmod)
def divmod_(a, b):
    return np.floor_divide(a, b), np.remainder(a, b)


@like(np.modf)
def modf(x):
    whole = np.trunc(x)
    return x - whole, whole


@like(np.unwrap)
def unwrap(p, discont=None, axis=-1, *, period=2 * math.pi):
    return p + turns(p, discont, axis, period)


def turns(p, discont, axis, period):
    """What unwrapping adds: whole periods."""
    return np.unwrap(p, discont, axis, period=period) - p


inert(turns)


@like(np.frexp)
def frexp(x):
    raise refused("`np.frexp`", "Use np.log2, or cut it with flux.stop_gradient.")


@like(np.i0)
def i0(x):
    raise refused("`np.i0`", "Use jax.scipy.special.i0.")


# -- operators between an array and a list ---------------------------------------------------------

OPERATORS = {ast.Add: np.add, ast.Sub: np.subtract, ast.Mult: np.multiply, ast.Div: np.divide,
             ast.Pow: np.power, ast.MatMult: np.matmul, ast.Mod: np.remainder,
             ast.FloorDiv: np.floor_divide}  # fmt: skip


def of_list(f):
    """The rule of an operator between an array and a list of numbers: that of the ufunc `f`."""
    return lambda a, b: AUGMENTED[f](a, b)


for operator, f in OPERATORS.items():
    for kind in (list, tuple):
        AUGMENTED[prims.BINARY[operator], np.ndarray, kind] = of_list(f)
        AUGMENTED[prims.BINARY[operator], kind, np.ndarray] = of_list(f)
