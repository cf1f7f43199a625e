"""NumPy's functions for PyTorch's tensors: where PyTorch departs from the standard."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch

from flux.ad import nograd
from flux.functional.standard import Standard

__all__ = ["PyTorch"]


class PyTorch(Standard):
    """The functions of PyTorch, for tensors on one device, under NumPy's names."""

    def __init__(self, library, device):
        super().__init__(library, device)
        self.__name__ = "PyTorch"

    @nograd
    def kind(self, dtype) -> str:
        if dtype.is_floating_point or dtype.is_complex:
            return "f" if dtype.is_floating_point else "c"
        return "b" if dtype is torch.bool else "i"

    @nograd
    def is_own(self, x) -> bool:
        return isinstance(x, torch.Tensor)

    @nograd
    def to_numpy(self, x) -> np.ndarray:
        return x.detach().cpu().numpy()

    def asarray(self, x, dtype=None):
        if self.is_own(x):
            return x if dtype is None else self.astype(x, dtype)
        # a copy: a tensor must not share memory that NumPy writes into, or that is read-only
        return torch.tensor(_copied(x), dtype=self.dtype(dtype), device=self.device)

    def astype(self, x, dtype):
        return x.to(self.dtype(dtype))

    def erf(self, x):
        return torch.erf(x)

    def max(self, x, axis=None, keepdims=False):
        return torch.amax(x, dim=() if axis is None else axis, keepdim=keepdims)

    def sum(self, x, axis=None, keepdims=False):
        return torch.sum(x, dim=axis, keepdim=keepdims)

    def mean(self, x, axis=None, keepdims=False):
        return torch.mean(x, dim=axis, keepdim=keepdims)

    @nograd
    def any(self, x, axis=None, keepdims=False):
        return torch.any(x) if axis is None else torch.any(x, dim=axis, keepdim=keepdims)

    @nograd
    def argmax(self, x, axis=None):
        return torch.argmax(x, dim=axis)

    def transpose(self, x, axes):
        return torch.permute(x, axes)

    def concatenate(self, parts, axis=0):
        return torch.concat(parts, dim=axis)

    def stack(self, parts, axis=0):
        return torch.stack(parts, dim=axis)

    def flip(self, x, axis=None):
        axes = tuple(range(x.ndim)) if axis is None else axis
        return torch.flip(x, axes if isinstance(axes, tuple) else (axes,))

    def tensordot(self, a, b, axes):
        dims: Any = tuple([(n,) for n in axes])
        return torch.tensordot(a, b, dims=dims)

    def take_along_axis(self, x, index, axis):
        return torch.take_along_dim(x, self.asarray(index, "int64"), axis)

    def rows(self, table, index):
        return table[self.asarray(index, "int64")]

    def add_rows(self, rows, index, shape):
        index = torch.flatten(self.asarray(index, "int64"))
        rows = torch.reshape(rows, (-1, *shape[1:]))
        return torch.index_add(self.zeros(shape, rows.dtype), 0, index, rows)

    def largest_rows(self, rows, index, shape):
        rows = torch.reshape(rows, (-1, *shape[1:]))
        index = torch.reshape(self.asarray(index, "int64"), (-1, *[1] * (rows.ndim - 1)))
        bins = self.full(shape, -math.inf, rows.dtype)
        return torch.scatter_reduce(bins, 0, index.expand(rows.shape), rows, "amax")


@nograd
def _copied(x):
    return x if isinstance(x, bool | int | float | complex) else np.array(x)
