"""Gradients of loops that read rows of an array by index: collected where each is read once."""

import jax
import numpy as np
import pytest

import flux

LENGTH, MANY = 6, 40


def each(xs, w):
    total = 0.0
    for t in range(LENGTH):
        total = np.tanh(total + np.sum(xs[t] * w)) + np.sum(xs[t] ** 3)
    return total


def backwards(xs, w):
    total = 0.0
    for t in range(LENGTH):
        total = np.tanh(total * 0.3 + np.sum(xs[LENGTH - 1 - t] ** 2 @ w))
    return total


def from_the_end(xs, w):
    total = 0.0
    for t in range(LENGTH):
        total = np.tanh(total + np.sum(xs[-1 - t] * w) * t)
    return total


def columns(xs, w):
    total = np.zeros(4)
    for t in range(LENGTH):
        total = np.tanh(total + xs[:4, t]) * w[0]
    return np.sum(total)


def every_other(xs, w):
    total = 0.0
    for t in range(LENGTH // 2):
        total = np.sin(total + np.sum(xs[2 * t] * w))
    return total


def rows_twice(xs, w):
    total = 0.0
    for t in range(LENGTH):
        total = np.sin(total + np.sum(xs[t // 2] * w))
    return total


def neighbours(xs, w):
    total = 0.0
    for t in range(1, LENGTH):
        total = np.sin(total + np.sum(xs[t] * xs[t - 1]))
    return total


def beyond_the_last(xs, w):
    total = 0.0
    for t in range(LENGTH):
        total = np.sin(total + np.sum(xs[min(t, 3)] * w))
    return total


def read_again_after(xs, w):
    total = 0.0
    for t in range(LENGTH):
        total = np.sin(total + np.sum(xs[t] * w))
    return total * np.sum(xs[2]) + np.sum(xs * xs)


def only_of_some(xs, w):
    total = 0.0
    for t in range(LENGTH):
        if t % 2 == 0:
            total = np.sin(total + np.sum(xs[t] * w))
    return total


def only_of_data(xs, w):
    total = 0.0
    for t in range(LENGTH):
        if total < 0.4:
            total = np.sin(total + np.sum(xs[t] * w))
        else:
            total = total - 0.7
    return total


def nested(xs, w):
    total = 0.0
    for t in range(LENGTH):
        for s in range(LENGTH):
            total = np.sin(total + xs[t, s] * w[s])
    return total


@pytest.mark.parametrize(
    "f", [each, backwards, from_the_end, columns, every_other, rows_twice, neighbours,
          beyond_the_last, read_again_after, only_of_some, only_of_data, nested],
)  # fmt: skip
def test_gradients_of_rows_read_by_index_equal_eager_ones(f, rng):
    xs, w = rng.normal(size=(LENGTH, LENGTH)), rng.normal(size=LENGTH)
    wanted = flux.gradient(f, xs, w)
    with jax.enable_x64(True):
        found = flux.jit(lambda xs, w: flux.gradient(f, xs, w))(xs, w)
        second = flux.jit(lambda xs: flux.gradient(lambda x: np.sum(flux.gradient(f, x, w)[0]), xs))
        twice = second(xs)[0]
    for a, b in zip(found, wanted, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)
    again = flux.gradient(lambda x: np.sum(flux.gradient(f, x, w)[0]), xs)[0]
    np.testing.assert_allclose(twice, again, rtol=1e-8, atol=1e-10)


def carried(f, monkeypatch, passes):
    """The sizes of what the loop of a gradient carries."""
    monkeypatch.setenv("FLUX_PASSES", passes)
    xs, w = np.ones((MANY, MANY), np.float32), np.ones(MANY, np.float32)
    program = flux.lower(lambda xs, w: flux.gradient(f, xs, w), xs, w).traced.jaxpr
    last = [e for e in program.jaxpr.eqns if e.primitive.name == "scan"][-1]
    skipped = last.params["num_consts"]
    return [v.aval.size for v in last.invars[skipped : skipped + last.params["num_carry"]]]


@pytest.mark.parametrize("f", [each, backwards, from_the_end, columns, every_other, neighbours])
def test_the_rows_of_a_gradient_are_collected_and_not_carried(f, monkeypatch):
    monkeypatch.setattr(f"{__name__}.LENGTH", MANY)
    whole = MANY * (4 if f is columns else MANY)
    assert max(carried(f, monkeypatch, "hoist,collect,recompute")) < whole
    assert max(carried(f, monkeypatch, "")) >= whole
