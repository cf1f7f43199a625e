"""Derivatives of a few distributions of scipy.stats, in the argument, `loc`, `scale` and shapes.

The methods of all distributions are the same functions; what is known is found by the distribution.
Densities are written for `loc=0` and `scale=1`.
"""

from __future__ import annotations

import math

import numpy as np
from scipy import special, stats

from flux.ad.inert import nothing
from flux.ad.registry import AUGMENTED
from flux.ad.runtime import call
from flux.rules.scipy import special as rules_of_special  # noqa: F401
from flux.rules.scipy.callees import holds, refusing

CONTINUOUS = type(stats.norm).__mro__[1]
LOG_2PI = math.log(2 * math.pi)


def outside(inside, value):
    """The logarithm of a density that is zero where it is not `inside`."""
    return np.where(inside, value, -np.inf)


def log_gamma(x, a):
    safe = np.where(x > 0, x, 1)
    return outside(x > 0, (a - 1) * np.log(safe) - safe - special.gammaln(a))


def log_beta(x, a, b):
    inside = np.logical_and(x > 0, x < 1)
    safe = np.where(inside, x, 0.5)
    return outside(inside, (a - 1) * np.log(safe) + (b - 1) * np.log1p(-safe)
                   - special.betaln(a, b))  # fmt: skip


def log_student(x, df):
    size = special.gammaln((df + 1) / 2) - special.gammaln(df / 2) - 0.5 * np.log(df * math.pi)
    return size - (df + 1) / 2 * np.log1p(x * x / df)


def log_lognormal(x, s):
    safe = np.where(x > 0, x, 1)
    size = np.log(safe)
    return outside(x > 0, -(size**2) / (2 * s * s) - size - np.log(s) - 0.5 * LOG_2PI)


def log_logistic(x):
    return special.log_expit(x) + special.log_expit(-x)


LOGPDF = {
    stats.norm: lambda x: -x * x / 2 - 0.5 * LOG_2PI,
    stats.expon: lambda x: outside(x >= 0, -x),
    stats.laplace: lambda x: -np.abs(x) - math.log(2),
    stats.logistic: log_logistic,
    stats.cauchy: lambda x: -np.log1p(x * x) - math.log(math.pi),
    stats.gamma: log_gamma,
    stats.beta: log_beta,
    stats.t: log_student,
    stats.lognorm: log_lognormal,
}
CDF = {stats.norm: special.ndtr, stats.logistic: special.expit,
       stats.expon: lambda x: -np.expm1(-np.maximum(x, 0))}  # fmt: skip
LOGCDF = {stats.norm: special.log_ndtr, stats.logistic: special.log_expit}
SF = {stats.norm: lambda x: special.ndtr(-x), stats.logistic: lambda x: special.expit(-x),
      stats.expon: lambda x: np.exp(-np.maximum(x, 0))}  # fmt: skip
LOGSF = {stats.norm: lambda x: special.log_ndtr(-x), stats.logistic: lambda x: (
         special.log_expit(-x)), stats.expon: lambda x: -np.maximum(x, 0)}  # fmt: skip
PPF = {stats.norm: special.ndtri, stats.logistic: special.logit,
       stats.expon: lambda q: -np.log1p(-q)}  # fmt: skip


def standard(table, self, x, shapes, loc, scale):
    """The function of a distribution at `(x - loc) / scale`."""
    x, loc, scale = np.asarray(x), np.asarray(loc), np.asarray(scale)
    return table[self]((x - loc) / scale, *[np.asarray(shape) for shape in shapes])


def logpdf(self, x, *shapes, loc=0, scale=1):
    return standard(LOGPDF, self, x, shapes, loc, scale) - np.log(np.asarray(scale))


def pdf(self, x, *shapes, loc=0, scale=1):
    return np.exp(logpdf(self, x, *shapes, loc=loc, scale=scale))


def ppf(self, q, *shapes, loc=0, scale=1):
    return loc + scale * PPF[self](np.asarray(q), *[np.asarray(shape) for shape in shapes])


def of_table(table):
    return lambda self, x, *shapes, loc=0, scale=1: standard(table, self, x, shapes, loc, scale)


METHODS = {"logpdf": (LOGPDF, logpdf), "pdf": (LOGPDF, pdf), "cdf": (CDF, of_table(CDF)),
           "logcdf": (LOGCDF, of_table(LOGCDF)), "sf": (SF, of_table(SF)),
           "logsf": (LOGSF, of_table(LOGSF)), "ppf": (PPF, ppf)}  # fmt: skip


def named(self, shapes, options):
    """Shapes, `loc` and `scale` by name, in whatever way they were given."""
    names = [n.strip() for n in (self.shapes or "").split(",") if n.strip()]
    given = dict(zip([*names, "loc", "scale"], shapes, strict=False))
    given = {**given, **options}
    return [given[name] for name in names], given.get("loc", 0), given.get("scale", 1)


def of_distribution(method, table, equivalent):
    """The rule of a method: the value is SciPy's, the derivative that of the equivalent."""

    def augmented(self, x, *shapes, **options):
        if self not in table:
            return refusing(method)(self, x, *shapes, **options)
        y = method(self, x, *shapes, **options)

        def back(ct, store):
            if ct is None:
                return (None,) * (2 + len(shapes) + len(options))
            _, inner = call(by_name, self, x, *shapes, **options)
            return inner(ct, store)

        return y, back

    def by_name(self, x, *shapes, **options):
        own, loc, scale = named(self, shapes, options)
        return equivalent(self, x, *own, loc=loc, scale=scale)

    AUGMENTED[method] = augmented


for name, (table, equivalent) in METHODS.items():
    of_distribution(getattr(CONTINUOUS, name), table, equivalent)


def drawn(method):
    """Drawing: a constant; refused where `loc`, `scale` or a shape may carry a derivative."""

    def augmented(self, *args, **options):
        if any([holds(value) for value in (*args, *options.values()) if not is_generator(value)]):
            return refusing(method)(self, *args, **options)
        return method(self, *args, **options), nothing(1 + len(args) + len(options))

    AUGMENTED[method] = augmented


def is_generator(value) -> bool:
    return isinstance(value, np.random.Generator | np.random.RandomState)


drawn(CONTINUOUS.rvs)
