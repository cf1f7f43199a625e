"""The cart and the pole: their mechanics, and a player that learns."""

import numpy as np
import pytest

from flux.zoo import cartpole
from tests.zoo.short import trained


def test_accelerations_solve_the_equations_of_motion():
    rng = np.random.default_rng(0)
    states, force = rng.normal(size=(5, 4)), rng.choice([-10.0, 10.0], 5)
    pull, twist = cartpole.accelerations(states, force)
    sin, cos, turn = np.sin(states[:, 2]), np.cos(states[:, 2]), states[:, 3]
    m, total, half = 0.1, 1.1, 0.5
    np.testing.assert_allclose(
        total * pull + m * half * (twist * cos - turn**2 * sin), force, rtol=1e-9
    )
    np.testing.assert_allclose(pull * cos + 4 / 3 * half * twist, 9.8 * sin, rtol=1e-9, atol=1e-9)


def test_carts_move_as_gymnasiums_do():
    gymnasium = pytest.importorskip("gymnasium", reason="compares with Gymnasium")
    env = gymnasium.make("CartPole-v1").unwrapped
    env.reset(seed=0)
    carts = cartpole.Carts(1, np.random.default_rng(0))
    carts.states = np.array([env.state])
    for action in (0, 1, 1, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1):
        expected, _, lost, *_ = env.step(action)
        states, also_lost = carts.step(np.array([action]))
        np.testing.assert_allclose(states[0], expected, rtol=1e-5)
        assert also_lost[0] == lost


def test_a_game_is_lost_when_the_pole_has_fallen():
    def right(states):
        return np.ones((len(states), 1)) * [0.0, 1.0]

    model = cartpole.build()
    model.actor = right
    _, actions, alive = cartpole.play(model, 4, np.random.default_rng(0), greedy=True)
    assert (actions[alive == 1] == 1).all()
    assert set(alive.sum(axis=0)) <= {8, 9, 10, 11}  # nine to eleven pushes to one side


def test_returns_discount_what_comes_later():
    alive = np.array([[1.0], [1.0], [1.0], [0.0]])
    d = cartpole.DISCOUNT
    assert cartpole.returns(alive)[:, 0].tolist() == pytest.approx([1 + d + d * d, 1 + d, 1, 0])


def test_the_player_learns():
    training = trained("cartpole", 3, batch=16)
    assert cartpole.measure(training.model, 20) > 80  # a new player gets about 20


def test_rounds_that_go_on_are_those_of_an_undisturbed_epoch():
    model, settings = cartpole.build(), cartpole.SETTINGS._replace(batch=2)
    whole, part = cartpole.Games(model, settings), cartpole.Games(model, settings)
    expected = [actions.tolist() for epoch in range(2) for _, actions, *_ in whole]
    rounds = iter(part)
    for _ in range(4):
        next(rounds)
    rest = cartpole.Games(model, settings)
    rest.load_state_dict(part.state_dict())
    found = [actions.tolist() for epoch in range(2) for _, actions, *_ in rest]
    assert found == expected[4:]
