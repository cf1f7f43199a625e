"""Special functions of mathematics that the activations need."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import numpy as np

from flux.ad import rule
from flux.functional.arrays import namespace

__all__ = ["erf"]


def erf(x):
    """The error function, ``2/sqrt(pi)`` times the integral of ``exp(-t**2)`` from 0 to x.

    >>> round(float(erf(1.0)), 4)
    0.8427
    """
    xp = namespace(x)
    if xp is np:
        import scipy.special  # JAX depends on it; loaded when it is needed

        return scipy.special.erf(x)
    return jax.scipy.special.erf(x) if xp is jnp else xp.erf(x)


@rule(erf)
def _erf_rule(x):
    def back(ct):
        return (ct * (2 / math.sqrt(math.pi)) * namespace(x).exp(-x * x),)

    return erf(x), back
