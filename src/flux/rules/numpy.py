"""Derivatives of NumPy: ufuncs, reductions, shape manipulation, indexing and linear algebra.

A rule is a line: the function and, for each argument, the cotangent as a formula of the cotangent
of the result `ct`, the result `y` and the arguments. Conventions at ties and kinks are JAX's.
"""

from __future__ import annotations

import numpy as np

from flux.ad import registry
from flux.ad.cotangents import dense
from flux.ad.indexed import SCATTER, Indexed
from flux.ad.registry import AUGMENTED, augments, inert
from flux.ad.runtime import call, no_back, not_differentiable, nothing
from flux.ad.spaces import SPACES, VALUE, Space, project
from flux.errors import NotDifferentiable, user_line
from flux.rules.containers import give_back, sequence

__all__ = ["binary", "reduction", "unary"]

NONE1 = (None,)
NONE2 = (None, None)


# -- the spaces of arrays and scalars ---------------------------------------------------------------


def zero_array(x):
    return np.zeros_like(x) if x.dtype.kind in "fc" else None


def project_array(ct, x):
    """Sum over broadcast axes, take the real part for a real primal, cast to its dtype."""
    if x.dtype.kind not in "fc":
        return None
    if not isinstance(ct, np.ndarray | np.generic | float | complex | int):
        return ct  # traced, or of another library: it stays there
    ct = np.asarray(ct)
    if ct.shape != x.shape:
        ct = summed_to(ct, x.shape)
    if ct.dtype.kind == "c" and x.dtype.kind == "f":
        ct = ct.real
    return ct if ct.dtype == x.dtype else ct.astype(x.dtype)


def summed_to(ct, shape):
    """`ct` with the axes summed along which an array of `shape` was broadcast."""
    extra = ct.ndim - len(shape)
    if extra < 0:
        return np.broadcast_to(ct, shape).copy()
    axes = tuple(i for i, n in enumerate(ct.shape) if i < extra or shape[i - extra] != n)
    narrow = [i for i in axes if i >= extra and shape[i - extra] != 1]
    if narrow:
        return np.broadcast_to(ct, shape).copy()
    return ct.sum(axis=axes, keepdims=True).reshape(shape) if axes else ct


def zero_scalar(x):
    return type(x)(0)


def project_scalar(ct, x):
    if getattr(ct, "ndim", 0):
        ct = ct.sum()
    kind = type(x)
    if issubclass(kind, np.floating) and np.iscomplexobj(ct):
        ct = ct.real
    return kind(ct) if isinstance(ct, np.ndarray | np.generic | float | complex | int) else ct


SPACES[np.ndarray] = Space(zero_array, project_array)
for kind in (np.float16, np.float32, np.float64, np.longdouble, np.complex64, np.complex128):
    SPACES[kind] = Space(zero_scalar, project_scalar)
    VALUE.add(kind)
VALUE.update([np.ndarray, np.bool_, *[np.dtype(c).type for c in "bBhHiIlLqQ"]])


def differs(x) -> bool:
    """Does `x` carry a derivative?"""
    if type(x) is np.ndarray:
        return x.dtype.kind in "fc"
    return isinstance(x, float | complex | np.inexact)


# -- ways to write a rule -----------------------------------------------------------------------------


def unary(f, formula):
    """Register `f` of one array; `formula(ct, y, x)` is the cotangent of `x`."""

    def augmented(x, *rest, **options):
        refuse_out(f, options)
        y = f(x, *rest, **options)

        def back(ct, store):
            if ct is None or not differs(x):
                return (None,) * (1 + len(rest) + len(options))
            part = formula(ct, y, x)
            return (project(part, x), *[None for _ in rest], *[None for _ in options])

        return y, back

    AUGMENTED[f] = augmented


def binary(f, left, right):
    """Register `f` of two arrays that broadcast; one formula `(ct, y, a, b)` for each."""

    def augmented(a, b, **options):
        refuse_out(f, options)
        y = f(a, b, **options)

        def back(ct, store):
            if ct is None:
                return (None,) * (2 + len(options))
            da = project(left(ct, y, a, b), a) if differs(a) else None
            db = project(right(ct, y, a, b), b) if differs(b) else None
            return (da, db, *[None for _ in options])

        return y, back

    AUGMENTED[f] = augmented


