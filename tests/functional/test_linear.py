"""The linear map against its definition."""

import jax.numpy as jnp
import numpy as np
import pytest

from flux.ad import pullback
from flux.functional import linear

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("leading", [(), (5,), (2, 5), (2, 3, 5)])
def test_value_and_gradients_are_those_of_the_matrix_product(leading):
    x, w, b = RNG.normal(size=(*leading, 3)), RNG.normal(size=(3, 4)), RNG.normal(size=4)
    y, back = pullback(linear, x, w, b)
    np.testing.assert_allclose(y, x @ w + b)
    ct = RNG.normal(size=y.shape)
    dx, dw, db = back(ct)
    np.testing.assert_allclose(dx, ct @ w.T)
    np.testing.assert_allclose(dw, x.reshape(-1, 3).T @ ct.reshape(-1, 4))
    np.testing.assert_allclose(db, ct.reshape(-1, 4).sum(axis=0))


def test_without_a_bias_there_are_two_gradients():
    y, back = pullback(linear, jnp.ones((5, 3)), jnp.ones((3, 2)))
    assert [g.shape for g in back(y)] == [(5, 3), (3, 2)]


def test_a_bias_of_none_has_no_gradient():
    y, back = pullback(linear, jnp.ones((5, 3)), jnp.ones((3, 2)), None)
    assert back(y)[2] is None
