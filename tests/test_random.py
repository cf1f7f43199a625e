"""Random states, and what they are made from."""

import copy

import jax
import numpy as np
import pytest

from flux.random import RandomState, generator, seed


def test_a_state_moves_on_with_every_draw():
    state = RandomState(0)
    before = np.asarray(state.key)
    assert (state.normal((3,)) != state.normal((3,))).all()
    assert (np.asarray(state.key) != before).any()


@pytest.mark.parametrize(
    "make",
    [
        lambda: 5,
        lambda: np.random.default_rng(5),
        lambda: jax.random.key(5),
        lambda: jax.random.PRNGKey(5),
        lambda: RandomState(5),
    ],
)
def test_equal_origins_draw_equal_numbers(make):
    np.testing.assert_array_equal(
        RandomState(make()).normal((4,)), RandomState(make()).normal((4,))
    )


def test_two_states_of_one_state_differ():
    parent = RandomState(0)
    assert (RandomState(parent).normal((4,)) != RandomState(parent).normal((4,))).all()


def test_seed_sets_the_states_that_follow():
    seed(2)
    a = RandomState().uniform((3,))
    seed(2)
    np.testing.assert_array_equal(RandomState().uniform((3,)), a)


def test_bernoulli_has_its_probability():
    assert abs(float(RandomState(0).bernoulli(0.2, (10_000,)).mean()) - 0.2) < 0.02


def test_the_state_is_one_array():
    state = RandomState(0)
    assert vars(state).keys() == {"key"}
    assert (state.key.shape, state.key.dtype) == ((2,), np.uint32)


def test_a_copy_goes_its_own_way():
    state = RandomState(0)
    other = copy.deepcopy(state)
    np.testing.assert_array_equal(state.normal((3,)), other.normal((3,)))


def test_the_generator_of_a_generator_is_itself():
    rng = np.random.default_rng(0)
    assert generator(rng) is rng
