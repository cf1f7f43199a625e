"""Losses of regions: how much a predicted mask and the true one overlap."""

from __future__ import annotations

from flux.functional.arrays import namespace
from flux.losses.targets import agree, mean

__all__ = ["dice", "tversky"]


def dice(prediction, target, *, agg=mean, smooth=1.0):
    """One minus the overlap, ``1 - (2 sum(y p) + s) / (sum(y**2) + sum(p**2) + s)``.

    Args:
        prediction: how sure each entry is in the region, 0 to 1.
        target: 1 inside, 0 outside; of the same shape.
        agg: what is done with the result, which is one number for all entries.
        smooth: `s`, keeps the quotient defined for empty regions.

    Raises: ``ShapeError`` if the shapes differ.
    Source: Milletari, Navab and Ahmadi (2016), V-Net.

    >>> import numpy as np
    >>> print(round(float(dice(np.array([1.0, 1.0]), np.array([1.0, 0.0]))), 4))
    0.25
    """
    target = agree("dice", prediction, target)
    total = namespace(prediction).sum
    both = 2 * total(target * prediction) + smooth
    return agg(1 - both / (total(target * target) + total(prediction * prediction) + smooth))


def tversky(prediction, target, *, agg=mean, beta=0.7, smooth=1.0):
    """An overlap loss that weighs misses and false alarms apart.

    ``1 - (hit + s) / (hit + beta * missed + (1 - beta) * false_alarm + s)``, each a sum over the
    entries; a larger `beta` punishes misses.

    Args:
        prediction: how sure each entry is in the region, 0 to 1.
        target: 1 inside, 0 outside; of the same shape.
        agg: what is done with the result, which is one number for all entries.
        beta: the weight of what is missed.
        smooth: `s`, keeps the quotient defined for empty regions.

    Raises: ``ShapeError`` if the shapes differ.
    Source: Salehi, Erdogmus and Gholipour (2017), Tversky loss function.

    >>> import numpy as np
    >>> print(round(float(tversky(np.array([0.0, 0.0]), np.array([1.0, 0.0]))), 4))
    0.4118
    """
    target = agree("tversky", prediction, target)
    total = namespace(prediction).sum
    hit = total(target * prediction)
    missed = total(target * (1 - prediction))
    false_alarm = total((1 - target) * prediction)
    return agg(1 - (hit + smooth) / (hit + beta * missed + (1 - beta) * false_alarm + smooth))
