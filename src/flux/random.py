"""Random numbers: the seed of parameters, and the random state that a layer carries.

Initial parameters are drawn with NumPy, because a model of many shapes would otherwise compile as
many small XLA programs before it can run. A layer that draws while it runs holds a `RandomState`.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from flux.ad import nograd
from flux.compiler.pytree import register_class
from flux.errors import ArgumentError, brief, check_integer, user_line

__all__ = ["RandomState", "generator", "getstate", "seed", "setstate"]

_current = np.random.default_rng()


def seed(n: int) -> None:
    """Seed what is created from now on: initial parameters and the random state of layers.

    Layers that exist already keep their state.

    Raises: `ArgumentError` for anything but an integer not below 0.

    >>> from flux.init import glorot_uniform
    >>> seed(1); a = glorot_uniform((2, 3))
    >>> seed(1); b = glorot_uniform((2, 3))
    >>> bool((a == b).all())
    True
    """
    global _current
    _current = np.random.default_rng(check_integer("seed", "n", n))


def getstate() -> dict[str, Any]:
    """The state of the generator that `seed` sets: strings and integers, as `flux.save` takes them.

    >>> state = getstate()
    >>> before = generator().integers(1000)
    >>> setstate(state)
    >>> bool(generator().integers(1000) == before)
    True
    """
    return dict(_current.bit_generator.state)


def setstate(state: dict[str, Any]) -> None:
    """Go on from a state that `getstate` returned.

    >>> before = getstate()
    >>> x = generator().random()
    >>> setstate(before)
    >>> generator().random() == x
    True
    """
    global _current
    moved = np.random.default_rng(0)
    moved.bit_generator.state = state
    _current = moved


@nograd
def generator(rng=None) -> np.random.Generator:
    """The NumPy generator that `rng` stands for.

    Args:
        rng: `None` for the one that `flux.seed` sets, an int as a seed, a NumPy generator, a
            `RandomState` (which moves on), or a JAX key.

    >>> generator(3).integers(100) == generator(3).integers(100)
    np.True_
    """
    if rng is None:
        return _current
    if isinstance(rng, np.random.Generator):
        return rng
    if isinstance(rng, RandomState):
        return np.random.default_rng(np.asarray(jax.random.key_data(rng.next())).tolist())
    if isinstance(rng, int | np.integer):
        return np.random.default_rng(check_integer("generator", "rng", rng))
    if not hasattr(rng, "dtype"):
        raise ArgumentError(
            f"rng expected a seed, a NumPy generator or a JAX key, and got {brief(rng)}.",
            where=user_line(),
        )
    return np.random.default_rng(_key_data(rng).tolist())


def _key_data(key) -> np.ndarray:
    if jnp.issubdtype(key.dtype, jax.dtypes.prng_key):
        key = jax.random.key_data(key)
    return np.asarray(key, np.uint32)


class RandomState:
    """A source of random numbers that moves on with every draw.

    Its state is one array, `key`, so a compiled function takes it as an input and writes the new
    state back. Draws are JAX's (threefry), the same on every device.

    Args:
        rng: a seed, generator, key or other state, as for `flux.random.generator`.

    >>> state = RandomState(0)
    >>> state.uniform((2,)).shape, bool((state.uniform((2,)) == state.uniform((2,))).all())
    ((2,), False)
    """

    def __init__(self, rng=None):
        words = generator(rng).integers(2**32, size=2, dtype=np.uint32)
        self.key = jnp.asarray(words)

    @nograd
    def next(self) -> jax.Array:
        """Move on, and return a JAX key that is used for nothing else."""
        key, self.key = _split(self.key)
        return key

    @nograd
    def uniform(self, shape=(), dtype=jnp.float32) -> jax.Array:
        """Numbers in ``[0, 1)``."""
        return jax.random.uniform(self.next(), shape, dtype)

    @nograd
    def normal(self, shape=(), dtype=jnp.float32) -> jax.Array:
        """Numbers of the standard normal distribution."""
        return jax.random.normal(self.next(), shape, dtype)

    @nograd
    def bernoulli(self, p, shape=()) -> jax.Array:
        """Booleans that are true with probability `p`."""
        return jax.random.bernoulli(self.next(), 1.0 * p, shape)

    def __repr__(self):
        return "RandomState()"


register_class(RandomState)


@jax.jit
def _split(data):
    keys = jax.random.split(jax.random.wrap_key_data(data, impl="threefry2x32"))
    return keys[0], jax.random.key_data(keys[1])