def reduction(f, formula, *others):
    """Register a reduction (and its method); `formula(ct, y, x)` with `ct`, `y` kept to broadcast."""

    def augmented(x, *rest, **options):
        refuse_out(f, options)
        y = f(x, *rest, **options)
        axis = options.get("axis", rest[0] if rest else None)
        keep = options.get("keepdims", False)

        def back(ct, store):
            if ct is None or not differs(x):
                return (None,) * (1 + len(rest) + len(options))
            wide = expanded(ct, x, axis, keep)
            part = formula(wide, expanded(y, x, axis, keep), x)
            return (project(part, x), *[None for _ in rest], *[None for _ in options])

        return y, back

    for callee in (f, *others):
        AUGMENTED[callee] = augmented


def expanded(ct, x, axis, keep):
    """A reduced array with the reduced axes put back as 1."""
    if keep or axis is None:
        return ct
    return np.expand_dims(ct, axis) if np.ndim(ct) < np.ndim(x) else ct


def reshaping(f, formula):
    """Register a function that moves elements; `formula(ct, x, *rest, **options)` moves them back."""

    def augmented(x, *rest, **options):
        refuse_out(f, options)
        y = f(x, *rest, **options)

        def back(ct, store):
            if ct is None or not differs(x):
                return (None,) * (1 + len(rest) + len(options))
            part = formula(ct, x, *rest, **options)
            return (project(part, x), *[None for _ in rest], *[None for _ in options])

        return y, back

    AUGMENTED[f] = augmented


def refuse_out(f, options) -> None:
    if options.get("out") is not None:
        raise NotDifferentiable(
            f"`{f.__name__}(..., out=)` writes into an array, which is not covered by the "
            "automatic differentiation.",
            where=user_line(),
            hint="Use the returned array instead of `out`.",
        )


def ones_where(x, y):
    """1 where `x` equals `y`, shared equally among ties along all axes."""
    hits = (x == y).astype(np.result_type(x))
    return hits


# -- ufuncs -------------------------------------------------------------------------------------------

binary(np.add, lambda ct, y, a, b: ct, lambda ct, y, a, b: ct)
binary(np.subtract, lambda ct, y, a, b: ct, lambda ct, y, a, b: -ct)
binary(np.multiply, lambda ct, y, a, b: ct * b, lambda ct, y, a, b: ct * a)
binary(np.divide, lambda ct, y, a, b: ct / b, lambda ct, y, a, b: -ct * y / b)
binary(np.arctan2, lambda ct, y, a, b: ct * b / (a * a + b * b),
       lambda ct, y, a, b: -ct * a / (a * a + b * b))  # fmt: skip
binary(np.hypot, lambda ct, y, a, b: ct * a / y, lambda ct, y, a, b: ct * b / y)
binary(np.logaddexp, lambda ct, y, a, b: ct * np.exp(a - y), lambda ct, y, a, b: ct * np.exp(b - y))
binary(np.logaddexp2, lambda ct, y, a, b: ct * 2 ** (a - y), lambda ct, y, a, b: ct * 2 ** (b - y))
binary(np.maximum, lambda ct, y, a, b: ct * share(a, b, y), lambda ct, y, a, b: ct * share(b, a, y))
binary(np.minimum, lambda ct, y, a, b: ct * share(a, b, y), lambda ct, y, a, b: ct * share(b, a, y))
binary(np.fmax, lambda ct, y, a, b: ct * share(a, b, y), lambda ct, y, a, b: ct * share(b, a, y))
binary(np.fmin, lambda ct, y, a, b: ct * share(a, b, y), lambda ct, y, a, b: ct * share(b, a, y))
binary(np.mod, lambda ct, y, a, b: ct, lambda ct, y, a, b: -ct * np.floor(a / b))
binary(np.fmod, lambda ct, y, a, b: ct, lambda ct, y, a, b: -ct * np.trunc(a / b))
binary(np.copysign, lambda ct, y, a, b: ct * np.sign(a) * np.sign(y), lambda ct, y, a, b: 0.0 * ct)
for flat in (np.floor_divide, np.heaviside):
    binary(flat, lambda ct, y, a, b: 0.0 * ct, lambda ct, y, a, b: 0.0 * ct)


