"""Derivatives of reading by index, choosing, sorting, differences and interpolation in NumPy."""

from __future__ import annotations

from sys import getrefcount
from typing import Any

import numpy as np
from numpy import ndarray

from flux.ad import registry
from flux.ad.cotangents import dense
from flux.ad.indexed import LAZY, SCATTER, Form, Indexed
from flux.ad.inert import nothing
from flux.ad.registry import AUGMENTED, augments, inert
from flux.ad.spaces import project
from flux.ad.unknown import Unknown
from flux.rules.numpy.forms import augmented_like, like, no_rule, refused, rule
from flux.rules.numpy.reductions import kept
from flux.rules.numpy.space import differs, lost, of_items

NONE2 = (None, None)


# -- x[index] ------------------------------------------------------------------------------------


def getitem(x, index):
    """`x[index]`: the cotangent is kept as a read until the whole is needed."""

    if x.dtype.kind not in "fc":
        return x[index], nothing(2) if x.dtype.kind not in "OV" else no_read(x)
    form = Form(x.shape, x.dtype)
    index = as_it_is(index)

    def back(ct, store):
        if ct is None:
            return NONE2
        return Indexed(form, index, dense(ct)), None

    return x[index], back


def as_it_is(index):
    """An index whose arrays and lists nobody else can change."""
    if isinstance(index, ndarray):
        return index.copy()
    if type(index) is list or type(index) is tuple:
        return type(index)([as_it_is(part) for part in index])
    return index


def no_read(x):
    """The pullback of a read of an array of objects."""
    return lambda ct, store: (None if ct is None else lost(x), None)


def scatter(like, reads):
    """Zeros of the shape of `like`, with all reads added at their places."""
    if like.dtype.kind not in "fc":
        return lost(like)
    for _, ct in reads:
        if isinstance(ct, Unknown):
            return ct
        if type(ct) in SCATTER and SCATTER[type(ct)] is not scatter:  # of another library
            return SCATTER[type(ct)](like, reads)
    return add_reads(np.zeros(like.shape, like.dtype), reads)


def add_reads(total, reads):
    """Add reads to an array, in place."""
    rows = [read for read in reads if type(read[0]) is int]
    if len(rows) > 8:
        add_rows(total, rows)
        reads = [read for read in reads if type(read[0]) is not int]
    for index, ct in reads:
        if has_arrays(index):
            np.add.at(total, index, ct)
        else:
            total[index] += ct
    return total


def whole(ct, own: bool):
    """A cotangent as an array, and whether it is nobody else's and may be changed.

    Args:
        ct: an array or reads of rows; where one of the reads is a whole array that only `ct`
            holds, the others are added to it in place.
        own: only the caller holds `ct`.
    """
    if type(ct) not in LAZY:
        return ct, own and ct.base is None and ct.flags.writeable
    if type(ct) is not Indexed:
        return ct.dense(), True
    reads, total, part = [], None, ct
    while part is not None and type(part.ct) not in LAZY:
        if own and part.index is ... and total is None and getrefcount(part.ct) <= 2:
            total = part.ct
        else:
            reads.append((part.index, part.ct))
        own = own and getrefcount(part.before) <= 2
        part = part.before
    if part is None and total is not None and total.base is None and total.flags.writeable:
        return add_reads(total, reads), True
    return ct.dense(), True


def add_rows(total, reads):
    """Many reads of single rows: repeats are added up first, the rest is one assignment."""
    rows = {}
    for index, ct in reads:
        index = index % len(total)
        rows[index] = rows[index] + ct if index in rows else ct
    total[list(rows)] = list(rows.values())


def has_arrays(index) -> bool:
    parts = index if isinstance(index, tuple) else (index,)
    return any([isinstance(part, list | ndarray) and not is_mask(part) for part in parts])


def is_mask(part) -> bool:
    return isinstance(part, ndarray) and part.dtype == bool


def scatter_again(like, reads):
    """Scattering is linear: the cotangent of each read is read at its place."""

    def back(ct, store):
        if ct is not None:
            for i, (index, part) in enumerate(reads):
                store.add(reads, i, (None, project(ct[index], part)))
        return NONE2

    return scatter(like, reads), back


SCATTER[Form] = scatter
AUGMENTED[scatter] = scatter_again
registry.INDEXERS[ndarray] = getitem
inert(as_it_is, has_arrays, is_mask)


@like(np.take, ndarray.take)
def take(a, indices, axis=None, out=None, mode: Any = "raise"):
    if mode != "raise":
        count = np.size(a) if axis is None else np.shape(a)[axis]
        indices = np.arange(count).take(indices, mode=mode)
    if axis is None:
        return np.ravel(a)[np.asarray(indices)]
    return a[(slice(None),) * (axis % np.ndim(a)) + (np.asarray(indices),)]


