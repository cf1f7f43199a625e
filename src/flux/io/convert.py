"""Arrays as a file holds them, and back as the model holds them."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

__all__ = ["dtype_name", "from_host", "to_host"]


def is_key(array) -> bool:
    """Is it an array of JAX's typed random keys?"""
    return isinstance(array, jax.Array) and jnp.issubdtype(array.dtype, jax.dtypes.prng_key)


def dtype_name(array) -> str:
    """The name of the dtype, of random keys too: `float32`, `key<fry>`."""
    return str(array.dtype)


def to_host(array) -> np.ndarray:
    """The numbers of an array; a complex one has its real and imaginary parts in a last axis.

    >>> to_host(np.array([1 + 2j])).tolist()
    [[1.0, 2.0]]
    """
    if is_key(array):
        array = jax.random.key_data(array)
    host = np.asarray(array)
    if host.dtype.kind == "c":
        host = np.stack([np.real(host), np.imag(host)], -1)
    return host.astype(host.dtype.newbyteorder("="), copy=False)


def from_host(host: np.ndarray, like: Any) -> Any:
    """An array with the numbers of `host`, of the library, dtype and device of `like`."""
    if is_key(like):
        return jax.random.wrap_key_data(jnp.asarray(host), impl=jax.random.key_impl(like))
    if np.dtype(like.dtype).kind == "c":
        host = (host[..., 0] + 1j * host[..., 1]).astype(like.dtype)
    if isinstance(like, np.ndarray | np.generic):
        same = host if isinstance(like, np.ndarray) else host[()]
        return same if host.dtype == like.dtype else jnp.asarray(host)
    if like.weak_type and not host.shape:
        return jnp.asarray(host.item())
    made = jnp.asarray(host)
    return made if made.sharding == like.sharding else jax.device_put(made, like.sharding)
