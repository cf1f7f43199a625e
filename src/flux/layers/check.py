"""Check what a layer is given; a misfit is told with the layer's place in the model."""

from __future__ import annotations

import sys
from types import FrameType

from flux.ad import nograd
from flux.errors import ArgumentError, ShapeError, brief, check_integer, user_line
from flux.functional.window import each, paddings, result_size
from flux.layers.parts import children
from flux.layers.show import label

__all__ = [
    "check_activation", "check_function", "check_init", "check_positions", "check_sizes",
    "check_width", "check_window", "place", "refuse",
]  # fmt: skip

_MECHANISM = ("flux.ad", "flux.compiler", "flux.ir", "flux.train", "jax")


@nograd
def check_width(layer, x, width: int) -> None:
    """Raise `ShapeError` unless the last axis of `x` has the length `width`."""
    if len(x.shape) == 0 or x.shape[-1] != width:
        refuse(layer, x, f"its last axis must be {width}")


@nograd
def check_positions(layer, x, axes: int) -> None:
    """Raise `ShapeError` unless `x` has examples, `axes` axes of positions, and channels."""
    if len(x.shape) == axes + 2:
        return
    names = ", ".join(("D", "H", "W")[3 - axes :]) if axes > 1 else "T"
    alone = len(x.shape) == axes + 1
    refuse(
        layer,
        x,
        f"it must have {axes + 2} axes, (B, {names}, C)",
        "Add the axis that is missing: x[None] of examples, or x[..., None] of one channel."
        if alone
        else None,
    )


@nograd
def refuse(layer, x, expected: str, hint: str | None = None, what: str = "an input") -> None:
    """Raise `ShapeError` for `x`, an array or a shape, that `layer` got: who, given, expected."""
    where = place(layer)
    who = f"{label(layer)}{where}," if where else label(layer)
    shape = x if isinstance(x, tuple) else tuple(x.shape)
    raise ShapeError(
        f"{who} got {what} of shape {shape}: {expected}.", where=user_line(), hint=hint
    )


def place(layer) -> str:
    """Where in a running model a layer stands: `, layers[1] of Chain, layers[0] of Chain`.

    The callers' frames are asked: an object there that holds the layer is the one that runs it. So
    nothing has to be recorded while a model runs, and a layer needs no name.
    """
    found = ""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        for owner in list(frame.f_locals.values()):
            where = None if owner is layer else _position(owner, layer)
            if where is not None:
                found += f", {where} of {type(owner).__name__}"
                layer = owner
                break
        frame = frame.f_back
    return found


def _position(owner, layer) -> str | None:
    kind = type(owner)
    if not callable(owner) or isinstance(owner, type) or kind.__module__.startswith(_MECHANISM):
        return None
    for name, part in children(owner):
        if part is layer:
            return f"`{name}`"
        if isinstance(part, list | tuple | dict):
            for key, item in children(part):
                if item is layer:
                    return f"`{name}[{key!r}]`"
    return None


def check_function(value, layer: str, name: str, hint: str | None = None):
    """`value`, if it can be called.

    Raises: `ArgumentError` naming the layer and the argument, if it cannot: a name in quotes, a
        wrong order.
    """
    if not callable(value):
        raise ArgumentError(
            f"{layer} expected a function as {name}, and got {brief(value)}.",
            where=user_line(),
            hint=hint,
        )
    return value


def check_activation(activation, layer: str):
    """`activation`, if it can be called; `ArgumentError` naming the layer if not."""
    hint = "Pass the function itself, such as flux.relu, after the sizes."
    return check_function(activation, layer, "activation", hint)


def check_init(layer: str, init) -> None:
    """Raise `ArgumentError` for an initialiser that is none, such as its name in quotes."""
    hint = "Pass the function itself, such as flux.init.kaiming_normal."
    check_function(init, layer, "init", hint)


@nograd
def check_sizes(layer: str, least: int = 0, **sizes) -> None:
    """Raise `ArgumentError` naming the layer and the argument, unless each is a whole number."""
    for name, size in sizes.items():
        check_integer(layer, name, size, least)


@nograd
def check_window(layer, x, window, stride, pad, dilation=1) -> None:
    """Raise `ShapeError` unless a window fits at least once into the padded positions of `x`."""
    axes, sizes = len(window), tuple(x.shape[1:-1])
    stride = window if stride is None else each(stride, axes, "stride")
    dilation = each(dilation, axes, "dilation")
    pads = paddings(pad, sizes, window, stride, dilation)
    if min(map(result_size, sizes, window, stride, dilation, pads)) < 1:
        refuse(layer, x, f"its positions, with the padding, must hold the window {tuple(window)}")
