"""Losses: how far a prediction is from its target, as one number to be made small.

Each is called as `loss(prediction, target, *, agg=mean)`. What the formula gives for each entry (or
each example) goes through `agg`: `mean`, a sum, or `functional.identity` to see them one by one.
Shapes must agree, nothing is broadcast. Sums are taken in float32 where the input is in half
precision.

Classes are the last axis of a prediction unless `axis` says otherwise. Their targets are integer
labels (the shape without that axis) or one-hot rows, soft ones too (the same shape). A label that is
no class is a `LabelError` where its value is known. In a compiled program it is not; there the loss
becomes NaN, at which training stops, and never a number that looks right.
"""

from __future__ import annotations

import jax
import numpy as np

from flux.ad import nograd, rule
from flux.errors import LabelError, ShapeError, user_line
from flux.functional import logsigmoid, logsoftmax, logsumexp, sigmoid, softmax
from flux.functional.arrays import is_traced, namespace, shape_of, widen

__all__ = [
    "binary_crossentropy",
    "binary_focal",
    "check_labels",
    "crossentropy",
    "dice",
    "focal",
    "hinge",
    "huber",
    "kl_divergence",
    "label_smoothing",
    "logit_binary_crossentropy",
    "logit_crossentropy",
    "mae",
    "mean",
    "mse",
    "msle",
    "poisson",
    "siamese_contrastive",
    "squared_hinge",
    "tversky",
]


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
    labels = np.asarray(labels)
    wrong = (labels < 0) | (labels >= n_classes)
    if ignore_index is not None:
        wrong &= labels != ignore_index
    if wrong.any():
        index = tuple(int(i) for i in np.argwhere(wrong)[0])
        position = index[0] if len(index) == 1 else index
        at = f" at position {position}" if index else ""
        raise LabelError(
            f"label {labels[index]}{at} is not one of the {n_classes} classes, 0 to "
            f"{n_classes - 1}.",
            where=user_line(),
            hint="Labels count from 0; `ignore_index` names a label that is not to count.",
        )


@nograd
def are_labels(name, prediction, target, axis) -> bool:
    """Is `target` integer labels (else one-hot)? `ShapeError` if it is neither."""
    shape, given = shape_of(prediction), shape_of(target)
    if given == shape:
        return False
    place = axis % len(shape)
    if given != shape[:place] + shape[place + 1 :]:
        raise ShapeError(
            f"{name} got a prediction of shape {shape} and a target of shape {given}: it must be "
            f"labels of shape {shape[:place] + shape[place + 1 :]} or one-hot of shape {shape}.",
            where=user_line(),
        )
    if np.asarray(target).dtype.kind not in "iu" if not is_traced(target) else (
        target.dtype.kind not in "iu"
    ):
        raise LabelError(
            f"{name} got labels of dtype {target.dtype}: they must be integers.", where=user_line()
        )
    return True
