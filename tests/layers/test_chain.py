"""Layers one after the other."""

import jax.numpy as jnp
import numpy as np
import pytest

from flux.ad import gradient
from flux.errors import FluxError
from flux.functional import relu, softmax
from flux.layers import Chain, Dense, activations


def test_layers_run_in_their_order():
    assert Chain(lambda x: x + 1, lambda x: x * 2)(3) == 8


def test_several_inputs_go_to_the_first_layer():
    assert Chain(lambda a, b: a - b, abs)(2, 5) == 3


def test_an_empty_chain_returns_its_input():
    assert Chain()(3) == 3
    assert repr(Chain()) == "Chain()"


def test_index_slice_name_length_and_iteration():
    model = Chain(Dense(2, 3), relu, head=Dense(3, 1))
    assert model[1] is relu
    assert model[-1] is model.head is model["head"]
    assert list(model[1:]) == [relu, model.head]
    assert model[1:].head is model.head
    assert len(model) == len(list(model)) == 3


def test_a_list_of_layers_is_taken_as_the_layers():
    assert len(Chain([relu, relu, softmax])) == 3


@pytest.mark.parametrize("name", ["layers", "names", "__call__"])
def test_a_name_that_chain_needs_is_refused(name):
    with pytest.raises(ValueError, match=name):
        Chain(**{name: relu})


def test_what_cannot_be_called_is_no_layer():
    with pytest.raises(TypeError, match="layer 2"):
        Chain(relu, 3)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="tail"):
        _ = Chain(head=relu).tail


def test_the_gradient_of_a_chain_is_that_of_its_formula():
    model = Chain(Dense(3, 4, relu, rng=0), Dense(4, 2, rng=1))
    x = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    (grads,) = gradient(lambda m: m(x).sum(), model)
    hidden = x @ model[0].weight
    on = (hidden > 0) @ jnp.eye(4) * model[1].weight.sum(axis=1)
    np.testing.assert_allclose(grads.layers[0].weight, x.T @ on, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(grads.layers[1].bias, [5, 5])


def test_the_repr_shows_names_and_counts():
    lines = repr(Chain(Dense(2, 3, relu), head=Dense(3, 1, bias=False))).splitlines()
    assert lines[1:3] == [
        "  Dense(2, 3, relu),  # 9 parameters",
        "  head=Dense(3, 1, bias=False),  # 3 parameters",
    ]


def test_activations_are_the_outputs_of_all_layers_and_have_gradients():
    model = Chain(Dense(3, 4, relu), Chain(Dense(4, 4), relu), Dense(4, 2))
    x = np.ones((5, 3), np.float32)
    found = activations(model, x)
    assert len(found) == 3
    np.testing.assert_array_equal(found[1], model[1](model[0](x)))
    np.testing.assert_array_equal(found[2], model(x))
    (grads,) = gradient(lambda m: activations(m, x)[0].sum(), model)
    (expected,) = gradient(lambda m: m[0](x).sum(), model)
    np.testing.assert_array_equal(grads[0].weight, expected[0].weight)
    np.testing.assert_array_equal(grads[2].weight, np.zeros((4, 2)))


def test_activations_of_several_inputs_and_a_list_of_layers():
    assert activations([max, abs], -3, -5) == (-3, 3)
    with pytest.raises(FluxError, match="got a Dense"):
        activations(Dense(2, 2), np.ones(2))
