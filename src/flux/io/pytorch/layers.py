"""The layers of a model with the arrays that PyTorch's layer of the same kind has.

One function a kind of layer says which arrays of PyTorch's make each of ours, of which shapes they
are there, and how they are turned into ours. A class that is not in the table is taken as it is:
its arrays have the same names, shapes and layout there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np

from flux import layers as ours
from flux.io.structure import is_array
from flux.layers.container import Container
from flux.layers.show import label
from flux.random import RandomState
from flux.tree.walk import children, spelled

__all__ = ["Field", "Unit", "units_of"]

DROPPED = {"layers", "cells", "cell", "layer"}
"""Attributes that hold layers and have no counterpart in the names of PyTorch's modules."""


@dataclass(eq=False)
class Field:
    """One array of ours.

    Attributes:
        array: what stands there now.
        names: the arrays of PyTorch's that it is made of.
        shape: their shape.
        make: gives the new numbers, in our layout, from theirs.
        raw: whether our layout is only supposed to be theirs.
    """

    array: Any
    names: tuple[str, ...]
    shape: tuple[int, ...]
    make: Callable[..., np.ndarray] = np.array
    raw: bool = False


@dataclass(eq=False)
class Unit:
    """A layer that holds arrays itself.

    Attributes:
        path: where it is, as PyTorch would have it: without the names of our containers.
        place: where it is, as Python spells it.
        layer: the layer.
        fields: its arrays.
    """

    path: tuple[Any, ...]
    place: str
    layer: Any
    fields: list[Field]

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shapes that PyTorch's arrays must have, by name."""
        return {name: field.shape for field in self.fields for name in field.names}

    @property
    def text(self) -> str:
        what = "" if isinstance(self.layer, dict | list | tuple) else f"{label(self.layer)}, "
        return f"{what}`{self.place}`" if self.place else what[:-2] or "the model"


def units_of(model) -> list[Unit]:
    """The layers of a model that hold arrays of numbers, in the order of the tree.

    >>> model = ours.Chain(ours.Dense(2, 3), abs, head=ours.Dense(3, 1))
    >>> [(unit.path, unit.place) for unit in units_of(model)]
    [((0,), 'layers[0]'), (('head',), 'layers[2]')]
    """
    return list(_visit(model, (), (), set()))


def _visit(value, path, place, seen: set[int]) -> Iterator[Unit]:
    if id(value) in seen or is_array(value) or isinstance(value, SKIPPED):
        return
    seen.add(id(value))
    fields = _known(value)
    claimed = {id(field.array) for field in fields}
    own = [(key, part) for _, key, part in children(value) or [] if id(part) not in claimed]
    fields += [_raw(str(key), part) for key, part in own if _is_weight(part)]
    if fields:
        yield Unit(path, spelled(place), value, fields)
    if isinstance(value, ours.WeightNorm):
        seen.add(id(value.layer))
    for key, part in own:
        if isinstance(value, Container) and key == "layers":
            for i, inner in enumerate(value.layers):
                yield from _visit(inner, (*path, value.names[i] or i), (*place, key, i), seen)
        else:
            yield from _visit(part, path if key in DROPPED else (*path, key), (*place, key), seen)


def _is_weight(value) -> bool:
    return is_array(value) and jnp.issubdtype(value.dtype, np.inexact)


def _raw(name: str, array) -> Field:
    return Field(array, (name,), np.shape(array), raw=True)


def _known(layer) -> list[Field]:
    """The arrays of a layer that PyTorch has, too; none for a class that is not in the table."""
    for kind, describe in TABLE.items():
        if isinstance(layer, kind):
            return [field for field in describe(layer) if field.array is not None]
    return []


# -- one function a kind of layer ------------------------------------------------------------------


def _dense(layer) -> list[Field]:
    weight = Field(layer.weight, ("weight",), layer.weight.shape[::-1], np.transpose)
    return [weight, *_same(layer, bias="bias")]


def _conv(layer) -> list[Field]:
    *kernel, inner, outer = layer.weight.shape
    weight = Field(layer.weight, ("weight",), (outer, inner, *kernel), _channels_last)
    return [weight, *_same(layer, bias="bias")]


