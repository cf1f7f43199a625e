"""Where images become features: PyTorch flattens channels first, layers here channels last.

With `C` channels and `P` positions, feature ``c * P + p`` there is ``p * C + c`` here. The layers
of a `Chain` are followed from one to the next; what cannot be followed is asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from flux import functional, layers as ours
from flux.errors import ArgumentError, ShapeError, did_you_mean, user_line
from flux.functional import activations, rectifiers
from flux.io.pytorch.layers import Field, Unit

__all__ = ["Images", "reorder"]

CONVOLUTIONS = (ours.Conv, ours.ConvTranspose)
BY_FEATURE = (ours.BatchNorm, ours.LayerNorm, ours.RMSNorm, ours.Scale)
KEEPING = (
    *BY_FEATURE, ours.InstanceNorm, ours.GroupNorm, ours.MaxPool, ours.MeanPool,
    ours.AdaptiveMaxPool, ours.AdaptiveMeanPool, ours.Dropout, ours.AlphaDropout, ours.Upsample,
)  # fmt: skip
GLOBAL = (ours.GlobalMaxPool, ours.GlobalMeanPool)
OVER_TIME = (ours.RNN, ours.LSTM, ours.GRU, ours.GRUv3, ours.Bidirectional, ours.Recurrence)
ELEMENTWISE = {
    vars(functional)[name]
    for module in (activations, rectifiers)
    for name in module.__all__
    if name != "glu"
} | {functional.softmax, functional.logsoftmax}  # fmt: skip


@dataclass
class Order:
    """How the features of a layer are reordered: by the channels of what it reads and returns."""

    reads: int | None = None
    writes: int | None = None
    features: int | None = None


@dataclass
class Flat:
    """What goes from layer to layer in a `Chain`.

    Attributes:
        kind: "image" with channels last, "flat" after `Flatten`, "vector" without positions,
            "features" of a layer that PyTorch has channels last too, or "unknown".
        channels: of the image.
    """

    kind: str
    channels: int = 0


class Images:
    """What is known of the layers of a model that read or return flattened images.

    Attributes:
        orders: by the identity of a layer, what is reordered in it.
        doubts: what has to be said by the caller, in the words of a message.
    """

    def __init__(self, model, units: list[Unit], flatten, unflatten):
        self.orders: dict[int, Order] = {}
        self.doubts: list[str] = []
        self.sure: set[int] = set()  # layers whose input is known
        self.open: list[Any] = []  # layers whose result may yet become an image
        self.lost: set[int] = set()  # layers whose result went where it cannot be followed
        if not any(_of_images(unit) for unit in units):
            return
        self.images_first(units)
        dense = {unit.place: _inner(unit.layer) for unit in units}
        dense = {place: part for place, part in dense.items() if isinstance(part, ours.Dense)}
        if flatten is not None or unflatten is not None:
            self.say(dense, flatten or {}, unflatten or {})
            return
        if isinstance(model, ours.Chain):
            self.follow(model, Flat("vector"))
        self.ask(dense)

    def of(self, unit: Unit) -> Order:
        return self.orders.get(id(_inner(unit.layer)), Order())

    def say(self, dense: dict[str, Any], flatten: Mapping[str, int], unflatten) -> None:
        """Take what the caller says."""
        for word, given in (("reads", flatten), ("writes", unflatten)):
            for place, channels in given.items():
                name = "flatten" if word == "reads" else "unflatten"
                if place not in dense:
                    raise ArgumentError(
                        f"load_torch got {name} for {place!r}, where no Dense layer is"
                        f"{did_you_mean(place, dense)}.",
                        where=user_line(),
                    )
                size = dense[place].weight.shape[word == "writes"]
                if not isinstance(channels, int) or channels < 1 or size % channels:
                    raise ArgumentError(
                        f"load_torch got {name}={{{place!r}: {channels!r}}}: the number of "
                        f"channels must divide the {size} features.",
                        where=user_line(),
                    )
                setattr(self.orders.setdefault(id(dense[place]), Order()), word, channels)

    def ask(self, dense: dict[str, Any]) -> None:
        """Ask about the layers that could not be followed."""
        unknown = [p for p, part in dense.items() if id(part) not in self.sure]
        unknown += [p for p, part in dense.items() if id(part) in self.lost and p not in unknown]
        if unknown:
            listed = ", ".join(f"`{place}`" for place in unknown[:4])
            listed += f" and {len(unknown) - 4} more" if len(unknown) > 4 else ""
            self.doubts.append(
                f"there are convolutions, and it cannot be seen whether {listed} "
                f"read{'s' * (len(unknown) == 1)} a flattened image or return"
                f"{'s' * (len(unknown) == 1)} what becomes one; say flatten={{}} if not, and "
                f"otherwise the channels, as flatten={{{unknown[0]!r}: 16}} or unflatten=..."
            )

    def images_first(self, units: list[Unit]) -> None:
        """Norms over whole images: PyTorch's have their channels first."""
        for unit in units:
            if not isinstance(unit.layer, ours.LayerNorm) or len(unit.layer.size) < 2:
                continue
            size = unit.layer.size
            if len(set(size)) == 1:
                self.doubts.append(
                    f"{unit.text} has axes of one length, so that it cannot be seen which of "
                    "PyTorch's are the channels; assign its arrays yourself and leave it out"
                )
            for field in unit.fields:
                field.shape, field.make = (size[-1], *size[:-1]), _channels_last

    def follow(self, chain, flow: Flat) -> Flat:
        """What a chain makes of what goes into it."""
        for part in chain.layers:
            flow = (
                self.follow(part, flow) if isinstance(part, ours.Chain) else self.step(part, flow)
            )
        return flow

    def step(self, part, flow: Flat) -> Flat:
        """What a layer makes of what goes into it."""
        part = _inner(part)
        if isinstance(part, ours.Dense):
            return self.dense(part, flow)
        if isinstance(part, CONVOLUTIONS):
            self.open = []
            weight, turned = part.weight, isinstance(part, ours.ConvTranspose)
            return Flat("image", weight.shape[-2] * part.groups if turned else weight.shape[-1])
        if isinstance(part, ours.Flatten):
            return {"image": Flat("flat", flow.channels), "features": Flat("unknown")}.get(
                flow.kind, flow
            )
        if isinstance(part, KEEPING) or _elementwise(part):
            if flow.kind == "flat" and isinstance(part, BY_FEATURE):
                self.orders[id(part)] = Order(features=flow.channels)
            known = flow.kind != "flat" or not isinstance(part, ours.GroupNorm | ours.InstanceNorm)
            return flow if known else Flat("unknown")
        if isinstance(part, GLOBAL):
            return Flat("vector")
        if isinstance(part, OVER_TIME):
            self.open = []
            return Flat("features")
        self.lost.update(id(layer) for layer in self.open)
        self.open = []
        return Flat("unknown")

    def dense(self, part, flow: Flat) -> Flat:
        self.open = [part]
        if flow.kind != "unknown":
            self.sure.add(id(part))
        if flow.kind == "flat":
            self.orders[id(part)] = Order(reads=flow.channels)
        return Flat("vector" if flow.kind in ("flat", "vector") else "features")


