"""Entries picked and brought together by index, against PyTorch."""

import jax.numpy as jnp
import numpy as np
import pytest

from flux.ad import gradient, pullback
from flux.compiler import jit
from flux.errors import LabelError, ShapeError
from flux.functional import gather, lookup, scatter
from flux.functional.gather import put

torch = pytest.importorskip("torch", reason="the reference of these tests is PyTorch")
RNG = np.random.default_rng(0)
BINS = np.array([0, 3, 0, 1, 3, 3])
LIBRARIES = {"numpy": np.asarray, "jax": jnp.asarray, "jit": jnp.asarray}


def check(ours, theirs, x, library):
    def both(x, ct):
        y, back = pullback(ours, x)
        return y, back(ct)[0]

    t = torch.tensor(x, requires_grad=True)
    expected = theirs(t)
    ct = RNG.normal(size=expected.shape).astype(x.dtype)
    expected.backward(torch.tensor(ct))
    run = jit(both) if library == "jit" else both
    y, grad = run(*map(LIBRARIES[library], (x, ct)))
    np.testing.assert_allclose(y, expected.detach(), rtol=1e-5)
    np.testing.assert_allclose(grad, t.grad, rtol=1e-5)


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("axis", [0, 1, -1])
def test_gather_picks_along_an_axis(library, axis):
    x = RNG.normal(size=(4, 5, 6)).astype("f")
    index = np.array([[3, 0], [1, 3]])
    shape = list(x.shape)
    shape[axis : axis + 1 or None] = [2, 2]
    check(
        lambda x: gather(x, index, axis=axis),
        lambda t: t.index_select(axis, torch.tensor(index.ravel())).reshape(shape),
        x,
        library,
    )


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("op", ["sum", "mean", "max", "min"])
def test_scatter_and_its_gradients_agree_with_pytorch(library, op):
    x = RNG.normal(size=(6, 3)).astype("f")
    start, name = {"max": (-np.inf, "amax"), "min": (np.inf, "amin")}.get(op, (0.0, op))
    bins = torch.tensor(BINS)[:, None].expand(6, 3)
    check(
        lambda x: scatter(x, BINS, 5, op=op),
        lambda t: torch.full((5, 3), start).scatter_reduce(
            0, bins, t, name, include_self=name == "amax" or name == "amin"
        ),
        x,
        library,
    )


@pytest.mark.parametrize("lib", [np, jnp])
def test_entries_that_are_equally_large_share_the_gradient(lib):
    x = lib.asarray([2.0, 1.0, 2.0])
    (grad,) = gradient(lambda x: scatter(x, np.zeros(3, int), 1, op="max").sum(), x)
    np.testing.assert_array_equal(grad, [0.5, 0, 0.5])


def test_an_index_may_have_several_axes():
    x, index = RNG.normal(size=(2, 3, 4)), np.array([[0, 1, 0], [2, 2, 1]])
    flat = scatter(x.reshape(6, 4), index.ravel(), 3, op="mean")
    np.testing.assert_allclose(scatter(x, index, 3, op="mean"), flat)


def test_what_does_not_fit_is_refused():
    with pytest.raises(LabelError, match="index 5 is out of range"):
        gather(np.ones((5, 2)), np.array([5]))
    with pytest.raises(LabelError, match="index 5"):
        scatter(np.ones(2), np.array([0, 5]), 5)
    with pytest.raises(ShapeError, match=r"\(3,\).*\(2,\)"):
        scatter(np.ones(3), np.array([0, 1]), 5)
    with pytest.raises(ValueError, match="op is 'mul'"):
        scatter(np.ones(2), np.array([0, 1]), 5, op="mul")


@pytest.mark.parametrize("lib", [np, jnp])
def test_what_is_put_in_takes_the_gradient_of_its_place(lib):
    x, part = lib.zeros((2, 5, 3)), lib.ones((2, 2, 3))
    y, back = pullback(lambda x, part: put(x, part, 1), x, part)
    ct = RNG.normal(size=(2, 5, 3)).astype("f")
    grads = back(lib.asarray(ct))
    np.testing.assert_array_equal(y[0, :, 0], [0, 1, 1, 0, 0])
    np.testing.assert_array_equal(grads[1], ct[:, 1:3])
    ct[:, 1:3] = 0
    np.testing.assert_array_equal(grads[0], ct)


@pytest.mark.parametrize("lib", [np, jnp])
@pytest.mark.parametrize("shape", [(), (4,), (2, 3)])
def test_lookup_and_its_gradient_agree_with_pytorch(lib, shape):
    table, index = RNG.normal(size=(5, 3)).astype("f"), RNG.integers(0, 5, size=shape)
    y, back = pullback(lookup, lib.asarray(table), lib.asarray(index))
    ct = RNG.normal(size=y.shape).astype("f")
    t = torch.tensor(table, requires_grad=True)
    expected = torch.nn.functional.embedding(torch.tensor(index), t)
    expected.backward(torch.tensor(ct))
    np.testing.assert_array_equal(y, expected.detach())
    np.testing.assert_allclose(back(lib.asarray(ct))[0], t.grad, rtol=1e-6)
