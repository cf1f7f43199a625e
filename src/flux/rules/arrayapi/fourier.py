"""Derivatives of the standard's Fourier transforms.

A transform is linear and its matrix symmetric, so that its cotangent is the same transform of the
cotangent; those of real signals and those that return them count the mirrored half once or twice.
"""

from __future__ import annotations

from flux.ad.registry import inert
from flux.rules.arrayapi.forms import like, no_derivative, rule
from flux.rules.arrayapi.reductions import cut

NAMES = "x n axis norm"


def fitted(xp, ct, size, axis):
    """Cut or padded with zeros to `size` along `axis`: what a transform does to its input."""
    axis = axis % ct.ndim
    missing = size - ct.shape[axis]
    if missing <= 0:
        return cut(ct, axis, 0, size)
    shape = (*ct.shape[:axis], missing, *ct.shape[axis + 1 :])
    return xp.concat([ct, xp.zeros(shape, dtype=ct.dtype, device=ct.device)], axis=axis)


def of_fft(xp, ct, y, x, n=None, axis=-1, norm="backward"):
    return fitted(xp, xp.fft.fft(ct, axis=axis, norm=norm), x.shape[axis], axis)


def of_ifft(xp, ct, y, x, n=None, axis=-1, norm="backward"):
    return fitted(xp, xp.fft.ifft(ct, axis=axis, norm=norm), x.shape[axis], axis)


def of_rfft(xp, ct, y, x, n=None, axis=-1, norm="backward"):
    size = x.shape[axis] if n is None else n
    whole = fitted(xp, ct, size, axis)  # the missing half has no cotangent
    part = xp.real(xp.fft.fft(whole, axis=axis, norm=norm))
    return fitted(xp, part, x.shape[axis], axis)


def of_irfft(xp, ct, y, x, n=None, axis=-1, norm="backward"):
    size = y.shape[axis]
    whole = xp.fft.ifft(xp.astype(ct, x.dtype), axis=axis, norm=norm)
    half = fitted(xp, whole, size // 2 + 1, axis)
    weights = halves(xp, ct, size, axis % ct.ndim)
    return fitted(xp, half * weights, x.shape[axis], axis)


def halves(xp, like, size, axis):
    """1 for the frequencies of a half spectrum that stand alone, 2 for those that have a mirror."""
    places = xp.arange(size // 2 + 1, device=like.device)
    alone = (places == 0) | (places * 2 == size)
    one = xp.ones(places.shape, dtype=like.dtype, device=like.device)
    weights = xp.where(alone, one, 2 * one)
    return xp.reshape(weights, (-1, *[1 for _ in range(like.ndim - 1 - axis)]))


rule("fft.fft", NAMES, x=of_fft)
rule("fft.ifft", NAMES, x=of_ifft)
rule("fft.rfft", NAMES, x=of_rfft)
rule("fft.irfft", NAMES, x=of_irfft)
rule("fft.fftshift", "x axes", x=lambda xp, ct, y, x, axes=None: xp.fft.ifftshift(ct, axes=axes))
rule("fft.ifftshift", "x axes", x=lambda xp, ct, y, x, axes=None: xp.fft.fftshift(ct, axes=axes))


# -- several axes ----------------------------------------------------------------------------------


def axes_of(x, s, axes):
    """Pairs of length and axis."""
    if axes is None:
        axes = range(-x.ndim if s is None else -len(s), 0)
    return list(zip([None for _ in axes] if s is None else s, axes, strict=True))


@like("fft.fftn")
def fftn(xp, x, /, s=None, axes=None, norm="backward"):
    for size, axis in axes_of(x, s, axes):
        x = xp.fft.fft(x, n=size, axis=axis, norm=norm)
    return x


@like("fft.ifftn")
def ifftn(xp, x, /, s=None, axes=None, norm="backward"):
    for size, axis in axes_of(x, s, axes):
        x = xp.fft.ifft(x, n=size, axis=axis, norm=norm)
    return x


@like("fft.rfftn")
def rfftn(xp, x, /, s=None, axes=None, norm="backward"):
    *first, (size, axis) = axes_of(x, s, axes)
    y = xp.fft.rfft(x, n=size, axis=axis, norm=norm)
    for other, place in first:
        y = xp.fft.fft(y, n=other, axis=place, norm=norm)
    return y


@like("fft.irfftn")
def irfftn(xp, x, /, s=None, axes=None, norm="backward"):
    *first, (size, axis) = axes_of(x, s, axes)
    for other, place in first:
        x = xp.fft.ifft(x, n=other, axis=place, norm=norm)
    return xp.fft.irfft(x, n=size, axis=axis, norm=norm)


inert(axes_of, halves)
no_derivative("fft.fftfreq fft.rfftfreq")
