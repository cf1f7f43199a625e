"""Layers that omit at random while a model is trained."""

from __future__ import annotations

from flux.errors import ArgumentError, brief, user_line
from flux.functional import dropout
from flux.functional.arrays import drawn, namespace, shape_of
from flux.functional.rectifiers import SELU_ALPHA, SELU_SCALE
from flux.layers.layer import layer
from flux.layers.modes import training
from flux.layers.show import call_repr
from flux.random import RandomState

__all__ = ["AlphaDropout", "Dropout", "check_probability"]


@layer
class Dropout:
    """In training, set entries to zero with probability `p` and divide the others by ``1 - p``.

    In testing the input is returned as it is. Training is when a gradient is taken, unless
    `flux.trainmode` or `flux.testmode` says otherwise.

    Args:
        p: the probability of omission, from 0 to 1.
        axis: one choice for each index along these axes (``-1``: whole channels are omitted); by
            default each entry has its own.
        rng: seed or generator of the choices.

    Shapes: as the input.
    Dtypes: as the input.
    Source: Srivastava et al. (2014), Dropout.

    >>> import numpy as np
    >>> Dropout(0.5)(np.ones(3)).tolist()
    [1.0, 1.0, 1.0]
    """

    def __init__(self, p, *, axis=None, rng=None):
        self.p = check_probability(p)
        self.axis = axis
        self.active = None
        self.rng = RandomState(rng)

    def __call__(self, x):
        if not training(self):
            return x
        return dropout(x, self.p, rng=self.rng, axis=self.axis)

    def __repr__(self):
        return call_repr(self, self.p, axis=self.axis)


@layer
class AlphaDropout:
    """Dropout for networks of `selu`: keeps mean 0 and variance 1.

    Entries are set, with probability `p`, to the value that selu tends to on the left, and the
    result is scaled and shifted back to the mean and variance of its input.

    Args:
        p: the probability of omission, from 0 to 1.
        rng: seed or generator of the choices.

    Shapes: as the input.
    Dtypes: as the input.
    Source: Klambauer et al. (2017), Self-normalizing neural networks, section 3.

    >>> AlphaDropout(0.1)
    AlphaDropout(0.1)
    """

    def __init__(self, p, *, rng=None):
        self.p = check_probability(p)
        self.active = None
        self.rng = RandomState(rng)

    def __call__(self, x):
        if not training(self) or self.p == 0:
            return x
        if self.p == 1:
            return 0 * x
        low = -SELU_SCALE * SELU_ALPHA
        scale = ((1 - self.p) * (1 + self.p * low * low)) ** -0.5
        keep = drawn(self.rng.bernoulli(1 - self.p, shape_of(x)), x)
        return scale * (namespace(x, keep).where(keep, x, low) - self.p * low)

    def __repr__(self):
        return call_repr(self, self.p)


def check_probability(p):
    """`p`, if it is a probability; `ArgumentError` if not."""
    if isinstance(p, str | None) or not 0 <= p <= 1:
        raise ArgumentError(
            f"dropout expected a probability from 0 to 1, and got {brief(p)}.", where=user_line()
        )
    return p