def _channels_last(weight: np.ndarray) -> np.ndarray:
    return np.transpose(weight, (*range(2, weight.ndim), 1, 0))


def _bilinear(layer) -> list[Field]:
    n_1, n_2, n_out = layer.weight.shape
    weight = Field(layer.weight, ("weight",), (n_out, n_1, n_2), _last_first)
    return [weight, *_same(layer, bias="bias")]


def _last_first(weight: np.ndarray) -> np.ndarray:
    return np.moveaxis(weight, 0, -1)


def _running(layer) -> list[Field]:
    names = {"scale": "weight", "shift": "bias", "mean": "running_mean", "var": "running_var"}
    return _same(layer, **names)


def _affine(layer) -> list[Field]:
    return _same(layer, scale="weight", shift="bias")


def _rms(layer) -> list[Field]:
    return _same(layer, scale="weight")


def _table(layer) -> list[Field]:
    return _same(layer, weight="weight")


def _same(layer, **names: str) -> list[Field]:
    """Arrays that have another name in PyTorch and the same layout."""
    arrays = [(getattr(layer, own), name) for own, name in names.items()]
    return [Field(a, (name,), np.shape(a)) for a, name in arrays if a is not None]


def _cell(cell) -> list[Field]:
    fields = [
        Field(cell.weight, ("weight_ih",), cell.weight.shape[::-1], np.transpose),
        Field(cell.recurrent, ("weight_hh",), cell.recurrent.shape[::-1], np.transpose),
    ]
    if cell.bias is not None:
        fields.append(Field(cell.bias, ("bias_ih", "bias_hh"), cell.bias.shape, np.add))
    return fields


def _gru(cell) -> list[Field]:
    fields = _cell(cell)
    if cell.bias is not None and cell.recurrent_bias is not None:
        size = cell.recurrent_bias.shape[0]
        fields[-1].make = _gru_gates
        shape = (3 * size,)
        fields.append(Field(cell.recurrent_bias, ("bias_hh",), shape, lambda outer: outer[-size:]))
    elif cell.bias is not None:
        fields[-1].make = _gru_bias
    return fields


def _gru_gates(inner: np.ndarray, outer: np.ndarray) -> np.ndarray:
    """The bias that acts before the gates; that of the candidate's other part stays apart."""
    gates = 2 * len(inner) // 3
    return np.concatenate([inner[:gates] + outer[:gates], inner[gates:]])


def _gru_bias(inner: np.ndarray, outer: np.ndarray) -> np.ndarray:
    """The bias of a `GRUCell`, whose reset gate is not applied to a bias of the candidate."""
    gates = 2 * len(inner) // 3
    if outer[gates:].any():
        raise ValueError("the second bias of the candidate is not zero; recurrent_bias=True has it")
    return inner + outer


def _weightnorm(layer) -> list[Field]:
    """The fields of the layer inside, its weight as a direction, and the lengths."""
    fields = []
    for field in _known(layer.layer):
        if field.array is getattr(layer.layer, layer.name) and len(field.names) == 1:
            name = field.names[0]
            probe = np.empty(range(1, field.array.ndim + 1), bool)
            sizes = zip(field.make(probe).shape, layer.scale.shape, strict=True)
            theirs = tuple(size for _, size in sorted(sizes))
            fields.append(Field(layer.scale, (f"{name}_g",), theirs, field.make))
            field.names = (f"{name}_v",)
        fields.append(field)
    return fields


SKIPPED = (RandomState, ours.KeyValueCache)
TABLE: dict[Any, Callable[[Any], list[Field]]] = {
    ours.Dense: _dense,
    ours.Conv: _conv,
    ours.ConvTranspose: _conv,
    ours.Bilinear: _bilinear,
    ours.BatchNorm: _running,
    ours.InstanceNorm: _running,
    ours.LayerNorm: _affine,
    ours.GroupNorm: _affine,
    ours.RMSNorm: _rms,
    ours.Embedding: _table,
    ours.EmbeddingBag: _table,
    ours.RNNCell: _cell,
    ours.LSTMCell: _cell,
    ours.GRUCell: _gru,
    ours.WeightNorm: _weightnorm,
}
