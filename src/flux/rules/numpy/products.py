"""Derivatives of products of arrays: matrices, contractions, convolutions, cross products."""

from __future__ import annotations

import string
from typing import Any

import numpy as np
from numpy import ndarray

from flux.ad.registry import AUGMENTED, augments, inert
from flux.ad.spaces import project
from flux.rules.numpy.forms import binary, like, refused, rule
from flux.rules.numpy.space import apart, differs, of_items
from flux.rules.operators import matmul, matmul_left, matmul_right

binary(np.matmul, lambda ct, y, a, b: matmul_left(ct, a, b),
       lambda ct, y, a, b: matmul_right(ct, a, b))  # fmt: skip


def as_operator(f, most: int):
    """Of two arrays with at most `most` axes, `f` is the operator `@`."""
    general = AUGMENTED[f]

    def augmented(a, b, *rest, **options):
        arrays = type(a) is type(b) is ndarray and not rest and not options
        if arrays and 0 < a.ndim <= most and 0 < b.ndim <= most:
            return matmul(a, b)
        return general(a, b, *rest, **options)

    AUGMENTED[f] = augmented


as_operator(np.matmul, 64)
AUGMENTED[np.linalg.matmul] = AUGMENTED[np.matmul]


# -- dot, inner, outer: told by where the contracted axes are ------------------------------------


def contracted(f, axes):
    """Register a product that contracts axis `axes[0]` of `a` with `axes[1]` of `b`."""

    def left(ct, y, a, b, **_):
        if np.ndim(a) == 0 or np.ndim(b) == 0:
            return ct * b  # a number times an array: the projection adds up
        return left_part(ct, a, b, contracted_axes(a, b, axes))

    def right(ct, y, a, b, **_):
        if np.ndim(a) == 0 or np.ndim(b) == 0:
            return ct * a
        return right_part(ct, a, b, contracted_axes(a, b, axes))

    rule(f, a=left, b=right)


def contracted_axes(a, b, axes):
    """The pairs of axes that a product contracts, counted from the front."""
    if axes == "dot":
        return [np.ndim(a) - 1], [max(np.ndim(b) - 2, 0)]
    if axes == "inner":
        return [np.ndim(a) - 1], [np.ndim(b) - 1]
    if isinstance(axes, int | np.integer):
        return list(range(np.ndim(a) - axes, np.ndim(a))), list(range(axes))
    first, second = [[side] if isinstance(side, int) else list(side) for side in axes]
    return [i % np.ndim(a) for i in first], [i % np.ndim(b) for i in second]


def free_axes(x, used):
    return [i for i in range(np.ndim(x)) if i not in used]


def order_back(axes):
    """The permutation that brings `axes` into ascending order."""
    return tuple(sorted(range(len(axes)), key=axes.__getitem__))


def left_part(ct, a, b, axes):
    """Contract the cotangent with the free axes of `b`, and put the axes of `a` in their order."""
    first, second = axes
    own, other = free_axes(a, first), free_axes(b, second)
    part = np.tensordot(ct, b, (range(len(own), np.ndim(ct)), other))
    by_second = [first[i] for i in order_back(second)]
    return np.transpose(part, order_back([*own, *by_second]))


def right_part(ct, a, b, axes):
    first, second = axes
    own, other = free_axes(b, second), free_axes(a, first)
    part = np.tensordot(a, ct, (other, range(len(other))))
    by_first = [second[i] for i in order_back(first)]
    return np.transpose(part, order_back([*by_first, *own]))


inert(contracted_axes, free_axes, order_back)
contracted(np.dot, "dot")
as_operator(np.dot, 2)
contracted(np.inner, "inner")
rule(
    np.tensordot,
    a=lambda ct, y, a, b, axes=2: left_part(ct, a, b, contracted_axes(a, b, axes)),
    b=lambda ct, y, a, b, axes=2: right_part(ct, a, b, contracted_axes(a, b, axes)),
)