@like(np.take_along_axis)
def take_along_axis(arr, indices, axis=-1):
    if axis is None:
        return np.ravel(arr)[np.asarray(indices)]
    return arr[along(np.shape(arr), np.asarray(indices), axis % np.ndim(arr))]


def along(shape, indices, axis):
    """The index tuple of `np.take_along_axis`."""
    grids = [np.arange(n).reshape((-1,) + (1,) * (len(shape) - i - 1)) for i, n in enumerate(shape)]
    return tuple([indices if i == axis else grid for i, grid in enumerate(grids)])


inert(along)


@like(np.compress)
def compress(condition, a, axis=None):
    return take(a, np.flatnonzero(condition), axis)


@like(np.extract)
def extract(condition, arr):
    return np.ravel(arr)[np.flatnonzero(condition)]


# -- choosing ------------------------------------------------------------------------------------


@augments(np.where)
def where(condition, *sides):
    if not sides:
        return np.where(condition), lambda ct, store: (None,)
    a, b = sides
    if of_items(a) or of_items(b):
        return where_of_arrays(condition, a, b)
    y = np.where(condition, a, b)

    def back(ct, store):
        if ct is None:
            return None, None, None
        da = project(np.where(condition, ct, 0), a) if differs(a) else None
        db = project(np.where(condition, 0, ct), b) if differs(b) else None
        return None, da, db

    return y, back


def where_python(condition, x, y):
    return np.where(condition, np.asarray(x), np.asarray(y))


where_of_arrays = augmented_like(where_python, where_python)


def inside(ct, y, a, a_min=None, a_max=None, min=None, max=None, **_):
    """1 inside the bounds and, as JAX has it, one half exactly at a bound."""
    raised = a
    for low in (a_min, min):
        if low is not None:
            ct = ct * np.where(a == low, 0.5, a > low)
            raised = np.maximum(a, low)
    for high in (a_max, max):
        if high is not None:
            ct = ct * np.where(raised == high, 0.5, raised < high)
    return ct


def below(ct, y, a, bound, upper):
    """The part of a lower bound: where it is above `a`, and not itself cut off by the upper one."""
    ct = ct * np.where(a == bound, 0.5, a < bound)
    if upper is None:
        return ct
    a = np.maximum(a, bound)
    return ct * np.where(a == upper, 0.5, a < upper)


def above(ct, y, a, bound, lower):
    a = a if lower is None else np.maximum(a, lower)
    return ct * np.where(a == bound, 0.5, a > bound)


rule(
    np.clip,
    a=inside,
    a_min=lambda ct, y, a, a_min, a_max=None, **_: below(ct, y, a, a_min, a_max),
    a_max=lambda ct, y, a, a_max, a_min=None, **_: above(ct, y, a, a_max, a_min),
    min=lambda ct, y, a, min, max=None, **_: below(ct, y, a, min, max),
    max=lambda ct, y, a, max, min=None, **_: above(ct, y, a, max, min),
)


@augments(ndarray.clip)
def clip(x, *bounds, **options):
    """As `np.clip`, with a maximum that may be left out."""
    if len(bounds) == 1 and not {"max", "a_max"} & options.keys():
        y, inner = AUGMENTED[np.clip](x, *bounds, None, **options)
        return y, lambda ct, store: drop_third(inner(ct, store))
    return AUGMENTED[np.clip](x, *bounds, **options)


def drop_third(cts):
    return (*cts[:2], *cts[3:])


@like(np.select)
def select(condlist, choicelist, default=0):
    y = default
    for condition, choice in zip(condlist[::-1], choicelist[::-1], strict=True):
        y = np.where(condition, choice, y)
    return y


@like(np.choose)
def choose(a, choices, out=None, mode="raise"):
    a = np.asarray(a)
    if mode != "raise":
        a = np.clip(a, 0, len(choices) - 1) if mode == "clip" else a % len(choices)
    y = choices[0]
    for i in range(1, len(choices)):
        y = np.where(a == i, choices[i], y)
    return np.where(a == 0, choices[0], y)


no_rule(np.piecewise, "`np.piecewise`", "Use np.where or np.select.")
no_rule(np.vectorize, "`np.vectorize`", "Use array operations, or a loop over the items.")
no_rule(np.vectorize.__call__, "`np.vectorize`", "Use array operations, or a loop over the items.")
no_rule(np.apply_along_axis, "`np.apply_along_axis`", "Use a loop over the rows.")
no_rule(np.apply_over_axes, "`np.apply_over_axes`", "Use a loop over the axes.")


