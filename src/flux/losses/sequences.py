"""Losses of sequences."""

from __future__ import annotations

from flux.functional import ctc_loss
from flux.losses.targets import mean

__all__ = ["ctc"]


def ctc(prediction, target, *, agg=mean, input_lengths=None, target_lengths=None, blank=0):
    """Connectionist temporal classification: labels in order, whose times are not known.

    Minus the log-probability of all paths that spell the target; see `flux.functional.ctc_loss`.
    The mean is over examples, whatever the lengths of their targets.

    Args:
        prediction: logits of the classes at each time.
        target: labels, without blanks.
        agg: what is done with the losses of all examples.
        input_lengths: how many times of each sequence count; all if not given.
        target_lengths: how many labels of each target count; all if not given.
        blank: the class that stands for no label.

    Shapes: ``(B, T, C)`` with ``(B, L)``, to a scalar.
    Raises: as `flux.functional.ctc_loss`.
    Source: Graves et al. (2006), Connectionist temporal classification.

    >>> import numpy as np
    >>> print(round(float(ctc(np.zeros((1, 2, 2)), np.array([[1]]))), 4))
    0.2877
    """
    return agg(ctc_loss(prediction, target, input_lengths, target_lengths, blank=blank))
