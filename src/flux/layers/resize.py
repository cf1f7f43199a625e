"""More positions, as layers."""

from __future__ import annotations

from flux.errors import ArgumentError, brief, user_line
from flux.functional import pixel_shuffle, upsample
from flux.functional.resize import LINEAR
from flux.layers.check import check_positions, refuse
from flux.layers.layer import layer
from flux.layers.show import call_repr

__all__ = ["PixelShuffle", "Upsample"]


@layer
class Upsample:
    """Resize images, sequences or volumes; see `flux.functional.upsample`.

    Args:
        scale: how many times as long each axis becomes, one number or one an axis.
        mode: `"nearest"`, `"linear"`, `"bilinear"` (two axes) or `"trilinear"` (three).
        size: the new lengths instead of a scale, one number or one an axis.
        align_corners: in linear modes, whether the centres of the outermost positions stay where
            they are; otherwise their outer edges do.

    Shapes: ``(B, H, W, C) -> (B, H', W', C)``, or with one or three axes in the place of ``H, W``.
    Raises: ``ShapeError`` for another number of axes.

    >>> import numpy as np
    >>> layer = Upsample(2, "bilinear")
    >>> layer(np.ones((1, 7, 7, 3))).shape, layer
    ((1, 14, 14, 3), Upsample(2, 'bilinear'))
    """

    def __init__(self, scale=None, mode="nearest", *, size=None, align_corners=False):
        if (scale is None) == (size is None):
            raise ArgumentError(
                "Upsample needs either a scale or a size, and not both.", where=user_line()
            )
        if mode != "nearest" and mode not in LINEAR:
            raise ArgumentError(
                f"Upsample: mode is {brief(mode)}: it must be nearest or {' or '.join(LINEAR)}.",
                where=user_line(),
            )
        given = size if scale is None else scale
        for part in given if isinstance(given, tuple | list) else (given,):
            if part is None or isinstance(part, str) or not part > 0:
                raise ArgumentError(
                    f"Upsample expected a scale or size above 0, and got {brief(given)}.",
                    where=user_line(),
                )
        self.scale, self.mode = scale, mode
        self.size, self.align_corners = size, align_corners

    def __call__(self, x):
        axes = self.axes()
        if axes is not None:
            check_positions(self, x, axes)
        elif not 3 <= len(x.shape) <= 5:
            refuse(self, x, "it must have examples, one to three axes of positions, and channels")
        return upsample(
            x, self.scale, size=self.size, mode=self.mode, align_corners=self.align_corners
        )

    def axes(self):
        """How many axes of positions its settings are for; `None` for any number."""
        given = self.size if self.scale is None else self.scale
        if isinstance(given, tuple | list):
            return len(given)
        return {"bilinear": 2, "trilinear": 3}.get(self.mode)

    def __repr__(self):
        if self.mode is None:  # a gradient in the form of the layer
            return call_repr(self, None)
        first = [] if self.scale is None else [self.scale]
        options = {"size": self.size, "align_corners": self.align_corners}
        if first and self.mode != "nearest":
            first.append(self.mode)
        elif not first:
            options["mode"] = self.mode
        return call_repr(self, *first, **options)


@layer
class PixelShuffle:
    """Make channels into positions: an image `r` times as high and wide, with fewer channels.

    Args:
        r: how many times as long each axis becomes.

    Shapes: ``(B, H, W, C * r**2) -> (B, H * r, W * r, C)``, or with one or three axes in the place
        of ``H, W``.
    Raises: ``ShapeError`` if the channels cannot be divided so.
    Source: Shi et al. (2016), Real-time single image and video super-resolution, section 3.2.

    >>> import numpy as np
    >>> PixelShuffle(2)(np.ones((1, 7, 7, 12))).shape
    (1, 14, 14, 3)
    """

    def __init__(self, r):
        self.r = r

    def __call__(self, x):
        axes = len(x.shape) - 2
        if axes < 1 or x.shape[-1] % self.r**axes:
            refuse(self, x, f"{self.r}**{max(axes, 1)} must divide its channels")
        return pixel_shuffle(x, self.r)

    def __repr__(self):
        return call_repr(self, self.r)
