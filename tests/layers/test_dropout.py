"""Layers that omit at random, and when."""

import copy

import jax.numpy as jnp
import numpy as np
import pytest

from flux.ad import gradient
from flux.compiler import jit
from flux.layers import AlphaDropout, Dropout, testmode, trainmode

X = jnp.ones(1000)


@pytest.mark.parametrize("kind", [Dropout, AlphaDropout])
def test_outside_a_gradient_the_input_is_returned(kind):
    assert kind(0.5)(X) is X


@pytest.mark.parametrize("kind", [Dropout, AlphaDropout])
def test_inside_a_gradient_entries_are_omitted(kind):
    model = kind(0.5, rng=0)
    (grads,) = gradient(lambda x: model(x).sum(), X)
    assert 400 < int((grads == 0).sum()) < 600


def test_testmode_holds_inside_a_gradient_too():
    model = testmode(Dropout(0.5))
    np.testing.assert_array_equal(gradient(lambda x: model(x).sum(), X)[0], X)


def test_trainmode_draws_anew_at_every_call():
    model = trainmode(Dropout(0.5, rng=0))
    assert (model(X) != model(X)).any()


def test_the_same_seed_omits_the_same_entries():
    a, b = (trainmode(Dropout(0.5, rng=3)) for _ in range(2))
    np.testing.assert_array_equal(a(X), b(X))


def test_a_copy_has_a_state_of_its_own():
    a = trainmode(Dropout(0.5, rng=3))
    b = copy.deepcopy(a)
    a(X)
    np.testing.assert_array_equal(b(X), trainmode(Dropout(0.5, rng=3))(X))


def test_alpha_dropout_keeps_mean_and_variance():
    x = jnp.asarray(np.random.default_rng(0).normal(size=100_000), jnp.float32)
    y = trainmode(AlphaDropout(0.3, rng=0))(x)
    assert abs(float(y.mean())) < 0.02
    assert abs(float(y.std()) - 1) < 0.02


@pytest.mark.parametrize("p", [-0.1, 1.1])
def test_a_probability_outside_0_to_1_is_refused(p):
    with pytest.raises(ValueError, match=str(p)):
        Dropout(p)


def test_the_mode_is_shown_unless_automatic():
    assert repr(Dropout(0.5)) == "Dropout(0.5)"
    assert repr(testmode(Dropout(0.5, axis=-1))) == "Dropout(0.5, axis=-1, active=False)"


def test_a_compiled_function_writes_the_random_state_back():
    model = trainmode(Dropout(0.5, rng=0))
    compiled = jit(lambda m, x: m(x))
    first, key = compiled(model, X), np.asarray(model.rng.key)
    assert (compiled(model, X) != first).any()
    assert (np.asarray(model.rng.key) != key).any()
    np.testing.assert_array_equal(first, trainmode(Dropout(0.5, rng=0))(X))
