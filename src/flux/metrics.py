"""Metrics: how good predictions are, as numbers to be read. They have no derivative.

A prediction is scores (floats, classes in the last axis) or labels (integers); a target is labels,
or one-hot rows of the scores' shape.
"""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np

from flux.ad import nograd
from flux.errors import ShapeError, suggests_names, user_line
from flux.functional.arrays import is_traced, kind_of, namespace, numbers_of, shape_of
from flux.losses.targets import check_labels

__all__ = ["accuracy", "confusion_matrix", "f1", "precision", "recall"]
suggests_names(__name__)


def _labels(name, prediction, target):
    xp = namespace(prediction, target)
    prediction, target = xp.asarray(prediction), xp.asarray(target)
    given = f"a prediction of shape {prediction.shape} and a target of shape {target.shape}"
    if kind_of(prediction) not in "iu" and prediction.ndim:
        if prediction.shape == target.shape:
            target = xp.argmax(target, axis=-1)
        prediction = xp.argmax(prediction, axis=-1)
    if prediction.shape != target.shape:
        raise ShapeError(
            f"{name} got {given}: scores have one axis more than labels, labels as many.",
            where=user_line(),
        )
    return prediction, target


@nograd
def accuracy(prediction, target):
    """The share of examples whose largest score, or label, is that of the target.

    Args:
        prediction: scores or labels.
        target: labels or one-hot rows.

    Shapes: ``(..., C)`` or ``(...)`` with ``(...)`` or ``(..., C)``, to a scalar.
    Raises: ``ShapeError`` if the shapes do not fit.

    >>> print(accuracy(np.array([[0.9, 0.1], [0.2, 0.8]]), np.array([0, 0])))
    0.5
    """
    prediction, target = _labels("accuracy", prediction, target)
    xp = namespace(prediction)
    if xp is not np and xp is not jnp:
        return xp.mean(xp.astype(prediction == target, "float32"))
    return (prediction == target).mean()


@nograd
def confusion_matrix(prediction, target, n_classes=None):
    """Count how often each class (row) was taken for each class (column).

    Args:
        prediction: scores or labels.
        target: labels or one-hot rows.
        n_classes: the number of classes; by default that of the scores, or as many as the largest
            label needs.

    Shapes: to ``(n_classes, n_classes)``.
    Raises: ``ShapeError`` if the shapes do not fit; ``LabelError`` for a label that is no class.

    >>> confusion_matrix(np.array([0, 1, 1]), np.array([0, 0, 1])).tolist()
    [[1, 1], [0, 1]]
    """
    scores = shape_of(prediction) and kind_of(namespace(prediction).asarray(prediction)) == "f"
    if n_classes is None and scores:
        n_classes = prediction.shape[-1]
    prediction, target = _labels("confusion_matrix", prediction, target)
    if not is_traced(prediction) and not is_traced(target):
        prediction, target = numbers_of(prediction), numbers_of(target)
    if n_classes is None:
        n_classes = int(max(prediction.max(initial=-1), target.max(initial=-1))) + 1
    for labels in (prediction, target):
        check_labels(labels, n_classes)
    pairs = (target * n_classes + prediction).reshape(-1)
    if is_traced(pairs):
        counts = jnp.bincount(pairs, length=n_classes**2)
    else:
        counts = np.bincount(np.asarray(pairs), minlength=n_classes**2)
    return counts.reshape(n_classes, n_classes)


def _rates(prediction, target, average, n_classes, rate):
    table = confusion_matrix(prediction, target, n_classes)
    xp = namespace(table)
    hits, found, true = xp.diagonal(table), table.sum(axis=0), table.sum(axis=1)
    if average == "micro":
        return rate(xp, hits.sum(), found.sum(), true.sum())
    values = rate(xp, hits, found, true)
    if average is None:
        return values
    if average not in ("macro", "weighted"):
        raise ValueError(f"average is {average!r}: it must be macro, micro, weighted or None.")
    weights = true if average == "weighted" else (found + true > 0)
    return (values * weights).sum() / xp.maximum(weights.sum(), 1)


def _quotient(xp, a, b):
    return a / xp.where(b == 0, 1, b)


@nograd
def precision(prediction, target, *, average="macro", n_classes=None):
    """The share of the examples taken for a class that belong to it.

    Args:
        prediction: scores or labels.
        target: labels or one-hot rows.
        average: over the classes that occur: `"macro"`, each alike; `"weighted"`, by how many
            examples they have; `"micro"`, all examples in one; `None`, one number a class.
        n_classes: the number of classes, as for `confusion_matrix`.

    >>> print(precision(np.array([0, 1, 1]), np.array([0, 0, 1])))
    0.75
    """
    return _rates(
        prediction,
        target,
        average,
        n_classes,
        lambda xp, hits, found, true: _quotient(xp, hits, found),
    )


@nograd
def recall(prediction, target, *, average="macro", n_classes=None):
    """The share of the examples of a class that were taken for it.

    Args: as `precision`.

    >>> print(recall(np.array([0, 1, 1]), np.array([0, 0, 1])))
    0.75
    """
    return _rates(
        prediction,
        target,
        average,
        n_classes,
        lambda xp, hits, found, true: _quotient(xp, hits, true),
    )


@nograd
def f1(prediction, target, *, average="macro", n_classes=None):
    """The harmonic mean of precision and recall, ``2 hits / (found + true)``.

    Args: as `precision`.

    >>> print(round(float(f1(np.array([0, 1, 1]), np.array([0, 0, 1]))), 4))
    0.6667
    """
    return _rates(
        prediction,
        target,
        average,
        n_classes,
        lambda xp, hits, found, true: _quotient(xp, 2 * hits, found + true),
    )
