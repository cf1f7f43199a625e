"""Derivatives of NumPy's sums, means, products, extremes and running sums."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy import ndarray

from flux.ad.registry import AUGMENTED, inert
from flux.ad.spaces import project
from flux.rules.numpy.forms import like, refused, rule

NONE1 = (None,)


# -- sum and mean: what every loss is made of ----------------------------------------------------


def kept(shape, axis):
    """The shape with the reduced axes put back as 1."""
    if axis is None:
        return (1,) * len(shape)
    if isinstance(axis, tuple):
        axes = [a % len(shape) for a in axis]
        return tuple([1 if i in axes else n for i, n in enumerate(shape)])
    axis = axis % len(shape)
    return (*shape[:axis], 1, *shape[axis + 1 :])


def count(shape, axis) -> int:
    """How many elements are reduced to one."""
    total = 1
    for n, m in zip(shape, kept(shape, axis), strict=True):
        total *= n if m == 1 else 1
    return total


def spread(ct, shape, axis):
    """The cotangent of a sum: `ct` everywhere along the summed axes, in memory of its own."""
    made = np.empty(shape, ct.dtype)
    made[...] = ct if axis is None else ct.reshape(kept(shape, axis))
    return made


def spread_again(ct, shape, axis):
    def back(again, store):
        if again is None:
            return None, None, None
        part = np.add.reduce(again, axis)
        return (part if np.shape(part) == np.shape(ct) else part.reshape(np.shape(ct))), None, None

    return spread(ct, shape, axis), back


AUGMENTED[spread] = spread_again
inert(kept, count)


def wide(ct, a, axis=None, keepdims=False):
    """A reduced array that broadcasts against what it was reduced from."""
    if axis is None or keepdims:
        return ct
    return np.reshape(ct, kept(np.shape(a), axis))


def sum_part(ct, y, a, axis=None, where=True, **_):
    whole = spread(np.asarray(ct), np.shape(a), axis)
    return whole if where is True else np.where(where, whole, 0)


def mean_part(ct, y, a, axis=None, where=True, keepdims=False, **_):
    if where is True:
        return spread(np.asarray(ct / count(np.shape(a), axis)), np.shape(a), axis)
    size = np.sum(np.broadcast_to(where, np.shape(a)), axis=axis, keepdims=True)
    return np.where(where, wide(ct, a, axis, keepdims) / size, 0)


def summing(f, fast, divisor, general):
    """Register a sum or mean; `fast(x, axis)` computes it for a plain array and at most an axis."""

    def augmented(x, *rest, **options):
        if type(x) is not ndarray or options or len(rest) > 1:
            return general(x, *rest, **options)
        axis = rest[0] if rest else None
        y = fast(x, axis)

        def back(ct, store):
            if ct is None or x.dtype.kind not in "fc":
                return (project(ct, x), None) if rest else (project(ct, x),)
            if divisor is not None:
                ct = ct / divisor(x.shape, axis)
            part = spread(ct, x.shape, axis)
            if part.dtype is not x.dtype:
                part = project(part, x)
            return (part, None) if rest else (part,)

        return y, back

    AUGMENTED[f] = AUGMENTED[getattr(np.ndarray, f.__name__)] = augmented


rule(np.sum, a=sum_part, initial=lambda ct, y, initial, **_: ct)
rule(np.mean, a=mean_part)
summing(np.sum, np.add.reduce, None, AUGMENTED[np.sum])
summing(np.mean, np.ndarray.mean, count, AUGMENTED[np.mean])


# -- extremes and products -----------------------------------------------------------------------


def chosen(ct, y, a, axis=None, keepdims=False, initial=None, where=True, **_):
    """The cotangent of the extreme elements; ties share it equally."""
    hits = np.logical_and(a == wide(y, a, axis, keepdims), where)
    total = np.sum(hits, axis=axis, keepdims=True)
    if initial is not None:
        total = total + (wide(y, a, axis, keepdims) == initial)
    return hits * (wide(ct, a, axis, keepdims) / np.maximum(total, 1))


def initial_chosen(ct, y, a, initial, axis=None, keepdims=False, where=True, **_):
    hits = np.logical_and(a == wide(y, a, axis, keepdims), where)
    total = np.sum(hits, axis=axis, keepdims=True) + (initial == wide(y, a, axis, keepdims))
    return (initial == y) * ct / np.reshape(total, np.shape(y))


for f in (np.max, np.min, np.amax, np.amin, np.nanmax, np.nanmin):
    rule(f, a=chosen, initial=initial_chosen)


def product_part(ct, y, a, axis=None, keepdims=False, initial=1, where=True, **_):
    factors = np.where(where, a, 1)
    return np.where(where, wide(ct, a, axis, keepdims) * initial * others(factors, axis), 0)


def others(a, axis):
    """At each place the product of all the others: products before it times products after it."""
    if axis is None:
        return np.reshape(others(np.ravel(a), 0), np.shape(a))
    if isinstance(axis, tuple):
        axes = [i % np.ndim(a) for i in axis]
        left = [i for i in range(np.ndim(a)) if i not in axes]
        moved = np.transpose(a, (*left, *axes))
        flat = np.reshape(moved, (*[np.shape(a)[i] for i in left], -1))
        back = np.reshape(others(flat, -1), np.shape(moved))
        return np.transpose(back, places((*left, *axes)))
    before = shifted(np.cumprod(a, axis), axis)
    after = np.flip(shifted(np.cumprod(np.flip(a, axis), axis), axis), axis)
    return before * after


def shifted(a, axis):
    """`a` moved on by one along `axis`, with 1 in the first place."""
    axis = axis % np.ndim(a)
    cut = (slice(None),) * axis
    first = np.ones_like(a[(*cut, slice(0, 1))])
    return np.concatenate([first, a[(*cut, slice(0, -1))]], axis)


def places(axes) -> tuple[int, ...]:
    """The permutation that undoes `axes`."""
    return tuple(sorted(range(len(axes)), key=axes.__getitem__))


inert(places)
rule(np.prod, a=product_part, initial=lambda ct, y, a, initial, axis=None, where=True, **_: (
    ct * np.prod(a, axis=axis, where=where)))  # fmt: skip


@like(np.ptp)
def ptp(a, axis=None, **options):
    return np.max(a, axis, **options) - np.min(a, axis, **options)


# -- spread and averages -------------------------------------------------------------------------


@like(np.var)
def var(a, axis=None, dtype=None, out=None, ddof=0, keepdims=False, *, where=True, mean=None,
        correction=None):  # fmt: skip
    a = np.asarray(a)
    ddof = ddof if correction is None else correction
    size = np.sum(np.broadcast_to(where, np.shape(a)), axis=axis, keepdims=True)
    mean = np.sum(a, axis=axis, keepdims=True, where=where) / size if mean is None else mean
    square = np.abs(a - mean) ** 2 if np.iscomplexobj(a) else np.square(a - mean)
    total = np.sum(square, axis=axis, keepdims=True, where=where) / np.maximum(size - ddof, 0)
    return total if keepdims else np.squeeze(total, axis)


@like(np.std)
def std(a, axis=None, dtype=None, out=None, ddof=0, keepdims=False, **options):
    return np.sqrt(var(a, axis, dtype, out, ddof, keepdims, **options))


@like(np.average)
def average(a, axis: Any = None, weights=None, returned=False, **options):
    a = np.asarray(a)
    if weights is None:
        value = np.mean(a, axis, **options)
        return (value, np.ones_like(value) * (np.size(a) // np.size(value))) if returned else value
    weights = np.asarray(weights)
    if np.shape(weights) != np.shape(a):
        axes = axis if isinstance(axis, tuple) else (axis,)
        lengths = [n if i in [j % a.ndim for j in axes] else 1 for i, n in enumerate(a.shape)]
        weights = np.reshape(weights, lengths) * np.ones_like(a)
    total = np.sum(weights, axis, **options)
    value = np.sum(a * weights, axis, **options) / total
    return (value, total) if returned else value


@like(np.nansum)
def nansum(a, axis=None, dtype=None, out=None, keepdims=False, **options):
    return np.sum(np.where(np.isnan(a), 0, a), axis=axis, keepdims=keepdims, **options)


@like(np.nanmean)
def nanmean(a, axis=None, dtype=None, out=None, keepdims=False, **options):
    present = np.sum(~np.isnan(a), axis=axis, keepdims=keepdims)
    return nansum(a, axis, keepdims=keepdims, **options) / present


@like(np.nanvar)
def nanvar(a, axis=None, dtype=None, out=None, ddof=0, keepdims=False, **options):
    filled = np.where(np.isnan(a), 0, a)
    return var(filled, axis, None, None, ddof, keepdims, where=~np.isnan(a), **options)


@like(np.nanstd)
def nanstd(a, axis=None, dtype=None, out=None, ddof=0, keepdims=False, **options):
    return np.sqrt(nanvar(a, axis, dtype, out, ddof, keepdims, **options))


@like(np.median)
def median(a, axis=None, out=None, overwrite_input=False, keepdims=False):
    return quantile(a, 0.5, axis, keepdims=keepdims)


@like(np.quantile)
def quantile(a, q, axis=None, out=None, overwrite_input=False, method="linear", keepdims=False,
             *, weights=None):  # fmt: skip
    if method != "linear" or weights is not None or isinstance(axis, tuple) and axis[1:]:
        raise refused("np.quantile with a method, weights or several axes", "Use one axis.")
    a = np.asarray(a)
    axis = axis[0] if isinstance(axis, tuple) else axis
    moved = np.moveaxis(np.sort(a if axis is not None else np.ravel(a), axis or 0), axis or 0, 0)
    position = np.asarray(q) * (len(moved) - 1)
    below = np.clip(np.floor(position).astype(int), 0, max(len(moved) - 2, 0))
    above = np.minimum(below + 1, len(moved) - 1)
    step = np.reshape(position - below, np.shape(q) + (1,) * (moved.ndim - 1))
    y = moved[below] + step * (moved[above] - moved[below])
    if not keepdims:
        return y
    return np.reshape(y, np.shape(q) + kept(a.shape, axis))


@like(np.percentile)
def percentile(a, q, axis=None, out=None, overwrite_input=False, method="linear", keepdims=False,
               **options):  # fmt: skip
    return quantile(a, np.asarray(q) / 100, axis, method=method, keepdims=keepdims, **options)


@like(np.cov)
def cov(m, y=None, rowvar=True, bias=False, ddof=None, **options):
    if options:
        raise refused("np.cov with weights", "Weight the observations yourself.")
    m = np.atleast_2d(np.asarray(m))
    m = m if rowvar or len(m) == 1 else m.T
    if y is not None:
        y = np.atleast_2d(np.asarray(y))
        m = np.concatenate([m, y if rowvar or len(y) == 1 else y.T])
    centred = m - np.mean(m, 1, keepdims=True)
    fixed = m.shape[1] - (int(not bias) if ddof is None else ddof)
    return np.squeeze(centred @ np.conj(centred.T) / fixed)


@like(np.corrcoef)
def corrcoef(x, y=None, rowvar=True, **options):
    c = cov(x, y, rowvar)
    if np.ndim(c) == 0:
        return c / c
    scale = np.sqrt(np.real(np.diagonal(c)))
    return c / scale[:, None] / scale[None, :]


# -- running sums and products -------------------------------------------------------------------


def undo_cumsum(ct, y, a, axis=None, **_):
    if axis is None:
        return np.reshape(np.flip(np.cumsum(np.flip(ct))), np.shape(a))
    return np.flip(np.cumsum(np.flip(ct, axis), axis), axis)


rule(np.cumsum, a=undo_cumsum)


@like(np.cumprod)
def cumprod(a, axis=None, **options):
    a = np.ravel(a) if axis is None else np.moveaxis(a, axis, 0)
    rows = [a[0]]
    for row in a[1:]:
        rows.append(rows[-1] * row)
    return np.stack(rows) if axis is None else np.moveaxis(np.stack(rows), 0, axis)


@like(np.nancumsum)
def nancumsum(a, axis=None, **options):
    return np.cumsum(np.where(np.isnan(a), 0, a), axis)


@like(np.logaddexp.reduce)
def logaddexp_reduce(a, axis=0, **options):
    top = np.max(a, axis, keepdims=True)
    top = np.where(np.isfinite(top), top, 0)
    y = top + np.log(np.sum(np.exp(a - top), axis, keepdims=True))
    return y if options.get("keepdims") else np.squeeze(y, axis)


def reducing(ufunc_method, f, names=("axis", "dtype", "out", "keepdims", "initial", "where")):
    """Register a ufunc's `reduce`, which takes the first axis unless told otherwise, as `f`."""

    def augmented(x, *rest, **options):
        given = {**dict(zip(names, rest, strict=False)), **options}
        if "axis" in given:
            return AUGMENTED[f](x, **given)
        y, inner = AUGMENTED[f](x, axis=0, **given)

        def back(ct, store):
            first, _, *others = inner(ct, store)
            return (first, *others)

        return y, back

    AUGMENTED[ufunc_method] = augmented


reducing(np.add.reduce, np.sum)
reducing(np.multiply.reduce, np.prod)
reducing(np.maximum.reduce, np.max)
reducing(np.minimum.reduce, np.min)
reducing(np.add.accumulate, np.cumsum)
reducing(np.multiply.accumulate, np.cumprod)
