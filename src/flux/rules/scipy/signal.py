"""Derivatives of scipy.signal's convolutions; other filters are refused."""

from __future__ import annotations

import numpy as np
from scipy import signal

from flux.ad.registry import inert
from flux.rules.numpy.forms import like, refused, rule


def full(in1, in2):
    """The full convolution, by whatever method is fastest."""
    return signal.convolve(in1, in2)


def correlated(ct, other):
    """The cotangent of one side of a full convolution: a convolution with the other, turned."""
    return signal.convolve(ct, np.flip(other), "valid")


rule(full, in1=lambda ct, y, in1, in2: correlated(ct, in2),
     in2=lambda ct, y, in1, in2: correlated(ct, in1))  # fmt: skip


def cut(whole, first, second, mode):
    """The part of a full convolution that `mode` asks for."""
    if mode == "full":
        return whole
    if mode not in ("same", "valid"):
        raise ValueError(f"mode is 'full', 'same' or 'valid', and was {mode!r}")
    slices = [
        window(a, a if mode == "same" else max(a, b) - min(a, b) + 1, a + b - 1)
        for a, b in zip(first, second, strict=True)
    ]
    return whole[tuple(slices)]


def window(size, kept, whole):
    """The middle of an axis."""
    start = (whole - kept) // 2
    return slice(start, start + kept)


inert(window)


@like(signal.convolve)
def convolve(in1, in2, mode="full", method="auto"):
    return cut(full(in1, in2), np.shape(in1), np.shape(in2), mode)


@like(signal.fftconvolve, signal.oaconvolve)
def fftconvolve(in1, in2, mode="full", axes=None):
    if axes is not None:
        raise refused("`scipy.signal.fftconvolve` along some axes", "Leave `axes` out.")
    return cut(full(in1, in2), np.shape(in1), np.shape(in2), mode)


@like(signal.correlate)
def correlate(in1, in2, mode="full", method="auto"):
    smaller = [a < b for a, b in zip(np.shape(in1), np.shape(in2), strict=True)]
    if mode == "valid" and any(smaller):
        raise refused("`scipy.signal.correlate` whose second array is larger", "Swap them.")
    return cut(full(in1, np.conj(np.flip(in2))), np.shape(in1), np.shape(in2), mode)
