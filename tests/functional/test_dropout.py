"""Random omission."""

import jax.numpy as jnp
import numpy as np
import pytest

from flux.ad import pullback
from flux.functional import dropout, mask_out
from flux.random import RandomState


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_the_share_that_is_left_is_scaled_to_keep_the_mean(p):
    y = np.asarray(dropout(jnp.ones((100, 100)), p, rng=RandomState(0)))
    np.testing.assert_allclose((y == 0).mean(), p, atol=0.02)
    np.testing.assert_allclose(y[y != 0], 1 / (1 - p), rtol=1e-6)


def test_probability_zero_and_one_keep_and_omit_everything():
    x = jnp.arange(3.0)
    np.testing.assert_array_equal(dropout(x, 0, rng=RandomState(0)), x)
    np.testing.assert_array_equal(dropout(x, 1, rng=RandomState(0)), np.zeros(3))


def test_the_gradient_is_omitted_and_scaled_alike():
    rng = RandomState(0)
    y, back = pullback(lambda x: dropout(x, 0.5, rng=rng), jnp.ones(50))
    np.testing.assert_array_equal(back(jnp.ones(50))[0], y)


def test_one_choice_along_an_axis_covers_the_others():
    y = np.asarray(dropout(jnp.ones((4, 5, 64)), 0.5, rng=RandomState(0), axis=-1))
    assert (y == y[:1, :1]).all()
    assert 0 < (y[0, 0] == 0).sum() < 64


def test_infinite_entries_can_be_omitted():
    y = dropout(jnp.full(64, jnp.inf), 0.5, rng=RandomState(0))
    assert not np.isnan(y).any()


def test_every_call_omits_others():
    rng = RandomState(0)
    first, second = (dropout(jnp.ones(64), 0.5, rng=rng) for _ in range(2))
    assert (first != second).any()


def test_mask_out_is_its_formula_even_where_the_input_is_infinite():
    x, keep = np.array([1.0, np.inf, np.nan, -2.0]), np.array([True, False, False, True])
    y, back = pullback(mask_out, x, keep, 2.5)
    np.testing.assert_array_equal(y, [2.5, 0, 0, -5])
    np.testing.assert_array_equal(back(np.ones(4))[0], [2.5, 0, 0, 2.5])
