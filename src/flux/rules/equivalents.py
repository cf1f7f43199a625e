"""Derivatives told by an equivalent in plain Python, which is differentiated as written."""

from __future__ import annotations

from flux.ad.registry import AUGMENTED
from flux.ad.runtime import call

__all__ = ["as_python"]


def as_python(*callees):
    """Differentiate `callees` by way of the decorated equivalent in plain Python."""

    def register(equivalent):
        def augmented(*args, **keywords):
            return call(equivalent, *args, **keywords)

        for callee in callees:
            AUGMENTED[callee] = augmented
        return equivalent

    return register
