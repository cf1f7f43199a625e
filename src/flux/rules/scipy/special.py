"""Derivatives of scipy.special's ufuncs, and of its sums of exponentials.

Each formula consists of functions that have rules themselves, so that second derivatives exist.
Source: DLMF, chapters 5, 7, 8, 10 and 18; Corless et al. (1996), On the Lambert W function.
"""

from __future__ import annotations

import math

import numpy as np
from scipy import special

from flux.ad.registry import inert
from flux.ad.unknown import unknown
from flux.rules.numpy.forms import like, refused, rule, unary
from flux.rules.scipy.forms import several

SQRT_PI, SQRT_2PI, DEGREE = math.sqrt(math.pi), math.sqrt(2 * math.pi), math.pi / 180

# -- errors and the normal distribution ----------------------------------------------------------

unary(special.erf, lambda ct, x: ct * (2 / SQRT_PI) * np.exp(-x * x), of="x")
unary(special.erfc, lambda ct, x: ct * (-2 / SQRT_PI) * np.exp(-x * x), of="x")
unary(special.erfi, lambda ct, x: ct * (2 / SQRT_PI) * np.exp(x * x), of="x")
unary(special.erfcx, lambda ct, y, x: ct * (2 * x * y - 2 / SQRT_PI))
unary(special.erfinv, lambda ct, y: ct * (SQRT_PI / 2) * np.exp(y * y), of="y")
unary(special.erfcinv, lambda ct, y: ct * (-SQRT_PI / 2) * np.exp(y * y), of="y")
unary(special.dawsn, lambda ct, y, x: ct * (1 - 2 * x * y))
unary(special.wofz, lambda ct, y, x: ct * (2j / SQRT_PI - 2 * x * y))
unary(special.ndtr, lambda ct, x: ct * np.exp(-x * x / 2) / SQRT_2PI, of="x")
unary(special.ndtri, lambda ct, y: ct * SQRT_2PI * np.exp(y * y / 2), of="y")
unary(special.log_ndtr, lambda ct, x: ct * hazard(x), of="x")
unary(special.ndtri_exp, lambda ct, y: ct / hazard(y), of="y")
several(special.owens_t,
        lambda ct, y, h, a: (
            ct * -special.erf(a * h / math.sqrt(2)) * np.exp(-h * h / 2) / (2 * SQRT_2PI)),
        lambda ct, y, h, a: (
            ct * np.exp(-h * h * (1 + a * a) / 2) / (2 * math.pi * (1 + a * a))))  # fmt: skip


def hazard(x):
    """The normal density over the distribution function, `exp(-x**2/2) / (sqrt(2 pi) ndtr(x))`."""
    return math.sqrt(2 / math.pi) / special.erfcx(-x / math.sqrt(2))


rule(hazard, x=lambda ct, y, x: ct * -y * (x + y))

# -- logistic functions and logarithms -----------------------------------------------------------

unary(special.expit, lambda ct, y, x: ct * y * special.expit(-x))
unary(special.logit, lambda ct, x: ct / (x * (1 - x)), of="x")
unary(special.log_expit, lambda ct, x: ct * special.expit(-x), of="x")
unary(special.exp2, lambda ct, y: ct * y * math.log(2), of="y")
unary(special.exp10, lambda ct, y: ct * y * math.log(10), of="y")
unary(special.expm1, lambda ct, y: ct * y + ct, of="y")
unary(special.log1p, lambda ct, x: ct / (1 + x), of="x")
unary(special.cosm1, lambda ct, x: ct * -np.sin(x), of="x")
unary(special.cbrt, lambda ct, y: ct / (3 * y * y), of="y")
unary(special.round, lambda ct, y: ct * 0, of="y")
unary(special.sindg, lambda ct, x: ct * DEGREE * special.cosdg(x), of="x")
unary(special.cosdg, lambda ct, x: ct * -DEGREE * special.sindg(x), of="x")
unary(special.tandg, lambda ct, y: ct * DEGREE * (1 + y * y), of="y")
unary(special.cotdg, lambda ct, y: ct * -DEGREE * (1 + y * y), of="y")
unary(special.exprel, lambda ct, x: ct * exprel_slope(x), of="x")
several(special.xlogy, lambda ct, y, a, b: ct * np.log(b), lambda ct, y, a, b: ct * a / b)
several(special.xlog1py, lambda ct, y, a, b: ct * np.log1p(b), lambda ct, y, a, b: ct * a / (1 + b))
several(special.powm1, lambda ct, y, a, b: ct * b * a ** (b - 1),
        lambda ct, y, a, b: ct * (1 + y) * np.log(a))  # fmt: skip
