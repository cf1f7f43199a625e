"""Derivatives of sums, means, products, extremes, spreads and running sums."""

from __future__ import annotations

from flux.ad.registry import inert
from flux.rules.arrayapi.elementwise import conjugate
from flux.rules.arrayapi.forms import like, no_derivative, rule
from flux.rules.arrayapi.libraries import is_complex
from flux.rules.arrayapi.space import refused

NAMES = "x axis dtype out keepdims"
"""CuPy takes these by position, in the order of NumPy."""


def kept(shape, axis):
    """The shape with the reduced axes put back as 1."""
    if axis is None:
        return (1,) * len(shape)
    axes = [a % len(shape) for a in (axis if isinstance(axis, tuple) else (axis,))]
    return tuple([1 if i in axes else n for i, n in enumerate(shape)])


def count(shape, axis) -> int:
    """How many elements are reduced to one."""
    total = 1
    for n, m in zip(shape, kept(shape, axis), strict=True):
        total *= n if m == 1 else 1
    return total


def wide(xp, y, x, axis):
    """A reduced array that broadcasts against what it was reduced from."""
    return xp.reshape(y, kept(x.shape, axis))


def spread(xp, ct, x, axis):
    """The cotangent of a sum: `ct` everywhere along the summed axes."""
    return xp.broadcast_to(wide(xp, ct, x, axis), x.shape)


inert(kept, count)
rule("sum", NAMES, x=lambda xp, ct, y, x, axis=None, **_: spread(xp, ct, x, axis))
rule("mean", NAMES, x=lambda xp, ct, y, x, axis=None, **_: (
    spread(xp, ct / count(x.shape, axis), x, axis)))  # fmt: skip


# -- extremes and products -------------------------------------------------------------------------


def chosen(xp, ct, y, x, axis=None, **_):
    """The cotangent of the extreme elements; ties share it equally."""
    hits = xp.astype(x == wide(xp, y, x, axis), x.dtype)
    total = xp.sum(hits, axis=axis, keepdims=True)
    total = xp.where(total == 0, xp.ones_like(total), total)  # NaN is equal to nothing
    return hits * (wide(xp, ct, x, axis) / total)


def product_part(xp, ct, y, x, axis=None, **_):
    return wide(xp, ct, x, axis) * others(xp, xp.astype(x, y.dtype), axis)


def others(xp, x, axis):
    """At each place the product of all the others: products before it times products after it."""
    if axis is None:
        return xp.reshape(others(xp, xp.reshape(x, (-1,)), 0), x.shape)
    if isinstance(axis, tuple):
        axes = [a % x.ndim for a in axis]
        order = (*[i for i in range(x.ndim) if i not in axes], *axes)
        moved = xp.permute_dims(x, order)
        flat = xp.reshape(moved, (*moved.shape[: x.ndim - len(axes)], -1))
        back = xp.reshape(others(xp, flat, -1), moved.shape)
        return xp.permute_dims(back, places(order))
    x = xp.moveaxis(x, axis, 0)
    return xp.moveaxis(before(xp, x) * xp.flip(before(xp, xp.flip(x, axis=0)), axis=0), 0, axis)


def before(xp, x):
    """At each place of the first axis the product of the rows before it."""
    row = xp.ones_like(x[:1, ...])
    rows = []
    for i in range(x.shape[0]):
        rows.append(row)
        row = row * x[i : i + 1, ...]
    return xp.concat(rows, axis=0) if rows else x


def places(axes) -> tuple[int, ...]:
    """The permutation that undoes `axes`."""
    return tuple(sorted(range(len(axes)), key=axes.__getitem__))


inert(places)
rule("max min amax amin", "x axis out keepdims", x=chosen)
rule("prod", NAMES, x=product_part)


# -- spread ----------------------------------------------------------------------------------------


def squares(xp, x, axis, size, ddof):
    """The mean of the squared distances from the mean, all axes kept."""
    away = x - xp.sum(x, axis=axis, keepdims=True) / size
    square = xp.real(away * xp.conj(away)) if is_complex(away) else away * away
    return xp.sum(square, axis=axis, keepdims=True) / max(size - ddof, 0)


@like("var")
def var(xp, x, /, axis=None, dtype=None, out=None, ddof=0.0, keepdims=False, *, correction=None):
    if out is not None:
        raise refused("`var` or `std` with `out`, which writes into an array,", "Use the result.")
    x = x if dtype is None else xp.astype(x, dtype)
    fixed = ddof if correction is None else correction
    y = squares(xp, x, axis, count(x.shape, axis), fixed)
    return y if keepdims else xp.squeeze(y, axis=tuple(squeezed(x.shape, axis)))


def squeezed(shape, axis) -> list[int]:
    """The reduced axes, counted from the front."""
    if axis is None:
        return list(range(len(shape)))
    return [a % len(shape) for a in (axis if isinstance(axis, tuple) else (axis,))]


@like("std")
def std(xp, x, /, *args, **options):
    return xp.sqrt(var(xp, x, *args, **options))


# -- running sums and products, differences --------------------------------------------------------


def cut(x, axis, start, stop):
    """A slice along an axis."""
    return x[(*[slice(None) for _ in range(axis % x.ndim)], slice(start, stop), ...)]


def undo_running_sum(xp, ct, y, x, axis=None, include_initial=False, **_):
    axis = 0 if axis is None else axis
    ct = cut(ct, axis, 1, None) if include_initial else ct
    return xp.flip(xp.cumulative_sum(xp.flip(ct, axis=axis), axis=axis), axis=axis)


rule("cumulative_sum", "x axis dtype include_initial", x=undo_running_sum)


@like("cumulative_prod")
def cumulative_prod(xp, x, /, *, axis=None, dtype=None, include_initial=False):
    x = xp.moveaxis(x if dtype is None else xp.astype(x, dtype), axis or 0, 0)
    row = xp.ones_like(x[:1, ...])
    rows = [row] if include_initial else []
    for i in range(x.shape[0]):
        row = row * x[i : i + 1, ...]
        rows.append(row)
    return xp.moveaxis(xp.concat(rows, axis=0), 0, axis or 0)


@like("diff")
def diff(xp, x, /, n=1, axis=-1, prepend=None, append=None):
    parts = [part for part in (prepend, x, append) if part is not None]
    x = xp.concat(parts, axis=axis) if len(parts) > 1 else x
    for _ in range(n):
        x = cut(x, axis, 1, None) - cut(x, axis, 0, x.shape[axis] - 1)
    return x


def vector_norm_of_two(xp, x, axis, keepdims):
    """`sqrt(sum(|x| ** 2))`."""
    square = xp.real(x * conjugate(xp, x)) if is_complex(x) else x * x
    return xp.sqrt(xp.sum(square, axis=axis, keepdims=keepdims))


inert(squeezed)
no_derivative("all any argmax argmin count_nonzero")
