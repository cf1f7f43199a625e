"""Losses of classes, from logits and from probabilities."""

from __future__ import annotations

from flux.ad import nograd, rule, stop_gradient
from flux.errors import ArgumentError, ShapeError, user_line
from flux.functional import logsoftmax, sigmoid
from flux.functional.arrays import convert, namespace, narrow, shape_of, widen
from flux.losses.targets import agree, are_labels, class_mask, class_target, mean, tiny

__all__ = [
    "binary_crossentropy",
    "binary_focal",
    "crossentropy",
    "focal",
    "kl_divergence",
    "label_smoothing",
    "logit_binary_crossentropy",
    "logit_crossentropy",
]


def logit_crossentropy(prediction, target, *, agg=mean, axis=-1, weights=None, ignore_index=None):
    """Crossentropy of scores that have not been through softmax: ``-log softmax(x)[target]``.

    Exact where the probability itself would be 0. With `weights` or `ignore_index` the mean is a
    weighted one: it divides by the sum of the weights of the targets that count, and is 0 where
    none does.

    Args:
        prediction: logits, scores of any size.
        target: integer labels, or one-hot rows, soft ones too.
        agg: what is done with the losses of all examples.
        axis: the axis of the classes.
        weights: how much each class counts, one number a class.
        ignore_index: a label whose examples do not count.

    Shapes: ``(..., C)`` with ``(...)`` or ``(..., C)``, to a scalar.
    Raises: ``ShapeError`` if the shapes do not fit; ``LabelError`` for a label that is no class.
        A compiled program cannot raise: there such a label makes the loss NaN.

    >>> import numpy as np
    >>> logits = np.array([[0.0, 0.0], [1e4, 0.0]])
    >>> print(round(float(logit_crossentropy(logits, np.array([1, 0]))), 4))
    0.3466
    """
    if are_labels("logit_crossentropy", prediction, target, axis, ignore_index):
        counts = _label_weights(prediction, target, axis, weights, ignore_index)
        if ignore_index is not None:
            target = _without(target, ignore_index)
        losses = label_loss(prediction, target, axis=axis)
    else:
        if ignore_index is not None:
            raise ArgumentError(
                "logit_crossentropy got ignore_index with a target of one-hot rows.",
                where=user_line(),
            )
        target = convert(target, prediction)
        counts = None
        if weights is not None:
            target = target * _class_weights(prediction, weights, axis)
            counts = _sum(target, axis)
        losses = -_sum(target * logsoftmax(prediction, axis=axis), axis)
        return _aggregate(losses, counts, agg)
    if counts is not None:
        losses = namespace(losses).where(counts == 0, 0, losses * counts)
    return _aggregate(losses, counts, agg)


def _sum(x, axis):
    return namespace(x).sum(x, axis=axis)


def _aggregate(losses, counts, agg):
    if counts is None or agg is not mean:
        return agg(losses)
    xp = namespace(losses, counts)
    total = xp.sum(counts)
    return xp.sum(losses) / xp.where(total == 0, 1, total)


@nograd
def _class_weights(prediction, weights, axis):
    n_classes = prediction.shape[axis]
    if shape_of(weights) != (n_classes,):
        raise ShapeError(
            f"logit_crossentropy got weights of shape {shape_of(weights)}: it must be one for each "
            f"of the {n_classes} classes, ({n_classes},).",
            where=user_line(),
        )
    weights = convert(weights, prediction)
    place = axis % prediction.ndim
    shape = [-1 if a == place else 1 for a in range(prediction.ndim)]
    return namespace(weights).reshape(weights, shape)


@nograd
def _label_weights(prediction, labels, axis, weights, ignore_index):
    """How much each label counts, or `None` if all count alike; a label that is no class, 1."""
    if weights is None and ignore_index is None:
        return None
    xp = namespace(prediction, labels)
    labels = xp.asarray(labels)
    counts = xp.ones(labels.shape, prediction.dtype)
    if weights is not None:
        mask = class_mask(labels, prediction.shape[axis], axis, prediction)
        weights = _class_weights(prediction, weights, axis)
        of_class = xp.sum(xp.where(mask, weights, 0), axis=axis)
        counts = xp.where(xp.any(mask, axis=axis), of_class, counts)
    if ignore_index is not None:
        counts = xp.where(labels == ignore_index, 0, counts)
    return xp.astype(counts, prediction.dtype)


