"""Sequences of different lengths in one batch, and windows of a long one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from flux.data.observations import numobs, parts_of, rebuilt
from flux.errors import ShapeError

__all__ = ["pad_sequences", "slidingwindow"]


def pad_sequences(
    sequences: Sequence, value: Any = 0, *, length: int | None = None, multiple: int = 1
) -> tuple[np.ndarray, np.ndarray]:
    """One array of sequences of different lengths, and the lengths.

    What follows the end of a sequence is `value`. A compiled function is compiled for each length
    of a batch: `length` or `multiple` keep these few.

    Args:
        sequences: arrays or lists; all axes but the first agree.
        value: what the rest is filled with.
        length: of the batch; that of the longest sequence if not given.
        multiple: the length of the batch is rounded up to a multiple of it.

    Shapes: ``N`` times ``(t, ...)`` to ``(N, T, ...)`` and ``(N,)``.
    Dtypes: that of the sequences, float32 of Python's floats; int32.
    Raises: ``ShapeError`` for no sequence, for one that is longer than `length`, or if other axes
        do not agree.

    As `collate` of a `DataLoader`, here over pairs of a sequence and a label:

    >>> def collate(pairs):
    ...     sequences, labels = zip(*pairs)
    ...     return (*pad_sequences(sequences), np.asarray(labels))
    >>> from flux.data import DataLoader
    >>> loader = DataLoader([([1, 2, 3], 0), ([4], 1)], batchsize=2, collate=collate)
    >>> for batch, lengths, labels in loader:
    ...     print(batch, lengths, labels)
    [[1 2 3]
     [4 0 0]] [3 1] [0 1]
    """
    arrays = [_array(sequence) for sequence in sequences]
    if not arrays:
        raise ShapeError("there is no sequence to pad.")
    shapes = sorted({array.shape[1:] for array in arrays})
    if len(shapes) > 1:
        raise ShapeError(
            f"sequences of one batch must agree in all axes but the first, got {shapes[0]} and "
            f"{shapes[1]} after it."
        )
    lengths = np.array([len(array) for array in arrays], np.int32)
    longest = int(lengths.max())
    if length is not None and longest > length:
        raise ShapeError(f"sequence {lengths.argmax()} is {longest} long, and length is {length}.")
    total = -(-(longest if length is None else length) // multiple) * multiple
    filled = [array.dtype for array in arrays if len(array)] or [arrays[0].dtype]
    batch = np.full((len(arrays), total, *shapes[0]), value, np.result_type(*filled))
    for row, array in zip(batch, arrays, strict=True):
        row[: len(array)] = array
    return batch, lengths


def _array(sequence) -> np.ndarray:
    array = np.asarray(sequence)
    if not array.ndim:
        raise ShapeError(f"expected a sequence, and got the single value {sequence!r}.")
    own = hasattr(sequence, "dtype") or array.dtype != np.float64
    return array if own else array.astype(np.float32)


def slidingwindow(data: Any, size: int, stride: int = 1) -> Any:
    """All pieces of `size` examples in a row: data whose examples are these pieces.

    An array is not copied: the pieces are views of it, which cannot be written to.

    Args:
        data: an array, whose examples lie along its first axis, or a tuple or dict of arrays.
        size: how many examples a piece has.
        stride: how far apart the pieces begin.

    Shapes: ``(T, ...) -> (1 + (T - size) // stride, size, ...)``.
    Raises: ``ShapeError`` if there are fewer than `size` examples.

    >>> slidingwindow(np.arange(7), size=3, stride=2)
    array([[0, 1, 2], [2, 3, 4], [4, 5, 6]])
    """
    if size < 1 or stride < 1:
        raise ValueError(f"size and stride must be at least 1, got {size} and {stride}.")
    if numobs(data) < size:
        raise ShapeError(f"{numobs(data)} examples have no piece of {size} in a row.")
    parts = parts_of(data)
    if parts is not None:
        return rebuilt(data, [slidingwindow(part, size, stride) for part in parts.values()])
    windows = np.lib.stride_tricks.sliding_window_view(np.asarray(data), size, axis=0)
    return np.moveaxis(windows, -1, 1)[::stride]
