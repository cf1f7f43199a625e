"""Derivatives of the standard's linear algebra: solving, factoring, eigenvalues, norms.

Source: Giles (2008), Collected matrix derivative results; for the singular value decomposition,
Townsend (2016), Differentiating the singular value decomposition.
"""

from __future__ import annotations

import math

from flux.ad.cotangents import dense
from flux.ad.spaces import project
from flux.rules.arrayapi.elementwise import conjugate
from flux.rules.arrayapi.forms import MAKERS, like, no_derivative, rule
from flux.rules.arrayapi.libraries import is_complex
from flux.rules.arrayapi.reductions import vector_norm_of_two
from flux.rules.arrayapi.space import refused


def T(xp, x):
    return xp.matrix_transpose(x)


def H(xp, x):
    return conjugate(xp, xp.matrix_transpose(x))


def eye(xp, x):
    """The identity of the size of the last axis of `x`."""
    return xp.eye(x.shape[-1], dtype=x.dtype, device=x.device)


# -- solving ---------------------------------------------------------------------------------------


def matrix_of_solve(xp, ct, y, x1, x2):
    one = x2.ndim == 1
    side = xp.linalg.solve(T(xp, x1), ct[..., None] if one else ct)
    return -side @ T(xp, y[..., None] if one else y)


def side_of_solve(xp, ct, y, x1, x2):
    if x2.ndim == 1:
        return xp.linalg.solve(T(xp, x1), ct[..., None])[..., 0]
    return xp.linalg.solve(T(xp, x1), ct)


def of_inverse(xp, ct, y, x):
    return -T(xp, y) @ ct @ T(xp, y)


def of_determinant(xp, ct, y, x):
    return (ct * y)[..., None, None] * T(xp, xp.linalg.inv(x))


rule("linalg.solve", "x1 x2", x1=matrix_of_solve, x2=side_of_solve)
rule("linalg.inv", "x", x=of_inverse)
rule("linalg.det", "x", x=of_determinant)


@like("linalg.matrix_power")
def matrix_power(xp, x, n, /):
    x = xp.linalg.inv(x) if n < 0 else x
    y = xp.broadcast_to(eye(xp, x), x.shape)
    for _ in range(abs(n)):
        y = y @ x
    return y


def diagonal_cotangent(xp, ct, x, offset):
    """Zeros of the shape of `x`, with `ct` on a diagonal of its matrices."""
    rows, columns = x.shape[-2:]
    steps = xp.arange(columns, device=x.device) - xp.arange(rows, device=x.device)[:, None]
    count, first = ct.shape[-1], max(-offset, 0)
    whole = ct[..., :, None]
    before = xp.zeros((*ct.shape[:-1], first, 1), dtype=ct.dtype, device=ct.device)
    after = xp.zeros((*ct.shape[:-1], rows - first - count, 1), dtype=ct.dtype, device=ct.device)
    tall = xp.broadcast_to(xp.concat([before, whole, after], axis=-2), x.shape)
    return xp.where(steps == offset, tall, xp.zeros_like(tall))


def of_trace(xp, ct, y, x, offset=0, dtype=None):
    count = max(0, min(x.shape[-2] + min(offset, 0), x.shape[-1] - max(offset, 0)))
    along = xp.broadcast_to(ct[..., None], (*ct.shape, count))
    return diagonal_cotangent(xp, along, x, offset)


rule("linalg.diagonal", "x offset", x=lambda xp, ct, y, x, offset=0: (
    diagonal_cotangent(xp, ct, x, offset)))  # fmt: skip
rule("linalg.trace", "x offset dtype", x=of_trace)


# -- factors ---------------------------------------------------------------------------------------


def of_cholesky(xp, ct, y, x, upper=False):
    """A symmetric cotangent, as the factor is a function of the symmetric part."""
    low, ct = (H(xp, y), H(xp, ct)) if upper else (y, ct)
    half = T(xp, low) @ ct
    half = xp.tril(half) - 0.5 * half * eye(xp, half)
    inner = xp.linalg.solve(T(xp, low), T(xp, xp.linalg.solve(T(xp, low), T(xp, half))))
    return (inner + H(xp, inner)) / 2


def factors(name, formula):
    """Register a factorisation: its result is a tuple, and a missing cotangent is zero."""

    def maker(xp, f):
        def augmented(x, **options):
            y = f(x, **options)

            def back(ct, store):
                nones = [None for _ in options]
                if ct is None:
                    return (None, *nones)
                cts = [xp.zeros_like(part) if c is None else project(c, part)
                       for c, part in zip(dense(ct), y, strict=True)]  # fmt: skip
                return (project(formula(xp, cts, y, x, **options), x), *nones)

            return y, back

        return augmented

    MAKERS[name] = maker


