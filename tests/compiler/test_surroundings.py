"""What compiled functions read of classes, of modules and of the globals of methods may change."""

import sys
import types

import jax.numpy as jnp
import pytest

import flux

X = jnp.float32(3.0)
FACTOR = 2.0
LOG = []
settings = types.ModuleType("settings")
settings.__file__ = __file__
settings.factor = 2.0
settings.log = []


class Scaled:
    factor = 2.0
    table = [2.0]

    def __init__(self):
        self.w = jnp.ones(2)

    def by_class(self, x):
        return (x * self.factor * self.w).sum()

    def by_table(self, x):
        return x * self.table[0]

    def by_global(self, x):
        return x * FACTOR

    @property
    def doubled(self):
        return 2 * FACTOR

    def logging(self, x):
        LOG.append(1)
        return x

    def counting(self, x):
        Scaled.factor += 1
        return x


def by_module(x):
    return x * settings.factor


def by_attribute(x):
    return x * by_attribute.factor


by_attribute.factor = 2.0
scaled = Scaled()


def set_table(value):
    Scaled.table[0] = value


HERE = sys.modules[__name__]
CASES = {
    "class": (scaled.by_class, lambda v: setattr(Scaled, "factor", v)),
    "table": (scaled.by_table, set_table),
    "global of a method": (scaled.by_global, lambda v: setattr(HERE, "FACTOR", v)),
    "global of a property": (lambda x: x * scaled.doubled, lambda v: setattr(HERE, "FACTOR", v)),
    "module": (by_module, lambda v: setattr(settings, "factor", v)),
    "function": (by_attribute, lambda v: setattr(by_attribute, "factor", v)),
}


@pytest.mark.parametrize("case", CASES)
def test_a_change_between_calls_counts(case):
    f, change = CASES[case]
    value, slope = flux.jit(f), flux.jit(lambda x: flux.gradient(f, x)[0])
    try:
        for factor in (2.0, 5.0, 7.0):
            change(factor)
            assert value(X) == f(X)
            assert slope(X) == f(X) / X
    finally:
        change(2.0)
    assert value(X) == f(X)
    assert len(value.programs) == (3 if case == "function" else 2)  # an input from then on


def logging_in_a_module(x):
    settings.log.append(1)
    return x


@pytest.mark.parametrize("f", [scaled.logging, scaled.counting, logging_in_a_module])
def test_what_would_be_changed_once_is_refused(f):
    with pytest.raises(flux.StagingError, match="happen once"):
        flux.jit(f)(X)
    assert (LOG, settings.log, Scaled.factor) == ([], [], 2.0)
