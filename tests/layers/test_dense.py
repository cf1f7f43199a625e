"""Layers that mix features linearly."""

import jax.numpy as jnp
import numpy as np
import pytest

from flux.ad import gradient
from flux.errors import ShapeError
from flux.functional import tanh
from flux.init import ones, zeros
from flux.layers import Bilinear, Dense, Scale

torch = pytest.importorskip("torch", reason="the reference of these tests is PyTorch")
RNG = np.random.default_rng(0)


@pytest.mark.parametrize("leading", [(), (5,), (2, 5)])
def test_dense_and_its_gradients_agree_with_pytorch(leading):
    model = Dense(3, 4, tanh, rng=0)
    x = RNG.normal(size=(*leading, 3)).astype(np.float32)
    theirs = torch.nn.Linear(3, 4)
    theirs.weight.data = torch.tensor(np.array(model.weight.T))
    theirs.bias.data = torch.tensor(np.array(model.bias))
    y = torch.tanh(theirs(torch.tensor(x)))
    (y**2).sum().backward()
    np.testing.assert_allclose(model(x), y.detach(), rtol=1e-5, atol=1e-6)
    (grads,) = gradient(lambda m: (m(x) ** 2).sum(), model)
    np.testing.assert_allclose(grads.weight, theirs.weight.grad.T, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(grads.bias, theirs.bias.grad, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("x", [np.ones((2, 3)), np.ones((2, 3), int), [[1, 2, 3]]])
def test_the_input_takes_on_the_dtype_of_the_weight(x):
    assert Dense(3, 2)(x).dtype == jnp.float32


def test_half_precision_weights_compute_in_half_precision():
    model = Dense(3, 2)
    model.weight, model.bias = (a.astype(jnp.bfloat16) for a in (model.weight, model.bias))
    assert model(np.ones((1, 3))).dtype == jnp.bfloat16


def test_dense_without_a_bias_has_none():
    model = Dense(3, 2, bias=False)
    assert model.bias is None
    assert repr(model) == "Dense(3, 2, bias=False)"


def test_a_bias_can_be_given_and_is_checked():
    np.testing.assert_array_equal(Dense(3, 2, bias=np.arange(2), init=zeros)(np.ones(3)), [0, 1])
    with pytest.raises(ShapeError, match=r"\(3,\).*\(2,\)"):
        Dense(3, 2, bias=np.ones(3))


def test_the_same_seed_makes_the_same_weights():
    np.testing.assert_array_equal(Dense(3, 2, rng=7).weight, Dense(3, 2, rng=7).weight)


def test_scale_multiplies_and_shifts_each_feature():
    model = Scale(3, bias=np.arange(3.0))
    model.scale = jnp.asarray([1.0, 2.0, 3.0])
    np.testing.assert_array_equal(model(np.ones((2, 3))), [[1, 3, 5]] * 2)
    (grads,) = gradient(lambda m: m(np.ones((2, 3))).sum(), model)
    np.testing.assert_array_equal(grads.scale, [2, 2, 2])


def test_scale_refuses_other_features():
    with pytest.raises(ShapeError, match=r"Scale\(3\).*\(2, 4\)"):
        Scale(3)(np.ones((2, 4)))


def test_bilinear_and_its_gradients_agree_with_pytorch():
    model = Bilinear((3, 4), 2, rng=0)
    a, b = RNG.normal(size=(5, 3)).astype("f"), RNG.normal(size=(5, 4)).astype("f")
    theirs = torch.nn.Bilinear(3, 4, 2)
    theirs.weight.data = torch.tensor(np.array(model.weight.transpose(2, 0, 1)))
    theirs.bias.data = torch.zeros(2)
    y = theirs(torch.tensor(a), torch.tensor(b))
    (y**2).sum().backward()
    np.testing.assert_allclose(model(a, b), y.detach(), rtol=1e-4, atol=1e-5)
    (grads,) = gradient(lambda m: (m(a, b) ** 2).sum(), model)
    expected = theirs.weight.grad.permute(1, 2, 0)
    np.testing.assert_allclose(grads.weight, expected, rtol=1e-3, atol=1e-4)


def test_bilinear_uses_one_input_twice_and_opens_a_tuple():
    model = Bilinear(2, 1, init=ones)
    np.testing.assert_array_equal(model(np.ones(2)), [4])
    np.testing.assert_array_equal(model((np.ones(2), 2 * np.ones(2))), [8])
