"""How a window moves over positions: strides, dilation, padding and the size of the result.

Shared by convolution and pooling. A setting is one number for all axes or a tuple with one each.
"""

from __future__ import annotations

from flux.ad import nograd

__all__ = ["Sizes", "each", "paddings", "result_size"]

Sizes = int | tuple[int, ...]


@nograd
def each(value, axes: int, name: str) -> tuple[int, ...]:
    """One number per axis, from one number or a tuple.

    >>> each(2, 3, "stride"), each((1, 2), 2, "stride")
    ((2, 2, 2), (1, 2))
    """
    values = (value,) * axes if isinstance(value, int) else tuple(value)
    if len(values) != axes or any(not isinstance(v, int) or v < 1 for v in values):
        raise ValueError(
            f"{name} is {value!r}: it must be a positive number, or {axes} of them, one an axis."
        )
    return values


@nograd
def paddings(pad, sizes, window, stride, dilation) -> tuple[tuple[int, int], ...]:
    """How many zeros to put before and after each axis.

    Args:
        pad: a number; one an axis; two an axis, `(before, after, before, after, ...)`; or `"same"`,
            with which the result has the length of the input divided by the stride, rounded up, and
            an odd zero stands after (as in XLA and Keras; in PyTorch for stride 1).
        sizes: lengths of the axes.
        window, stride, dilation: one number an axis.

    >>> paddings(1, (5, 5), (3, 3), (1, 1), (1, 1)), paddings("same", (5,), (2,), (1,), (1,))
    (((1, 1), (1, 1)), ((0, 1),))
    """
    axes = len(window)
    if isinstance(pad, str):
        if pad.lower() != "same":
            raise ValueError(f'pad is {pad!r}: the only word that it can be is "same".')
        totals = [
            max((-(-n // s) - 1) * s + d * (k - 1) + 1 - n, 0)
            for n, k, s, d in zip(sizes, window, stride, dilation, strict=True)
        ]
        return tuple((total // 2, total - total // 2) for total in totals)
    values = (pad,) * axes if isinstance(pad, int) else tuple(pad)
    if any(not isinstance(v, int) or v < 0 for v in values) or len(values) not in (axes, 2 * axes):
        raise ValueError(
            f"pad is {pad!r}: it must be a number not below 0, {axes} or {2 * axes} of them, or "
            '"same".'
        )
    if len(values) == axes:
        return tuple((v, v) for v in values)
    return tuple(zip(values[::2], values[1::2], strict=True))


@nograd
def result_size(size: int, window: int, stride: int, dilation: int, pad: tuple[int, int]) -> int:
    """How many places the window has along an axis.

    >>> result_size(5, 3, 2, 1, (0, 0))
    2
    """
    return (size + sum(pad) - dilation * (window - 1) - 1) // stride + 1