def share(a, b, y):
    """1 where `a` is the chosen one, one half at a tie."""
    return np.where(a == b, 0.5, np.equal(a, y))


def safe_log(a):
    """`log a`, 0 where `a` is 0."""
    return np.log(np.where(a == 0, 1.0, a))


binary(np.power, lambda ct, y, a, b: ct * b * a ** np.where(b == 0, 1, b - 1),
       lambda ct, y, a, b: ct * y * safe_log(a))  # fmt: skip
AUGMENTED[np.float_power] = AUGMENTED[np.power]

unary(np.negative, lambda ct, y, x: -ct)
unary(np.positive, lambda ct, y, x: ct)
unary(np.sin, lambda ct, y, x: ct * np.cos(x))
unary(np.cos, lambda ct, y, x: -ct * np.sin(x))
unary(np.tan, lambda ct, y, x: ct * (1 + y * y))
unary(np.arcsin, lambda ct, y, x: ct / np.sqrt(1 - x * x))
unary(np.arccos, lambda ct, y, x: -ct / np.sqrt(1 - x * x))
unary(np.arctan, lambda ct, y, x: ct / (1 + x * x))
unary(np.sinh, lambda ct, y, x: ct * np.cosh(x))
unary(np.cosh, lambda ct, y, x: ct * np.sinh(x))
unary(np.tanh, lambda ct, y, x: ct - ct * y * y)
unary(np.arcsinh, lambda ct, y, x: ct / np.sqrt(1 + x * x))
unary(np.arccosh, lambda ct, y, x: ct / np.sqrt(x * x - 1))
unary(np.arctanh, lambda ct, y, x: ct / (1 - x * x))
unary(np.exp, lambda ct, y, x: ct * y)
unary(np.exp2, lambda ct, y, x: ct * y * np.log(2.0))
unary(np.expm1, lambda ct, y, x: ct * (y + 1))
unary(np.log, lambda ct, y, x: ct / x)
unary(np.log2, lambda ct, y, x: ct / (x * np.log(2.0)))
unary(np.log10, lambda ct, y, x: ct / (x * np.log(10.0)))
unary(np.log1p, lambda ct, y, x: ct / (1 + x))
unary(np.sqrt, lambda ct, y, x: ct * 0.5 / y)
unary(np.cbrt, lambda ct, y, x: ct / (3 * y * y))
unary(np.square, lambda ct, y, x: ct * (2 * x))
unary(np.reciprocal, lambda ct, y, x: -ct * y * y)
unary(np.degrees, lambda ct, y, x: ct * (180 / np.pi))
unary(np.radians, lambda ct, y, x: ct * (np.pi / 180))
unary(np.deg2rad, lambda ct, y, x: ct * (np.pi / 180))
unary(np.rad2deg, lambda ct, y, x: ct * (180 / np.pi))
unary(np.sinc, lambda ct, y, x: ct * sinc_slope(x, y))
unary(np.nan_to_num, lambda ct, y, x: ct * np.isfinite(x))
unary(np.real, lambda ct, y, x: ct)
unary(np.imag, lambda ct, y, x: -1j * ct if np.iscomplexobj(x) else 0.0 * ct)
unary(np.conj, lambda ct, y, x: np.conj(ct))
unary(np.angle, lambda ct, y, x: ct * np.conj(1j * x) / np.abs(x) ** 2)
unary(np.i0, lambda ct, y, x: not_covered(np.i0))
for flat in (np.floor, np.ceil, np.rint, np.trunc, np.sign, np.round, np.around, np.fix):
    unary(flat, lambda ct, y, x: 0.0 * ct)


def not_covered(f):
    raise not_differentiable(f)


def sinc_slope(x, y):
    at_zero = np.where(x == 0, 1.0, x)
    return np.where(x == 0, 0.0, (np.cos(np.pi * x) - y) / at_zero)


