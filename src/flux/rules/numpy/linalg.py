"""Derivatives of NumPy's linear algebra: solving, factoring, eigenvalues, norms.

Source: Giles (2008), Collected matrix derivative results; for the singular value decomposition,
Townsend (2016), Differentiating the singular value decomposition.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from flux.ad.registry import AUGMENTED
from flux.ad.spaces import project
from flux.rules.numpy.forms import like, refused, rule
from flux.rules.numpy.space import differs


def T(x):
    return np.swapaxes(x, -1, -2)


def H(x):
    return np.conj(np.swapaxes(x, -1, -2))


# -- solving -------------------------------------------------------------------------------------


def matrix_of_solve(ct, y, a, b):
    db = np.linalg.solve(T(a), ct[..., None] if np.ndim(b) == 1 else ct)
    y = y[..., None] if np.ndim(b) == 1 else y
    return -db @ T(y)


def side_of_solve(ct, y, a, b):
    if np.ndim(b) == 1:
        return np.linalg.solve(T(a), ct[..., None])[..., 0]
    return np.linalg.solve(T(a), ct)


rule(np.linalg.solve, a=matrix_of_solve, b=side_of_solve)
rule(np.linalg.inv, a=lambda ct, y, a: -T(y) @ ct @ T(y))
rule(np.linalg.det, a=lambda ct, y, a: np.asarray(ct * y)[..., None, None] * T(np.linalg.inv(a)))


@like(np.linalg.pinv)
def pinv(a, rcond=None, hermitian=False, **options):
    if np.linalg.matrix_rank(a).min() < min(np.shape(a)[-2:]):
        raise refused("np.linalg.pinv of a matrix without full rank", "Add a small multiple of the "
                      "identity.")  # fmt: skip
    if np.shape(a)[-2] >= np.shape(a)[-1]:
        return np.linalg.solve(H(a) @ a, H(a))
    return H(np.linalg.solve(a @ H(a), a))


@like(np.linalg.matrix_power)
def matrix_power(a, n):
    a = np.linalg.inv(a) if n < 0 else a
    y = np.broadcast_to(np.eye(np.shape(a)[-1]), np.shape(a))
    for _ in range(abs(n)):
        y = y @ a
    return y


def pairs(f, formula):
    """Register a factorisation: its result is a tuple, and a missing cotangent is `None`."""

    def augmented(a, *rest, **options):
        y = f(a, *rest, **options)

        def back(ct, store):
            nones = [None for _ in (*rest, *options)]
            if ct is None or not differs(a):
                return (None, *nones)
            cts = tuple([np.zeros_like(p) if c is None else c for c, p in zip(ct, y, strict=True)])
            return (project(formula(cts, y, a, *rest, **options), a), *nones)

        return y, back

    AUGMENTED[f] = augmented


def slogdet_part(ct, y, a):
    real = ct[1]
    if np.iscomplexobj(a):
        raise refused("np.linalg.slogdet of a complex matrix", "Use jax.numpy.linalg.slogdet.")
    return np.asarray(real)[..., None, None] * T(np.linalg.inv(a))


pairs(np.linalg.slogdet, slogdet_part)


# -- factors -------------------------------------------------------------------------------------


def lower_half(x):
    """The lower triangle, with half of the diagonal."""
    return np.tril(x) - 0.5 * x * np.eye(x.shape[-1])


def cholesky_part(ct, y, a, upper=False):
    low, ct = (H(y), H(ct)) if upper else (y, ct)
    middle = lower_half(T(low) @ ct)
    inner = np.linalg.solve(T(low), T(np.linalg.solve(T(low), T(middle))))
    return (inner + H(inner)) / 2


def qr_part(ct, y, a, mode="reduced"):
    if mode != "reduced" or np.shape(a)[-2] < np.shape(a)[-1] or np.iscomplexobj(a):
        raise refused("np.linalg.qr of a wide or complex matrix, or in another mode than 'reduced'",
                      "Use jax.numpy.linalg.qr.")  # fmt: skip
    dq, dr = ct
    q, r = y
    m = r @ T(dr) - T(dq) @ q
    whole = dq + q @ (np.tril(m, -1) + T(np.tril(m, -1)) + m * np.eye(m.shape[-1]))
    return T(np.linalg.solve(r, T(whole)))


def gaps(values):
    """`1 / (v_j - v_i)`, and 0 on the diagonal."""
    difference = values[..., None, :] - values[..., :, None]
    same = np.eye(values.shape[-1], dtype=bool)
    return np.where(same, 0, 1 / np.where(same, 1, difference))


def eigh_part(ct, y, a, UPLO="L"):
    dw, dv = ct
    w, v = y
    v, dv = np.conj(v), dv  # JAX's convention: the cotangent is that of a linear map
    middle = dw[..., None, :] * np.eye(w.shape[-1]) + gaps(w) * (H(v) @ dv)
    whole = v @ middle @ H(v)
    return (whole + H(whole)) / 2


def svd_part(ct, y, a, full_matrices=True, compute_uv=True, hermitian=False):
    if np.iscomplexobj(a):
        raise refused("np.linalg.svd of a complex matrix", "Use jax.numpy.linalg.svd.")
    rows, columns = np.shape(a)[-2:]
    if full_matrices and rows != columns:
        raise refused("np.linalg.svd with full matrices", "Pass full_matrices=False.")
    u, s, vt = y
    du, ds, dvt = ct
    wide, tall = s[..., None, :], s[..., :, None]
    f = gaps(s * s)
    left, right = T(u) @ du, vt @ T(dvt)
    inner = f * (left - T(left)) * wide + tall * (f * (right - T(right)))
    whole = u @ (inner + ds[..., None, :] * np.eye(s.shape[-1])) @ vt
    if rows > columns:
        whole = whole + (du - u @ (T(u) @ du)) / wide @ vt
    if columns > rows:
        whole = whole + u / wide @ (dvt - dvt @ T(vt) @ vt)
    return whole


rule(np.linalg.cholesky, a=cholesky_part)
pairs(np.linalg.qr, qr_part)
pairs(np.linalg.eigh, eigh_part)
pairs(np.linalg.svd, svd_part)
factors = AUGMENTED[np.linalg.svd]


def svd(a, full_matrices=True, compute_uv=True, hermitian=False):
    """The singular values alone are those of the thin decomposition."""
    if compute_uv:
        return factors(a, full_matrices, compute_uv, hermitian)
    return singular_values(a, full_matrices, compute_uv, hermitian)


@like(np.linalg.svdvals)
def svdvals(x, /):
    return np.linalg.svd(x, full_matrices=False)[1]


@like(np.linalg.eigvalsh)
def eigvalsh(a, UPLO: Any = "L"):
    return np.linalg.eigh(a, UPLO)[0]


def singular_values(a, *rest):
    y, inner = AUGMENTED[np.linalg.svdvals](a)

    def back(ct, store):
        return (*inner(ct, store), *[None for _ in rest])

    return y, back


def svd_by_name(a, *rest, **options):
    """`svd` with its arguments in any form; a cotangent for each that was given."""
    y, inner = svd(a, *rest, **options)
    count = 1 + len(rest) + len(options)

    def back(ct, store):
        return (*inner(ct, store)[:1], *[None for _ in range(count - 1)])

    return y, back


AUGMENTED[np.linalg.svd] = svd_by_name
for f in (np.linalg.eig, np.linalg.eigvals, np.linalg.lstsq, np.linalg.tensorsolve,
          np.linalg.tensorinv, np.linalg.cond):  # fmt: skip

    def unknown(*args, f=f, **options):
        raise refused(f"`np.linalg.{f.__name__}`", "Use the function of jax.numpy.linalg.")

    like(f)(unknown)


# -- norms ---------------------------------------------------------------------------------------


@like(np.linalg.norm)
def norm(x, ord=None, axis=None, keepdims=False):
    x = np.asarray(x)
    if axis is None and (ord is None or x.ndim == 1):
        y = vector_norm(np.ravel(x), axis=0, ord=2 if ord is None else ord)
        return np.reshape(y, (1,) * x.ndim) if keepdims else y
    if axis is None:
        axis = tuple(range(x.ndim))
    if isinstance(axis, tuple) and len(axis) == 2:
        moved = np.moveaxis(x, axis, (-2, -1))
        y = matrix_norm(moved, ord="fro" if ord is None else ord)
        return np.expand_dims(y, axis) if keepdims else y
    return vector_norm(x, axis=axis, keepdims=keepdims, ord=2 if ord is None else ord)


@like(np.linalg.vector_norm)
def vector_norm(x, /, *, axis=None, keepdims=False, ord=2):
    size = np.abs(x)
    if ord == np.inf:
        return np.max(size, axis=axis, keepdims=keepdims)
    if ord == -np.inf:
        return np.min(size, axis=axis, keepdims=keepdims)
    if ord == 0:
        return np.sum(0.0 * size, axis=axis, keepdims=keepdims)
    if ord == 1:
        return np.sum(size, axis=axis, keepdims=keepdims)
    if ord == 2:
        square = np.real(np.conj(x) * x) if np.iscomplexobj(x) else np.square(x)
        return np.sqrt(np.sum(square, axis=axis, keepdims=keepdims))
    return np.sum(size**ord, axis=axis, keepdims=keepdims) ** (1 / ord)


@like(np.linalg.matrix_norm)
def matrix_norm(x, /, *, keepdims=False, ord="fro"):
    size = np.abs(x)
    if ord in (None, "fro"):
        y = vector_norm(x, axis=(-2, -1))
    elif ord in (1, -1):
        totals = np.sum(size, -2)
        y = np.max(totals, -1) if ord == 1 else np.min(totals, -1)
    elif ord in (np.inf, -np.inf):
        totals = np.sum(size, -1)
        y = np.max(totals, -1) if ord == np.inf else np.min(totals, -1)
    else:
        values = np.linalg.svdvals(x)
        y = {"nuc": np.sum(values, -1), 2: values[..., 0], -2: values[..., -1]}[ord]
    return y[..., None, None] if keepdims else y