def dot_method(x, b, *out, **options):
    """`x.dot(b)`."""
    if out or options:
        raise refused("`x.dot(..., out=)`", "Use the returned array.")
    return AUGMENTED[np.dot](x, b)


AUGMENTED[ndarray.dot] = dot_method
rule(np.outer, a=lambda ct, y, a, b, **_: np.reshape(ct @ np.ravel(b), np.shape(a)),
     b=lambda ct, y, a, b, **_: np.reshape(np.ravel(a) @ ct, np.shape(b)))  # fmt: skip
rule(np.linalg.outer, x1=lambda ct, y, x1, x2: ct @ x2, x2=lambda ct, y, x1, x2: x1 @ ct)
rule(np.vdot, a=lambda ct, y, a, b: np.conj(ct * np.reshape(b, np.shape(a))) if np.iscomplexobj(a)
     else ct * np.reshape(b, np.shape(a)),
     b=lambda ct, y, a, b: ct * np.conj(np.reshape(a, np.shape(b))))  # fmt: skip


@like(np.vecdot, np.linalg.vecdot)
def vecdot(x1, x2, /, *, axis=-1):
    return np.sum(np.conj(x1) * x2, axis)


@like(np.matvec)
def matvec(x1, x2, /):
    return (x1 @ np.asarray(x2)[..., None])[..., 0]


@like(np.vecmat)
def vecmat(x1, x2, /):
    return (np.conj(x1)[..., None, :] @ x2)[..., 0, :]


@like(np.linalg.tensordot)
def array_api_tensordot(x1, x2, /, *, axes=2):
    return np.tensordot(x1, x2, axes)


@like(np.linalg.multi_dot)
def multi_dot(arrays):
    y = arrays[0]
    for x in arrays[1:]:
        y = np.dot(y, x)
    return y


@like(np.kron)
def kron(a, b):
    a, b = np.asarray(a), np.asarray(b)
    count = max(a.ndim, b.ndim)
    a = np.reshape(a, (1,) * (count - a.ndim) + a.shape)
    b = np.reshape(b, (1,) * (count - b.ndim) + b.shape)
    wide = np.reshape(a, [n for size in a.shape for n in (size, 1)])
    thin = np.reshape(b, [n for size in b.shape for n in (1, size)])
    return np.reshape(wide * thin, [n * m for n, m in zip(a.shape, b.shape, strict=True)])


@like(np.cross)
def cross(a, b, axisa=-1, axisb=-1, axisc=-1, axis=None):
    if axis is not None:
        axisa = axisb = axisc = axis
    a, b = np.moveaxis(np.asarray(a), axisa, 0), np.moveaxis(np.asarray(b), axisb, 0)
    y = np.stack([a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]])
    return np.moveaxis(y, 0, axisc)


@like(np.linalg.cross)
def array_api_cross(x1, x2, /, *, axis=-1):
    return cross(x1, x2, axis=axis)


# -- convolutions of sequences -------------------------------------------------------------------


def first_of_convolution(ct, y, a, v, mode="full"):
    return by_length(padded(ct, y, a, v, mode), v, len(a))


def second_of_convolution(ct, y, a, v, mode="full"):
    return by_length(padded(ct, y, a, v, mode), a, len(v))


