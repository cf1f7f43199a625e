"""Layers side by side, around each other, and in steps that join."""

import jax.numpy as jnp
import numpy as np
import pytest

from flux.ad import gradient
from flux.errors import ShapeError
from flux.layers import Dense, Flatten, Maxout, PairwiseFusion, Parallel, SkipConnection


def twice(x):
    return 2 * x


def add(a, b):
    return a + b


def test_skip_connection_gets_the_result_first():
    assert SkipConnection(twice, lambda y, x: (y, x))(3) == (6, 3)


def test_the_gradient_of_a_skip_connection_flows_through_both_ways():
    x = jnp.asarray([1.0, 2.0])
    (g,) = gradient(lambda x: SkipConnection(twice, add)(x).sum(), x)
    np.testing.assert_array_equal(g, [3, 3])


@pytest.mark.parametrize(
    ("layers", "inputs", "expected"),
    [
        ((twice, abs), (-3,), (-6, 3)),
        ((twice, abs), (-3, -4), (-6, 4)),
        ((twice,), (1, 2, 3), (2, 4, 6)),
        ((twice, abs), ((-3, -4),), (-6, 4)),
    ],
)
def test_parallel_gives_inputs_to_layers(layers, inputs, expected):
    assert Parallel(lambda *results: results, *layers)(*inputs) == expected


def test_parallel_refuses_another_number_of_inputs_and_no_layers():
    with pytest.raises(ValueError, match="3 inputs for its 2 layers"):
        Parallel(add, twice, abs)(1, 2, 3)
    with pytest.raises(ValueError, match="at least one"):
        Parallel(add)


def test_parallel_has_names_and_gradients():
    model = Parallel(add, left=Dense(2, 3), right=Dense(2, 3))
    (grads,) = gradient(lambda m: m(np.ones((5, 2))).sum(), model)
    assert model.left is model[0]
    np.testing.assert_array_equal(grads.layers[0].bias, [5, 5, 5])
    assert repr(model).startswith("Parallel(\n  add,\n  left=Dense(2, 3),")


def test_pairwise_fusion_joins_each_step_with_the_next_input():
    assert PairwiseFusion(add, twice, twice, twice)(1, 10, 100) == (2, 24, 248)
    assert PairwiseFusion(add, twice, twice)(1) == (2, 6)
    with pytest.raises(ValueError, match="3 inputs for its 2 layers"):
        PairwiseFusion(add, twice, twice)(1, 2, 3)


def test_maxout_keeps_the_largest_and_its_gradient():
    x = jnp.asarray([-3.0, 2.0])
    model = Maxout(twice, lambda x: -x)
    np.testing.assert_array_equal(model(x), [3, 4])
    np.testing.assert_array_equal(gradient(lambda x: model(x).sum(), x)[0], [-1, 2])


def test_maxout_refuses_results_of_different_shapes():
    with pytest.raises(ShapeError, match=r"\(2,\).*\(1,\)"):
        Maxout(twice, lambda x: x[:1])(jnp.ones(2))


@pytest.mark.parametrize(
    ("shape", "flat"), [((5, 4, 3), (5, 12)), ((5,), (5, 1)), ((0, 3, 2), (0, 6))]
)
def test_flatten_joins_all_axes_but_the_first(shape, flat):
    assert Flatten()(np.ones(shape)).shape == flat
