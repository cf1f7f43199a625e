"""Equally many examples of every class."""

from __future__ import annotations

from typing import Any

import numpy as np

from flux.data.observations import getobs, numobs
from flux.errors import ShapeError
from flux.random import generator

__all__ = ["oversample", "undersample"]


def oversample(data: Any, labels: Any, *, rng: Any = None) -> tuple[Any, np.ndarray]:
    """Repeat examples until every class has as many as the largest.

    Each example occurs equally often up to one, and those that occur once more are drawn.

    Args:
        data: as for `DataLoader`.
        labels: one an example.
        rng: seed or generator of the draw.

    Returns: the data and their labels, class by class; a `DataLoader` shuffles them.

    >>> oversample(np.array([10, 11, 12, 13]), [0, 0, 0, 1])
    (array([10, 11, 12, 13, 13, 13]), array([0, 0, 0, 1, 1, 1]))
    """
    return _balanced(data, labels, max, generator(rng))


def undersample(data: Any, labels: Any, *, rng: Any = None) -> tuple[Any, np.ndarray]:
    """Leave out examples, drawn at random, until every class has as few as the smallest.

    Arguments and results are those of `oversample`.

    >>> kept, labels = undersample(np.array([10, 11, 12, 13]), [0, 0, 0, 1])
    >>> len(kept), labels, int(kept[1])
    (2, array([0, 1]), 13)
    """
    return _balanced(data, labels, min, generator(rng))


def _balanced(data, labels, extreme, rng: np.random.Generator) -> tuple[Any, np.ndarray]:
    labels = np.asarray(labels)
    if labels.shape != (numobs(data),):
        raise ShapeError(
            f"there must be one label for each of the {numobs(data)} examples, got an array of "
            f"shape {labels.shape}."
        )
    members = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    count = extreme(len(places) for places in members)
    chosen = np.concatenate([_drawn(places, count, rng) for places in members])
    return getobs(data, chosen), labels[chosen]


def _drawn(places: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    whole, rest = divmod(count, len(places))
    return np.sort(np.concatenate([np.repeat(places, whole), rng.permutation(places)[:rest]]))
