"""Losses of numbers."""

from __future__ import annotations

from flux.functional import relu
from flux.functional.arrays import namespace
from flux.losses.targets import agree, mean, tiny

__all__ = [
    "hinge",
    "huber",
    "mae",
    "mse",
    "msle",
    "poisson",
    "siamese_contrastive",
    "squared_hinge",
]


def mse(prediction, target, *, agg=mean):
    """Mean squared error, ``(prediction - target)**2``.

    Args:
        prediction: numbers of any shape.
        target: numbers of the same shape.
        agg: what is done with the errors of all entries.

    Raises: ``ShapeError`` if the shapes differ.

    >>> import numpy as np
    >>> print(mse(np.array([1.0, 3.0]), np.array([1.0, 1.0])))
    2.0
    """
    error = prediction - agree("mse", prediction, target)
    return agg(error * error)


def mae(prediction, target, *, agg=mean):
    """Mean absolute error, ``|prediction - target|``.

    Args, Raises: as `mse`.

    >>> import numpy as np
    >>> print(mae(np.array([1.0, 3.0]), np.array([1.0, 1.0])))
    1.0
    """
    return agg(abs(prediction - agree("mae", prediction, target)))


def msle(prediction, target, *, agg=mean, eps=None):
    """Mean squared error of logarithms, ``(log(prediction + eps) - log(target + eps))**2``.

    Args:
        prediction: numbers not below 0.
        target: numbers not below 0, of the same shape.
        agg: what is done with the errors of all entries.
        eps: keeps the logarithm away from 0; the spacing of the dtype's numbers at 1 if not given.

    Raises: ``ShapeError`` if the shapes differ.

    >>> import numpy as np
    >>> print(round(float(msle(np.array([1.0]), np.array([np.e]))), 4))
    1.0
    """
    target = agree("msle", prediction, target)
    eps = tiny(prediction) if eps is None else eps
    xp = namespace(prediction)
    error = xp.log(prediction + eps) - xp.log(target + eps)
    return agg(error * error)


def huber(prediction, target, *, agg=mean, delta=1.0):
    """Squared error near the target, absolute error beyond `delta`.

    ``e**2 / 2`` where ``|e| <= delta``, else ``delta * (|e| - delta/2)``.

    Args:
        prediction: numbers of any shape.
        target: numbers of the same shape.
        agg: what is done with the errors of all entries.
        delta: where the square becomes a line.

    Raises: ``ShapeError`` if the shapes differ.
    Source: Huber (1964), Robust estimation of a location parameter.

    >>> import numpy as np
    >>> huber(np.array([0.5, 3.0]), np.zeros(2), agg=list)
    [np.float64(0.125), np.float64(2.5)]
    """
    size = abs(prediction - agree("huber", prediction, target))
    near = namespace(size).where(size <= delta, size, delta)
    return agg(near * (size - 0.5 * near))


def poisson(prediction, target, *, agg=mean):
    """Minus the log-likelihood of counts, ``prediction - target * log(prediction)``.

    The term that only the target decides, ``log(target!)``, is left out.

    Args:
        prediction: expected counts, not below 0.
        target: counts, of the same shape.
        agg: what is done with the losses of all entries.

    Raises: ``ShapeError`` if the shapes differ.

    >>> import numpy as np
    >>> print(poisson(np.array([1.0, 0.0]), np.array([2.0, 0.0])))
    0.5
    """
    target = agree("poisson", prediction, target)
    xp = namespace(prediction)
    inside = xp.where(target == 0, 1, prediction)  # 0 log 0 is 0
    return agg(prediction - target * xp.log(inside))


def hinge(prediction, target, *, agg=mean):
    """``max(0, 1 - prediction * target)``, of a support vector machine.

    Args:
        prediction: scores; positive means the class +1.
        target: +1 or -1, of the same shape.
        agg: what is done with the losses of all entries.

    Raises: ``ShapeError`` if the shapes differ.

    >>> import numpy as np
    >>> print(hinge(np.array([0.5, -2.0]), np.array([1.0, -1.0])))
    0.25
    """
    return agg(relu(1 - prediction * agree("hinge", prediction, target)))


def squared_hinge(prediction, target, *, agg=mean):
    """The square of the hinge loss, ``max(0, 1 - prediction * target)**2``.

    Args, Raises: as `hinge`.

    >>> import numpy as np
    >>> print(squared_hinge(np.array([0.5, -2.0]), np.array([1.0, -1.0])))
    0.125
    """
    missing = relu(1 - prediction * agree("squared_hinge", prediction, target))
    return agg(missing * missing)


def siamese_contrastive(prediction, target, *, agg=mean, margin=1.0):
    """Pull similar pairs together, push others apart: ``(1-y) d**2 + y max(0, margin - d)**2``.

    Args:
        prediction: distances of pairs.
        target: 0 where a pair is similar, 1 where it is not; of the same shape.
        agg: what is done with the losses of all pairs.
        margin: the distance beyond which a dissimilar pair is left alone.

    Raises: ``ShapeError`` if the shapes differ; ``ValueError`` for a negative margin.
    Source: Hadsell, Chopra and LeCun (2006), Dimensionality reduction by an invariant mapping.

    >>> import numpy as np
    >>> print(siamese_contrastive(np.array([0.5, 0.5]), np.array([0.0, 1.0])))
    0.25
    """
    if margin < 0:
        raise ValueError(f"siamese_contrastive got the margin {margin}: it must not be negative.")
    target = agree("siamese_contrastive", prediction, target)
    missing = relu(margin - prediction)
    return agg((1 - target) * prediction * prediction + target * missing * missing)