def _channels_last(weight: np.ndarray) -> np.ndarray:
    return np.moveaxis(weight, 0, -1)


def _inner(part):
    """The layer that `WeightNorm` is around."""
    return part.layer if isinstance(part, ours.WeightNorm) else part


def _of_images(unit: Unit) -> bool:
    """Is it a convolution, or of an unknown class with a weight like one?"""
    known = isinstance(_inner(unit.layer), CONVOLUTIONS)
    return known or any(field.raw and len(field.shape) > 3 for field in unit.fields)


def _elementwise(part) -> bool:
    try:
        return part in ELEMENTWISE or getattr(part, "__module__", "") == "jax._src.nn.functions"
    except TypeError:  # it has no hash
        return False


def reorder(array: np.ndarray, order: Order, field: Field) -> np.ndarray:
    """An array of a layer, its features in the order here."""
    if order.features:
        return _turned(array, -1, order.features)
    if order.reads and field.names[0] in ("weight", "weight_v"):
        array = _turned(array, 0, order.reads)
    return _turned(array, -1, order.writes) if order.writes else array


def _turned(array: np.ndarray, axis: int, channels: int) -> np.ndarray:
    """Exchange the roles of channels and positions along an axis.

    >>> _turned(np.array([0, 1, 2, 10, 11, 12]), 0, 2).tolist()
    [0, 10, 1, 11, 2, 12]
    """
    front = np.moveaxis(array, axis, 0)
    if len(front) % channels:
        raise ShapeError(
            f"load_torch found {len(front)} features that an image of {channels} channels cannot "
            "be flattened into.",
            where=user_line(),
        )
    parts = front.reshape((channels, -1, *front.shape[1:])).swapaxes(0, 1)
    return np.moveaxis(parts.reshape(front.shape), 0, axis)
