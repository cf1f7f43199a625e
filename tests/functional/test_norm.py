"""Normalisations against PyTorch."""

import jax.numpy as jnp
import numpy as np
import pytest

from flux import functional as F
from flux.ad import gradient, pullback

torch = pytest.importorskip("torch", reason="the reference of these tests is PyTorch")
T = torch.nn.functional
RNG = np.random.default_rng(0)
X = RNG.normal(size=(4, 5, 6)) * 3 + 2
SCALE, SHIFT = RNG.normal(size=6), RNG.normal(size=6)


def last_to_second(x):
    return x.movedim(-1, 1)


def group(x, scale, shift):
    return T.group_norm(last_to_second(x), 3, scale, shift).movedim(1, -1)


PAIRS = {
    "layernorm": (F.layernorm, lambda x, a, b: T.layer_norm(x, (6,), a, b)),
    "groupnorm": (lambda x, a, b: F.groupnorm(x, 3, a, b), group),
    "normalise": (
        lambda x, a, b: F.normalise(x) * a + b,
        lambda x, a, b: T.layer_norm(x, (6,), a, b),
    ),
    "affine": (F.affine, lambda x, a, b: x * a + b),
    "rmsnorm": (
        lambda x, a, b: F.rmsnorm(x, a, eps=1e-6) + b,
        lambda x, a, b: T.rms_norm(x, (6,), a, 1e-6) + b,
    ),
}


@pytest.mark.parametrize(("kind", "rtol"), [(np.float64, 1e-7), (np.float32, 1e-3)])
@pytest.mark.parametrize("name", PAIRS)
def test_values_and_gradients_agree_with_pytorch(name, kind, rtol):
    ours, theirs = PAIRS[name]
    wrap = np.asarray if kind is np.float64 else jnp.asarray
    y, back = pullback(ours, *[wrap(v.astype(kind)) for v in (X, SCALE, SHIFT)])
    inputs = [torch.tensor(v, requires_grad=True) for v in (X, SCALE, SHIFT)]
    expected = theirs(*inputs)
    np.testing.assert_allclose(y, expected.detach(), rtol=rtol, atol=rtol)
    ct = RNG.normal(size=y.shape)
    expected.backward(torch.tensor(ct))
    for found, given in zip(back(wrap(ct.astype(kind))), inputs, strict=True):
        np.testing.assert_allclose(found, given.grad, rtol=rtol, atol=rtol)


def test_the_statistics_of_standardise_have_gradients_too():
    x = jnp.asarray(X, jnp.float32)

    def parts(x):
        y, mean, var = F.standardise(x, axis=(0, 1), eps=0.1)
        return (y**3).sum() + (mean**2).sum() + (var**2).sum()

    t = torch.tensor(X, requires_grad=True)
    mean, var = t.mean((0, 1)), t.var((0, 1), correction=0)
    y = (t - mean) / (var + 0.1).sqrt()
    ((y**3).sum() + (mean**2).sum() + (var**2).sum()).backward()
    np.testing.assert_allclose(gradient(parts, x)[0], t.grad, rtol=2e-4, atol=2e-4)


def test_a_constant_becomes_zeros_with_finite_gradient():
    y, back = pullback(F.normalise, jnp.ones((2, 3)))
    np.testing.assert_array_equal(y, np.zeros((2, 3)))
    assert np.isfinite(back(jnp.asarray([[1.0, 2.0, 4.0]] * 2))[0]).all()


def test_half_precision_is_normalised_with_statistics_in_single():
    x = jnp.asarray(RNG.normal(size=(2, 5000)) + 30, jnp.bfloat16)
    y, mean, var = F.standardise(x)
    assert (y.dtype, mean.dtype, var.dtype) == (jnp.bfloat16, jnp.float32, jnp.float32)
    assert abs(np.asarray(y, np.float32).std() - 1) < 0.01
