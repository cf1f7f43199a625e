"""Tables of vectors that stand for things that are counted."""

from __future__ import annotations

import numpy as np

from flux.ad import nograd
from flux.functional import linear, lookup
from flux.functional.arrays import convert, dtype_name, kind_of, namespace, shape_of
from flux.functional.gather import add_rows
from flux.init import truncated_normal
from flux.layers.check import check_init, check_sizes, refuse
from flux.layers.layer import layer
from flux.layers.show import call_repr
from flux.random import generator

__all__ = ["Embedding", "EmbeddingBag"]

standard_normal = truncated_normal(lo=-np.inf, hi=np.inf)


@layer
class Embedding:
    """Look up a vector for each integer: row ``i`` of `weight` stands for ``i``.

    Args:
        n: how many things there are, counted from 0.
        dim: the length of their vectors.
        padding_idx: an index that stands for nothing: its vector is zero and stays so.
        init: initialiser of the table, the standard normal distribution by default.
        rng: seed or generator for the initialiser.

    Shapes: integers ``(...) -> (..., dim)``; one-hot rows ``(..., n) -> (..., dim)``.
    Raises: ``LabelError`` for an integer out of range (in a compiled program its vector is NaN);
        ``ShapeError`` for one-hot rows of another length.

    >>> Embedding(10, 4)(np.array([[1, 2, 3], [4, 5, 6]])).shape
    (2, 3, 4)
    """

    def __init__(self, n, dim, *, padding_idx=None, init=standard_normal, rng=None):
        check_sizes(type(self).__name__, n=n, dim=dim)
        check_init(type(self).__name__, init)
        self.weight = init((n, dim), rng=generator(rng))
        if padding_idx is not None:
            self.weight = self.weight.at[padding_idx].set(0)
        self.padding_idx = padding_idx

    def __call__(self, x):
        weight = self.weight
        if self.padding_idx is not None:
            weight = weight * _all_rows_but(self.padding_idx, weight)
        if _is_index(x):
            return lookup(weight, x)
        if shape_of(x)[-1:] != (weight.shape[0],):
            refuse(self, x, _expected(x, weight.shape[0]))
        return linear(convert(x, weight), weight)

    def __repr__(self):
        return call_repr(self, *self.weight.shape, padding_idx=self.padding_idx)


@layer
class EmbeddingBag:
    """Look up the vectors of bags of integers and reduce each bag to one vector.

    Args:
        n: how many things there are, counted from 0.
        dim: the length of their vectors.
        reduction: `"mean"`, `"sum"` or `"max"`; of an empty bag the first two are zero.
        init: initialiser of the table, the standard normal distribution by default.
        rng: seed or generator for the initialiser.

    Called with an array whose last axis is a bag, or with a flat array and the place in it where
    each bag starts.

    Shapes: ``(..., L) -> (..., dim)``, or ``(N,), (B,) -> (B, dim)``.
    Raises: ``LabelError`` for an integer out of range; ``ValueError`` for another reduction.

    >>> bag = EmbeddingBag(10, 4)
    >>> bag(np.array([[1, 2, 3], [4, 5, 6]])).shape, bag(np.arange(5), np.array([0, 2])).shape
    ((2, 4), (2, 4))
    """

    def __init__(self, n, dim, *, reduction="mean", init=standard_normal, rng=None):
        if reduction not in ("mean", "sum", "max"):
            raise ValueError(f"reduction is {reduction!r}: it must be mean, sum or max.")
        check_sizes(type(self).__name__, n=n, dim=dim)
        check_init(type(self).__name__, init)
        self.weight = init((n, dim), rng=generator(rng))
        self.reduction = reduction

    def __call__(self, x, starts=None):
        if starts is None:
            vectors = lookup(self.weight, x)
            return getattr(namespace(vectors), self.reduction)(vectors, axis=-2)
        bags, counts = _bags(x, starts)
        vectors = lookup(self.weight, x)
        if self.reduction == "max":
            return _largest(vectors, bags, counts.shape[0])
        total = add_rows(vectors, bags, (counts.shape[0], vectors.shape[-1]))
        return total if self.reduction == "sum" else total / counts

    def __repr__(self):
        return call_repr(self, *self.weight.shape, reduction=self.reduction)


@nograd
def _is_index(x) -> bool:
    return getattr(x, "dtype", None) is None or kind_of(x) in "iu"


@nograd
def _expected(x, n) -> str:
    return f"of dtype {x.dtype} it must be one-hot rows of length {n}; an index is an integer"


@nograd
def _all_rows_but(row, weight):
    keep = np.ones((weight.shape[0], 1), dtype_name(weight))
    keep[row] = 0
    return namespace(weight).asarray(keep)


@nograd
def _bags(x, starts):
    """Which bag each entry is in, and how many each has (at least 1, to divide by)."""
    xp = namespace(x, starts)
    places = xp.arange(shape_of(x)[0])
    bags = xp.searchsorted(xp.asarray(starts), places, side="right") - 1
    ends = xp.concatenate([xp.asarray(starts)[1:], xp.asarray([shape_of(x)[0]])])
    return bags, xp.maximum(ends - xp.asarray(starts), 1)[:, None]


def _largest(vectors, bags, count):
    xp = namespace(vectors, bags)
    inside = bags[None, :, None] == xp.arange(count)[:, None, None]
    return xp.max(xp.where(inside, vectors[None, ...], -xp.inf), axis=1)