def padded(ct, y, a, v, mode):
    """The cotangent of the full convolution, of which `mode` kept a part."""
    missing = len(a) + len(v) - 1 - len(y)
    start = {"full": 0, "same": missing // 2, "valid": min(len(a), len(v)) - 1}[mode]
    return np.concatenate([np.zeros(start, ct.dtype), ct, np.zeros(missing - start, ct.dtype)])


def by_length(ct, kernel, length):
    return np.convolve(ct, kernel[::-1], "full")[len(kernel) - 1 : len(kernel) - 1 + length]


rule(np.convolve, a=first_of_convolution, v=second_of_convolution)


@like(np.correlate)
def correlate(a, v, mode: Any = "valid"):
    if len(v) > len(a):
        raise refused("np.correlate with the longer array second", "Swap the arrays.")
    return np.convolve(a, np.conj(v[::-1]), mode)


# -- einsum --------------------------------------------------------------------------------------


@augments(np.einsum)
def einsum(subscripts, *arrays, **options):
    if not isinstance(subscripts, str):
        raise refused("np.einsum with lists of axes", "Write the subscripts as a string.")
    if options.get("out") is not None:
        raise refused("`np.einsum(..., out=)`", "Use the returned array.")
    y = np.einsum(subscripts, *arrays, **options)
    plain = [np.asarray(x) if of_items(x) else x for x in arrays]
    inputs, output = spelled(subscripts, plain)

    def back(ct, store):
        if ct is None:
            return (None,) * (1 + len(arrays) + len(options))
        cts = [
            apart(x, project(einsum_part(ct, i, plain, inputs, output), plain[i]), store)
            if differs(x) else None
            for i, x in enumerate(arrays)
        ]  # fmt: skip
        return (None, *cts, *[None for _ in options])

    return y, back


def spelled(subscripts, arrays):
    """The index letters of the inputs and of the output, `...` and a missing output spelled out."""
    left, arrow, right = subscripts.replace(" ", "").partition("->")
    written = left.split(",")
    free = [c for c in string.ascii_letters if c not in subscripts]
    hidden = [
        np.ndim(x) - len(s.replace("...", "")) if "..." in s else 0
        for s, x in zip(written, arrays, strict=True)
    ]
    letters = "".join(free[: max(hidden)])
    inputs = [
        s.replace("...", letters[len(letters) - n :]) for s, n in zip(written, hidden, strict=True)
    ]
    if arrow:
        return inputs, right.replace("...", letters)
    joined = "".join(inputs)
    single = sorted({c for c in joined if joined.count(c) == 1 and c not in letters})
    return inputs, letters + "".join(single)


def einsum_part(ct, place, arrays, inputs, output):
    """The cotangent of one array: contract `ct` with all the others.

    An index that stands twice in the array is a diagonal of it; one that stands nowhere else was
    summed, and one of length 1 was broadcast.
    """
    own, shape = inputs[place], np.shape(arrays[place])
    others = [(s, x) for i, (s, x) in enumerate(zip(inputs, arrays, strict=True)) if i != place]
    known = set(output).union(*[s for s, _ in others])
    letters = "".join(dict.fromkeys(own))
    inside = "".join([c for c in letters if c in known])
    names = ",".join([output, *[s for s, _ in others]])
    part = np.einsum(f"{names}->{inside}", ct, *[x for _, x in others])
    sizes = {c: n for c, n in zip(own, shape, strict=True)}
    for i, c in enumerate(inside):
        if sizes[c] == 1 and np.shape(part)[i] != 1:
            part = np.sum(part, axis=i, keepdims=True)
    part = np.reshape(part, [np.shape(part)[inside.index(c)] if c in known else 1 for c in letters])
    part = np.broadcast_to(part, [sizes[c] for c in letters])
    return part if len(letters) == len(own) else spread_diagonal(part, own, letters, shape)


def spread_diagonal(part, own, letters, shape):
    """Put a cotangent on the diagonal of the axes that share a letter."""
    grids = np.meshgrid(*[np.arange(n) for n in np.shape(part)], indexing="ij")
    places = tuple([grids[letters.index(c)] for c in own])
    made = np.zeros(shape, part.dtype)
    made[places] = part
    return made


def spread_diagonal_again(part, own, letters, shape):
    def back(again, store):
        if again is None:
            return None, None, None, None
        return np.einsum(f"{own}->{letters}", again), None, None, None

    return spread_diagonal(part, own, letters, shape), back


AUGMENTED[spread_diagonal] = spread_diagonal_again
inert(spelled)
