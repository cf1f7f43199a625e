"""All parameters of a model as one vector, and back."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from flux.ad import nograd
from flux.errors import ShapeError, user_line
from flux.functional.arrays import namespace
from flux.models.rebuild import Slot, constant_copy, rebuild, slot_of
from flux.optim.parameters import parameters
from flux.tree.walk import at_path

__all__ = ["Rebuild", "destructure"]


def destructure(model) -> tuple[Any, Rebuild]:
    """The parameters of `model` as one vector, and the function from vectors to models.

    Args:
        model: any model; it does not change, and later changes of it do not matter.

    Returns:
        `(flat, rebuild)`: `flat` holds the parameters in the order of `flux.trainables`, and
        `rebuild(flat)` is a new model with the parameters of a vector, in their own shapes and
        dtypes. What is no parameter, such as running statistics, it has from `model`. Both can be
        differentiated, compiled, and used with `jax.grad` and `jax.jit`.

    Shapes: `flat` is `(n,)` for `n` parameters in all.
    Dtypes: `flat` has the widest dtype of the parameters.
    Raises: `ShapeError` from `rebuild` for a vector of another length.

    >>> import flux, numpy as np
    >>> flat, rebuild = destructure({"w": np.array([[1.0, 2.0]]), "b": np.array(3.0)})
    >>> flat, rebuild(10 * flat)
    (array([1., 2., 3.]), {'w': array([[10., 20.]]), 'b': array(30.)})
    >>> flux.gradient(lambda v: (rebuild(v)["w"] ** 2).sum(), flat)
    (array([2., 4., 0.]),)
    """
    pieces = pieces_of(model)
    arrays = [at_path(model, piece.slot.paths[0]) for piece in pieces]
    xp = namespace(*arrays)
    flat = xp.concatenate([xp.reshape(a, (-1,)) for a in arrays]) if arrays else np.zeros(0)
    return flat, Rebuild(constant_copy(model), pieces)


class Piece(NamedTuple):
    """A parameter of a model, and the part of the vector that holds it."""

    slot: Slot
    start: int
    stop: int
    shape: tuple[int, ...]
    dtype: Any


@nograd
def pieces_of(model) -> tuple[Piece, ...]:
    found = parameters(model)
    ends = np.cumsum([p.value.size for p in found]).tolist()
    starts = [0, *ends[:-1]]
    return tuple(
        [
            Piece(slot_of(p.places), start, stop, p.value.shape, p.value.dtype)
            for p, start, stop in zip(found, starts, ends, strict=False)
        ]
    )


class Rebuild:
    """From a vector to a model.

    Attributes:
        model: what the new models are copies of.
        pieces: where each parameter is in the vector.
    """

    def __init__(self, model, pieces: tuple[Piece, ...]):
        self.model, self.pieces = model, pieces

    def __call__(self, flat) -> Any:
        count = self.pieces[-1].stop if self.pieces else 0
        check_length(flat, count)
        arrays = [as_piece(flat[p.start : p.stop], p) for p in self.pieces]
        return rebuild(self.model, tuple([p.slot for p in self.pieces]), tuple(arrays))

    def __repr__(self):
        count = self.pieces[-1].stop if self.pieces else 0
        return f"Rebuild({type(self.model).__name__} of {count:,} parameters)"


def as_piece(part, piece: Piece):
    """A part of a vector, in the shape and dtype of a parameter."""
    if is_complex(part.dtype) and not is_complex(piece.dtype):
        part = part.real
    part = part.reshape(piece.shape)
    return part if part.dtype == piece.dtype else part.astype(piece.dtype)


@nograd
def is_complex(dtype) -> bool:
    return np.dtype(dtype).kind == "c"


@nograd
def check_length(flat, count: int) -> None:
    shape = getattr(flat, "shape", None)
    if shape != (count,):
        given = type(flat).__name__ if shape is None else f"an array of shape {shape}"
        raise ShapeError(
            f"rebuild expected a vector of shape ({count},), and got {given}.",
            where=user_line(),
            hint="It is for vectors such as the one that flux.destructure returned with it.",
        )
