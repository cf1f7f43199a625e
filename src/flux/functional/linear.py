"""The linear map of a dense layer, with its adjoint."""

from __future__ import annotations

from flux.ad import rule
from flux.functional.arrays import namespace, reshape

__all__ = ["linear"]


def linear(x, weight, bias=None, /):
    """Multiply the last axis by a matrix and add a bias: ``x @ weight + bias``.

    All leading axes are joined before the product, which one matrix product then covers: XLA runs
    it, and above all the gradient of the weight, faster than a product over several axes.

    Args:
        x: features in the last axis.
        weight: the matrix.
        bias: a vector that is added to each row, or `None`.

    Shapes: ``(..., n_in), (n_in, n_out), (n_out,) -> (..., n_out)``.
    Dtypes: as the operands; Flux's layers bring them to the dtype of the weight.

    >>> import numpy as np
    >>> linear(np.ones((5, 2, 3)), np.ones((3, 4)), np.ones(4)).shape
    (5, 2, 4)
    """
    namespace(x, weight, bias)  # refuses a mixture
    y = _rows(x) @ weight
    if bias is not None:
        y = y + bias
    return y if x.ndim == 2 else reshape(y, (*x.shape[:-1], weight.shape[1]))


def _rows(x):
    return x if x.ndim == 2 else reshape(x, (-1, x.shape[-1]))


@rule(linear)
def _linear_rule(x, weight, *bias):
    def back(ct):
        ct = _rows(ct)
        to_x = ct @ weight.T
        grads = to_x if x.ndim == 2 else reshape(to_x, x.shape), _rows(x).T @ ct
        if not bias:
            return grads
        return *grads, None if bias[0] is None else namespace(ct).sum(ct, axis=0)

    return linear(x, weight, *bias), back
