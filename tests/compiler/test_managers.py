"""Functions that raise for some data, inside `with`, `try: ... finally:` and `try: ... except:`."""

import contextlib
import math

import jax.numpy as jnp
import numpy as np
import pytest

import flux


class Steps:
    """A manager that counts and ends no exception."""

    def __init__(self):
        self.done = 0

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.done += 1
        return None


class Quiet(Steps):
    def __exit__(self, kind, error, trace):
        return kind is ValueError


@contextlib.contextmanager
def cleaned():
    try:
        yield 2.0
    finally:
        pass


@contextlib.contextmanager
def careless():
    try:
        yield 2.0
    except ValueError:
        pass


def with_a_manager(x):
    with np.errstate(all="ignore"), Steps() as steps:
        y = math.sqrt(x)
        if x > 1:
            y = y + math.log(x)
    return y * (1 + steps.done)


def with_a_generator(x):
    with cleaned() as factor:
        y = math.exp(x) * factor
    return y


def with_a_finally(x):
    count = 0
    try:
        y = math.pow(x, 1.5) + math.log10(x)
    finally:
        count += 1
    return y * count


def root(x):
    return math.sqrt(x)


def with_suppress(x):
    y = x
    with contextlib.suppress(ValueError):
        y = root(x)
    return y


def with_quiet(x):
    y = x
    with Quiet():
        y = math.sqrt(x)
    return y


def with_careless(x):
    y = x
    with careless():
        y = math.sqrt(x)
    return y


def with_an_except_around(x):
    try:
        with Steps():
            return root(x)
    except ValueError:
        return x


@pytest.mark.parametrize("f", [with_a_manager, with_a_generator, with_a_finally])
def test_where_nobody_catches_an_error_it_is_nan(f):
    np.testing.assert_allclose(flux.jit(f)(jnp.float32(1.75)), f(1.75), rtol=1e-6)
    assert math.isnan(flux.jit(with_a_manager)(jnp.float32(-1)))


@pytest.mark.parametrize("f", [with_a_manager, with_a_finally])
def test_the_derivative_where_nobody_catches(f):
    value, (slope,) = flux.jit(lambda x: flux.withgradient(f, x))(jnp.float32(1.75))
    np.testing.assert_allclose(value, f(1.75), rtol=1e-6)
    np.testing.assert_allclose(slope, (f(1.75 + 1e-6) - f(1.75 - 1e-6)) / 2e-6, rtol=1e-4)


SWALLOWED = [with_suppress, with_quiet, with_careless, with_an_except_around]


@pytest.mark.parametrize("f", SWALLOWED)
def test_where_somebody_catches_an_error_it_is_refused(f):
    with pytest.raises(flux.StagingError, match=r"Inside a `try`[\s\S]*test_managers.py"):
        flux.jit(f)(jnp.float32(1.75))
    if f is not with_careless:  # a generator
        with pytest.raises(flux.StagingError, match="Inside a `try`"):
            flux.jit(lambda x: flux.gradient(f, x))(jnp.float32(1.75))
