"""The softmax family against PyTorch."""

import jax.numpy as jnp
import numpy as np
import pytest

from flux import functional as F
from flux.ad import pullback

torch = pytest.importorskip("torch", reason="the reference of these tests is PyTorch")

PAIRS = {
    "softmax": (F.softmax, torch.softmax),
    "logsoftmax": (F.logsoftmax, torch.log_softmax),
    "logsumexp": (F.logsumexp, torch.logsumexp),
}
CASES = [((5,), 0), ((4, 7), -1), ((4, 7), 0), ((2, 3, 4), 1)]


def both(name, x, axis):
    ours, theirs = PAIRS[name]
    y, back = pullback(lambda x: ours(x, axis=axis), x)
    t = torch.tensor(np.asarray(x, np.float64), requires_grad=True)
    expected = theirs(t, axis)
    ct = np.random.default_rng(1).normal(size=y.shape).astype(np.float32)
    expected.backward(torch.tensor(ct, dtype=torch.float64))
    gradient = back(jnp.asarray(ct).astype(y.dtype))[0]
    return (y, gradient), (expected.detach().numpy(), t.grad.numpy())


@pytest.mark.parametrize(("shape", "axis"), CASES)
@pytest.mark.parametrize("name", PAIRS)
def test_value_and_gradient_agree_with_pytorch(name, shape, axis):
    x = np.random.default_rng(0).normal(size=shape).astype(np.float32) * 3
    found, expected = both(name, jnp.asarray(x), axis)
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", PAIRS)
def test_extreme_scores_give_finite_values_and_gradients(name):
    x = jnp.asarray([[1e4, -1e4, 0.0], [1e4, 1e4, -1e4], [-1e4, -1e4, -1e4]])
    found, expected = both(name, x, -1)
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", PAIRS)
def test_half_precision_is_summed_in_single(name):
    x = jnp.asarray(np.random.default_rng(0).normal(size=(2, 4096)), jnp.bfloat16)
    found, expected = both(name, x, -1)
    assert found[0].dtype == found[1].dtype == jnp.bfloat16
    np.testing.assert_allclose(np.asarray(found[0], float), expected[0], rtol=1e-2, atol=1e-5)


def test_logsumexp_of_nothing_is_minus_infinity_with_gradient_zero():
    x = jnp.full(3, -jnp.inf)
    y, back = pullback(F.logsumexp, x)
    assert y == -jnp.inf
    np.testing.assert_array_equal(back(jnp.ones(()))[0], np.zeros(3))


def test_masked_scores_get_no_probability():
    y, back = pullback(F.softmax, jnp.asarray([0.0, -jnp.inf, 0.0]))
    np.testing.assert_allclose(y, [0.5, 0, 0.5])
    assert np.isfinite(back(jnp.asarray([1.0, 2.0, 3.0]))[0]).all()


def test_logsumexp_sums_over_all_axes_unless_told():
    x = np.arange(6.0).reshape(2, 3)
    np.testing.assert_allclose(F.logsumexp(x), np.log(np.exp(x).sum()))
    assert F.logsumexp(x, axis=0, keepdims=True).shape == (1, 3)