unary(special.entr, lambda ct, x: ct * (-np.log(x) - 1), of="x")
several(special.rel_entr, lambda ct, y, a, b: ct * (np.log(a / b) + 1),
        lambda ct, y, a, b: ct * -a / b)  # fmt: skip
several(
    special.kl_div, lambda ct, y, a, b: ct * np.log(a / b), lambda ct, y, a, b: ct * (1 - a / b)
)
several(special.huber, lambda ct, y, d, r: ct * np.where(np.abs(r) <= d, 0, np.abs(r) - d),
        lambda ct, y, d, r: ct * np.where(np.abs(r) <= d, r, d * np.sign(r)))  # fmt: skip
several(special.pseudo_huber, lambda ct, y, d, r: ct * (2 * y / d - r * r / (d * bend(d, r))),
        lambda ct, y, d, r: ct * r / bend(d, r))  # fmt: skip
several(special.boxcox, lambda ct, y, x, p: ct * x ** (p - 1),
        lambda ct, y, x, p: ct * np.log(x) ** 2 * exprel_slope(p * np.log(x)))  # fmt: skip
several(special.boxcox1p, lambda ct, y, x, p: ct * (1 + x) ** (p - 1),
        lambda ct, y, x, p: ct * np.log1p(x) ** 2 * exprel_slope(p * np.log1p(x)))  # fmt: skip
several(special.inv_boxcox, lambda ct, y, x, p: ct * y ** (1 - p), None)
several(special.inv_boxcox1p, lambda ct, y, x, p: ct * (1 + y) ** (1 - p), None)


def bend(d, r):
    return np.sqrt(1 + (r / d) ** 2)


def exprel_slope(x):
    """The derivative of `(exp(x) - 1) / x`; near zero its power series."""
    near = np.abs(x) < 0.5
    small, large = np.where(near, x, 0), np.where(near, 1, x)
    series = small * 0
    for k in range(13, -1, -1):
        series = series * small + (k + 1) / math.factorial(k + 2)
    return np.where(near, series, (np.exp(large) - special.exprel(large)) / large)


# -- gamma and beta functions --------------------------------------------------------------------

unary(special.gamma, lambda ct, y, x: ct * y * special.digamma(x))
unary(special.rgamma, lambda ct, y, x: ct * -y * special.digamma(x))
unary(special.gammaln, lambda ct, x: ct * special.digamma(x), of="x")
unary(special.loggamma, lambda ct, x: ct * special.digamma(x), of="x")
unary(special.digamma, lambda ct, x: ct * special.polygamma(1, x), of="x")
rule(
    special.polygamma,
    n=lambda ct, y, n, x: unknown("polygamma", 0),
    x=lambda ct, y, n, x: ct * special.polygamma(n + 1, x),
)
rule(
    special.zeta,
    x=lambda ct, y, **_: unknown("zeta", 0),
    q=lambda ct, y, x, q: ct * -x * special.zeta(x + 1, q),
)
several(special.beta, lambda ct, y, a, b: ct * y * (special.digamma(a) - special.digamma(a + b)),
        lambda ct, y, a, b: ct * y * (special.digamma(b) - special.digamma(a + b)))  # fmt: skip
several(special.betaln, lambda ct, y, a, b: ct * (special.digamma(a) - special.digamma(a + b)),
        lambda ct, y, a, b: ct * (special.digamma(b) - special.digamma(a + b)))  # fmt: skip
several(special.poch, lambda ct, y, z, m: ct * y * (special.digamma(z + m) - special.digamma(z)),
        lambda ct, y, z, m: ct * y * special.digamma(z + m))  # fmt: skip
several(special.binom,
        lambda ct, y, n, k: ct * y * (special.digamma(n + 1) - special.digamma(n - k + 1)),
        lambda ct, y, n, k: (
            ct * y * (special.digamma(n - k + 1) - special.digamma(k + 1))))  # fmt: skip
