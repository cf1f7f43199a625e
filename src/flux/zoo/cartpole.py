"""A pole on a cart, kept upright by a policy that learns from its own games.

An actor with a critic: after each round of games the actor makes actions likelier that led to more
than the critic had expected of the state. A game gives 1 for each step and lasts 500 at most.
Result: a mean return of at least 475 over 100 games, after about half a minute on two cores (two
seeds gave 500, the most there is).
Source: Williams (1992), Simple statistical gradient-following algorithms (REINFORCE); the cart is
that of Barto, Sutton and Anderson (1983), Neuronlike adaptive elements, with the numbers, limits
and length of Gymnasium's CartPole-v1.
"""

from __future__ import annotations

import importlib

import numpy as np

import flux
from flux.zoo import Expected, Settings

SETTINGS = Settings(epochs=15, batch=32, lr=1e-2)  # an epoch is ten rounds of `batch` games
EXPECTED = Expected("mean return", 475)

STEPS = 500  # of a game
ROUNDS = 10  # in an epoch
GRAVITY, CART, POLE, HALF_LENGTH = 9.8, 1.0, 0.1, 0.5  # m/s², kg, kg, m
FORCE, SECONDS = 10.0, 0.02  # N; between two steps
EDGE, TILT = 2.4, np.radians(12)  # beyond which a game is lost
DISCOUNT = 0.99


def build():
    """An actor, from a state to the scores of left and right, and a critic, to the return."""
    return Player()


@flux.layer
class Player:
    """An actor and a critic."""

    def __init__(self):
        self.actor = flux.Chain(flux.Dense(4, 64, flux.tanh), flux.Dense(64, 2))
        self.critic = flux.Chain(flux.Dense(4, 64, flux.tanh), flux.Dense(64, 1))


class Carts:
    """Games side by side. A state is place, speed, angle and angular speed; ``(games, 4)``."""

    def __init__(self, games: int, rng: np.random.Generator):
        self.states = rng.uniform(-0.05, 0.05, (games, 4))

    def step(self, actions):
        """Push each cart left (0) or right (1); returns the states, and which games are lost."""
        place, speed, angle, turn = self.states.T
        pull, twist = accelerations(self.states, np.where(actions == 1, FORCE, -FORCE))
        rates = np.stack([speed, pull, turn, twist], axis=1)
        self.states = self.states + SECONDS * rates
        return self.states, (abs(self.states[:, 0]) > EDGE) | (abs(self.states[:, 2]) > TILT)


def accelerations(states, force):
    """Of the cart along its track, and of the pole around its hinge."""
    sin, cos, turn = np.sin(states[:, 2]), np.cos(states[:, 2]), states[:, 3]
    mass, moment = CART + POLE, POLE * HALF_LENGTH
    push = (force + moment * turn**2 * sin) / mass
    twist = (GRAVITY * sin - cos * push) / (HALF_LENGTH * (4 / 3 - POLE * cos**2 / mass))
    return push - moment * twist * cos / mass, twist


class GymnasiumCarts:
    """The same games, played by Gymnasium."""

    def __init__(self, games: int, rng: np.random.Generator):
        self.envs = importlib.import_module("gymnasium").make_vec("CartPole-v1", num_envs=games)
        self.states, _ = self.envs.reset(seed=int(rng.integers(2**31)))

    def step(self, actions):
        """As `Carts.step`. A game that is over starts again, which `play` does not look at."""
        self.states, _, lost, *_ = self.envs.step(actions)
        return self.states, lost


scores = flux.jit(lambda actor, states: actor(states))


def play(model, games: int, rng, *, greedy=False, carts=Carts):
    """Play games to their end.

    Returns: the states, the actions, and whether the game was still on; ``(STEPS, games, ...)``.
    """
    track = carts(games, rng)
    states = np.zeros((STEPS, games, 4), np.float32)
    actions, alive = np.zeros((STEPS, games), np.int32), np.zeros((STEPS, games), np.float32)
    on = np.ones(games, bool)
    for t in range(STEPS):
        states[t], alive[t] = track.states, on
        left, right = np.asarray(scores(model.actor, states[t])).T
        noise = 0 if greedy else rng.logistic(size=games)  # so that softmax gives the chances
        actions[t] = right - left > noise
        on &= ~track.step(actions[t])[1]
        if not on.any():
            break
    return states, actions, alive


def returns(alive):
    """What each state still brought, where a later step counts less: ``sum(DISCOUNT**k)``."""
    total, later = np.zeros_like(alive), np.zeros_like(alive[0])
    for t in reversed(range(len(alive))):
        total[t] = later = alive[t] * (1 + DISCOUNT * later)
    return total


class Games:
    """Rounds of games of the model as it is by then: the data of `flux.train`.

    Args:
        model: who plays.
        settings: `batch` games a round; `seed` and the number of the round decide their chances.
        carts: `Carts`, or `GymnasiumCarts` for those of Gymnasium's simulator.
    """

    def __init__(self, model, settings: Settings, carts=Carts):
        self.model, self.settings, self.carts = model, settings, carts
        self.epoch = self.done = 0

    def __len__(self):
        return ROUNDS

    def __iter__(self):
        while self.done < ROUNDS:
            rng = np.random.default_rng((self.settings.seed, self.epoch, self.done))
            self.done += 1
            states, actions, alive = play(self.model, self.settings.batch, rng, carts=self.carts)
            yield states, actions, returns(alive), alive
        self.epoch, self.done = self.epoch + 1, 0

    def state_dict(self):
        return {"epoch": self.epoch, "done": self.done}

    def load_state_dict(self, state):
        self.__dict__.update(state)


def batches(model, settings: Settings) -> Games:
    """What the model learns from."""
    return Games(model, settings)


def loss(model, states, actions, gained, alive):
    """The actor's and the critic's losses together, and the mean return to look at."""
    count = alive.sum()
    missed = gained - model.critic(states)[..., 0]
    surprise = flux.stop_gradient(missed) * alive
    surprise = surprise / flux.stop_gradient(((surprise**2).sum() / count) ** 0.5 + 1e-6)
    unlikely = flux.losses.logit_crossentropy(
        model.actor(states), actions, agg=flux.identity
    )  # minus the logarithm of the probability
    actor = (unlikely * surprise).sum() / count
    critic = (missed**2 * alive).sum() / count / (1 / (1 - DISCOUNT)) ** 2
    return actor + critic, {"return": alive.sum(axis=0).mean()}


def measure(model, games: int = 100, *, carts=Carts) -> float:
    """The mean return of new games in which the likelier action is taken."""
    _, _, alive = play(model, games, np.random.default_rng(2), greedy=True, carts=carts)
    return float(alive.sum(axis=0).mean())
