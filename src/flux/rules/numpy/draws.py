"""Derivatives of draws of random numbers in their location and scale, and of `np.arange`.

`loc + scale * z` depends on `loc` and `scale` through the draw `z`. The derivative in a parameter
of another kind is an error where it is asked for; a draw of whole numbers has none.
"""

from __future__ import annotations

import numpy as np

from flux.ad.registry import AUGMENTED, augments, inert
from flux.ad.spaces import project, space_of
from flux.ad.unknown import unknown
from flux.rules.numpy.space import differs

__all__: list[str] = []


def given_back(formulas, values):
    """The cotangents of arguments, by the formula of each name that has one."""
    return tuple([
        project(formulas[name](), value) if name in formulas and differs(value) else None
        for name, value in values.items()
    ])  # fmt: skip


def draw(names, formulas_of):
    """The rule of a distribution: `formulas_of(ct, y, **arguments)` gives a formula by name."""

    def rule_of(f, of_method):
        def augmented(*args, **options):
            own = names if not of_method else ("self", *names)
            values = {**dict(zip(own, args, strict=False)), **options}
            y = f(*args, **options)

            def back(ct, store):
                if ct is None:
                    return (None,) * len(values)
                return given_back(formulas_of(ct, y, **values), values)

            return y, back

        return augmented

    return rule_of


def by_location(ct, y, loc=0.0, scale=1.0, **_):
    return {"loc": lambda: ct, "scale": lambda: ct * (y - loc) / scale}


def by_bounds(ct, y, low=0.0, high=1.0, **_):
    def share():
        return (y - low) / (high - low)

    return {"low": lambda: ct * (1 - share()), "high": lambda: ct * share()}


def by_scale(ct, y, scale=1.0, **_):
    return {"scale": lambda: ct * y / scale}


def by_exponent(ct, y, mean=0.0, sigma=1.0, **_):
    return {"mean": lambda: ct * y, "sigma": lambda: ct * y * (np.log(y) - mean) / sigma}


DISTRIBUTIONS = {
    **dict.fromkeys(("normal", "laplace", "logistic", "gumbel"), (("loc", "scale"), by_location)),
    "uniform": (("low", "high"), by_bounds),
    **dict.fromkeys(("exponential", "rayleigh"), (("scale",), by_scale)),
    "lognormal": (("mean", "sigma"), by_exponent),
}
for name, (parameters, formulas) in DISTRIBUTIONS.items():
    rule_of = draw((*parameters, "size"), formulas)
    AUGMENTED[getattr(np.random, name)] = rule_of(getattr(np.random, name), False)
    for kind in (np.random.Generator, np.random.RandomState):
        AUGMENTED[getattr(kind, name)] = rule_of(getattr(kind, name), True)


def shaped(f):
    """The rule of a distribution whose draws have no formula in its parameters."""

    def augmented(*args, **options):
        values = (*args, *options.values())
        y = f(*args, **options)

        def back(ct, store):
            return tuple([
                unknown(f.__name__, i) if ct is not None and is_parameter(value) else None
                for i, value in enumerate(values)
            ])  # fmt: skip

        return y, back

    return augmented


def is_parameter(value) -> bool:
    """Can `value` be a parameter of a distribution that carries a derivative?"""
    return space_of(type(value)) is not None and differs(value)


inert(is_parameter)
SHAPED = """
beta chisquare dirichlet f gamma multivariate_normal noncentral_chisquare noncentral_f pareto power
standard_gamma standard_t triangular vonmises wald weibull
"""
for name in SHAPED.split():
    for owner in (np.random, np.random.Generator, np.random.RandomState):
        if hasattr(owner, name):
            AUGMENTED[getattr(owner, name)] = shaped(getattr(owner, name))


@augments(np.arange)
def arange(*args, **options):
    """`start + step * i`; how many numbers there are has no derivative."""
    y = np.arange(*args, **options)
    names = ("stop",) if len(args) == 1 else ("start", "stop", "step")
    values = {**dict(zip(names, args, strict=False)), **options}
    formulas = {
        "start": lambda ct: ct.sum(),
        "step": lambda ct: (ct * np.arange(len(y))).sum(),
    }

    def back(ct, store):
        return tuple([
            project(formulas[name](ct), value)
            if ct is not None and name in formulas and differs(value) else None
            for name, value in values.items()
        ])  # fmt: skip

    return y, back
