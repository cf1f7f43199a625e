"""Labels as rows with a single one, and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from flux.ad import nograd
from flux.errors import ArgumentError, LabelError, ShapeError, brief, user_line
from flux.functional.arrays import is_traced

__all__ = ["onecold", "onehot", "onehotbatch"]

UNSET = object()


@nograd
def onehot(label: Any, labels: int | Sequence, default: Any = UNSET) -> np.ndarray:
    """A vector of zeros, with a one at the place of `label` among `labels`.

    Args:
        label: one of the labels.
        labels: all labels in their order; an integer `n` stands for ``0 .. n-1``.
        default: the label that stands for one that is not among them.

    Shapes: ``() -> (C,)``. Dtypes: float32.
    Raises: ``LabelError`` for a label that is not among them.

    >>> onehot("b", ["a", "b", "c"])
    array([0., 1., 0.], dtype=float32)
    """
    return onehotbatch([label], labels, default)[0]


@nograd
def onehotbatch(ys: Any, labels: int | Sequence, default: Any = UNSET) -> Any:
    """The one-hot vector of each label, along a new last axis.

    Args:
        ys: labels, an array or sequence of any shape. Of an array that is being compiled the values
            are not known: a label out of range gives a row of zeros there.
        labels: all labels in their order; an integer `n` stands for ``0 .. n-1``.
        default: the label that stands for one that is not among them.

    Shapes: ``(...) -> (..., C)``. Dtypes: float32.
    Raises: ``LabelError`` for a label that is not among them.

    >>> onehotbatch([2, 0], 3)
    array([[0., 0., 1.],
           [1., 0., 0.]], dtype=float32)
    """
    labels = range(labels) if isinstance(labels, int | np.integer) else labels
    if isinstance(labels, str) or not hasattr(labels, "__len__"):
        raise ArgumentError(
            f"onehot expected the number of labels or all of them as labels, and got "
            f"{brief(labels)}.",
            where=user_line(),
        )
    if is_traced(ys):
        return _onehot_traced(ys, labels)
    ys = np.asarray(ys)
    index = {label: i for i, label in enumerate(_plain(labels))}
    places = [_place(y, index, default) for y in _plain(ys.ravel())]
    rows = np.zeros((len(places), len(index)), np.float32)
    rows[np.arange(len(places)), places] = 1
    return rows.reshape(*ys.shape, len(index))


@nograd
def onecold(y: Any, labels: Sequence | None = None) -> Any:
    """The label of the largest entry along the last axis; the inverse of `onehot`.

    Args:
        y: one-hot rows, scores or probabilities.
        labels: all labels in their order; ``0 .. C-1`` if not given.

    Shapes: ``(..., C) -> (...)``; a single vector gives a single label.
    Raises: ``LabelError`` if a row holds NaN, ``ShapeError`` if there is not a label an entry.

    >>> print(onecold([0.1, 0.7, 0.2], ["a", "b", "c"]))
    b
    >>> onecold(np.array([[0.9, 0.1], [0.3, 0.7]]))
    array([0, 1])
    """
    if is_traced(y):
        return y.argmax(-1) if labels is None else _as_labels(labels, y.shape[-1])[y.argmax(-1)]
    y = np.asarray(y)
    bad = np.argwhere(np.isnan(y).any(-1))
    if len(bad):
        at = "" if y.ndim == 1 else f" {', '.join(map(str, bad[0]))}"
        raise LabelError(
            f"row{at} of the scores holds NaN: none of its entries is the largest.",
            where=user_line(),
        )
    places = y.argmax(-1)
    return places if labels is None else _as_labels(labels, y.shape[-1])[places]


def _place(y, index: dict, default) -> int:
    if y in index:
        return index[y]
    if default is not UNSET and default in index:
        return index[default]
    raise LabelError(
        f"label {y!r} is not one of the labels {_listed(list(index))}.",
        where=user_line(),
        hint="Pass default= for a label that may stand for unknown ones." * (default is UNSET),
    )


def _plain(values) -> list:
    return values.tolist() if hasattr(values, "tolist") else list(values)


def _listed(labels: list) -> str:
    if labels == list(range(len(labels))) and len(labels) > 3:
        return f"0 to {len(labels) - 1}"
    words = [repr(label) for label in labels]
    return ", ".join(words if len(words) <= 12 else [*words[:5], "…", words[-1]])


def _as_labels(labels, n_classes: int) -> np.ndarray:
    labels = np.asarray(labels)
    if len(labels) != n_classes:
        raise ShapeError(
            f"onecold got {len(labels)} labels for rows of {n_classes} entries: "
            "there must be one label for each entry.",
            where=user_line(),
        )
    return labels


def _onehot_traced(ys, labels):
    return (ys[..., None] == np.asarray(labels)).astype(np.float32)