several(special.gammainc, None, lambda ct, y, a, x: ct * gamma_density(a, x))
several(special.gammaincc, None, lambda ct, y, a, x: ct * -gamma_density(a, x))
several(special.gammaincinv, None, lambda ct, y, a, x: ct / gamma_density(a, y))
several(special.gammainccinv, None, lambda ct, y, a, x: -ct / gamma_density(a, y))
several(special.betainc, None, None, lambda ct, y, a, b, x: ct * beta_density(a, b, x))
several(special.betaincc, None, None, lambda ct, y, a, b, x: ct * -beta_density(a, b, x))
several(special.betaincinv, None, None, lambda ct, y, a, b, x: ct / beta_density(a, b, y))
several(special.betainccinv, None, None, lambda ct, y, a, b, x: -ct / beta_density(a, b, y))


def gamma_density(a, x):
    return np.exp(special.xlogy(a - 1, x) - x - special.gammaln(a))


def beta_density(a, b, x):
    return np.exp(special.xlogy(a - 1, x) + special.xlog1py(b - 1, -x) - special.betaln(a, b))


@like(special.multigammaln)  # pyright: ignore[reportAttributeAccessIssue]
def multigammaln(a, d):
    total = d * (d - 1) / 4 * math.log(math.pi)
    for j in range(d):
        total = total + special.gammaln(a - j / 2)
    return total


# -- integrals, and functions that solve an equation ---------------------------------------------

unary(special.expi, lambda ct, x: ct * np.exp(x) / x, of="x")
unary(special.exp1, lambda ct, x: ct * -np.exp(-x) / x, of="x")
several(special.expn, None, lambda ct, y, n, x: ct * -special.expn(n - 1, x))
unary(special.spence, lambda ct, x: ct * spence_slope(x), of="x")
unary(special.wrightomega, lambda ct, y: ct * y / (1 + y), of="y")


def spence_slope(x):
    """`log(x) / (1 - x)`; -1 at one."""
    away = np.where(x == 1, 2, x)
    return np.where(x == 1, x / 2 - 1.5, np.log(away) / (1 - away))


def lambert_part(ct, y, z, k=0, tol=1e-8):
    return ct / (np.exp(y) * (1 + y))


rule(special.lambertw, z=lambert_part, k=lambda ct, y, z, k, tol=0: unknown("lambertw", 1))

# -- Bessel functions; their order has no derivative ---------------------------------------------

unary(special.j0, lambda ct, x: ct * -special.j1(x), of="x")
unary(special.j1, lambda ct, x: ct * (special.j0(x) - special.jv(2, x)) / 2, of="x")
unary(special.y0, lambda ct, x: ct * -special.y1(x), of="x")
unary(special.y1, lambda ct, x: ct * (special.y0(x) - special.yv(2, x)) / 2, of="x")
unary(special.i0, lambda ct, x: ct * special.i1(x), of="x")
unary(special.i1, lambda ct, x: ct * (special.i0(x) + special.iv(2, x)) / 2, of="x")
unary(special.i0e, lambda ct, y, x: ct * (special.i1e(x) - np.sign(x) * y))
unary(special.i1e, lambda ct, y, x: (
    ct * ((special.i0e(x) + special.ive(2, x)) / 2 - np.sign(x) * y)))  # fmt: skip
unary(special.k0, lambda ct, x: ct * -special.k1(x), of="x")
unary(special.k1, lambda ct, x: ct * -(special.k0(x) + special.kv(2, x)) / 2, of="x")
unary(special.k0e, lambda ct, y, x: ct * (y - special.k1e(x)))
unary(special.k1e, lambda ct, y, x: ct * (y - (special.k0e(x) + special.kve(2, x)) / 2))


def neighbours(f, sign, scale):
    """The rule of a Bessel function: half the sum or difference of those of the orders beside."""
    several(f, None, lambda ct, y, v, x: ct * scale * (f(v - 1, x) + sign * f(v + 1, x)) / 2)


for f in (special.jv, special.yv, special.hankel1, special.hankel2):
    neighbours(f, -1, 1)
neighbours(special.iv, 1, 1)
neighbours(special.kv, 1, -1)
several(
    special.yn, None, lambda ct, y, n, x: ct * (special.yv(n - 1, x) - special.yv(n + 1, x)) / 2
)
several(special.kn, None, lambda ct, y, n, x: (
    ct * -(special.kv(n - 1, x) + special.kv(n + 1, x)) / 2))  # fmt: skip
several(special.ive, None, lambda ct, y, v, x: ct * (
    (special.ive(v - 1, x) + special.ive(v + 1, x)) / 2 - direction(x) * y))  # fmt: skip
