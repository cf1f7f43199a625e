"""Convolutions as layers."""

import jax.numpy as jnp
import numpy as np
import pytest

from flux.ad import gradient
from flux.errors import ShapeError
from flux.functional import conv, relu
from flux.layers import Chain, Conv, ConvTranspose, DepthwiseConv

RNG = np.random.default_rng(0)


def test_conv_is_the_function_plus_bias_and_activation():
    model = Conv((3, 3), 2, 4, relu, stride=2, pad=1, bias=np.arange(4.0))
    x = RNG.normal(size=(2, 7, 7, 2)).astype("f")
    expected = relu(conv(x, model.weight, stride=2, pad=1) + np.arange(4.0))
    np.testing.assert_allclose(model(x), expected, rtol=1e-5)


@pytest.mark.parametrize("kernel", [(3,), (3, 2), (2, 3, 2)])
def test_the_kernel_decides_the_number_of_axes(kernel):
    model = Conv(kernel, 2, 4, pad="same")
    sizes = (5, 6, 7)[: len(kernel)]
    assert model(np.ones((1, *sizes, 2))).shape == (1, *sizes, 4)


def test_the_gradient_of_the_bias_counts_positions():
    (grads,) = gradient(lambda m: m(np.ones((2, 5, 5, 1))).sum(), Conv(3, 1, 4))
    np.testing.assert_allclose(grads.bias, [18] * 4)
    assert grads.weight.shape == (3, 3, 1, 4)


def test_depthwise_conv_mixes_no_channels():
    model = DepthwiseConv((3,), 2, 4)
    (g,) = gradient(lambda x: model(x)[..., :2].sum(), jnp.ones((1, 5, 2)))
    np.testing.assert_array_equal(g[..., 1], np.zeros((1, 5)))
    assert model.weight.shape == (3, 1, 4)


def test_conv_transpose_undoes_the_shape_of_conv():
    x = np.ones((2, 8, 6, 3))
    there = Conv((4, 4), 3, 5, stride=2, pad=1)
    back = ConvTranspose((4, 4), 5, 3, stride=2, pad=1)
    assert there.weight.shape == back.weight.shape
    assert back(there(x)).shape == x.shape


def test_the_repr_is_the_call():
    assert repr(Conv(3, 1, 8, relu, stride=2)) == "Conv((3, 3), 1, 8, relu, stride=2)"
    text = "ConvTranspose((2,), 4, 2, outpad=1, stride=2, groups=2, bias=False)"
    assert repr(ConvTranspose((2,), 4, 2, stride=2, outpad=1, groups=2, bias=False)) == text


@pytest.mark.parametrize("make", [Conv, ConvTranspose])
def test_wrong_axes_and_channels_are_refused(make):
    model = Chain(make((3, 3), 2, 4))
    where = r"`layers\[0\]` of Chain.*\(5, 5, 2\).*\(B, H, W, C\)"
    with pytest.raises(ShapeError, match=where) as info:
        model(np.ones((5, 5, 2)))
    assert "x[None]" in str(info.value)
    with pytest.raises(ShapeError, match="its last axis must be 2"):
        model(np.ones((1, 5, 5, 3)))


def test_groups_must_divide_the_channels():
    with pytest.raises(ValueError, match="groups is 3"):
        Conv(3, 4, 6, groups=3)
