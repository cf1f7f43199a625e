"""How a window moves over positions: strides, dilation, padding and the size of the result.

Shared by convolution and pooling. A setting is one number for all axes or a tuple with one each.
"""

from __future__ import annotations

from flux.ad import nograd
from flux.errors import ArgumentError, ShapeError, brief, user_line

__all__ = ["Sizes", "each", "paddings", "places_of", "result_size"]

Sizes = int | tuple[int, ...]


@nograd
def each(value, axes: int, name: str) -> tuple[int, ...]:
    """One number per axis, from one number or a tuple.

    >>> each(2, 3, "stride"), each((1, 2), 2, "stride")
    ((2, 2, 2), (1, 2))
    """
    values = tuple(value) if isinstance(value, tuple | list) else (value,) * axes
    if len(values) != axes or any(not is_whole(v) or v < 1 for v in values):
        raise ArgumentError(
            f"{name} is {brief(value)}: it must be a positive integer, or {axes} of them, one an "
            "axis.",
            where=user_line(),
        )
    return values


@nograd
def paddings(pad, sizes, window, stride, dilation, name="pad") -> tuple[tuple[int, int], ...]:
    """How many zeros to put before and after each axis.

    Args:
        pad: a number; one an axis; two an axis, `(before, after, before, after, ...)`; or `"same"`,
            with which the result has the length of the input divided by the stride, rounded up, and
            an odd zero stands after (as in XLA and Keras; in PyTorch for stride 1).
        sizes: lengths of the axes.
        window, stride, dilation: one number an axis.
        name: what a message calls it.

    >>> paddings(1, (5, 5), (3, 3), (1, 1), (1, 1)), paddings("same", (5,), (2,), (1,), (1,))
    (((1, 1), (1, 1)), ((0, 1),))
    """
    axes = len(window)
    if isinstance(pad, str):
        if pad.lower() != "same":
            raise ArgumentError(
                f'{name} is {pad!r}: the only word that it can be is "same".', where=user_line()
            )
        totals = [
            max((-(-n // s) - 1) * s + d * (k - 1) + 1 - n, 0)
            for n, k, s, d in zip(sizes, window, stride, dilation, strict=True)
        ]
        return tuple((total // 2, total - total // 2) for total in totals)
    values = tuple(pad) if isinstance(pad, tuple | list) else (pad,) * axes
    if any(not is_whole(v) or v < 0 for v in values) or len(values) not in (axes, 2 * axes):
        raise ArgumentError(
            f"{name} is {brief(pad)}: it must be an integer not below 0, {axes} or {2 * axes} of "
            'them, or "same".',
            where=user_line(),
        )
    if len(values) == axes:
        return tuple((v, v) for v in values)
    return tuple(zip(values[::2], values[1::2], strict=True))


@nograd
def is_whole(value) -> bool:
    return hasattr(value, "__index__") and not isinstance(value, bool)


@nograd
def result_size(size: int, window: int, stride: int, dilation: int, pad: tuple[int, int]) -> int:
    """How many places the window has along an axis.

    >>> result_size(5, 3, 2, 1, (0, 0))
    2
    """
    return (size + sum(pad) - dilation * (window - 1) - 1) // stride + 1


@nograd
def places_of(sizes, window, stride, dilation, pads) -> tuple[int, ...]:
    """How many places the window has along each axis.

    Raises: ``ShapeError`` if there is none: the window is larger than the padded positions.

    >>> places_of((5, 4), (3, 2), (1, 2), (1, 1), ((0, 0), (0, 0)))
    (3, 2)
    """
    places = tuple(map(result_size, sizes, window, stride, dilation, pads))
    if min(places, default=1) < 1:
        raise ShapeError(
            f"a window of {tuple(window)} does not fit into positions of {tuple(sizes)} with the "
            f"padding {tuple(pads)}.",
            where=user_line(),
        )
    return places