@nograd
def _without(labels, ignore_index):
    return namespace(labels).where(labels == ignore_index, 0, labels)


def label_loss(logits, labels, *, axis=-1):
    """``log(sum(exp(logits))) - logits[label]`` for each example, NaN where a label is no class.

    >>> import numpy as np
    >>> label_loss(np.array([[1e4, 0.0]]), np.array([1])).tolist()
    [10000.0]
    """
    return _label_loss(logits, labels, axis)[0]


def _label_loss(logits, labels, axis):
    wide = widen(logits)
    mask = class_mask(labels, logits.shape[axis], axis, logits)
    xp = namespace(mask)
    shifted = wide - stop_gradient(xp.max(wide, axis=axis, keepdims=True))
    total = xp.sum(xp.exp(shifted), axis=axis, keepdims=True)
    losses = xp.log(total) - xp.sum(xp.where(mask, shifted, 0), axis=axis, keepdims=True)
    losses = xp.where(xp.any(mask, axis=axis, keepdims=True), losses, xp.nan)
    return narrow(xp.squeeze(losses, axis=axis), logits), mask, shifted, total


@rule(label_loss)
def _label_loss_rule(logits, labels, *, axis=-1):
    losses, mask, shifted, total = _label_loss(logits, labels, axis)

    def back(ct):
        xp = namespace(mask, ct)
        ct = xp.expand_dims(widen(ct), axis)
        ct = xp.where(xp.any(mask, axis=axis, keepdims=True), ct, xp.nan)
        return narrow(ct * (xp.exp(shifted) / total - xp.astype(mask, total.dtype)), logits), None

    return losses, back


def crossentropy(prediction, target, *, agg=mean, axis=-1, eps=None):
    """Crossentropy of probabilities, ``-sum(target * log(prediction + eps))`` over the classes.

    `logit_crossentropy` of scores is more exact than this of their softmax.

    Args:
        prediction: probabilities along `axis`.
        target: integer labels, or one-hot rows, soft ones too.
        agg: what is done with the losses of all examples.
        axis: the axis of the classes.
        eps: keeps the logarithm away from 0; the spacing of the dtype's numbers at 1 if not given.

    Shapes: ``(..., C)`` with ``(...)`` or ``(..., C)``, to a scalar.
    Raises: as `logit_crossentropy`.

    >>> import numpy as np
    >>> print(round(float(crossentropy(np.array([[0.25, 0.75]]), np.array([0]))), 4))
    1.3863
    """
    target = class_target("crossentropy", prediction, target, axis)
    eps = tiny(prediction) if eps is None else eps
    return agg(-_sum(target * namespace(prediction).log(prediction + eps), axis))


def logit_binary_crossentropy(prediction, target, *, agg=mean):
    """Crossentropy of one score a question: ``-y log(sigmoid(x)) - (1-y) log(1 - sigmoid(x))``.

    Args:
        prediction: logits, scores of any size.
        target: 0, 1 or between, of the same shape.
        agg: what is done with the losses of all entries.

    Raises: ``ShapeError`` if the shapes differ.

    >>> import numpy as np
    >>> print(logit_binary_crossentropy(np.array([1e4, -1e4]), np.array([1.0, 1.0])))
    5000.0
    """
    target = agree("logit_binary_crossentropy", prediction, target)
    return agg(logit_loss(prediction, target))


def logit_loss(x, y):
    """``log(1 + exp(x)) - x * y`` without overflow.

    >>> print(logit_loss(1e4, 1.0))
    0.0
    """
    xp = namespace(x, y)
    return xp.maximum(x, 0) - x * y + xp.log1p(xp.exp(-abs(x)))


@rule(logit_loss)
def _logit_loss_rule(x, y):
    return logit_loss(x, y), lambda ct: (ct * (sigmoid(x) - y), -ct * x)


def binary_crossentropy(prediction, target, *, agg=mean, eps=None):
    """Crossentropy of one probability a question.

    ``-y log(p + eps) - (1-y) log(1 - p + eps)``; `logit_binary_crossentropy` is more exact.

    Args:
        prediction: probabilities.
        target: 0, 1 or between, of the same shape.
        agg: what is done with the losses of all entries.
        eps: keeps the logarithm away from 0; the spacing of the dtype's numbers at 1 if not given.

    Raises: ``ShapeError`` if the shapes differ.

    >>> import numpy as np
    >>> print(round(float(binary_crossentropy(np.array([0.5]), np.array([1.0]))), 4))
    0.6931
    """
    target = agree("binary_crossentropy", prediction, target)
    eps = tiny(prediction) if eps is None else eps
    log = namespace(prediction).log
    return agg(-target * log(prediction + eps) - (1 - target) * log(1 - prediction + eps))