several(special.kve, None, lambda ct, y, v, x: ct * (
    y - (special.kve(v - 1, x) + special.kve(v + 1, x)) / 2))  # fmt: skip


def direction(x):
    """The sign of a real number; the scaled functions are not holomorphic."""
    if np.iscomplexobj(x):
        raise refused("`scipy.special.ive` of a complex number", "Use scipy.special.iv.")
    return np.sign(x)


# -- orthogonal polynomials; their degree and parameters have no derivative ----------------------


def lower(n):
    """The degree of the derivative, and 0 for a constant, whose factor is then 0."""
    return np.maximum(n - 1, 0)


def falls(n):
    return np.where(n > 0, 1, 0)


several(special.eval_chebyt, None, lambda ct, y, n, x: ct * n * special.eval_chebyu(lower(n), x))
several(special.eval_chebyu, None, lambda ct, y, n, x: (
    ct * 2 * falls(n) * special.eval_gegenbauer(lower(n), 2.0, x)))  # fmt: skip
several(special.eval_gegenbauer, None, None, lambda ct, y, n, a, x: (
    ct * 2 * a * falls(n) * special.eval_gegenbauer(lower(n), a + 1.0, x)))  # fmt: skip
several(special.eval_legendre, None, lambda ct, y, n, x: (
    ct * (n + 1) / 2 * falls(n) * special.eval_jacobi(lower(n), 1.0, 1.0, x)))  # fmt: skip
several(special.eval_jacobi, None, None, None, lambda ct, y, n, a, b, x: (
    ct * (n + a + b + 1) / 2 * falls(n)
    * special.eval_jacobi(lower(n), a + 1.0, b + 1.0, x)))  # fmt: skip
several(special.eval_laguerre, None, lambda ct, y, n, x: (
    ct * -falls(n) * special.eval_genlaguerre(lower(n), 1.0, x)))  # fmt: skip
several(special.eval_genlaguerre, None, None, lambda ct, y, n, a, x: (
    ct * -falls(n) * special.eval_genlaguerre(lower(n), a + 1.0, x)))  # fmt: skip
several(special.eval_hermite, None, lambda ct, y, n, x: (
    ct * 2 * n * special.eval_hermite(lower(n), x)))  # fmt: skip
several(special.eval_hermitenorm, None, lambda ct, y, n, x: (
    ct * n * special.eval_hermitenorm(lower(n), x)))  # fmt: skip

# -- sums of exponentials, and numbers of choices ------------------------------------------------


@like(special.logsumexp)
def logsumexp(a, axis=None, b=None, keepdims=False, return_sign=False):
    a = np.asarray(a)
    if np.iscomplexobj(a):
        raise refused("`scipy.special.logsumexp` of complex numbers", "Use np.log(np.sum(...)).")
    top = summit(a, axis)
    terms = np.exp(a - top) if b is None else np.asarray(b) * np.exp(a - top)
    total = np.sum(terms, axis=axis, keepdims=True)
    y = top + np.log(np.abs(total) if return_sign else total)
    y, sign = (y, np.sign(total)) if keepdims else (np.squeeze(y, axis), np.squeeze(
        np.sign(total), axis))  # fmt: skip
    return (y, sign) if return_sign else y


def summit(a, axis):
    """The greatest numbers along `axis`, 0 where they are infinite; a constant."""
    top = np.max(a, axis=axis, keepdims=True)
    return np.where(np.isfinite(top), top, top.dtype.type(0))


inert(summit)


@like(special.softmax)
def softmax(x, axis=None):
    x = np.asarray(x)
    parts = np.exp(x - summit(x, axis))
    return parts / np.sum(parts, axis=axis, keepdims=True)


@like(special.log_softmax)
def log_softmax(x, axis=None):
    x = np.asarray(x)
    x = x - summit(x, axis)
    return x - np.log(np.sum(np.exp(x), axis=axis, keepdims=True))


@like(special.comb)
def comb(N, k, *, exact=False, repetition=False):
    if exact:
        raise refused("`scipy.special.comb` of floats with exact=True", "Use exact=False.")
    n = N + k - 1 if repetition else N
    positive = np.logical_and(np.greater_equal(n, 0), np.greater_equal(k, 0))
    inside = np.logical_and(positive, np.less_equal(k, n))
    return np.where(inside, special.binom(n, k), 0.0)


if hasattr(special, "softplus"):

    @like(special.softplus)
    def softplus(x, **options):
        return -special.log_expit(-x)