def absolute_slope(ct, y, x):
    """1 at zero for real numbers, as JAX has it; `conj(x) / |x|` for complex ones."""
    if np.iscomplexobj(x):
        return ct * np.conj(x) / np.where(y == 0, 1.0, y)
    return ct * np.where(x >= 0, 1.0, -1.0)


unary(np.absolute, absolute_slope)
unary(np.fabs, absolute_slope)
AUGMENTED[abs, np.ndarray] = AUGMENTED[np.absolute]
for kind in (np.float16, np.float32, np.float64, np.complex64, np.complex128):
    AUGMENTED[abs, kind] = AUGMENTED[np.absolute]


# -- reductions ---------------------------------------------------------------------------------------


def spread(ct, x):
    return np.broadcast_to(ct, x.shape)


def count_of(x, ct):
    """How many elements of `x` went into one of `ct`."""
    return np.size(x) / max(np.size(ct), 1)


def chosen(ct, y, x):
    """The cotangent of the extreme elements; ties share it equally."""
    hits = (x == y).astype(x.dtype)
    axes = tuple(i for i in range(x.ndim) if np.ndim(y) == x.ndim and np.shape(y)[i] == 1)
    total = hits.sum(axis=axes or None, keepdims=True)
    return ct * hits / total


def deviation(ct, y, x, rest, options):
    return None


reduction(np.sum, lambda ct, y, x: spread(ct, x), np.ndarray.sum, np.add.reduce)
reduction(np.mean, lambda ct, y, x: spread(ct, x) / count_of(x, ct), np.ndarray.mean)
reduction(np.prod, lambda ct, y, x: ct * product_slope(x, y), np.ndarray.prod)
reduction(np.max, chosen, np.ndarray.max, np.amax)
reduction(np.min, chosen, np.ndarray.min, np.amin)
reduction(np.nansum, lambda ct, y, x: ct * ~np.isnan(x))


def product_slope(x, y):
    """The product of all the other elements."""
    if np.all(x != 0):
        return y / x
    raise NotDifferentiable(
        "the product of an array that holds a zero.", where=user_line(),
        hint="Multiply in a loop, or use jax.numpy.",
    )  # fmt: skip


def spread_rule(f, square):
    """`var` and `std`, by their definition."""

    def augmented(x, axis=None, **options):
        y = f(x, axis=axis, **options)
        ddof, keep = options.get("ddof", 0), options.get("keepdims", False)

        def back(ct, store):
            if ct is None or not differs(x):
                return (None,) * (1 + (axis is not None) + len(options))
            wide = expanded(ct, x, axis, keep)
            centred = x - x.mean(axis=axis, keepdims=True)
            slope = 2 * centred / (count_of(x, y) - ddof)
            if not square:
                slope = slope / (2 * expanded(y, x, axis, keep))
            return (project(wide * slope, x), *[None] * (axis is not None), *[None for _ in options])

        return y, back

    return augmented


AUGMENTED[np.var] = AUGMENTED[np.ndarray.var] = spread_rule(np.var, True)
AUGMENTED[np.std] = AUGMENTED[np.ndarray.std] = spread_rule(np.std, False)


# -- shapes -------------------------------------------------------------------------------------------


def back_to_shape(ct, x, *rest, **options):
    return np.reshape(ct, np.shape(x))


def undo_transpose(ct, x, *axes, **options):
    axes = axes[0] if len(axes) == 1 else axes or options.get("axes")
    if axes is None or axes == ():
        return np.transpose(ct)
    return np.transpose(ct, np.argsort([a % np.ndim(x) for a in axes]))


for f in (np.reshape, np.ravel, np.ndarray.reshape, np.ndarray.ravel, np.ndarray.flatten,
          np.expand_dims, np.squeeze, np.ndarray.squeeze, np.atleast_1d, np.atleast_2d,
          np.atleast_3d):  # fmt: skip
    reshaping(f, back_to_shape)
for f in (np.transpose, np.ndarray.transpose, np.permute_dims, np.matrix_transpose):
    reshaping(f, undo_transpose)
reshaping(np.matrix_transpose, lambda ct, x: np.swapaxes(ct, -1, -2))
for f in (np.swapaxes, np.ndarray.swapaxes):
    reshaping(f, lambda ct, x, a, b: np.swapaxes(ct, a, b))
