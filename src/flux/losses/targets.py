"""What a loss accepts as its target: equal shapes, labels that are classes, one-hot rows."""

from __future__ import annotations

import numpy as np

from flux.ad import nograd
from flux.errors import LabelError, ShapeError, user_line
from flux.functional.arrays import (
    convert,
    is_traced,
    kind_of,
    namespace,
    numbers_of,
    shape_of,
    spacing,
)

__all__ = ["agree", "are_labels", "check_labels", "class_mask", "class_target", "mean", "tiny"]


def mean(x):
    """The mean of all entries, what losses do unless told otherwise.

    >>> print(mean(np.array([1.0, 2.0])))
    1.5
    """
    return namespace(x).mean(x)


@nograd
def check_shapes(name, prediction, target) -> None:
    """Raise `ShapeError` unless prediction and target have one shape."""
    if shape_of(prediction) != shape_of(target):
        raise ShapeError(
            f"{name} got a prediction of shape {shape_of(prediction)} and a target of shape "
            f"{shape_of(target)}: they must agree.",
            where=user_line(),
            hint="Losses do not broadcast: reshape one of them, or drop an axis of length 1.",
        )


def agree(name, prediction, target):
    """The target in the dtype and the array library of the prediction, if their shapes agree."""
    check_shapes(name, prediction, target)
    return convert(target, prediction)


@nograd
def check_labels(labels, n_classes: int, *, ignore_index: int | None = None) -> None:
    """Raise `LabelError` unless every label is a class, `0 .. n_classes - 1`.

    Args:
        labels: integers; a traced array, whose values nobody knows yet, passes.
        n_classes: the number of classes.
        ignore_index: a label that is allowed besides.

    >>> check_labels([0, 3], 3)
    Traceback (most recent call last):
    flux.errors.LabelError: label 3 at position 1 is not one of the 3 classes, 0 to 2...
    """
    if is_traced(labels):
        return
    labels = numbers_of(labels)
    wrong = (labels < 0) | (labels >= n_classes)
    if ignore_index is not None:
        wrong &= labels != ignore_index
    if not wrong.any():
        return
    index = tuple(int(i) for i in np.argwhere(wrong)[0])
    at = f" at position {index[0] if len(index) == 1 else index}" if index else ""
    last = n_classes - 1
    raise LabelError(
        f"label {labels[index]}{at} is not one of the {n_classes} classes, 0 to {last}.",
        where=user_line(),
        hint="Labels count from 0; `ignore_index` names a label that is not to count.",
    )


@nograd
def are_labels(name, prediction, target, axis, ignore_index=None) -> bool:
    """Is `target` integer labels? No: one-hot. An exception if it is neither, or no class."""
    shape, given = shape_of(prediction), shape_of(target)
    if given == shape:
        return False
    place = axis % len(shape)
    rows = shape[:place] + shape[place + 1 :]
    if given != rows:
        raise ShapeError(
            f"{name} got a prediction of shape {shape} and a target of shape {given}: it must be "
            f"labels of shape {rows} or one-hot of shape {shape}.",
            where=user_line(),
            hint="The prediction comes first." if shape == given[: len(shape)] else None,
        )
    labels = target if hasattr(target, "dtype") else np.asarray(target)
    if kind_of(labels) not in "iu":
        raise LabelError(
            f"{name} got labels of dtype {labels.dtype}: they must be integers.", where=user_line()
        )
    check_labels(target, shape[place], ignore_index=ignore_index)
    return True


@nograd
def class_mask(labels, n_classes, axis, like):
    """True where the class, counted along `axis` of the result, is the label."""
    xp = namespace(labels, like)
    rows = xp.expand_dims(xp.asarray(labels), axis)
    classes = np.arange(n_classes).reshape(
        [-1 if a == axis % rows.ndim else 1 for a in range(rows.ndim)]
    )
    return rows == xp.asarray(classes)


def class_target(name, prediction, target, axis):
    """The target as one-hot rows; a row whose label is no class is NaN."""
    if not are_labels(name, prediction, target, axis):
        return convert(target, prediction)
    return _onehot(prediction, target, axis)


@nograd
def _onehot(prediction, labels, axis):
    n_classes = prediction.shape[axis]
    mask = class_mask(labels, n_classes, axis, prediction)
    xp = namespace(mask)
    known = xp.any(mask, axis=axis, keepdims=True)
    return xp.where(known, xp.astype(mask, prediction.dtype), xp.nan)


@nograd
def tiny(x) -> float:
    """The spacing of the numbers of `x` at 1, added where a logarithm would meet 0."""
    return spacing(getattr(x, "dtype", np.dtype(np.float64)))
