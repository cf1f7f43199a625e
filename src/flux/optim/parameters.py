"""The trainable arrays of a model, and where they stand in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from flux.errors import FluxError
from flux.tree.walk import Place, at_path, places

__all__ = ["Parameter", "parameters", "trainables"]


@dataclass
class Parameter:
    """A trainable array.

    Attributes:
        name: the path of its first place, as Python spells it.
        value: the array.
        places: where it stands; an array that is shared has several.
    """

    name: str
    value: Any
    places: list[Place]

    def replace(self, new) -> None:
        """Put another array into all of its places."""
        for place in self.places:
            place.put(new)

    def gradient(self, grads):
        """Its gradient: the sum over its places; `None` if there is none."""
        total = None
        for place in self.places:
            part = found(grads, place)
            if part is not None:
                check(part, self)
                total = part if total is None else total + part
        return total


def is_parameter(value) -> bool:
    return isinstance(value, jax.Array | np.ndarray) and jnp.issubdtype(value.dtype, jnp.inexact)


def parameters(model) -> list[Parameter]:
    """The trainable arrays of a model, each once, in order."""
    by_id: dict[int, Parameter] = {}
    for place in places([model], is_parameter):
        if place.trainable:
            place = place._replace(path=place.path[1:])
            known = by_id.setdefault(id(place.value), Parameter(place.name, place.value, []))
            known.places.append(place)
    return list(by_id.values())


def trainables(model, path: bool = False) -> list | dict:
    """The trainable arrays of `model`: a list, or a dict by path.

    >>> trainables({"w": np.zeros(2), "n": 3}, path=True)
    {'w': array([0., 0.])}
    """
    found = parameters(model)
    return {p.name: p.value for p in found} if path else [p.value for p in found]


HINT = "Pass the gradient of this model: grads[0] of flux.gradient(loss, model)."


def found(grads, place: Place):
    """The part of a gradient at the place of a parameter."""
    try:
        return at_path(grads, place.path)
    except (AttributeError, IndexError, KeyError, TypeError):
        raise FluxError(
            f"the gradient has no part `{place.name}`, and the model has.", hint=HINT
        ) from None


def check(part, parameter: Parameter) -> None:
    shape = parameter.value.shape
    if getattr(part, "shape", None) != shape:
        given = (
            f"has the shape {part.shape}" if hasattr(part, "shape") else f"is {type(part).__name__}"
        )
        raise FluxError(
            f"the gradient of `{parameter.name}` {given}; expected an array of shape {shape}.",
            hint=HINT,
        )
