"""Batches of data, in a new order every epoch."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any

import numpy as np

from flux.data.observations import chooser, collater, is_array, numobs
from flux.data.prefetch import ahead
from flux.errors import (
    ArgumentError,
    FluxError,
    ShapeError,
    brief,
    check_bool,
    check_integer,
    told_options,
    user_line,
)
from flux.random import generator

__all__ = ["Batches", "DataLoader"]


class DataLoader:
    """Iterate over data in batches; each loop over it is one epoch.

    Args:
        data: an array, whose examples lie along its first axis; a tuple or dict of them, which go
            in step and come as tuples or dicts; a sequence of examples, such as a PyTorch data set,
            which are stacked; or any iterable of examples.
        batchsize: examples in a batch.
        shuffle: whether every epoch has an order of its own.
        partial: whether the last batch may hold fewer examples than the others.
        rng: seed or generator of the orders; `flux.seed` sets the default one. Two loaders of one
            seed give the same batches, epoch by epoch.
        prefetch: how many batches a thread makes ahead; 0 makes them when they are asked for.
        collate: makes a batch of a list of examples: a function, `True` for stacking, `False` to
            leave the list.

    Raises: ``ShapeError`` if there are no examples, or if entries hold different numbers of them;
        ``FluxError`` for data that come in batches already, or that have no index and should be
        shuffled. An exception in making a batch is raised by the loop, in the batch's turn, with
        a note that names the example.

    `epoch` counts the loops begun; setting it goes on in the order of that epoch. `state_dict` is
    the place in the data, in the middle of a loop too, and `load_state_dict` lets the next loop
    begin there.

    >>> loader = DataLoader((np.arange(5), np.arange(5) ** 2), batchsize=2)
    >>> for x, y in loader:
    ...     print(x, y)
    [0 1] [0 1]
    [2 3] [4 9]
    [4] [16]
    >>> loader
    DataLoader(5 examples, batchsize=2): 3 batches
    """

    @told_options("DataLoader", batch_size="Say `batchsize`: DataLoader(data, batchsize=32).")
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
        self.data, self.batchsize = data, check_integer("DataLoader", "batchsize", batchsize, 1)
        self.shuffle = check_bool("DataLoader", "shuffle", shuffle)
        self.partial = check_bool("DataLoader", "partial", partial)
        self.prefetch = check_integer("DataLoader", "prefetch", prefetch)
        _check_collate(collate)
        self.epoch = self.skip = self.following = 0
        self.running: Callable[[], Batches | None] = lambda: None
        self.indexed = _is_indexed(data, shuffle)
        self.size = numobs(data) if self.indexed else _length(data)
        self.batch = chooser(collate, data) if self.indexed else collater(collate)
        self.seed = int(generator(rng).integers(2**63)) if shuffle else 0
        self._check()

    def _check(self) -> None:
        if self.size is None:
            return
        if not self.size:
            raise ShapeError("the data are empty: there is no batch to make.")
        if not len(self):
            raise ShapeError(
                f"{self.size} examples do not fill one batch of {self.batchsize}.",
                hint="Make batchsize smaller, or allow a smaller batch with partial=True.",
            )

    def __len__(self) -> int:
        if self.size is None:
            raise TypeError(f"{type(self.data).__name__} does not tell how many examples it has.")
        whole, rest = divmod(self.size, self.batchsize)
        return whole + (self.partial and rest > 0)

    def __iter__(self) -> Batches:
        batches = Batches(self, self.epoch, self.skip)
        self.epoch, self.skip = max(self.epoch + 1, self.following), 0
        self.following, self.running = 0, weakref.ref(batches)
        return batches

    def state_dict(self) -> dict[str, Any]:
        """The place of the loop that was begun last, or, if it is over, of the next one.

        >>> loader = DataLoader(np.arange(6), batchsize=2, shuffle=True, rng=0)
        >>> batches = iter(loader)
        >>> first, state = next(batches), loader.state_dict()
        >>> again = DataLoader(np.arange(6), batchsize=2, shuffle=True)
        >>> again.load_state_dict(state)
        >>> [x.tolist() for x in again] == [x.tolist() for x in batches]
        True
        """
        batches = self.running()
        if batches is not None and not batches.over:
            return batches.state_dict()
        return self._state(self.epoch, self.skip, self.following)

    def _state(self, epoch: int, batch: int, following: int) -> dict[str, Any]:
        """The place before a batch of an epoch; `following` is the epoch that comes after it."""
        place = {"seed": self.seed, "epoch": epoch, "batch": batch, "following": following}
        return {**place, **self._form()}

    def _form(self) -> dict[str, Any]:
        form = {"examples": self.size, "batchsize": self.batchsize, "shuffle": bool(self.shuffle)}
        return {**form, "partial": bool(self.partial)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Let the next loop begin at the place that `state_dict` returned.

        Raises: ``ValueError`` for the place of a loader of other data or batches.
        """
        for name, value in self._form().items():
            if state[name] != value:
                raise ValueError(
                    f"the place in the data is that of a DataLoader with {name}={state[name]}; "
                    f"this one has {name}={value}."
                )
        self.seed, self.epoch, self.skip = state["seed"], state["epoch"], state["batch"]
        self.following, self.running = state["following"], lambda: None

    def __repr__(self) -> str:
        options = ", shuffle=True" * self.shuffle + ", partial=False" * (not self.partial)
        count = "examples" if self.size is None else f"{self.size} examples"
        batches = "" if self.size is None else f": {len(self)} batches"
        return f"DataLoader({count}, batchsize={self.batchsize}{options}){batches}"