def of_slogdet(xp, cts, y, x):
    if is_complex(x):
        raise refused("`linalg.slogdet` of a complex matrix", "Use the logarithm of linalg.det.")
    return cts[1][..., None, None] * T(xp, xp.linalg.inv(x))


def of_qr(xp, cts, y, x, mode="reduced"):
    if mode != "reduced" or x.shape[-2] < x.shape[-1] or is_complex(x):
        raise refused("`linalg.qr` of a wide or complex matrix, or in another mode than 'reduced'",
                      "Factor a tall real matrix.")  # fmt: skip
    dq, dr = cts
    q, r = y
    m = r @ T(xp, dr) - T(xp, dq) @ q
    low = xp.tril(m, k=-1)
    whole = dq + q @ (low + T(xp, low) + m * eye(xp, m))
    return T(xp, xp.linalg.solve(r, T(xp, whole)))


def gaps(xp, values):
    """`1 / (v_j - v_i)`, and 0 on the diagonal."""
    difference = values[..., None, :] - values[..., :, None]
    same = xp.broadcast_to(eye(xp, values) == 1, difference.shape)
    inverse = 1 / xp.where(same, xp.ones_like(difference), difference)
    return xp.where(same, xp.zeros_like(inverse), inverse)


def of_eigh(xp, cts, y, x):
    """By JAX's convention: the cotangent is that of a linear map."""
    dw, dv = cts
    w, v = y
    v = conjugate(xp, v)
    middle = dw[..., None, :] * eye(xp, w) + gaps(xp, w) * (H(xp, v) @ dv)
    whole = v @ xp.astype(middle, v.dtype) @ H(xp, v)
    return (whole + H(xp, whole)) / 2


def of_svd(xp, cts, y, x, full_matrices=True):
    rows, columns = x.shape[-2:]
    if is_complex(x) or (full_matrices and rows != columns):
        raise refused("`linalg.svd` of a complex matrix, or with full matrices",
                      "Pass full_matrices=False.")  # fmt: skip
    u, s, vt = y
    du, ds, dvt = cts
    wide, tall = s[..., None, :], s[..., :, None]
    f = gaps(xp, s * s)
    left, right = T(xp, u) @ du, vt @ T(xp, dvt)
    inner = f * (left - T(xp, left)) * wide + tall * (f * (right - T(xp, right)))
    whole = u @ (inner + ds[..., None, :] * eye(xp, s)) @ vt
    if rows > columns:
        whole = whole + (du - u @ (T(xp, u) @ du)) / wide @ vt
    if columns > rows:
        whole = whole + u / wide @ (dvt - dvt @ T(xp, vt) @ vt)
    return whole


rule("linalg.cholesky", "x upper", x=of_cholesky)
factors("linalg.slogdet", of_slogdet)
factors("linalg.qr", of_qr)
factors("linalg.eigh", of_eigh)
factors("linalg.svd", of_svd)


@like("linalg.eigvalsh")
def eigvalsh(xp, x, /):
    return xp.linalg.eigh(x)[0]


@like("linalg.svdvals")
def svdvals(xp, x, /):
    return xp.linalg.svd(x, full_matrices=False)[1]


# -- norms -----------------------------------------------------------------------------------------


@like("linalg.vector_norm")
def vector_norm(xp, x, /, *, axis=None, keepdims=False, ord=2):
    if ord == 2:
        return vector_norm_of_two(xp, x, axis, keepdims)
    size = xp.abs(x)
    if ord == math.inf:
        return xp.max(size, axis=axis, keepdims=keepdims)
    if ord == -math.inf:
        return xp.min(size, axis=axis, keepdims=keepdims)
    if ord == 0:
        return xp.sum(xp.zeros_like(size), axis=axis, keepdims=keepdims)
    total = xp.sum(size if ord == 1 else size**ord, axis=axis, keepdims=keepdims)
    return total if ord == 1 else total ** (1 / ord)


@like("linalg.matrix_norm")
def matrix_norm(xp, x, /, *, keepdims=False, ord="fro"):
    size = xp.abs(x)
    if ord in (None, "fro"):
        y = vector_norm_of_two(xp, x, (-2, -1), False)
    elif ord in (1, -1):
        totals = xp.sum(size, axis=-2)
        y = xp.max(totals, axis=-1) if ord == 1 else xp.min(totals, axis=-1)
    elif ord in (math.inf, -math.inf):
        totals = xp.sum(size, axis=-1)
        y = xp.max(totals, axis=-1) if ord == math.inf else xp.min(totals, axis=-1)
    else:
        values = svdvals(xp, x)
        y = xp.sum(values, axis=-1) if ord == "nuc" else values[..., 0 if ord == 2 else -1]
    return y[..., None, None] if keepdims else y


no_derivative("linalg.matrix_rank")
