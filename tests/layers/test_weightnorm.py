"""Weights as length times direction, against PyTorch."""

import jax.numpy as jnp
import numpy as np
import pytest

from flux.ad import gradient
from flux.compiler import jit
from flux.errors import FluxError, ShapeError
from flux.layers import Conv, Dense, Dropout, WeightNorm, outputsize, summary

RNG = np.random.default_rng(0)
X = RNG.normal(size=(5, 3)).astype("f")


@pytest.mark.parametrize("mode", [lambda f: f, jit], ids=["eager", "jit"])
@pytest.mark.parametrize(("axis", "dim"), [(-1, 0), (0, 1), (None, None)])
def test_the_output_and_the_gradients_agree_with_pytorch(mode, axis, dim):
    torch = pytest.importorskip("torch", reason="the reference of this test is PyTorch")
    ours, theirs = WeightNorm(Dense(3, 4), axis=axis), torch.nn.Linear(3, 4)
    theirs.weight.data = torch.tensor(np.array(ours.layer.weight.T))
    theirs.bias.data.zero_()
    theirs = torch.nn.utils.parametrizations.weight_norm(theirs, dim=dim)
    length, direction = theirs.parametrizations.weight.parameters()
    length.data, ours.scale = 2 * length.data, 2 * ours.scale
    expected = theirs(torch.tensor(X))
    (expected**3).sum().backward()
    y, grads = mode(lambda m: (m(X), gradient(lambda m: (m(X) ** 3).sum(), m)[0]))(ours)
    np.testing.assert_allclose(y, expected.detach(), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(grads.scale, length.grad.numpy().T, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(grads.layer.weight, direction.grad.T, rtol=1e-3, atol=1e-4)


def test_a_convolution_has_a_length_for_each_output_channel():
    model = WeightNorm(Conv((3, 3), 2, 4))
    assert model.scale.shape == (1, 1, 1, 4)
    norms = (model.layer.weight**2).sum(axis=(0, 1, 2)) ** 0.5
    np.testing.assert_allclose(model.scale.ravel(), norms, rtol=1e-6)


def test_the_direction_is_back_in_its_place_after_a_call_that_fails_too():
    model = WeightNorm(Dense(3, 4))
    model.scale = 3 * model.scale
    before = model.layer.weight
    model(X)
    assert model.layer.weight is before
    with pytest.raises(ShapeError, match="of WeightNorm"):
        model(X[:, :2])
    assert model.layer.weight is before


def test_the_merged_layer_does_the_same():
    model = WeightNorm(Dense(3, 4))
    model.scale = 3 * model.scale
    plain = model.merged()
    assert type(plain) is Dense
    np.testing.assert_allclose(plain(X), model(X), rtol=1e-6)


def test_half_precision_stays_half():
    layer = Dense(3, 2)
    layer.weight, layer.bias = (a.astype(jnp.bfloat16) for a in (layer.weight, layer.bias))
    model = WeightNorm(layer)
    assert model.scale.dtype == model(X).dtype == jnp.bfloat16


def test_a_layer_without_a_weight_and_a_weight_without_a_direction_are_refused():
    with pytest.raises(FluxError, match=r"Dropout\(0.5\), which has no weight"):
        WeightNorm(Dropout(0.5))
    layer = Dense(3, 2)
    layer.weight = layer.weight.at[:, 1].set(0)
    with pytest.raises(FluxError, match="length 0"):
        WeightNorm(layer)


def test_it_is_printed_around_its_layer_and_summed_up():
    model = WeightNorm(Dense(3, 4), axis=None)
    lines = ["Dense(3, 4),  # 16 parameters", "axis=None,"]
    assert repr(model).splitlines()[1:3] == ["  " + line for line in lines]
    assert outputsize(model, (5, 3)) == (5, 4)
    assert [(row.output, row.parameters) for row in summary(model, (5, 3)).rows] == [
        ("(5, 4)", 17),
        ("(5, 4)", 16),
    ]