class Batches:
    """The batches of one epoch of a `DataLoader`, and how many of them have been handed out.

    Attributes:
        epoch: the epoch.
        done: how many batches have been handed out, or skipped.
        over: there are no more.
    """

    def __init__(self, loader: DataLoader, epoch: int, skip: int):
        self.loader, self.epoch, self.done, self.over = loader, epoch, skip, False
        made = _from_index(loader, epoch, skip) if loader.indexed else _from_stream(loader, skip)
        self.source = ahead(made, loader.prefetch) if loader.prefetch else made

    def __iter__(self) -> Iterator:
        return self

    def __next__(self) -> Any:
        try:
            batch = next(self.source)
        except BaseException:
            self.over = True
            raise
        self.done += 1
        return batch

    def state_dict(self) -> dict[str, Any]:
        """The place of this loop, for `DataLoader.load_state_dict`."""
        return self.loader._state(self.epoch, self.done, self.loader.epoch)


def _from_index(loader: DataLoader, epoch: int, skip: int) -> Iterator:
    size, order = loader.size or 0, None
    if loader.shuffle:
        order = np.random.default_rng([loader.seed, epoch]).permutation(size)
    for number in range(skip, len(loader)):
        start = number * loader.batchsize
        where = slice(start, min(start + loader.batchsize, size))
        of = where if order is None else order[where]
        yield _made(loader, number, of, np.arange(size)[of])


def _from_stream(loader: DataLoader, skip: int) -> Iterator:
    examples = _counted(loader.data)
    left_out = sum(1 for _ in islice(examples, skip * loader.batchsize))
    number = skip
    while left_out == skip * loader.batchsize:
        found = list(islice(examples, loader.batchsize))
        if not found or (len(found) < loader.batchsize and not loader.partial):
            return
        first = number * loader.batchsize
        yield _made(loader, number, found, range(first, first + len(found)))
        number += 1


def _made(loader: DataLoader, number: int, of, places: Sequence[int] | np.ndarray) -> Any:
    try:
        return loader.batch(of)
    except Exception as problem:
        listed = ", ".join(map(str, places[:8])) + ", …" * (len(places) > 8)
        problem.add_note(f"This happened in making batch {number}, of examples {listed}, from 0.")
        raise


def _counted(data) -> Iterator:
    count = 0
    try:
        for example in data:
            yield example
            count += 1
    except Exception as problem:
        problem.add_note(f"This happened at example {count} of the data, from 0.")
        raise


def _is_indexed(data, shuffle: bool) -> bool:
    """Can examples be asked for by number? Refuses what comes in batches already."""
    name = type(data).__name__
    if isinstance(data, DataLoader) or hasattr(data, "batch_sampler"):
        raise FluxError(
            f"DataLoader expected examples, and got a {name}, which makes batches itself.",
            hint="Pass it to flux.train as it is, or its data set to flux.DataLoader.",
        )
    if is_array(data) or (_length(data) is not None and hasattr(data, "__getitem__")):
        return True
    if not hasattr(data, "__iter__"):
        return True  # numobs says what is missing
    if shuffle:
        raise FluxError(
            f"DataLoader cannot shuffle a {name}: its examples have no index and a length.",
            hint="Make a list of it, or shuffle the examples where they come from.",
        )
    return False


def _length(data) -> int | None:
    try:
        return len(data)
    except TypeError:
        return None


def _check_collate(collate) -> None:
    if collate is not None and not isinstance(collate, bool) and not callable(collate):
        raise ArgumentError(
            f"DataLoader expected a function or a bool as collate, and got {brief(collate)}.",
            where=user_line(),
        )
