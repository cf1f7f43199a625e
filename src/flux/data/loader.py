"""Batches of data, in a new order every epoch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from flux.data.observations import chooser, numobs
from flux.data.prefetch import ahead
from flux.errors import ShapeError
from flux.random import generator

__all__ = ["DataLoader"]


class DataLoader:
    """Iterate over data in batches; each loop over it is one epoch.

    Args:
        data: an array, whose examples lie along its first axis; a tuple or dict of them, which go
            in step and come as tuples or dicts; or a sequence of examples, which are stacked.
        batchsize: examples in a batch.
        shuffle: whether every epoch has an order of its own.
        partial: whether the last batch may hold fewer examples than the others.
        rng: seed or generator of the orders; `flux.seed` sets the default one. Two loaders of one
            seed give the same batches, epoch by epoch.
        prefetch: how many batches a thread makes ahead; 0 makes them when they are asked for.
        collate: makes a batch of a list of examples: a function, `True` for stacking, `False` to
            leave the list.

    Raises: ``ShapeError`` if there are no examples, or if entries hold different numbers of them.

    `epoch` counts the loops begun. Setting it continues an interrupted training in the same order.

    >>> loader = DataLoader((np.arange(5), np.arange(5) ** 2), batchsize=2)
    >>> for x, y in loader:
    ...     print(x, y)
    [0 1] [0 1]
    [2 3] [4 9]
    [4] [16]
    >>> loader
    DataLoader(5 examples, batchsize=2): 3 batches
    """

    def __init__(
        self,
        data: Any,
        batchsize: int = 1,
        *,
        shuffle: bool = False,
        partial: bool = True,
        rng: Any = None,
        prefetch: int = 2,
        collate: Callable[[list], Any] | bool | None = None,
    ):
        self.data, self.batchsize = data, _at_least(1, "batchsize", batchsize)
        self.shuffle, self.partial = shuffle, partial
        self.prefetch = _at_least(0, "prefetch", prefetch)
        self.epoch = 0
        self.size = numobs(data)
        self.batch = chooser(collate, data)
        self.seed = int(generator(rng).integers(2**63)) if shuffle else 0
        self._check()

    def _check(self) -> None:
        if not self.size:
            raise ShapeError("the data are empty: there is no batch to make.")
        if not len(self):
            raise ShapeError(
                f"{self.size} examples do not fill one batch of {self.batchsize}.",
                hint="Make batchsize smaller, or allow a smaller batch with partial=True.",
            )

    def __len__(self) -> int:
        whole, rest = divmod(self.size, self.batchsize)
        return whole + (self.partial and rest > 0)

    def __iter__(self) -> Iterator:
        epoch, self.epoch = self.epoch, self.epoch + 1
        batches = self._batches(epoch)
        return ahead(batches, self.prefetch) if self.prefetch else batches

    def _batches(self, epoch: int) -> Iterator:
        order = None
        if self.shuffle:
            order = np.random.default_rng([self.seed, epoch]).permutation(self.size)
        for start in range(0, len(self) * self.batchsize, self.batchsize):
            where = slice(start, min(start + self.batchsize, self.size))
            yield self.batch(where if order is None else order[where])

    def __repr__(self) -> str:
        options = ", shuffle=True" * self.shuffle + ", partial=False" * (not self.partial)
        return (
            f"DataLoader({self.size} examples, batchsize={self.batchsize}{options}): "
            f"{len(self)} batches"
        )


def _at_least(least: int, name: str, value: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        raise ValueError(f"{name} must be an integer of at least {least}, got {value!r}.")
    return int(value)