# -- sorting -------------------------------------------------------------------------------------


def sorted_by(order):
    """The cotangent of a permuted array is permuted back."""

    def formula(ct, y, a, *rest, axis=-1, **options):
        flat, along = (np.ravel(a), 0) if axis is None else (a, axis)
        places = np.argsort(order(flat, along, options), along)
        return np.reshape(np.take_along_axis(ct, places, along), np.shape(a))

    return formula


rule(np.sort, a=sorted_by(lambda a, axis, given: np.argsort(
    a, axis, kind=given.get("kind"), stable=given.get("stable"))))  # fmt: skip
rule(np.partition, a=sorted_by(lambda a, axis, given: np.argpartition(
    a, given["kth"], axis, given.get("kind", "introselect"))))  # fmt: skip


# -- differences, and lines between points -------------------------------------------------------


@like(np.diff)
def diff(a, n=1, axis=-1, prepend=None, append=None):
    a = np.asarray(a)
    ends = list(np.shape(a))
    ends[axis] = 1
    if prepend is not None:
        first = np.broadcast_to(prepend, ends) if np.ndim(prepend) == 0 else np.asarray(prepend)
        a = np.concatenate([first, a], axis)
    if append is not None:
        last = np.broadcast_to(append, ends) if np.ndim(append) == 0 else np.asarray(append)
        a = np.concatenate([a, last], axis)
    before = (slice(None),) * (axis % np.ndim(a))
    for _ in range(n):
        a = a[(*before, slice(1, None))] - a[(*before, slice(None, -1))]
    return a


@like(np.ediff1d)
def ediff1d(ary, to_end=None, to_begin=None):
    parts = [diff(np.ravel(ary))]
    if to_begin is not None:
        parts = [np.ravel(to_begin), *parts]
    if to_end is not None:
        parts = [*parts, np.ravel(to_end)]
    return np.concatenate(parts)


@like(np.gradient)
def gradient(f, *spacing, axis=None, edge_order=1):
    f = np.asarray(f)
    axes = range(f.ndim) if axis is None else (axis,) if isinstance(axis, int) else axis
    axes = [a % f.ndim for a in axes]
    steps = spacing or (1.0,)
    steps = steps * len(axes) if len(steps) == 1 else steps
    found = [np.moveaxis(slope(np.moveaxis(f, a, 0), h, edge_order), 0, a)
             for a, h in zip(axes, steps, strict=True)]  # fmt: skip
    return found[0] if len(found) == 1 else tuple(found)


def slope(f, h, edge_order):
    """Second-order differences along the first axis, one-sided ones at its ends."""
    count = len(f)
    h = np.asarray(h)
    steps = np.diff(h) if h.ndim else h * np.ones(count - 1)
    steps = np.reshape(steps, (-1,) + (1,) * (f.ndim - 1))
    rises = (f[1:] - f[:-1]) / steps
    left, right = steps[:-1], steps[1:]
    middle = (rises[:-1] * right + rises[1:] * left) / (left + right)
    if edge_order == 1:
        return np.concatenate([rises[:1], middle, rises[-1:]])
    first = rises[:1] - (rises[1:2] - rises[:1]) * steps[:1] / (steps[:1] + steps[1:2])
    bend = (rises[-1:] - rises[-2:-1]) * steps[-1:] / (steps[-1:] + steps[-2:-1])
    return np.concatenate([first, middle, rises[-1:] + bend])


@like(np.interp)
def interp(x, xp, fp, left=None, right=None, period=None):
    if period is not None:
        raise refused("np.interp(period=)", "Bring x into one period first.")
    x, xp, fp = np.asarray(x), np.asarray(xp), np.asarray(fp)
    place = np.clip(np.searchsorted(xp, x, side="right"), 1, len(xp) - 1)
    start, end = xp[place - 1], xp[place]
    share = (x - start) / (end - start)
    y = fp[place - 1] + share * (fp[place] - fp[place - 1])
    y = np.where(x < xp[0], fp[0] if left is None else left, y)
    return np.where(x > xp[-1], fp[-1] if right is None else right, y)


@like(np.trapezoid)
def trapezoid(y, x=None, dx=1.0, axis=-1):
    y = np.moveaxis(np.asarray(y), axis, -1)
    if x is not None:
        x = np.asarray(x)
        dx = np.diff(x if x.ndim == 1 else np.moveaxis(x, axis, -1))
    return np.sum(dx * (y[..., 1:] + y[..., :-1]) / 2, -1)


@like(np.polyval)
def polyval(p, x):
    y = 0 * x
    for coefficient in p:
        y = y * x + coefficient
    return y


inert(kept)
