"""Derivatives of moving elements about: shapes, axes, order, joining, cutting, repeating."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy import ndarray

from flux.ad.carries import carries
from flux.ad.cotangents import dense
from flux.ad.inert import reading
from flux.ad.registry import AUGMENTED, inert
from flux.ad.spaces import project
from flux.rules.items import give_back, sequence
from flux.rules.numpy.forms import like, refused, rule
from flux.rules.numpy.reductions import places
from flux.rules.numpy.space import INEXACT, apart, differs, of_items

NONE1 = (None,)


# -- the same elements in another shape ----------------------------------------------------------


def reshaped(f):
    """Register a function after which a reshape restores the shape."""

    def augmented(x, *rest, **options):
        if type(x) is not ndarray or options or any([type(part) is str for part in rest]):
            return general(x, *rest, **options)
        y = f(x, *rest)

        def back(ct, store):
            if ct is None or x.dtype.kind not in "fc":
                return (project(ct, x), *[None for _ in rest])
            return (ct.reshape(x.shape), *[None for _ in rest])

        return y, back

    def general(x, *rest, **options):
        y = f(x, *rest, **options)
        orders = [part for part in rest if type(part) is str]
        order = options.get("order", orders[0] if orders else "C")
        if order not in ("C", "K"):
            raise refused(f"order={order!r}", "Transpose the array instead.")

        def back(ct, store):
            nones = [None for _ in (*rest, *options)]
            if ct is None or not differs(x):
                return (None, *nones)
            return (apart(x, np.reshape(ct, np.shape(x)), store), *nones)

        return y, back

    AUGMENTED[f] = augmented


for f in (np.reshape, np.ravel, ndarray.reshape, ndarray.ravel, ndarray.flatten, np.expand_dims,
          np.squeeze, ndarray.squeeze):  # fmt: skip
    reshaped(f)


def at_least(f):
    """`atleast_1d` and its like take any number of arrays."""

    def augmented(*arrays):
        y = f(*arrays)

        def back(ct, store):
            if ct is None:
                return (None,) * len(arrays)
            cts = (ct,) if len(arrays) == 1 else ct
            return tuple([
                apart(x, np.reshape(part, np.shape(x)), store) if part is not None and differs(x)
                else None for part, x in zip(cts, arrays, strict=True)
            ])  # fmt: skip

        return y, back

    AUGMENTED[f] = augmented


for f in (np.atleast_1d, np.atleast_2d, np.atleast_3d):
    at_least(f)


# -- the same elements in another order ----------------------------------------------------------


def undo_transpose(ct, y, a, axes=None, **_):
    if axes is None:
        return np.transpose(ct)
    return np.transpose(ct, places([i % np.ndim(a) for i in axes]))


def undo_rolling(ct, y, a, shift, axis=None):
    back = tuple([-n for n in shift]) if isinstance(shift, tuple | list) else -shift
    return np.roll(ct, back, axis)


def transpose_method(x, *axes):
    """`x.transpose(...)` takes axes as a tuple or one by one."""
    given = axes[0] if len(axes) == 1 and not isinstance(axes[0], int) else axes or None
    y, inner = AUGMENTED[np.transpose](x, given)

    def back(ct, store):
        return (inner(ct, store)[0], *[None for _ in axes])

    return y, back


for f in (np.transpose, np.permute_dims):
    rule(f, a=undo_transpose)
AUGMENTED[ndarray.transpose] = transpose_method
rule(np.matrix_transpose, x=lambda ct, y, x: np.swapaxes(ct, -1, -2))
AUGMENTED[np.linalg.matrix_transpose] = AUGMENTED[np.matrix_transpose]
rule(np.swapaxes, a=lambda ct, y, a, axis1, axis2: np.swapaxes(ct, axis1, axis2))
rule(np.moveaxis, a=lambda ct, y, a, source, destination: np.moveaxis(ct, destination, source))
rule(np.flip, m=lambda ct, y, m, axis=None: np.flip(ct, axis))
rule(np.fliplr, m=lambda ct, y, m: np.fliplr(ct))
rule(np.flipud, m=lambda ct, y, m: np.flipud(ct))
rule(np.rot90, m=lambda ct, y, m, k=1, axes=(0, 1): np.rot90(ct, -k, axes))
rule(np.roll, a=undo_rolling)
rule(np.tril, m=lambda ct, y, m, k=0: np.tril(ct, k))
rule(np.triu, m=lambda ct, y, m, k=0: np.triu(ct, k))
for f in (np.copy, np.ascontiguousarray, np.asfortranarray, np.require):
    rule(f, a=lambda ct, y, a, **_: ct)
rule(np.sort_complex, a=lambda ct, y, a: ct[np.argsort(np.argsort(a))])


@like(np.rollaxis)
def rollaxis(a, axis, start=0):
    count = np.ndim(a)
    start = start % count if start < 0 else start
    return np.moveaxis(a, axis, start - 1 if axis % count < start else start)


# -- diagonals -----------------------------------------------------------------------------------


def on_diagonal(ct, shape, offset=0, axis1=0, axis2=1):
    """Zeros of `shape` with `ct` on a diagonal; the inverse of `np.diagonal`."""
    made = np.zeros(shape, ct.dtype)
    view = np.moveaxis(made, (axis1, axis2), (-2, -1))
    rows = np.arange(ct.shape[-1]) + max(-offset, 0)
    view[..., rows, rows + offset] = ct
    return made


def on_diagonal_again(ct, shape, offset=0, axis1=0, axis2=1):
    def back(again, store):
        part = None if again is None else np.diagonal(again, offset, axis1, axis2)
        return part, None, None, None, None

    return on_diagonal(ct, shape, offset, axis1, axis2), back


AUGMENTED[on_diagonal] = on_diagonal_again


def undo_diagonal(ct, y, a, offset=0, axis1=0, axis2=1):
    return on_diagonal(ct, np.shape(a), offset, axis1, axis2)


def undo_diag(ct, y, v, k=0):
    if np.ndim(v) == 1:
        return np.diagonal(ct, k)
    return on_diagonal(ct, np.shape(v), k, 0, 1)


def undo_trace(ct, y, a, offset=0, axis1=0, axis2=1, **_):
    count = np.shape(np.diagonal(a, offset, axis1, axis2))[-1]
    along = np.asarray(ct)[..., None] * np.ones(count)
    return on_diagonal(along, np.shape(a), offset, axis1, axis2)


rule(np.diagonal, a=undo_diagonal)
rule(np.diag, v=undo_diag)
rule(np.diagflat, v=lambda ct, y, v, k=0: np.reshape(np.diagonal(ct, k), np.shape(v)))
rule(np.trace, a=undo_trace)


@like(np.linalg.diagonal)
def matrix_diagonal(x, *, offset=0):
    return np.diagonal(x, offset, -2, -1)


@like(np.linalg.trace)
def matrix_trace(x, *, offset=0, dtype=None):
    return np.trace(x, offset, -2, -1)


# -- repeating -----------------------------------------------------------------------------------


def undo_tile(ct, y, A, reps):
    reps = reps if isinstance(reps, tuple | list) else (reps,)
    shape = np.shape(A)
    count = max(len(reps), len(shape))
    reps = (1,) * (count - len(reps)) + tuple(reps)
    shape = (1,) * (count - len(shape)) + shape
    cut = np.reshape(ct, [n for pair in zip(reps, shape, strict=True) for n in pair])
    return np.reshape(np.sum(cut, axis=tuple(range(0, 2 * count, 2))), np.shape(A))


def undo_repeat(ct, y, a, repeats, axis=None):
    if axis is None:
        return np.reshape(undo_repeat(ct, y, np.ravel(a), repeats, 0), np.shape(a))
    axis = axis % np.ndim(a)
    size = np.shape(a)[axis]
    if isinstance(repeats, int | np.integer):
        shape = np.shape(a)
        cut = np.reshape(ct, (*shape[:axis], size, repeats, *shape[axis + 1 :]))
        return np.sum(cut, axis=axis + 1)
    sources = np.repeat(np.arange(size), repeats)
    picks = np.arange(size)[:, None] == sources  # a row for each element, 1 where it went to
    return np.moveaxis(np.tensordot(picks.astype(ct.dtype), ct, (1, axis)), 0, axis)


rule(np.tile, A=undo_tile)
rule(np.repeat, a=undo_repeat)
rule(np.broadcast_to, array=lambda ct, y, array, shape, **_: ct)


@like(np.broadcast_arrays)
def broadcast_arrays(*args, subok=False):
    shape = np.broadcast_shapes(*[np.shape(x) for x in args])
    return tuple([np.broadcast_to(x, shape) for x in args])


@like(np.meshgrid)
def meshgrid(*xi, copy=True, sparse=False, indexing="xy"):
    count = len(xi)
    order = (1, 0, *range(2, count)) if indexing == "xy" and count > 1 else tuple(range(count))
    grids = [
        np.reshape(x, [-1 if order[i] == place else 1 for i in range(count)])
        for place, x in enumerate(xi)
    ]
    return tuple(grids) if sparse else broadcast_arrays(*grids)


def undo_pad(ct, y, array, pad_width, mode="constant", **_):
    if mode not in ("constant", "empty"):
        raise refused(f"np.pad(mode={mode!r})", "Pad by np.concatenate, or with a constant.")
    starts = np.broadcast_to(pad_width, (np.ndim(array), 2))[:, 0].tolist()
    return ct[tuple([slice(i, i + n) for i, n in zip(starts, np.shape(array), strict=True)])]


def around(ct, y, array, pad_width, constant_values, mode="constant", **_):
    """The cotangent of the constant that `np.pad` puts around."""
    if np.ndim(constant_values):
        raise refused("np.pad with a constant for each side", "Pad by np.concatenate.")
    return np.sum(ct) - np.sum(undo_pad(ct, y, array, pad_width, mode))


rule(np.pad, array=undo_pad, constant_values=around)


# -- joining and cutting -------------------------------------------------------------------------


def joining(f, cut):
    """Register a join of a sequence of arrays; `cut(ct, arrays, **options)` gives their parts."""

    def augmented(parts, *rest, **options):
        items = sequence(parts)
        y = f(items, *rest, **options)
        names = ("axis", "out")
        given = {**dict(zip(names, rest, strict=False)), **options}
        if given.get("out") is not None:
            raise refused(f"`np.{f.__name__}(..., out=)`", "Use the returned array.")

        def back(ct, store):
            nones = [None for _ in given]
            if ct is None:
                return (None, *nones)
            cts = tuple([
                apart(x, project(np.reshape(c, np.shape(x)), np.asarray(x)), store)
                if differs(x) else None
                for c, x in zip(cut(ct, items, **given), items, strict=True)
            ])  # fmt: skip
            return (give_back(parts, cts, store), *nones)

        return y, back

    AUGMENTED[f] = augmented


def cut_by(sizes, ct, axis):
    """Slices of `ct` along `axis`, of the lengths `sizes`."""
    before = (slice(None),) * axis
    parts, start = [], 0
    for size in sizes:
        parts = [*parts, ct[(*before, slice(start, start + size))]]
        start += size
    return parts


def cut_concatenation(ct, arrays, axis=0, **_):
    if axis is None:
        return cut_by([np.size(x) for x in arrays], ct, 0)
    axis = axis % ct.ndim
    return cut_by([np.shape(x)[axis] for x in arrays], ct, axis)


def cut_stack(ct, arrays, axis=0, **_):
    before = (slice(None),) * (axis % ct.ndim)
    return [ct[(*before, i)] for i in range(len(arrays))]


def cut_by_way_of(at_least, axis):
    """For joins that first raise the number of axes."""
    return lambda ct, arrays, **_: cut_by([np.shape(at_least(x))[axis] for x in arrays], ct, axis)


def column(x):
    return x if np.ndim(x) >= 2 else np.reshape(x, (-1, 1))


def cut_hstack(ct, arrays, **_):
    return cut_concatenation(ct, [np.atleast_1d(x) for x in arrays], axis=0 if ct.ndim == 1 else 1)


joining(np.concatenate, cut_concatenation)
joining(np.stack, cut_stack)
joining(np.hstack, cut_hstack)
joining(np.vstack, cut_by_way_of(np.atleast_2d, 0))
joining(np.dstack, cut_by_way_of(np.atleast_3d, 2))
joining(np.column_stack, cut_by_way_of(column, 1))


@like(np.append)
def append(arr, values, axis=None):
    if axis is None:
        return np.concatenate([np.ravel(arr), np.ravel(values)])
    return np.concatenate([arr, values], axis)


@like(np.block)
def block(arrays):
    depth, first = 0, arrays
    while isinstance(first, list):
        depth, first = depth + 1, first[0]
    axes = max([depth, *[np.ndim(leaf) for leaf in leaves_of(arrays)]])

    def joined(value, axis):
        if not isinstance(value, list):
            return np.reshape(value, (1,) * (axes - np.ndim(value)) + np.shape(value))
        return np.concatenate([joined(v, axis + 1) for v in value], axis)

    return joined(arrays, -depth)


def leaves_of(value) -> list:
    if not isinstance(value, list):
        return [value]
    return [leaf for part in value for leaf in leaves_of(part)]


@like(np.delete)
def delete(arr, obj, axis=None):
    arr = np.ravel(arr) if axis is None else arr
    left = np.delete(np.arange(np.shape(arr)[axis or 0]), obj)
    return np.take(arr, left, axis or 0)


@like(np.insert)
def insert(arr, obj, values, axis=None):
    raise refused("`np.insert`", "Join slices of the array with np.concatenate.")


def pieces(f, default_axis):
    """Register a cut into a list of arrays."""

    def augmented(x, *rest, **options):
        made = f(x, *rest, **options)
        axis = options.get("axis", rest[1] if len(rest) > 1 else default_axis)
        axis = axis if axis is not None else 0 if np.ndim(x) == 1 else 1

        def back(ct, store):
            parts = [dense(store.take(made, i)) for i in range(len(made))]
            if all([part is None for part in parts]) or not differs(x):
                return (None,) * (1 + len(rest) + len(options))
            whole = [np.zeros_like(y) if p is None else p for p, y in zip(parts, made, strict=True)]
            return (np.concatenate(whole, axis), *[None for _ in (*rest, *options)])

        return made, back

    AUGMENTED[f] = augmented


pieces(np.split, 0)
pieces(np.array_split, 0)
pieces(np.vsplit, 0)
pieces(np.hsplit, None)
pieces(np.dsplit, 2)


@like(np.unstack)
def unstack(x, /, *, axis=0):
    moved = np.moveaxis(x, axis, 0)
    return tuple([moved[i] for i in range(len(moved))])


# -- making an array of numbers and arrays -------------------------------------------------------


def made_from(f):
    """`np.array` of numbers, arrays, and nested lists and tuples of them; casts are such."""

    def augmented(*args, **options):
        y = f(*args, **options)
        if args and y.dtype.kind in "OV" and holds_numbers(args[0]):
            raise refused(f"an array of dtype {y.dtype} that is given", "Use a list.")

        def back(ct, store):
            nones = [None for _ in (*args[1:], *options)]
            if ct is None or not args:
                return (*[None for _ in args[:1]], *nones)
            ct = np.reshape(ct, np.shape(args[0])) if options.get("ndmin") else ct
            return (apart(args[0], ct, store), *nones)

        return y, back

    return augmented


def holds_numbers(value) -> bool:
    """Is there a number or array in `value` that carries a derivative?"""
    if type(value) is ndarray and value.dtype.kind in "OV":
        return False  # its own cotangent is `Lost`
    return any([holds_numbers(item) for item in value]) if of_items(value) else carries(value)


inert(holds_numbers)
for f in (np.array, np.asarray, np.asanyarray, np.asarray_chkfinite, np.astype, ndarray.astype,
          ndarray.copy, *INEXACT):  # fmt: skip
    AUGMENTED[f] = made_from(f)
for f in (np.fromstring, np.frombuffer, np.loadtxt, np.genfromtxt):
    AUGMENTED[f] = reading(f)
rule(np.full, fill_value=lambda ct, y, fill_value, **_: ct)
rule(np.full_like, fill_value=lambda ct, y, fill_value, **_: ct)


@like(np.linspace)
def linspace(
    start, stop, num=50, endpoint=True, retstep=False, dtype=None, axis=0, **options
) -> Any:
    share = np.arange(num) / max(num - 1 if endpoint else num, 1)
    start, stop = np.broadcast_arrays(np.asarray(start), np.asarray(stop))
    share = np.reshape(share, (num,) + (1,) * start.ndim)
    y = np.moveaxis(start * (1 - share) + stop * share, 0, axis)
    return (y, (stop - start) / (num - 1 if endpoint else num)) if retstep else y


@like(np.logspace)
def logspace(start, stop, num=50, endpoint=True, base=10.0, **options):
    return base ** linspace(start, stop, num, endpoint, **options)


@like(np.geomspace)
def geomspace(start, stop, num=50, endpoint=True, **options):
    return np.exp(linspace(np.log(start), np.log(stop), num, endpoint, **options))


@like(np.vander)
def vander(x, N=None, increasing=False):
    powers = np.arange(len(x) if N is None else N)
    return x[:, None] ** (powers if increasing else powers[::-1])