reshaping(np.moveaxis, lambda ct, x, source, destination: np.moveaxis(ct, destination, source))
reshaping(np.broadcast_to, lambda ct, x, *a, **k: ct)
reshaping(np.flip, lambda ct, x, *a, **k: np.flip(ct, *a, **k))
reshaping(np.fliplr, lambda ct, x: np.fliplr(ct))
reshaping(np.flipud, lambda ct, x: np.flipud(ct))
reshaping(np.roll, lambda ct, x, shift, **k: np.roll(ct, negated(shift), **k))
reshaping(np.tril, lambda ct, x, *k: np.tril(ct, *k))
reshaping(np.triu, lambda ct, x, *k: np.triu(ct, *k))
reshaping(np.copy, lambda ct, x, **k: ct)
reshaping(np.ndarray.copy, lambda ct, x, *a: ct)
reshaping(np.ndarray.astype, lambda ct, x, *a, **k: ct)
reshaping(np.ascontiguousarray, lambda ct, x: ct)
reshaping(np.cumsum, lambda ct, x, axis=None, **k: undo_cumsum(ct, x, axis))
reshaping(np.ndarray.cumsum, lambda ct, x, axis=None, **k: undo_cumsum(ct, x, axis))
reshaping(np.ndarray.conj, lambda ct, x: np.conj(ct))
reshaping(np.ndarray.conjugate, lambda ct, x: np.conj(ct))
reshaping(np.ndarray.item, lambda ct, x: ct)
reshaping(np.trace, lambda ct, x: ct * np.eye(*x.shape))
reshaping(np.diagonal, lambda ct, x: diagonal_back(ct, x))
reshaping(np.diag, lambda ct, x: np.diag(ct) if np.ndim(x) == 1 else diagonal_back(ct, x))
reshaping(np.sort, lambda ct, x, axis=-1: np.take_along_axis(
    ct, np.argsort(np.argsort(x, axis), axis), axis))  # fmt: skip
reshaping(np.clip, lambda ct, x, *a, **k: ct * clipped(x, *a, **k))
reshaping(np.ndarray.clip, lambda ct, x, *a, **k: ct * clipped(x, *a, **k))


def diagonal_back(ct, x):
    rows = np.arange(len(ct))
    return scatter_like(x, (rows, rows), ct)


def negated(shift):
    return tuple([-s for s in shift]) if isinstance(shift, tuple) else -shift


def clipped(x, low=None, high=None, **k):
    """1 inside the bounds and, as JAX has it, one half exactly at a bound."""
    inside = np.ones_like(x)
    for bound in (low, high):
        if bound is not None:
            beyond = x < bound if bound is low else x > bound
            inside = inside * np.where(x == bound, 0.5, ~beyond)
    return inside


def undo_cumsum(ct, x, axis):
    if axis is None:
        return np.reshape(np.flip(np.cumsum(np.flip(ct))), np.shape(x))
    return np.flip(np.cumsum(np.flip(ct, axis), axis), axis)


def joining(f, axis_of):
    """`concatenate` and its kin: the cotangent is cut where the parts met."""

    def augmented(parts, *rest, **options):
        items = sequence(parts)
        y = f(items, *rest, **options)

        def back(ct, store):
            none = [None] * (len(rest) + len(options))
            if ct is None:
                return (None, *none)
            cts = axis_of(ct, items, *rest, **options)
            return (give_back(parts, tuple([project(c, x) for c, x in zip(cts, items)]), store),
                    *none)  # fmt: skip

        return y, back

    AUGMENTED[f] = augmented


def cut(ct, items, axis=0, **k):
    if axis is None:
        sizes = [np.size(x) for x in items]
        axis = 0
    else:
        sizes = [np.shape(x)[axis] for x in items]
    parts = np.split(ct, np.cumsum(sizes)[:-1], axis)
    return [np.reshape(part, np.shape(x)) for part, x in zip(parts, items, strict=True)]


