"""Cotangents of a matrix that a program multiplies by again and again: factors are collected.

Each `x @ w` of a loop contributes `x.T @ ct` to the cotangent of `w`. Several of these are one
product of longer matrices, which costs less than one product each and the sums between them.
"""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy import ndarray

from flux.ad.indexed import LAZY
from flux.ad.registry import AUGMENTED
from flux.ad.runtime import call
from flux.rules.operators import FACTORS, WHOLE, matmul_left, matmul_right

__all__ = ["Products"]

MOST = 3 << 19
"""The bytes that the factors of one sum may hold; at most `TIMES` those of the sum itself."""
TIMES = 8


class Products:
    """The sum of products `a.T @ b`, where a vector is a matrix of one row.

    Attributes:
        pairs: `(a, b, pairs before)`; of one dtype, with as many columns each.
        total: an array that is added to the products, or `None`.
        size: the bytes of all factors.
    """

    __slots__ = ("pairs", "size", "total")

    def __init__(self, pairs: tuple, size: int, total=None):
        self.pairs, self.size, self.total = pairs, size, total

    def plus(self, other):
        """The sum with another cotangent of the same matrix; no array is touched."""
        if type(other) is not Products:
            other = other.dense() if type(other) in LAZY else other
            total = other if self.total is None else self.total + other
            return Products(self.pairs, self.size, total)
        one, many = (other, self) if other.pairs[2] is None else (self, other)
        a, b, before = one.pairs
        size = one.size + many.size
        if before is not None or size > min(MOST, TIMES * a.itemsize * a.shape[-1] * b.shape[-1]):
            return one.plus(many.dense())
        total = one.total if many.total is None else many.total
        if one.total is not None and many.total is not None:
            total = one.total + many.total
        return Products((a, b, many.pairs), size, total)

    def dense(self):
        """The sum as one array, which is nobody else's."""
        a, b, before = self.pairs
        if before is not None:
            lefts, rights = [rows(a)], [rows(b)]
            while before is not None:
                a, b, before = before
                lefts.append(rows(a))
                rights.append(rows(b))
            a, b = np.concatenate(lefts), np.concatenate(rights)
        product = np.multiply.outer(a, b) if a.ndim == 1 else a.T @ b
        if self.total is not None:
            product += self.total
        return product


LAZY.add(Products)


def rows(factor):
    return factor if factor.ndim == 2 else factor[None]


def factors_left(ct, a, b):
    """The cotangent of `a` in `a @ b`: collected for a matrix `a` and a vector `b`."""
    kept = collected(ct, b, a) if a.ndim == 2 and b.ndim == 1 else None
    return matmul_left(ct, a, b) if kept is None else kept


def factors_right(ct, a, b):
    """The cotangent of `b` in `a @ b`: collected for a matrix `b`."""
    kept = collected(a, ct, b) if a.ndim <= 2 and b.ndim == 2 else None
    return matmul_right(ct, a, b) if kept is None else kept


def collected(a, b, matrix):
    """`a.T @ b`, the cotangent of `matrix`, as its factors; `None` if they are not to be kept."""
    size = a.nbytes + b.nbytes
    if size > min(MOST, 2 * matrix.nbytes) or not a.dtype == b.dtype == matrix.dtype:
        return None
    return Products((a, b, None), size) if type(a) is type(b) is type(matrix) is ndarray else None


def factors(ct, a, b):
    """The cotangents of both factors of `a @ b`; one of them may be collected."""
    if type(a) is type(b) is ndarray and a.ndim == b.ndim == 2 and a.dtype == b.dtype == ct.dtype:
        size = a.nbytes + ct.nbytes
        few = size <= MOST and size <= 2 * b.nbytes
        return ct @ b.T, Products((a, ct, None), size) if few else a.T @ ct
    return factors_left(ct, a, b), factors_right(ct, a, b)


FACTORS[ndarray] = factors, factors_left, factors_right
for lazy, whole in zip(FACTORS[ndarray], WHOLE, strict=True):
    AUGMENTED[lazy] = partial(call, whole)
