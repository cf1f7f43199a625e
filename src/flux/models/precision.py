"""A model in another floating-point precision."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from flux.errors import FluxError
from flux.models.fmap import fmap

__all__ = ["bf16", "f16", "f32", "f64"]


def f16(model) -> Any:
    """A new model whose float arrays are float16, 11 bits of precision up to 65504.

    Arrays of integers, booleans, complex numbers and random keys stay as they are, and so do Python
    numbers; `model` does not change. The same holds for `bf16`, `f32` and `f64`.

    >>> import numpy as np
    >>> f16({"w": np.ones(2), "n": np.arange(2)})
    {'w': array([1., 1.], dtype=float16), 'n': array([0, 1])}
    """
    return cast(model, jnp.float16)


def bf16(model) -> Any:
    """A new model whose float arrays are bfloat16: 8 bits of precision in the range of float32.

    >>> from flux.layers import Dense
    >>> bf16(Dense(2, 1)).weight.dtype
    dtype(bfloat16)
    """
    return cast(model, jnp.bfloat16)


def f32(model) -> Any:
    """A new model whose float arrays are float32.

    >>> import numpy as np
    >>> f32([np.ones(2)])
    [array([1., 1.], dtype=float32)]
    """
    return cast(model, jnp.float32)


def f64(model) -> Any:
    """A new model whose float arrays are float64.

    Raises: `FluxError` for arrays of JAX unless JAX was told to have float64.

    >>> import numpy as np
    >>> f64([np.ones(2, np.float32)])
    [array([1., 1.])]
    """
    return cast(model, jnp.float64)


def cast(model, dtype) -> Any:
    def of_dtype(array):
        if not jnp.issubdtype(array.dtype, jnp.floating) or array.dtype == dtype:
            return array
        if isinstance(array, jax.Array) and jax.dtypes.canonicalize_dtype(dtype) != dtype:
            raise FluxError(
                "f64 met an array of JAX, which is set to have no float64.",
                hint='Call jax.config.update("jax_enable_x64", True) before anything else.',
            )
        return array.astype(dtype)

    return fmap(of_dtype, model)
