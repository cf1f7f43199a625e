"""Derivatives of scipy.integrate's rules for samples."""

from __future__ import annotations

import numpy as np
from scipy import integrate

from flux.rules.numpy.forms import like, refused


@like(integrate.trapezoid)
def trapezoid(y, x=None, dx=1.0, axis=-1):
    return np.trapezoid(y, x, dx, axis)


@like(integrate.cumulative_trapezoid)
def cumulative_trapezoid(y, x=None, dx=1.0, axis=-1, initial=None):
    if x is not None and np.ndim(x) > 1:
        raise refused("`cumulative_trapezoid` with `x` of several axes", "Pass a vector `x`.")
    y = np.moveaxis(np.asarray(y), axis, -1)
    steps = dx if x is None else np.diff(x)
    total = np.cumsum(steps * (y[..., 1:] + y[..., :-1]) / 2, -1)
    if initial is not None:
        total = np.concatenate([np.zeros_like(y[..., :1]), total], -1)
    return np.moveaxis(total, -1, axis)
