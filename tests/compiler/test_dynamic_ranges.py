"""`for` over a range whose length only the data decide, in both directions."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import flux
from flux.errors import StagingError

POINTS = [
    jnp.array([0.3, -0.7, 1.2, 0.5, -0.1]),
    jnp.array([-0.3, -0.7, -1.2, -0.5, -0.1]),  # no iteration
    jnp.array([0.3, 0.7, 0.2, 0.5, 0.1]),
]


def positive(x):
    return jnp.sum(x > 0)


def in_steps(x):
    s = x[0]
    for i in range(1, positive(x) // 2 * 2, 2):
        s = s * x[i] + jnp.sin(s)
    return s


def with_exits(x):
    s = x[1]
    for i in range(int(positive(x))):
        if x[i] < 0:
            continue
        s = s * x[i] + x[i] ** 2
        if s > 1.2:
            break
    else:
        s = s * 3
    return s


def backwards(x):
    s = x[1]
    for i in reversed(range(positive(x))):
        s = s * 0.5 + x[i]
    for i in range(positive(x) - 1, -1, -1):
        s = s * 0.5 + x[i]
    return s


def with_others(x):
    s = x[1]
    for k, i in enumerate(range(positive(x)), 2):
        s = s * 0.5 + x[i] * k
    for row, i in zip(x, range(positive(x)), strict=False):
        s = s * row + x[i]
    return s


def nested(x):
    s = x[1]
    for i in range(positive(x)):
        for j in range(i + 1):
            s = s + x[i] * x[j] * 0.5
        y = x[i]
        while jnp.abs(y) > 0.2:
            y = y * 0.6
            s = s + y * y
    return s


def returning(x):
    for i in range(positive(x)):
        if x[i] > 1:
            return x[i] * i + x[0]
    return x[4]


class Total:
    def __init__(self, value):
        self.value = value


def of_an_object(x):
    total = Total(x[0])
    for i in range(positive(x)):
        total.value = total.value * x[i] + 1.0
    return total.value


PROGRAMS = [in_steps, with_exits, backwards, with_others, nested, returning, of_an_object]


@pytest.mark.parametrize("f", PROGRAMS, ids=lambda f: f.__name__)
def test_gradients_equal_those_of_plain_python(f):
    compiled = flux.jit(lambda x: flux.withgradient(f, x))
    for x in POINTS:
        value, (slope,) = flux.withgradient(f, x)
        found, (found_slope,) = compiled(x)
        np.testing.assert_allclose(found, value, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(found_slope, slope, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("f", [with_exits, nested], ids=lambda f: f.__name__)
def test_second_derivatives_and_batches(f):
    def steepness(x):
        return jnp.sum(flux.gradient(f, x)[0] ** 2)

    compiled = flux.jit(lambda x: flux.gradient(steepness, x)[0])
    for x in POINTS:
        np.testing.assert_allclose(compiled(x), flux.gradient(steepness, x)[0], rtol=1e-4)
    slopes = flux.jit(flux.vmap(lambda x: flux.gradient(f, x)[0]))(jnp.stack(POINTS))
    for x, slope in zip(POINTS, slopes, strict=True):
        np.testing.assert_allclose(slope, flux.gradient(f, x)[0], rtol=1e-4, atol=1e-5)


def test_an_unbound_variable_is_an_error_of_the_run():
    def f(x):
        for i in range(positive(x)):
            y = x[i] * 2
        return y * x[0]

    compiled = flux.jit(lambda x: flux.gradient(f, x)[0])
    np.testing.assert_allclose(compiled(POINTS[0]), flux.gradient(f, POINTS[0])[0])
    with pytest.raises(UnboundLocalError):
        jax.block_until_ready(compiled(POINTS[1]))


def test_a_list_that_grows_is_refused():
    def f(x):
        ys = []
        for i in range(positive(x)):
            ys.append(x[i])
        return sum(ys)

    with pytest.raises(StagingError, match=r"The list `\w+` grows in a loop whose length only"):
        flux.jit(lambda x: flux.gradient(f, x))(POINTS[0])
