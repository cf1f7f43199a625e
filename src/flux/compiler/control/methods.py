"""Methods of traced arrays that JAX has in another way than NumPy, or not at all."""

from __future__ import annotations

from collections.abc import Callable

import jax
import numpy as np
from jax.core import Tracer

__all__ = ["instead_of_method", "item", "tolist"]

OF_LISTS = frozenset(
    "take repeat dot searchsorted compress choose argsort argpartition clip sum mean prod".split()
)
"""Methods that are functions of NumPy with the same arguments, which may be lists."""


def instead_of_method(owner, name: str, args: tuple, keywords: dict) -> Callable | None:
    """The function of the array and its arguments that stands in place of a method."""
    if not isinstance(owner, jax.Array):
        return None
    if isinstance(owner, Tracer) and name in OWN:
        return OWN[name]
    listed = any([isinstance(v, list) for v in (*args, *keywords.values())])
    return getattr(np, name) if name in OF_LISTS and (listed or "kind" in keywords) else None


def item(x, *place):
    """`x.item()`: the number, traced.

    >>> float(item(np.ones((1, 1)))), float(item(np.arange(4.0), 2))
    (1.0, 2.0)
    """
    if len(place) > 1 or (len(place) == 1 and isinstance(place[0], tuple)):
        return x[place if len(place) > 1 else place[0]]
    if len(place) == 1:
        return x.reshape(-1)[place[0]]
    if x.size != 1:
        raise ValueError("can only convert an array of size 1 to a Python scalar")
    return x.reshape(())


def tolist(x):
    """`x.tolist()`: nested lists of traced numbers.

    >>> len(tolist(np.ones((2, 3)))), len(tolist(np.ones((2, 3)))[0])
    (2, 3)
    """
    if x.ndim == 0:
        return x
    return [tolist(x[i]) for i in range(x.shape[0])]


OWN = {"item": item, "tolist": tolist}
