"""Random omission of entries."""

from __future__ import annotations

from flux.ad import rule
from flux.functional.arrays import drawn, namespace, shape_of

__all__ = ["dropout", "mask_out"]


def dropout(x, p, *, rng, axis=None):
    """Set entries to zero with probability `p` and divide the others by ``1 - p``.

    Args:
        x: an array.
        p: the probability of omission, from 0 to 1.
        rng: where the choices are drawn from, an object with `bernoulli(p, shape)` such as
            `flux.RandomState`.
        axis: an axis or several; one choice is drawn for each index along them and covers the
            other axes, so that ``axis=-1`` omits whole channels. By default each entry is its own.

    Shapes: as ``x``.
    Dtypes: as ``x``.
    Source: Srivastava et al. (2014), Dropout.

    >>> from flux.random import RandomState
    >>> import numpy as np
    >>> y = dropout(np.ones(1000), 0.25, rng=RandomState(0))
    >>> sorted({round(float(v), 2) for v in y}), bool(abs(y.mean() - 1) < 0.1)
    ([0.0, 1.33], True)
    """
    if p == 0:
        return x
    shape = shape_of(x)
    if axis is not None:
        kept = [a % len(shape) for a in (axis if isinstance(axis, tuple) else (axis,))]
        shape = tuple(n if a in kept else 1 for a, n in enumerate(shape))
    return mask_out(x, drawn(rng.bernoulli(1 - p, shape), x), 1 / (1 - p) if p < 1 else 0.0)


def mask_out(x, keep, scale=1.0, /):
    """Set to zero where `keep` is false and multiply by `scale` elsewhere.

    >>> import numpy as np
    >>> mask_out(np.array([1.0, np.inf]), np.array([True, False]), 2.0).tolist()
    [2.0, 0.0]
    """
    return namespace(x, keep).where(keep, x * scale, 0)


@rule(mask_out)
def _mask_out_rule(x, keep, *scale):
    def back(ct):
        return mask_out(ct, keep, *scale), None, *[None for _ in scale]

    return mask_out(x, keep, *scale), back
