"""Derivatives of scipy.fft: NumPy's transforms, and the cosine and sine transforms."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import fft

from flux.rules.numpy import fourier  # noqa: F401
from flux.rules.numpy.forms import like, refused, rule

COMPLEX = """fft ifft rfft irfft fft2 ifft2 fftn ifftn rfft2 irfft2 rfftn irfftn hfft
ihfft""".split()
PAIR = {2: 3, 3: 2}
"""Types of transforms that are each other's transpose when they are orthonormal."""


def as_numpy(name):
    """Differentiate `scipy.fft.name` as `numpy.fft.name`."""
    plain: Any = getattr(np.fft, name)

    def of_one_axis(x, n=None, axis=-1, norm=None, overwrite_x=False, workers=None, *, plan=None):
        return plain(x, n, axis, norm)

    def of_two_axes(x, s=None, axes=(-2, -1), norm=None, overwrite_x=False, workers=None, *,
                    plan=None):  # fmt: skip
        return plain(x, s, axes, norm)

    def of_axes(x, s=None, axes=None, norm=None, overwrite_x=False, workers=None, *, plan=None):
        if axes is None and s is not None:
            axes = tuple(range(-len(s), 0))
        return plain(x, s, axes, norm)

    form = {"2": of_two_axes, "n": of_axes}.get(name[-1], of_one_axis)
    like(getattr(fft, name))(form)


def of_reals(f):
    """Register a cosine or sine transform; others are multiples of the orthonormal one."""

    def part(ct, y, x, type=2, n=None, axis=-1, norm=None, orthogonalize=None, **_):
        if type not in PAIR or n is not None or norm != "ortho" or orthogonalize is not None:
            raise refused(f"`scipy.fft.{f.__name__}` but for types 2 and 3 with norm='ortho'",
                          "Pass norm='ortho' and scale the result.")  # fmt: skip
        return f(ct, PAIR[type], axis=axis, norm="ortho")

    rule(f, x=part)


for name in COMPLEX:
    as_numpy(name)
for f in (fft.dct, fft.idct, fft.dst, fft.idst):
    of_reals(f)
rule(fft.fftshift, x=lambda ct, y, x, axes=None: fft.ifftshift(ct, axes))
rule(fft.ifftshift, x=lambda ct, y, x, axes=None: fft.fftshift(ct, axes))