joining(np.concatenate, cut)
joining(np.hstack, lambda ct, items: cut(ct, items, axis=0 if np.ndim(items[0]) <= 1 else 1))
joining(np.vstack, lambda ct, items: [
    np.reshape(p, np.shape(x)) for p, x in zip(
        np.split(ct, np.cumsum([1 if np.ndim(x) < 2 else len(x) for x in items])[:-1]), items)])  # fmt: skip
joining(np.stack, lambda ct, items, axis=0: [np.take(ct, i, axis) for i in range(len(items))])


@augments(np.where)
def where(condition, a, b):
    y = np.where(condition, a, b)

    def back(ct, store):
        if ct is None:
            return None, None, None
        da = project(np.where(condition, ct, 0), a) if differs(a) else None
        db = project(np.where(condition, 0, ct), b) if differs(b) else None
        return None, da, db

    return y, back


def made_from(f):
    """`np.array` of numbers, arrays, and nested lists and tuples of them."""

    def augmented(value, *rest, **options):
        y = f(value, *rest, **options)

        def back(ct, store):
            none = [None] * (len(rest) + len(options))
            return (None if ct is None else apart(value, ct, store), *none)

        return y, back

    return augmented


def apart(value, ct, store):
    if isinstance(value, list | tuple):
        return give_back(value, tuple([apart(v, ct[i], store) for i, v in enumerate(value)]), store)
    return project(ct, value)


for f in (np.array, np.asarray, np.asanyarray):
    AUGMENTED[f] = made_from(f)
for kind in (np.float16, np.float32, np.float64, np.complex64, np.complex128):
    AUGMENTED[kind] = made_from(kind)


# -- indexing -----------------------------------------------------------------------------------------


def getitem(x, index):
    def back(ct, store):
        if ct is None or not differs(x):
            return NONE2
        return Indexed(x, index, dense(ct)), None

    return x[index], back


def scatter_like(like, index, ct):
    total = np.zeros_like(like)
    np.add.at(total, index, ct)
    return total


def scatter(like, reads):
    """Add all reads into zeros; basic indices by `+=`, index arrays with their repeats."""
    total = np.zeros_like(like)
    for index, ct in reads:
        if has_arrays(index):
            np.add.at(total, index, ct)
        else:
            total[index] += ct
    return total


def has_arrays(index) -> bool:
    parts = index if isinstance(index, tuple) else (index,)
    return any(isinstance(p, list | np.ndarray) for p in parts)


def scatter_again(like, reads):
    """Scattering is linear: its cotangent is read at the same places."""
    y = scatter(like, reads)

    def back(ct, store):
        if ct is not None:
            for i, (index, _) in enumerate(reads):
                store.add(reads, i, (None, ct[index]))
        return NONE2

    return y, back


SCATTER[np.ndarray] = scatter
AUGMENTED[scatter] = scatter_again
registry.INDEXERS[np.ndarray] = getitem
AUGMENTED[np.take] = lambda x, indices, axis=None, **k: call(take_python, x, indices, axis)


def take_python(x, indices, axis):
    if axis is None:
        return np.ravel(x)[indices]
    return x[(slice(None),) * (axis % x.ndim) + (indices,)]


# -- linear algebra -------------------------------------------------------------------------------------

AUGMENTED[np.matmul] = lambda a, b: call(lambda a, b: a @ b, a, b)
AUGMENTED[np.dot] = lambda a, b: call(dot_python, a, b)
AUGMENTED[np.ndarray.dot] = AUGMENTED[np.dot]
AUGMENTED[np.inner] = lambda a, b: call(lambda a, b: a @ np.swapaxes(b, -1, -2) if b.ndim > 1
                                        else a @ b, a, b)  # fmt: skip
AUGMENTED[np.outer] = lambda a, b: call(
    lambda a, b: np.reshape(a, (-1, 1)) * np.reshape(b, (1, -1)), a, b
)
AUGMENTED[np.vdot] = lambda a, b: call(lambda a, b: np.sum(np.conj(a) * b), a, b)


def dot_python(a, b):
    if np.ndim(a) == 0 or np.ndim(b) == 0:
        return a * b
    if np.ndim(b) <= 2:
        return a @ b
    return np.tensordot(a, b, (-1, -2))


