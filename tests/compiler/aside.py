"""A module that compiled functions of test_places read."""

import jax.numpy as jnp


class State:
    """Something with an array."""

    def __init__(self):
        self.weight = jnp.float32(1.0)


STATE = State()
weight = jnp.float32(1.0)


def scaled(x):
    return x * STATE.weight


def grown(x):
    STATE.weight = STATE.weight + x
    return x
