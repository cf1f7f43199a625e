"""Pooling as layers: fewer positions, the same channels."""

from __future__ import annotations

from flux.functional import maxpool, meanpool
from flux.functional.arrays import namespace
from flux.functional.window import Sizes, each, paddings
from flux.layers.check import check_positions, check_window, refuse
from flux.layers.layer import layer
from flux.layers.show import call_repr

__all__ = [
    "AdaptiveMaxPool",
    "AdaptiveMeanPool",
    "GlobalMaxPool",
    "GlobalMeanPool",
    "MaxPool",
    "MeanPool",
]


class Pool:
    """What `MaxPool` and `MeanPool` have in common: a window, how far it moves, padding."""

    def __init__(self, window, *, stride: Sizes | None = None, pad: Sizes | str = 0):
        who = type(self).__name__
        self.window = tuple(window) if isinstance(window, tuple | list) else (window, window)
        window = each(self.window, len(self.window), f"{who}: window")
        moved = window if stride is None else each(stride, len(window), f"{who}: stride")
        paddings(pad, window, window, moved, (1,) * len(window), f"{who}: pad")
        self.stride, self.pad = stride, pad

    def __repr__(self):
        return call_repr(self, self.window, stride=self.stride, pad=self.pad)


@layer
class MaxPool(Pool):
    """The largest entry under a window, for each channel; padding never wins.

    Args:
        window: a tuple with one size for each of one to three axes; an int `k` is `(k, k)`.
        stride: how far it moves; by its own size if not given.
        pad: as for `Conv`.

    Shapes: ``(B, H, W, C) -> (B, H', W', C)``, with as many axes between as the window has.
    Raises: ``ShapeError`` for another number of axes.

    >>> import numpy as np
    >>> MaxPool((2, 2))(np.ones((1, 28, 28, 3))).shape
    (1, 14, 14, 3)
    """

    def __call__(self, x):
        check_positions(self, x, len(self.window))
        check_window(self, x, self.window, self.stride, self.pad)
        return maxpool(x, self.window, stride=self.stride, pad=self.pad)


@layer
class MeanPool(Pool):
    """The mean of the entries under a window, for each channel; zeros of the padding count.

    Args:
        window: a tuple with one size for each of one to three axes; an int `k` is `(k, k)`.
        stride: how far it moves; by its own size if not given.
        pad: as for `Conv`.

    Shapes: ``(B, H, W, C) -> (B, H', W', C)``, with as many axes between as the window has.
    Raises: ``ShapeError`` for another number of axes.

    >>> import numpy as np
    >>> MeanPool((2, 2))(np.ones((1, 28, 28, 3))).shape
    (1, 14, 14, 3)
    """

    def __call__(self, x):
        check_positions(self, x, len(self.window))
        check_window(self, x, self.window, self.stride, self.pad)
        return meanpool(x, self.window, stride=self.stride, pad=self.pad)


class AdaptivePool:
    """What the adaptive pools have in common: the wanted number of places."""

    def __init__(self, out):
        self.out = tuple(out) if isinstance(out, tuple | list) else (out, out)
        each(self.out, len(self.out), f"{type(self).__name__}: out")

    def settings(self, x):
        """Window and stride: ``stride = n // out``, ``window = n - (out - 1) * stride``."""
        check_positions(self, x, len(self.out))
        sizes = x.shape[1:-1]
        if any(n < m for n, m in zip(sizes, self.out, strict=True)):
            refuse(self, x, f"it must have at least {self.out} positions")
        stride = tuple(n // m for n, m in zip(sizes, self.out, strict=True))
        parts = zip(sizes, self.out, stride, strict=True)
        return tuple(n - (m - 1) * s for n, m, s in parts), stride

    def __repr__(self):
        return call_repr(self, self.out)


@layer
class AdaptiveMaxPool(AdaptivePool):
    """The largest entries under a window that is chosen to give the wanted number of places.

    One window size serves all places, as in Flux.jl (PyTorch varies it where `out` does not divide
    the input).

    Args:
        out: how many places, one number an axis; an int `n` is `(n, n)`.

    Shapes: ``(B, H, W, C) -> (B, *out, C)``.
    Raises: ``ShapeError`` for another number of axes, or too few positions.

    >>> import numpy as np
    >>> AdaptiveMaxPool((3, 3))(np.ones((1, 10, 10, 2))).shape
    (1, 3, 3, 2)
    """

    def __call__(self, x):
        window, stride = self.settings(x)
        return maxpool(x, window, stride=stride)


@layer
class AdaptiveMeanPool(AdaptivePool):
    """The means under a window that is chosen to give the wanted number of places.

    Args, Shapes, Raises: as `AdaptiveMaxPool`.

    >>> import numpy as np
    >>> AdaptiveMeanPool((3, 3))(np.ones((1, 10, 10, 2))).shape
    (1, 3, 3, 2)
    """

    def __call__(self, x):
        window, stride = self.settings(x)
        return meanpool(x, window, stride=stride)


@layer
class GlobalMaxPool:
    """The largest entry of each channel over all positions.

    Shapes: ``(B, H, W, C) -> (B, 1, 1, C)``, with any number of axes between.

    >>> import numpy as np
    >>> GlobalMaxPool()(np.ones((2, 5, 5, 3))).shape
    (2, 1, 1, 3)
    """

    def __call__(self, x):
        return namespace(x).max(x, axis=tuple(range(1, x.ndim - 1)), keepdims=True)


@layer
class GlobalMeanPool:
    """The mean of each channel over all positions.

    Shapes: ``(B, H, W, C) -> (B, 1, 1, C)``, with any number of axes between.

    >>> import numpy as np
    >>> GlobalMeanPool()(np.ones((2, 5, 5, 3))).shape
    (2, 1, 1, 3)
    """

    def __call__(self, x):
        return namespace(x).mean(x, axis=tuple(range(1, x.ndim - 1)), keepdims=True)
