"""Resizing as layers."""

import numpy as np
import pytest

from flux.ad import gradient
from flux.errors import ShapeError
from flux.functional import pixel_shuffle, upsample
from flux.layers import Chain, PixelShuffle, Upsample, outputsize

X = np.random.default_rng(0).normal(size=(2, 3, 4, 8))


def test_the_layers_are_their_functions():
    np.testing.assert_array_equal(Upsample(2)(X), upsample(X, 2))
    expected = upsample(X, size=(7, 5), mode="linear", align_corners=True)
    layer = Upsample(size=(7, 5), mode="linear", align_corners=True)
    np.testing.assert_array_equal(layer(X), expected)
    np.testing.assert_array_equal(PixelShuffle(2)(X), pixel_shuffle(X, 2))


def test_sizes_are_found_without_running():
    model = Chain(Upsample((2, 3), "bilinear"), PixelShuffle(2))
    assert outputsize(model, (2, 3, 4, 8)) == (2, 12, 24, 2)


def test_other_shapes_are_refused_with_the_layer():
    where = r"Upsample\(2, 'bilinear'\), `layers\[0\]` of Chain.*\(3, 8\)"
    with pytest.raises(ShapeError, match=where):
        Chain(Upsample(2, "bilinear"))(X[0, 0, :3])
    with pytest.raises(ShapeError, match="one to three axes"):
        Upsample(2)(X[0, 0])
    with pytest.raises(ShapeError, match=r"PixelShuffle\(3\).*3\*\*2 must divide"):
        PixelShuffle(3)(X)


def test_they_are_printed_as_the_calls_that_make_them():
    layers = [
        Upsample(2),
        Upsample((2, 1), "linear", align_corners=True),
        Upsample(size=4),
        Upsample(mode="linear", size=4),
        PixelShuffle(3),
    ]
    assert [repr(layer) for layer in layers] == [
        "Upsample(2)",
        "Upsample((2, 1), 'linear', align_corners=True)",
        "Upsample(size=4)",
        "Upsample(size=4, mode='linear')",
        "PixelShuffle(3)",
    ]
    (grads,) = gradient(lambda m: m(X).sum(), Upsample(2))
    assert repr(grads).startswith("Upsample(")


def test_a_layer_needs_a_scale_or_a_size():
    with pytest.raises(ValueError, match="either a scale or a size"):
        Upsample()
