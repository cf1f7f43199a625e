"""`flux.vmap` against a loop over examples, and against JAX's."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import flux


def branching(x):
    while x < 100:
        x = x * x
    if x > 1000:
        x = x / 2
    return x


POINTS = jnp.array([1.5, 2.0, 200.0])


def test_control_flow_differs_by_example():
    expected = [float(branching(x)) for x in POINTS]
    np.testing.assert_allclose(flux.vmap(branching)(POINTS), expected, rtol=1e-6)
    np.testing.assert_allclose(flux.jit(flux.vmap(branching))(POINTS), expected, rtol=1e-6)
    twice = flux.vmap(flux.vmap(branching))(POINTS.reshape(1, 3))
    np.testing.assert_allclose(twice[0], expected, rtol=1e-6)


def test_gradients_of_examples_that_branch():
    def total(xs):
        return flux.vmap(branching)(xs).sum()

    expected = [float(flux.gradient(branching, x)[0]) for x in POINTS]
    np.testing.assert_allclose(flux.gradient(total, POINTS)[0], expected, rtol=1e-5)
    compiled = flux.jit(lambda xs: flux.gradient(total, xs)[0])(POINTS)
    np.testing.assert_allclose(compiled, expected, rtol=1e-5)


def weighted(w, x, c):
    t = (w["b"][0] * x).sum() * w["a"] * c
    return {"y": t, "z": (x, t * 2)}


def test_structures_shared_arguments_and_their_gradients():
    w = {"a": jnp.float32(2.0), "b": [jnp.ones(3)]}
    x = jnp.arange(6.0).reshape(2, 3)

    def loss(vmap, w, x):
        r = vmap(weighted, (None, 0, None))(w, x, 3.0)
        return r["y"].sum() + (r["z"][1] * r["z"][0][:, 0]).sum()

    found = flux.gradient(lambda w, x: loss(flux.vmap, w, x), w, x)
    expected = jax.grad(lambda w, x: loss(jax.vmap, w, x), argnums=(0, 1))(w, x)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), found, expected)


def test_a_model_over_single_examples():
    model = flux.Chain(flux.Dense(3, 4, flux.functional.tanh), flux.Dense(4, 1))
    x = jnp.arange(6.0).reshape(2, 3)
    np.testing.assert_allclose(flux.vmap(model)(x), model(x), rtol=1e-5)
    mapped = flux.gradient(lambda m: flux.vmap(m)(x).sum(), model)[0]
    whole = flux.gradient(lambda m: m(x).sum(), model)[0]
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4), mapped, whole)


def test_axes():
    a, b = jnp.arange(6.0).reshape(2, 3), jnp.arange(3.0)
    found = flux.vmap(lambda x, y: x + y, in_axes=(1, 0), out_axes=1)(a, b)
    np.testing.assert_array_equal(found, a + b)

    def loss(a, b):
        return (flux.vmap(lambda x, y: x * y, in_axes=(1, 0))(a, b) ** 2).sum()

    found = flux.gradient(loss, a, b)
    expected = jax.grad(lambda a, b: ((a * b) ** 2).sum(), argnums=(0, 1))(a, b)
    np.testing.assert_allclose(found[0], expected[0])
    np.testing.assert_allclose(found[1], expected[1])


def test_a_failed_check_of_one_example_is_an_error():
    def small(x):
        assert x < 10, "too big"
        return x

    np.testing.assert_array_equal(flux.vmap(small)(jnp.arange(3.0)), [0, 1, 2])
    for run in (flux.vmap(small), flux.jit(flux.vmap(small))):
        with pytest.raises(AssertionError, match="too big"):
            run(jnp.arange(20.0))


@pytest.mark.parametrize("change", [lambda f: f, flux.jit])
def test_gradients_through_examples_that_may_raise(change):
    def f(x):
        if x[0] > 10:
            raise ValueError("too big")
        return [x[0], x[1] * 2.0][jnp.argmax(x)]

    slope = change(lambda xs: flux.gradient(lambda xs: jnp.sum(flux.vmap(f)(xs)), xs)[0])
    np.testing.assert_allclose(slope(jnp.array([[1.0, 2.0], [2.0, 1.0]])), [[0, 2], [1, 0]])
    with pytest.raises(ValueError, match="too big"):
        jax.block_until_ready(slope(jnp.array([[1.0, 2.0], [11.0, 1.0]])))


def test_arguments_that_do_not_fit_are_named():
    def add(a, b):
        return a + b

    with pytest.raises(flux.ShapeError, match="argument 0 counts 3, argument 1 counts 4"):
        flux.vmap(add)(jnp.ones(3), jnp.ones(4))
    with pytest.raises(flux.ShapeError, match="without axis 0"):
        flux.vmap(branching)(3.0)
    with pytest.raises(flux.ShapeError, match="in_axes has 1"):
        flux.vmap(add, in_axes=(0,))(jnp.ones(3), jnp.ones(3))
    seen = []
    with pytest.raises(flux.StagingError, match="all examples share"):
        flux.vmap(lambda x: seen.append(x))(jnp.ones(3))
    assert seen == []
