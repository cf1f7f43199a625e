"""Conversions to Python's numbers and lists, and Python's functions of lists of traced numbers."""

import jax.numpy as jnp
import numpy as np
import pytest

import flux

X = np.array([0.3, -1.2, 2.5, 0.7], np.float32)
T = np.float32(1.7)


def items(x, t):
    return t.item() * x[0].item() + x.item(2) ** 2 + x.reshape(2, 2).item(1, 0) + x.sum().item()


def lists(x, t):
    rows, numbers = np.outer(x, x).tolist(), x.tolist()
    return rows[0][1] * t + len(rows) + sum(numbers) * numbers[2] + max(numbers)


def kinds(x, t):
    return np.float64(t) * 2 + np.float32(x.sum()) * t + np.int32(t) * t + np.bool_(t > 1) * t


def complex_numbers(x, t):
    return abs(complex(t, x[0])) + complex(x[1]).real


def in_order(x, t):
    first, second, third = sorted([t, x[0], x[1]])
    last = sorted(x, reverse=True)
    near = sorted([t, x[0], x[1], 1.0], key=lambda v: abs(v - 1.1))
    return first + 2 * second + 3 * third + last[0] * last[1] + near[0] * 5 + near[1] * t


def extremes(x, t):
    return max([t, x[1]], key=abs) * t + min([t, x[1]], key=lambda v: -v) + max([t], default=0.0)


def methods(x, t):
    places = x.argsort(kind="stable")
    return (
        x[places][0] * t + x.take([0, 1]).sum() * t + x.dot([1.0, 2.0, 3.0, 4.0]) + x.repeat(2)[3]
    )


def places_in_lists(x, t):
    table = np.outer(x, x)
    y = x * t
    y[[0, int(t)]] = x[[1, 2]]
    return x[[0, 2]].sum() * t + x[[int(t), 0]][0] + table[[0, 1], [2, 3]].sum() + (y * y).sum()


def memberships(x, t):
    total = t * 0
    if int(t) in {1, 2} and int(t) in range(3) and int(t) not in {5: "a"}:
        total = total + t
    if x[2] in x and int(t) not in range(4, 20, 3) and int(t) not in ():
        total = total + t * t
    if isinstance(x, np.ndarray) and isinstance(t, np.floating):
        total = total * 3
    return total


PROGRAMS = [
    items,
    lists,
    kinds,
    complex_numbers,
    in_order,
    extremes,
    methods,
    places_in_lists,
    memberships,
]


@pytest.mark.parametrize("f", PROGRAMS)
def test_as_in_plain_python(f):
    np.testing.assert_allclose(flux.jit(f)(X, T), f(X, T), rtol=1e-5)
    found = flux.jit(lambda x, t: flux.gradient(f, x, t))(X, T)
    x, t, h = X.astype(float), np.float64(T), 1e-6
    if f is kinds:  # single precision in itself
        np.testing.assert_allclose(found[1], 2 + x.sum() + 1 + 1, rtol=1e-5)
        return
    np.testing.assert_allclose(found[1], (f(x, t + h) - f(x, t - h)) / (2 * h), rtol=1e-3)
    slopes = [(f(x + d, t) - f(x - d, t)) / (2 * h) for d in np.eye(4) * h]
    np.testing.assert_allclose(found[0], slopes, rtol=1e-3, atol=1e-4)


def test_equal_items_stay_in_their_order():
    def f(x):
        return sorted([x[0], x[1], x[2]], key=lambda v: v > 1, reverse=True)

    x = np.array([2.0, 0.5, 3.0], np.float32)
    assert [float(v) for v in flux.jit(f)(jnp.asarray(x))] == [2.0, 3.0, 0.5]


def test_an_array_is_no_number():
    with pytest.raises(ValueError, match="size 1"):
        flux.jit(lambda x: x.item())(X)


def through_flat(x, t):
    y = np.zeros((2, 2))
    y.flat[1] = t
    return y.sum()


def read_flat(x, t):
    return sum([v * t for v in x.flat])


def filled(x, t):
    y = x.copy()
    y.fill(2.0)
    return (y * t).sum()


def put(x, t):
    y = x.copy()
    np.put(y, [0, 1], t)
    return (y * y).sum()


def put_by_mask(x, t):
    y = x.copy()
    np.putmask(y, y > 1, 0.0)
    return (y * y).sum()


@pytest.mark.parametrize("f", [through_flat, read_flat, filled, put, put_by_mask])
@pytest.mark.parametrize("x", [X, jnp.asarray(X)], ids=["NumPy", "JAX"])
def test_other_ways_to_change_an_array_are_refused_in_our_words(f, x):
    words = r"not covered|in place[\s\S]*test_numbers.py line"
    for g in (f, lambda x, t: flux.gradient(f, x, t)):
        with pytest.raises(flux.StagingError, match=words):
            flux.jit(g)(x, T)