@augments(np.einsum)
def einsum(subscripts, *arrays, **options):
    y = np.einsum(subscripts, *arrays, **options)
    inputs, output = spelled(subscripts, arrays)

    def back(ct, store):
        count = 1 + len(arrays) + len(options)
        if ct is None:
            return (None,) * count
        cts = [None]
        for i, x in enumerate(arrays):
            cts = [*cts, project(einsum_part(ct, i, arrays, inputs, output), x) if differs(x)
                   else None]  # fmt: skip
        return (*cts, *[None for _ in options])

    return y, back


def spelled(subscripts, arrays):
    """The index letters of the inputs and of the output, `...` and a missing output spelled out."""
    left, _, right = subscripts.replace(" ", "").partition("->")
    inputs = left.split(",")
    free = [c for c in "ABCDEFGHIJKLMNOPQRSTUVWXYZ" if c not in subscripts]
    widest = max([np.ndim(x) - len(s.replace("...", "")) for s, x in zip(inputs, arrays, strict=True)]
                 + [0])  # fmt: skip
    letters = "".join(free[:widest])
    inputs = [
        s.replace("...", letters[widest - (np.ndim(x) - len(s.replace("...", ""))) :])
        for s, x in zip(inputs, arrays, strict=True)
    ]
    if "->" in subscripts:
        return inputs, right.replace("...", letters)
    joined = "".join(inputs)
    single = "".join(sorted([c for c in set(joined) if joined.count(c) == 1 and c not in letters]))
    return inputs, letters * ("..." in subscripts) + single


def einsum_part(ct, place, arrays, inputs, output):
    """The cotangent of one array: contract `ct` with all the others."""
    own = inputs[place]
    if len(set(own)) != len(own):
        raise NotDifferentiable(
            f"np.einsum with a repeated index in one operand (`{own}`).", where=user_line(),
            hint="Take the diagonal first, with np.diagonal.",
        )  # fmt: skip
    rest = [a for i, a in enumerate(arrays) if i != place]
    names = [s for i, s in enumerate(inputs) if i != place]
    known = set(output).union(*names)
    inside = "".join([c for c in own if c in known])
    part = np.einsum(",".join([output, *names]) + "->" + inside, ct, *rest)
    shape = [n if c in known else 1 for c, n in zip(own, arrays[place].shape, strict=True)]
    return np.broadcast_to(np.reshape(part, shape), arrays[place].shape)


@augments(np.tensordot)
def tensordot(a, b, axes=2):
    def python(a, b):
        pairs = axes
        if isinstance(pairs, int):
            pairs = (tuple(range(a.ndim - axes, a.ndim)), tuple(range(axes)))
        left = [pairs[0]] if isinstance(pairs[0], int) else list(pairs[0])
        right = [pairs[1]] if isinstance(pairs[1], int) else list(pairs[1])
        left, right = [i % a.ndim for i in left], [i % b.ndim for i in right]
        letters = "abcdefghijklmnopqrstuvwxyz"
        first, second = list(letters[: a.ndim]), list(letters[a.ndim : a.ndim + b.ndim])
        for i, j in zip(left, right, strict=True):
            second[j] = first[i]
        out = [c for i, c in enumerate(first) if i not in left]
        out += [c for j, c in enumerate(second) if j not in right]
        return np.einsum(f"{''.join(first)},{''.join(second)}->{''.join(out)}", a, b)

    y, inner = call(python, a, b)
    return y, lambda ct, store: (*inner(ct, store), None)


@augments(np.linalg.inv)
def inverse(x):
    y = np.linalg.inv(x)

    def back(ct, store):
        if ct is None:
            return NONE1
        transposed = np.swapaxes(y, -1, -2)
        return (project(-transposed @ ct @ transposed, x),)

    return y, back


@augments(np.linalg.solve)
def solve(a, b):
    y = np.linalg.solve(a, b)

    def back(ct, store):
        if ct is None:
            return NONE2
        db = np.linalg.solve(np.swapaxes(a, -1, -2), ct)
        vector = np.ndim(b) == 1
        da = -(db[..., None] * y[..., None, :] if vector else db @ np.swapaxes(y, -1, -2))
        return project(da, a), project(db, b)

    return y, back


