"""Pooling as layers."""

import numpy as np
import pytest

from flux.ad import gradient
from flux.errors import ShapeError
from flux.functional import maxpool, meanpool
from flux.layers import (
    AdaptiveMaxPool,
    AdaptiveMeanPool,
    GlobalMaxPool,
    GlobalMeanPool,
    MaxPool,
    MeanPool,
)

X = np.random.default_rng(0).normal(size=(2, 9, 7, 3))


@pytest.mark.parametrize(("make", "function"), [(MaxPool, maxpool), (MeanPool, meanpool)])
def test_a_pool_is_its_function(make, function):
    np.testing.assert_array_equal(make(2, stride=1, pad=1)(X), function(X, 2, stride=1, pad=1))
    np.testing.assert_array_equal(make((3, 2))(X), function(X, (3, 2)))


@pytest.mark.parametrize(("make", "best"), [(AdaptiveMaxPool, np.max), (AdaptiveMeanPool, np.mean)])
def test_an_adaptive_pool_has_the_wanted_places(make, best):
    y = make((3, 2))(X)
    assert y.shape == (2, 3, 2, 3)
    np.testing.assert_allclose(y[:, 0, 0], best(X[:, :3, :4], axis=(1, 2)))
    np.testing.assert_allclose(y[:, 2, 1], best(X[:, 6:, 3:], axis=(1, 2)))


def test_a_global_pool_covers_all_positions():
    np.testing.assert_array_equal(GlobalMaxPool()(X), X.max(axis=(1, 2), keepdims=True))
    np.testing.assert_allclose(GlobalMeanPool()(X), X.mean(axis=(1, 2), keepdims=True))


def test_another_number_of_axes_is_refused():
    with pytest.raises(ShapeError, match=r"MaxPool\(\(2, 2\)\).*\(2, 9, 3\)"):
        MaxPool(2)(X[:, :, 0])


def test_too_few_positions_are_refused():
    with pytest.raises(ShapeError, match=r"\(10, 2\) positions"):
        AdaptiveMaxPool((10, 2))(X)


def pools():
    """Our layer, PyTorch's, and the number of axes of positions."""
    torch = pytest.importorskip("torch", reason="the reference of these tests is PyTorch")
    nn = torch.nn
    return {
        "max": (MaxPool(2), nn.MaxPool2d(2), 2),
        "max, overlapping": (
            MaxPool((3, 2), stride=(2, 1), pad=1), nn.MaxPool2d((3, 2), (2, 1), 1), 2,
        ),
        "max of a sequence": (MaxPool((3,), stride=2), nn.MaxPool1d(3, 2), 1),
        "max of a volume": (MaxPool((2, 1, 2)), nn.MaxPool3d((2, 1, 2)), 3),
        "mean": (MeanPool((3, 2)), nn.AvgPool2d((3, 2)), 2),
        "mean, padded": (MeanPool(3, stride=2, pad=1), nn.AvgPool2d(3, 2, 1), 2),
        "mean of a sequence": (MeanPool((2,)), nn.AvgPool1d(2), 1),
        "adaptive max": (AdaptiveMaxPool((3, 2)), nn.AdaptiveMaxPool2d((3, 2)), 2),
        "adaptive mean": (AdaptiveMeanPool((2, 4)), nn.AdaptiveAvgPool2d((2, 4)), 2),
        "global max": (GlobalMaxPool(), nn.AdaptiveMaxPool3d(1), 3),
        "global mean": (GlobalMeanPool(), nn.AdaptiveAvgPool1d(1), 1),
    }  # fmt: skip


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_pools_and_their_gradients_agree_with_pytorch(dtype):
    import torch

    for name, (ours, theirs, axes) in pools().items():
        x = np.random.default_rng(1).normal(size=(2, *(6, 8, 4)[:axes], 3)).astype(dtype)
        t = torch.tensor(x, requires_grad=True)
        expected = theirs(t.movedim(-1, 1)).movedim(1, -1)
        (expected**2).sum().backward()
        np.testing.assert_allclose(ours(x), expected.detach(), rtol=1e-5, err_msg=name)
        (found,) = gradient(lambda x, pool=ours: (pool(x) ** 2).sum(), x)
        np.testing.assert_allclose(found, t.grad, rtol=1e-5, atol=1e-6, err_msg=name)
