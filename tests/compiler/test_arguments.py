"""Arguments as NumPy takes them: lists and tuples of numbers, and options that JAX has not."""

import jax.numpy as jnp
import numpy as np
import pytest

import flux

X = np.array([0.3, -1.2, 2.5, 0.7], np.float32)
T = np.float32(1.7)


def orders(x, t):
    places = np.argsort(x, kind="stable")
    return (x[places] * np.arange(4)).sum() * t + (np.sort(x, kind="mergesort") * x).sum()


def bounds(x, t):
    return (
        np.clip(x, a_min=-0.5, a_max=t).sum() + np.clip(a=x, a_min=None, a_max=t).sum()
    ) * t + np.clip([t, 5.0], 0, 3).sum()


def places(x, t):
    taken = np.take([t, t * 2, x[0]], [0, 2]).sum() + np.repeat([t, x[0]], [1, 2]).sum()
    chosen = np.choose([0, 1, 0], [[t, t, t], [x[0], x[1], x[2]]]).sum()
    return taken + chosen * t + np.searchsorted([0.0, 1.0, 2.0], t) + np.where([True], [t], 0).sum()


def joined(x, t):
    rows = np.stack([[t, 1.0], (2.0, x[0])]) @ np.vstack([[t, 1.0], [x[1], 2.0]])
    return np.concatenate([[t, x[0]], x, (t,)]).sum() * rows.sum() + np.append([t], x).sum()


def sums(x, t):
    numbers = [t, x[0], 2.0]
    total = np.sum(numbers) + np.max(numbers) + np.min((t, x[1])) + np.mean(numbers)
    return total * np.prod(numbers) + np.std(numbers) + np.median(numbers) + np.cumsum(numbers)[1]


def products(x, t):
    vector = np.matmul([[t, 1.0], [x[0], 2.0]], (t, x[1]))
    return np.dot([t, x[0]], vector) + np.dot(x, [t, 1.0, 2.0, t]) + np.linalg.norm([t, x[0]])


def elements(x, t):
    total = np.sin([t, x[0]]).sum() + np.maximum([t, x[0]], (x[1], 5.0)).sum()
    return total + np.add(x, [1, 2, 3, 4], dtype=float).sum() * t + np.sum(x, axis=(0,))


def shapes(x, t):
    table = np.reshape(x, [2, 2]) * np.full([2, 2], t) + np.transpose(
        np.outer(x[:2], x[2:]), [1, 0]
    )
    return (np.pad(table, [(1, 0), (0, 1)]) ** 2).sum() + np.tile(x, [2, 1]).sum() * t


@pytest.mark.parametrize(
    "f",
    [orders, bounds, places, joined, sums, products, elements, shapes],
    ids=lambda f: f.__name__,
)
def test_as_in_plain_python(f):
    np.testing.assert_allclose(flux.jit(f)(X, T), f(X, T), rtol=1e-5)
    found = flux.jit(lambda x, t: flux.gradient(f, x, t))(jnp.asarray(X), T)
    x, t, h = X.astype(float), float(T), 1e-6
    np.testing.assert_allclose(found[1], (f(x, t + h) - f(x, t - h)) / (2 * h), rtol=1e-3)
    slopes = [(f(x + d, t) - f(x - d, t)) / (2 * h) for d in np.eye(4) * h]
    np.testing.assert_allclose(found[0], slopes, rtol=1e-3, atol=1e-4)


def where_option(x, t):
    return np.divide(1.0, x, where=x > 0, out=None).sum()


def out_option(x, t):
    return np.sum(x, out=x[0])


@pytest.mark.parametrize("f", [where_option, out_option])
def test_options_that_are_not_covered_are_named(f):
    with pytest.raises(flux.StagingError, match=r"in compiled code|in place[\s\S]*test_arguments"):
        flux.jit(f)(jnp.asarray(X), T)