@augments(np.linalg.det)
def determinant(x):
    y = np.linalg.det(x)

    def back(ct, store):
        if ct is None:
            return NONE1
        scale = np.asarray(ct * y)[..., None, None]
        return (project(scale * np.swapaxes(np.linalg.inv(x), -1, -2), x),)

    return y, back


AUGMENTED[np.linalg.norm] = lambda x, *a, **k: call(norm_python, x, *a, **k)


def norm_python(x, ord=None, axis=None, keepdims=False):
    if ord is None or ord == 2 and (x.ndim == 1 or axis is not None) or ord == "fro":
        return np.sqrt(np.sum(np.abs(x) ** 2, axis=axis, keepdims=keepdims))
    if x.ndim > 1 and axis is None:
        raise not_differentiable(np.linalg.norm)
    if ord == np.inf:
        return np.max(np.abs(x), axis=axis, keepdims=keepdims)
    return np.sum(np.abs(x) ** ord, axis=axis, keepdims=keepdims) ** (1.0 / ord)


# -- attributes and what has no derivative ------------------------------------------------------------

for name, formula in {
    "T": lambda ct, y, x: np.transpose(ct),
    "mT": lambda ct, y, x: np.swapaxes(ct, -1, -2),
    "real": lambda ct, y, x: ct,
    "imag": lambda ct, y, x: -1j * ct if np.iscomplexobj(x) else 0.0 * ct,
}.items():

    def read(x, name=name, formula=formula):
        y = getattr(x, name)

        def back(ct, store):
            return (None if ct is None or not differs(x) else project(formula(ct, y, x), x),)

        return y, back

    registry.ATTRIBUTES[np.ndarray, name] = read
for name in ("shape", "ndim", "size", "dtype", "nbytes", "itemsize", "strides", "flags", "base"):
    registry.ATTRIBUTES[np.ndarray, name] = lambda x, name=name: (getattr(x, name), nothing(1))


def find_method(kind, name):
    """Methods of arrays and of NumPy's scalars are those of `np.ndarray`."""
    if kind is np.ndarray or issubclass(kind, np.generic):
        if name in IN_PLACE:
            raise NotDifferentiable(
                f"the method `{name}` changes an array in place, which is not covered by the "
                "automatic differentiation.",
                where=user_line(),
                hint=f"Use {IN_PLACE[name]}, which returns a new array.",
            )
        return AUGMENTED.get(getattr(np.ndarray, name, None))
    return None


IN_PLACE = {"sort": "np.sort", "fill": "np.full", "put": "np.where", "resize": "np.reshape",
            "partition": "np.partition", "itemset": "np.where", "setfield": "np.where"}  # fmt: skip
registry.METHOD_FINDERS.append(find_method)

for name in ("any", "all", "argmax", "argmin", "argsort", "nonzero", "tobytes", "tolist"):
    AUGMENTED[getattr(np.ndarray, name)] = no_back(getattr(np.ndarray, name))
del AUGMENTED[np.ndarray.tolist]
inert(
    np.shape, np.ndim, np.size, np.zeros, np.ones, np.empty, np.zeros_like, np.ones_like,
    np.empty_like, np.arange, np.eye, np.identity, np.isnan, np.isfinite, np.isinf, np.argmax,
    np.argmin, np.argsort, np.nonzero, np.flatnonzero, np.any, np.all, np.equal, np.not_equal,
    np.less, np.less_equal, np.greater, np.greater_equal, np.logical_and, np.logical_or,
    np.logical_not, np.logical_xor, np.allclose, np.isclose, np.array_equal, np.searchsorted,
    np.iscomplexobj, np.isrealobj, np.result_type, np.issubdtype, np.dtype, np.signbit,
    np.count_nonzero, np.unique, np.bincount, np.digitize, np.int32, np.int64, np.bool_,
    np.random.default_rng,
)  # fmt: skip
for name in dir(np.random):
    if callable(getattr(np.random, name)) and not name.startswith("_"):
        inert(getattr(np.random, name))
for kind in (np.random.Generator, np.random.RandomState):
    inert(*[m for n, m in vars(kind).items() if callable(m) and not n.startswith("_")])
