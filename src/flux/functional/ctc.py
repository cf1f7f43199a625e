"""Connectionist temporal classification: labels whose times in a sequence are not known.

The forward recursion of Graves et al. (2006), section 4.1, in logarithms. The extended labelling of
a target ``a b`` is ``_ a _ b _`` with the blank ``_``; ``alpha[s]`` is the log-probability of all
beginnings of a path that have reached its entry ``s``.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from flux.ad import nograd
from flux.errors import LabelError, ShapeError, user_line
from flux.functional.arrays import (
    is_traced,
    namespace,
    narrow,
    numbers_of,
    reshape,
    shape_of,
    widen,
)
from flux.functional.softmax import logsoftmax, logsumexp

__all__ = ["ctc_loss"]

NEVER = -1e30
"""The logarithm of a probability that is 0; finite, so that no derivative becomes NaN."""


def ctc_loss(logits, targets, input_lengths=None, target_lengths=None, *, blank=0):
    """Minus the log-probability that a sequence spells its target, at whatever times.

    A path names one class at each time. It spells what is left when repetitions are merged and then
    blanks are taken out. The loss of a target that no path spells, because the sequence is too
    short, is infinite; its gradient is zero.

    Args:
        logits: scores of the classes at each time, of any size; log-probabilities are such too.
        targets: labels, without blanks; behind the length of a target there may be anything.
        input_lengths: how many times of each sequence count, at least 1; all if not given.
        target_lengths: how many labels of each target count; all if not given.
        blank: the class that stands for no label.

    Shapes: ``(B, T, C), (B, L), (B,), (B,) -> (B,)``.
    Dtypes: as ``logits``; sums are in float32 where that is in half precision.
    Raises: ``ShapeError`` if the shapes or lengths do not fit; ``LabelError`` for a label that is
        no class, or the blank. A compiled program cannot raise: there the loss is NaN.
    Source: Graves et al. (2006), Connectionist temporal classification, section 4.1.

    >>> loss = ctc_loss(np.zeros((1, 2, 2)), np.array([[1]]))  # 1 1, 1 _ and _ 1 of four paths
    >>> print(round(float(np.exp(-loss)[0]), 4))
    0.75
    """
    _check_shapes(logits, targets, input_lengths, target_lengths)
    _check_values(logits, targets, input_lengths, target_lengths, blank)
    extended, skip, ends, wrong = _extend(
        targets, target_lengths, input_lengths, logits.shape, blank
    )
    xp = namespace(logits, extended)
    scores = xp.take_along_axis(logsoftmax(widen(logits)), extended[:, None, :], axis=2)
    scores = xp.maximum(scores, NEVER)
    active = _active(scores, input_lengths)
    alpha = _alpha(scores, skip, active)
    xp = namespace(alpha, ends)
    total = logsumexp(xp.where(ends, alpha, NEVER), axis=-1)
    loss = xp.where(total < NEVER / 2, xp.inf, -total)
    return narrow(xp.where(wrong, xp.nan, loss), logits)


def _alpha(scores, skip, active):
    """The recursion to the last time that counts, ``(B, S)``."""
    xp = namespace(scores, skip, active)
    if xp is jnp:
        return _scanned(scores, skip, active)
    alpha = _start(scores, xp)
    for t in range(1, scores.shape[1]):
        alpha = _step(alpha, scores[:, t, ...], skip, active[:, t], xp)
    return alpha


@jax.jit
def _scanned(scores, skip, active):
    def step(alpha, at_t):
        return _step(alpha, at_t[0], skip, at_t[1], jnp), None

    times = jnp.moveaxis(scores, 1, 0)[1:], jnp.moveaxis(active, 1, 0)[1:]
    return lax.scan(step, _start(scores, jnp), times)[0]


def _start(scores, xp):
    """A path begins with the first blank or the first label."""
    first = xp.arange(scores.shape[2]) < 2
    return xp.where(first, scores[:, 0, ...], NEVER)


def _step(alpha, scores, skip, active, xp):
    """Stay, go to the next entry, or skip a blank between labels that differ."""
    stay_or_next = xp.logaddexp(alpha, _later(alpha, 1, xp))
    skipped = xp.where(skip, _later(alpha, 2, xp), NEVER)
    return xp.where(active[:, None], xp.logaddexp(stay_or_next, skipped) + scores, alpha)


def _later(alpha, n, xp):
    never = xp.full((alpha.shape[0], n), NEVER, alpha.dtype)
    return xp.concatenate([never, alpha], axis=1)[:, : alpha.shape[1]]


@nograd
def _active(scores, lengths):
    """Which times count, ``(B, T)``."""
    xp = namespace(scores, lengths)
    n = scores.shape[1]
    lengths = xp.full(scores.shape[0], n) if lengths is None else xp.asarray(lengths)
    return xp.arange(n) < lengths[:, None]


@nograd
def _extend(targets, target_lengths, input_lengths, shape, blank):
    """The extended labels, where a blank may be skipped, where a path may end, what is wrong.

    All but the last are ``(B, 2 * L + 1)``, that is ``(B,)``.
    """
    xp = namespace(targets, target_lengths, input_lengths)
    targets = xp.asarray(targets)
    batch, n = targets.shape
    lengths = xp.full(batch, n) if target_lengths is None else xp.asarray(target_lengths)
    times = xp.full(batch, shape[1]) if input_lengths is None else xp.asarray(input_lengths)
    counts = xp.arange(n) < lengths[:, None]
    no_label = (targets < 0) | (targets >= shape[2]) | (targets == blank)
    wrong = xp.any(counts & no_label, axis=1)
    wrong = wrong | (times < 1) | (times > shape[1]) | (lengths < 0) | (lengths > n)
    labels = xp.where(no_label, blank, targets)
    blanks = xp.full((batch, n), blank, labels.dtype)
    extended = reshape(xp.stack([blanks, labels], axis=2), (batch, 2 * n))
    extended = xp.concatenate([extended, xp.full((batch, 1), blank, labels.dtype)], axis=1)
    before = xp.concatenate([extended[:, :1], extended[:, :1], extended], axis=1)[:, : 2 * n + 1]
    places = xp.arange(2 * n + 1)
    last = 2 * lengths[:, None]
    ends = (places == last) | (places == last - 1)
    return extended, (extended != blank) & (extended != before), ends, wrong


@nograd
def _check_shapes(logits, targets, input_lengths, target_lengths):
    shape, given = shape_of(logits), shape_of(targets)
    if len(shape) != 3 or len(given) != 2 or given[0] != shape[0]:
        raise ShapeError(
            f"ctc_loss got logits of shape {shape} and targets of shape {given}: they must be "
            "(B, T, C) and (B, L).",
            where=user_line(),
        )
    for name, lengths in (("input", input_lengths), ("target", target_lengths)):
        if lengths is not None and shape_of(lengths) != shape[:1]:
            raise ShapeError(
                f"ctc_loss got {name} lengths of shape {shape_of(lengths)}: they must be one for "
                f"each of the {shape[0]} examples.",
                where=user_line(),
            )


@nograd
def _check_values(logits, targets, input_lengths, target_lengths, blank):
    """Raise for what is wrong, as far as it is known before the program runs."""
    _, times, n_classes = logits.shape
    n = shape_of(targets)[1]
    for name, lengths, least, most in (
        ("input", input_lengths, 1, times),
        ("target", target_lengths, 0, n),
    ):
        if lengths is None or is_traced(lengths):
            continue
        wrong = [int(m) for m in numbers_of(lengths) if not least <= m <= most]
        if wrong:
            raise ShapeError(
                f"ctc_loss got the {name} length {wrong[0]}: it must be from {least} to {most}.",
                where=user_line(),
            )
    if is_traced(targets) or is_traced(target_lengths):
        return
    labels = numbers_of(targets)
    if labels.dtype.kind not in "iu":
        raise LabelError(
            f"ctc_loss got targets of dtype {labels.dtype}: they must be integers.",
            where=user_line(),
        )
    counts = n if target_lengths is None else numbers_of(target_lengths)[:, None]
    counted = labels[np.broadcast_to(np.arange(n) < counts, labels.shape)]
    wrong = counted[(counted < 0) | (counted >= n_classes) | (counted == blank)]
    if wrong.size:
        raise LabelError(
            f"ctc_loss got the label {wrong[0]}: it must be one of the {n_classes} classes, 0 to "
            f"{n_classes - 1}, and not the blank, {blank}.",
            where=user_line(),
        )