def kl_divergence(prediction, target, *, agg=mean, axis=-1, eps=None):
    """How far probabilities are from those of the target: ``sum(y * log(y / prediction))``.

    Args:
        prediction: probabilities along `axis`.
        target: probabilities, of the same shape.
        agg: what is done with the divergences of all examples.
        axis: the axis of the classes.
        eps: added to the prediction; the spacing of the dtype's numbers at 1 if not given.

    Raises: ``ShapeError`` if the shapes differ.
    Source: Kullback and Leibler (1951), On information and sufficiency.

    >>> import numpy as np
    >>> print(round(float(kl_divergence(np.array([[0.5, 0.5]]), np.array([[1.0, 0.0]]))), 4))
    0.6931
    """
    target = agree("kl_divergence", prediction, target)
    eps = tiny(prediction) if eps is None else eps
    xp = namespace(prediction)
    known = xp.log(xp.where(target > 0, target, 1))  # 0 log 0 is 0
    return agg(_sum(target * (known - xp.log(prediction + eps)), axis))


def focal(prediction, target, *, agg=mean, axis=-1, gamma=2.0, eps=None):
    """Crossentropy that fades for examples that are right: ``-(1-p)**gamma * log(p)``.

    Args:
        prediction: probabilities along `axis`.
        target: integer labels, or one-hot rows.
        agg: what is done with the losses of all examples.
        axis: the axis of the classes.
        gamma: how fast it fades; 0 is the crossentropy.
        eps: added to the prediction; the spacing of the dtype's numbers at 1 if not given.

    Raises: as `crossentropy`.
    Source: Lin et al. (2017), Focal loss for dense object detection.

    >>> import numpy as np
    >>> print(round(float(focal(np.array([[0.5, 0.5]]), np.array([0]))), 4))
    0.1733
    """
    target = class_target("focal", prediction, target, axis)
    p = prediction + (tiny(prediction) if eps is None else eps)
    return agg(_sum(target * -namespace(p).log(p) * abs(1 - p) ** gamma, axis))


def binary_focal(prediction, target, *, agg=mean, gamma=2.0, eps=None):
    """The focal loss of one probability a question.

    Args:
        prediction: probabilities.
        target: 0 or 1, of the same shape.
        agg: what is done with the losses of all entries.
        gamma: how fast it fades for entries that are right; 0 is the binary crossentropy.
        eps: added to the probability; the spacing of the dtype's numbers at 1 if not given.

    Raises: ``ShapeError`` if the shapes differ.
    Source: Lin et al. (2017), Focal loss for dense object detection.

    >>> import numpy as np
    >>> print(round(float(binary_focal(np.array([0.5]), np.array([1.0]))), 4))
    0.1733
    """
    target = agree("binary_focal", prediction, target)
    p = target * prediction + (1 - target) * (1 - prediction)
    p = p + (tiny(prediction) if eps is None else eps)
    return agg(-namespace(p).log(p) * abs(1 - p) ** gamma)


def label_smoothing(target, alpha, *, axis=-1):
    """Mix a target with equal shares: ``(1 - alpha) * y + alpha / C``.

    Args:
        target: one-hot rows, or numbers between 0 and 1.
        alpha: how much of it is shared out, above 0 and below 1.
        axis: the axis of the classes; `None` for numbers, each a choice between two.

    Shapes: as ``target``.
    Raises: ``ValueError`` for another `alpha`.
    Source: Szegedy et al. (2016), Rethinking the Inception architecture, section 7.

    >>> import numpy as np
    >>> label_smoothing(np.array([0.0, 1.0]), 0.2).round(2).tolist()
    [0.1, 0.9]
    """
    if not 0 < alpha < 1:
        raise ArgumentError(
            f"label_smoothing got alpha {alpha}: it must be above 0 and below 1.",
            where=user_line(),
        )
    return (1 - alpha) * target + alpha / (2 if axis is None else target.shape[axis])
