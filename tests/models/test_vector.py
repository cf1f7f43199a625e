"""`destructure`: the vector of parameters, the model of a vector, and the derivative of both."""

import functools
from collections import namedtuple
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import flux

Pair = namedtuple("Pair", "left right")
A, B, C = np.array([1.0, 2.0]), np.array([[3.0, 4.0], [5.0, 6.0]]), np.array([0.5, -1.0])


def closure():
    a, parts = A, [B, {"c": C}]
    return lambda x: (a * x) @ parts[0] + parts[1]["c"]


def by_name(x, a, b, c):
    return (a * x) @ b + c


class Method:
    def __init__(self):
        self.inner = SimpleNamespace(a=A, pair=Pair((B, 3), C))

    def run(self, x):
        return (self.inner.a * x) @ self.inner.pair.left[0] + self.inner.pair.right


class Called(Method):
    def __call__(self, x):
        return self.run(x)


class Growing(Called):
    """Its lists and arrays are others after a call."""

    def __call__(self, x):
        y = self.run(x)
        self.inner = SimpleNamespace(a=self.inner.a * 2, pair=self.inner.pair)
        return y + self.run(x)


MODELS = {
    "closure": (closure, None),
    "partial": (lambda: functools.partial(by_name, a=A, c=C, b=B), None),
    "partial in a list": (
        lambda: [functools.partial(by_name, b=B), (A, C)],
        lambda m, x: m[0](x, a=m[1][0], c=m[1][1]),
    ),
    "method": (lambda: Method().run, None),
    "object": (Called, None),
    "changing": (Growing, None),
    "tuple": (lambda: (A, [B], {"c": C}), lambda m, x: by_name(x, m[0], m[1][0], m[2]["c"])),
    "shared array": (lambda: {"a": A, "b": B, "c": A}, lambda m, x: by_name(x, **m)),
    "shared object": (
        lambda: (lambda part: [part, part, B])(Pair([A], 0)),
        lambda m, x: by_name(x, m[0].left[0], m[2], m[1].left[0]),
    ),
}


@pytest.mark.parametrize(("make", "run"), MODELS.values(), ids=list(MODELS))
def test_gradient_through_rebuild_agrees_with_differences(make, run):
    model = make()
    flat, rebuild = flux.destructure(model)
    x = np.array([0.3, -0.7])

    def loss(v):
        model = rebuild(v)
        y = model(x) if run is None else run(model, x)
        return (y * y * y).sum()

    np.testing.assert_allclose(loss(flat), ((run or (lambda m, x: m(x)))(model, x) ** 3).sum())
    expected = [(loss(flat + d) - loss(flat - d)) / 2e-6 for d in 1e-6 * np.eye(flat.size)]
    np.testing.assert_allclose(flux.gradient(loss, flat)[0], expected, rtol=1e-6, atol=1e-6)


@pytest.fixture
def chain():
    flux.seed(0)
    return flux.Chain(flux.Dense(2, 3, flux.tanh), flux.BatchNorm(3), flux.Dense(3, 1, bias=False))


X = np.array([[0.1, 0.2], [0.5, -0.4], [-0.3, 0.9]], np.float32)


def test_the_vector_is_the_trainables_in_order_and_comes_back(chain):
    flat, rebuild = flux.destructure(chain)
    found = flux.trainables(chain)
    np.testing.assert_array_equal(flat, jnp.concatenate([a.ravel() for a in found]))
    again = rebuild(flat)
    assert [(a.shape, a.dtype) for a in flux.trainables(again)] == [
        (a.shape, a.dtype) for a in found
    ]
    np.testing.assert_array_equal(again(X), chain(X))
    assert again[0] is not chain[0]


def test_gradients_agree_with_jax_eager_and_compiled(chain):
    flat, rebuild = flux.destructure(flux.trainmode(chain))

    def loss(v):
        return (rebuild(v)(X) ** 2).sum()

    expected = jax.grad(loss)(flat)
    compiled = flux.jit(lambda v: flux.gradient(loss, v)[0])
    for gradient in (flux.grad(loss), compiled, flux.grad(flux.jit(loss)), jax.jit(jax.grad(loss))):
        np.testing.assert_allclose(gradient(flat), expected, rtol=1e-4, atol=1e-5)


def test_models_may_be_rebuilt_in_branches_and_loops_of_a_program(chain):
    flat, rebuild = flux.destructure(flux.testmode(chain))

    def loss(v):
        if v.sum() > -1e9:
            y = (rebuild(v)(X) ** 2).sum()
        else:
            y = (rebuild(2 * v)(X)).sum()
        while y < 30:
            y = 2 * y + (rebuild(v)(X) ** 2).sum()
        return y

    expected = flux.grad(loss)(flat)
    np.testing.assert_allclose(flux.jit(flux.grad(loss))(flat), expected, rtol=1e-4)


def test_second_derivatives_go_through_rebuild():
    model = flux.Chain(flux.Dense(2, 2, flux.tanh), flux.Dense(2, 1))
    flat, rebuild = flux.destructure(model)

    def loss(v):
        return (rebuild(v)(X) ** 2).sum()

    np.testing.assert_allclose(
        flux.hessian(loss, flat), jax.hessian(loss)(flat), rtol=1e-4, atol=1e-5
    )


def test_the_vector_has_a_derivative_in_the_model(chain):
    (grads,) = flux.gradient(lambda m: (flux.destructure(m)[0] ** 2).sum(), chain)
    np.testing.assert_allclose(grads[0].weight, 2 * chain[0].weight, rtol=1e-6)
    np.testing.assert_array_equal(grads[1].var, np.zeros(3))


def test_rebuilt_models_keep_statistics_of_their_own(chain):
    flat, rebuild = flux.destructure(flux.trainmode(chain))
    first, second = rebuild(flat), rebuild(flat)
    first(X)
    assert (first[1].mean != 0).any()
    np.testing.assert_array_equal(second[1].mean, np.zeros(3))


def test_dtypes_are_those_of_the_model():
    model = {"half": jnp.ones(2, jnp.bfloat16), "wave": np.ones(1, np.complex64)}
    flat, rebuild = flux.destructure(model)
    assert flat.dtype == np.complex64
    new = rebuild(flat)
    assert {name: a.dtype for name, a in new.items()} == {n: a.dtype for n, a in model.items()}


def test_a_vector_of_another_length_is_refused(chain):
    flat, rebuild = flux.destructure(chain)
    with pytest.raises(flux.ShapeError, match=rf"\({flat.size},\), and got an array of shape"):
        rebuild(flat[1:])


def test_a_model_without_parameters_is_an_empty_vector():
    flat, rebuild = flux.destructure({"act": abs})
    assert flat.shape == (0,)
    assert rebuild(flat) == {"act": abs}
