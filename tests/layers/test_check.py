"""A misfit names the layer, its place in the model, what it got and what it expected."""

import jax
import numpy as np
import pytest

from flux.ad import gradient
from flux.errors import ShapeError
from flux.layers import Chain, Dense, layer

X = np.ones((5, 3), np.float32)


@layer
class Net:
    first: object
    blocks: object

    def __call__(self, x):
        for block in self.blocks:
            x = block(self.first(x))
        return x


def test_the_message_says_who_where_given_and_expected():
    with pytest.raises(ShapeError) as info:
        Chain(Dense(3, 4), Dense(3, 2))(X)
    assert info.value.what == (
        "Dense(3, 2), `layers[1]` of Chain, got an input of shape (5, 4): its last axis must be 3."
    )
    assert "test_check.py line" in str(info.value)


def test_a_layer_alone_has_no_place():
    with pytest.raises(ShapeError, match=r"^Dense\(4, 2\) got an input of shape \(5, 3\)"):
        Dense(4, 2)(X)


def test_a_number_has_no_last_axis():
    with pytest.raises(ShapeError, match=r"shape \(\)"):
        Dense(4, 2)(np.float32(1))


def test_nested_chains_are_named_from_the_inside():
    with pytest.raises(ShapeError, match=r"`layers\[0\]` of Chain, `layers\[1\]` of Chain, got"):
        Chain(Dense(3, 4), Chain(Dense(3, 2)))(X)


def test_layers_of_a_class_are_named_by_attribute():
    with pytest.raises(ShapeError, match=r"`blocks\[0\]` of Net, got"):
        Net(Dense(3, 4), [Dense(3, 2)])(X)
    with pytest.raises(ShapeError, match="`first` of Net, got"):
        Net(Dense(4, 4), [Dense(3, 2)])(X)


def test_the_message_is_the_same_while_a_gradient_is_taken():
    model = Chain(Dense(3, 4), Dense(3, 2))
    with pytest.raises(ShapeError, match=r"Dense\(3, 2\), `layers\[1\]` of Chain, got .*\(5, 4\)"):
        gradient(lambda m: m(X).sum(), model)


def test_the_message_is_the_same_while_jax_compiles():
    model = Chain(Dense(3, 4), Dense(3, 2))
    with pytest.raises(ShapeError, match=r"Dense\(3, 2\), `layers\[1\]` of Chain, got .*\(5, 4\)"):
        jax.jit(lambda x: model(x))(X)
