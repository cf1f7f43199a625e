"""Parts of data: training and held-out examples, folds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from flux.data.observations import getobs, numobs
from flux.errors import ArgumentError, ShapeError, brief, check_integer, user_line
from flux.random import generator

__all__ = ["kfolds", "splitobs"]


def splitobs(
    data: Any,
    at: float | int | Sequence[float] | Sequence[int] = 0.8,
    *,
    shuffle: bool = False,
    rng: Any = None,
    stratified: Any = None,
) -> tuple[Any, ...]:
    """Cut data into parts that share no example.

    Args:
        data: as for `DataLoader`.
        at: the share of the first part, or the shares of all parts but the last; integers are
            counts of examples.
        shuffle: whether examples are mixed before; otherwise parts are pieces, in order.
        rng: seed or generator of the mixing.
        stratified: one label an example; every label then has the same share in each part.

    Raises: ``ShapeError`` if a part were empty.

    >>> splitobs(np.arange(5), at=0.6)
    (array([0, 1, 2]), array([3, 4]))
    >>> splitobs(np.arange(6), at=0.5, stratified=[0, 0, 1, 1, 1, 1])
    (array([0, 2, 3]), array([1, 4, 5]))
    """
    size = numobs(data)
    _check_at(at)
    shares = tuple(at) if isinstance(at, Sequence | np.ndarray) else (at,)
    order = _order(size, shuffle, rng)
    if stratified is None:
        groups = [order]
    else:
        groups = _groups(order, _labels(stratified, size))
        shares = tuple(share / size if _is_count(share) else share for share in shares)
    cuts = [_cuts(len(group), shares) for group in groups]
    pieces = [np.split(group, cut) for group, cut in zip(groups, cuts, strict=True)]
    parts = [np.concatenate(part) for part in zip(*pieces, strict=True)]
    _no_empty(parts, size, at)
    return tuple(getobs(data, part if shuffle else np.sort(part)) for part in parts)


def kfolds(
    data: Any, k: int = 5, *, shuffle: bool = False, rng: Any = None
) -> Iterator[tuple[Any, Any]]:
    """`k` pairs of training and validation examples; each example is once in a validation part.

    >>> for train, validation in kfolds(np.arange(4), k=2):
    ...     print(train, validation)
    [2 3] [0 1]
    [0 1] [2 3]
    """
    size = numobs(data)
    check_integer("kfolds", "k", k)
    if not 2 <= k <= size:
        raise ShapeError(f"{size} examples cannot be cut into {k} folds: k must be 2 to {size}.")
    folds = np.array_split(_order(size, shuffle, rng), k)
    for i, fold in enumerate(folds):
        rest = np.concatenate(folds[:i] + folds[i + 1 :])
        yield getobs(data, rest), getobs(data, fold)


def _order(size: int, shuffle: bool, rng) -> np.ndarray:
    if not shuffle:
        return np.arange(size)
    return generator(rng).permutation(size)


def _labels(stratified, size: int) -> np.ndarray:
    labels = np.asarray(stratified)
    if labels.shape != (size,):
        raise ShapeError(
            f"stratified must hold one label for each of the {size} examples, got an array of "
            f"shape {labels.shape}."
        )
    return labels


def _groups(order: np.ndarray, labels: np.ndarray) -> list[np.ndarray]:
    return [order[labels[order] == label] for label in np.unique(labels)]


def _check_at(at) -> None:
    shares = at if isinstance(at, Sequence | np.ndarray) and not isinstance(at, str) else (at,)
    if any(isinstance(share, str) or not np.isreal(share) for share in shares):
        raise ArgumentError(
            f"splitobs expected shares or counts of examples as at, and got {brief(at)}.",
            where=user_line(),
        )


def _is_count(share) -> bool:
    return isinstance(share, int | np.integer) and not isinstance(share, bool)


def _cuts(size: int, shares) -> np.ndarray:
    counts = [share if _is_count(share) else share * size for share in shares]
    return np.rint(np.cumsum(counts)).astype(int)


def _no_empty(parts: list[np.ndarray], size: int, at) -> None:
    lengths = [len(part) for part in parts]
    if min(lengths) == 0 or sum(lengths) != size:
        raise ShapeError(
            f"at={at} cuts {size} examples into parts of {', '.join(map(str, lengths))}: "
            "each part must hold at least one.",
            hint="Shares lie between 0 and 1 and leave something for the last part.",
        )
