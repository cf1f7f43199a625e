"""Derivatives of NumPy's Fourier transforms.

A transform is linear and its matrix symmetric, so that its cotangent is the same transform of the
cotangent; those of real signals and those that return them count the mirrored half once or twice.
"""

from __future__ import annotations

import numpy as np

from flux.ad.registry import inert
from flux.rules.numpy.forms import like, refused, rule

fft = np.fft


def fitted(ct, size, axis):
    """Cut or padded with zeros to `size` along `axis`: what a transform does to its input."""
    axis = axis % ct.ndim
    before = (slice(None),) * axis
    ct = ct[(*before, slice(0, size))]
    missing = size - ct.shape[axis]
    if missing <= 0:
        return ct
    widths = [(0, missing if i == axis else 0) for i in range(ct.ndim)]
    return np.pad(ct, widths)


def of_one_axis(f):
    """Register a complex transform of one axis."""

    def part(ct, y, a, n=None, axis=-1, norm=None, **_):
        return fitted(f(ct, None, axis, norm), np.shape(a)[axis], axis)

    rule(f, a=part)


def halves(size, axis, ndim):
    """1 for the frequencies of a half spectrum that stand alone, 2 for those that have a mirror."""
    weights = np.full(size // 2 + 1, 2.0)
    weights[0] = 1.0
    if size % 2 == 0:
        weights[-1] = 1.0
    return weights.reshape((-1,) + (1,) * (ndim - 1 - axis % ndim))


inert(halves)


def rfft_part(ct, y, a, n=None, axis=-1, norm=None, **_):
    size = np.shape(a)[axis] if n is None else n
    whole = fitted(ct, size, axis)  # the missing half has no cotangent
    return fitted(np.real(fft.fft(whole, size, axis, norm)), np.shape(a)[axis], axis)


def irfft_part(ct, y, a, n=None, axis=-1, norm=None, **_):
    size = np.shape(y)[axis]
    half = fitted(fft.ifft(ct, size, axis, norm), size // 2 + 1, axis)
    return fitted(half * halves(size, axis, ct.ndim), np.shape(a)[axis], axis)


def of_axes(f, default):
    """Register a complex transform of several axes."""

    def part(ct, y, a, s=None, axes=default, norm=None, **_):
        ct = f(ct, None, axes, norm)
        for axis in range(np.ndim(a)):
            ct = fitted(ct, np.shape(a)[axis], axis)
        return ct

    rule(f, a=part)


for f in (fft.fft, fft.ifft):
    of_one_axis(f)
rule(fft.rfft, a=rfft_part)
rule(fft.irfft, a=irfft_part)
of_axes(fft.fft2, (-2, -1))
of_axes(fft.ifft2, (-2, -1))
of_axes(fft.fftn, None)
of_axes(fft.ifftn, None)
rule(fft.fftshift, x=lambda ct, y, x, axes=None: fft.ifftshift(ct, axes))
rule(fft.ifftshift, x=lambda ct, y, x, axes=None: fft.fftshift(ct, axes))


def axes_of(a, s, axes):
    """Pairs of length and axis."""
    if axes is None:
        axes = range(-np.ndim(a) if s is None else -len(s), 0)
    return list(zip([None for _ in axes] if s is None else s, axes, strict=True))


inert(axes_of)


@like(fft.rfftn)
def rfftn(a, s=None, axes=None, norm=None):
    *first, (size, axis) = axes_of(a, s, axes)
    y = fft.rfft(a, size, axis, norm)
    for size, axis in first:
        y = fft.fft(y, size, axis, norm)
    return y


@like(fft.irfftn)
def irfftn(a, s=None, axes=None, norm=None):
    *first, (size, axis) = axes_of(a, s, axes)
    for other, place in first:
        a = fft.ifft(a, other, place, norm)
    return fft.irfft(a, size, axis, norm)


@like(fft.rfft2)
def rfft2(a, s=None, axes=(-2, -1), norm=None):
    return rfftn(a, s, axes, norm)


@like(fft.irfft2)
def irfft2(a, s=None, axes=(-2, -1), norm=None):
    return irfftn(a, s, axes, norm)


@like(fft.hfft, fft.ihfft)
def hermitian(a, n=None, axis=-1, norm=None):
    raise refused("the transform of a Hermitian signal", "Use np.fft.irfft or np.fft.rfft.")
