"""A model, or any tree of arrays, on another device."""

from __future__ import annotations

import functools
import warnings
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from flux.errors import FluxError
from flux.models.fmap import fmap

__all__ = ["cpu", "gpu", "to"]


def to(tree, device) -> Any:
    """A new tree with its arrays on `device`.

    Args:
        tree: a model, an optimiser's state, a batch, an array.
        device: a device or sharding of JAX, or the name of a platform: `"cpu"`, `"gpu"`, `"tpu"`,
            with a number for one of several: `"gpu:1"`.

    Returns:
        The new tree. NumPy's arrays stay NumPy's on a CPU, and become JAX's on any other device.

    Raises: `FluxError` naming the devices that there are.

    >>> import numpy as np
    >>> to({"w": np.ones(2)}, "cpu")
    {'w': array([1., 1.])}
    """
    target = named(device) if isinstance(device, str) else device
    on_cpu = getattr(target, "platform", None) == "cpu"

    def moved(array):
        if isinstance(array, jax.Array):
            return jax.device_put(array, target)
        stays = on_cpu or isinstance(array, np.generic) or not holds_numbers(array)
        return array if stays else jax.device_put(array, target)

    return fmap(moved, tree)


def holds_numbers(array) -> bool:
    return array.dtype == bool or bool(jnp.issubdtype(array.dtype, np.number))


def cpu(model) -> Any:
    """A new model with its arrays on the CPU.

    >>> from flux.layers import Dense
    >>> cpu(Dense(2, 1)).weight.device.platform
    'cpu'
    """
    return to(model, "cpu")


def gpu(model) -> Any:
    """A new model with its arrays on the first GPU.

    Without a GPU it stays on the CPU, and a warning says so once.

    >>> import numpy as np
    >>> batch = gpu((np.ones((2, 3)), np.zeros(2)))  # doctest: +SKIP
    """
    if has_gpu():
        return to(model, "gpu")
    say_that_there_is_none()
    return to(model, "cpu")


def has_gpu() -> bool:
    try:
        return bool(jax.devices("gpu"))
    except RuntimeError:
        return False


@functools.cache
def say_that_there_is_none() -> None:
    warnings.warn("JAX finds no GPU here: flux.gpu leaves arrays on the CPU.", stacklevel=3)


def named(name: str) -> Any:
    """The device with a name such as `gpu` or `gpu:1`."""
    platform, _, number = name.partition(":")
    try:
        return jax.devices(platform)[int(number or 0)]
    except (IndexError, RuntimeError, ValueError):
        known = sorted({device.platform for device in jax.devices()} | {"cpu"})
        raise FluxError(
            f"there is no device {name!r}; JAX finds {len(jax.devices())} of {', '.join(known)}.",
            hint="jax.devices() lists them; a GPU needs JAX with CUDA: pip install 'jax[cuda12]'.",
        ) from None
