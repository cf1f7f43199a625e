"""Pooling as layers."""

import numpy as np
import pytest

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
