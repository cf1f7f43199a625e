"""Derivatives of scipy.linalg: solving, factors, functions of matrices, matrices with a pattern.

Source: Giles (2008), Collected matrix derivative results; for functions of a matrix, Mathias
(1996), A chain rule for matrix functions: `f([[A, E], [0, A]])` holds the derivative of `f` at `A`
along `E` in its upper right block.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import linalg

from flux.ad.registry import AUGMENTED, inert
from flux.ad.spaces import project
from flux.rules.numpy.forms import like, names_of, refused, rule
from flux.rules.numpy.linalg import (
    H,
    T,
    cholesky_part,
    eigh_part,
    matrix_of_solve,
    qr_part,
    side_of_solve,
    svd_part,
)
from flux.rules.numpy.space import differs
from flux.rules.scipy.forms import keeping

# -- solving -------------------------------------------------------------------------------------

SYMMETRIC = ("sym", "symmetric", "her", "hermitian", "pos", "positive definite")


def pattern(ct, assume_a):
    """The cotangent of a matrix of which `inv` or `solve` was told the form."""
    if assume_a in (None, "gen", "general"):
        return ct
    if assume_a in SYMMETRIC:
        return (ct + H(ct)) / 2
    if assume_a in ("upper triangular", "lower triangular"):
        return np.triu(ct) if assume_a[0] == "u" else np.tril(ct)
    raise refused(f"`assume_a={assume_a!r}`", "Leave `assume_a` out.")


def inv_part(ct, y, a, assume_a=None, **_):
    return pattern(-T(y) @ ct @ T(y), assume_a)


def turned(a, transposed=False):
    return T(a) if transposed else a


def solve_matrix_part(ct, y, a, b, assume_a=None, transposed=False, **_):
    part = matrix_of_solve(ct, y, turned(seen(a, assume_a), transposed), b)
    return pattern(turned(part, transposed), assume_a)


def solve_side_part(ct, y, a, b, assume_a=None, transposed=False, **_):
    return side_of_solve(ct, y, turned(seen(a, assume_a), transposed), b)


def seen(a, assume_a):
    """What `solve` reads of a matrix that it was told to be triangular."""
    return pattern(a, assume_a) if assume_a not in SYMMETRIC else a


def det_part(ct, y, a, **_):
    return np.asarray(ct * y)[..., None, None] * T(np.linalg.inv(a))


rule(linalg.inv, a=inv_part)
rule(linalg.solve, a=solve_matrix_part, b=solve_side_part)
rule(linalg.det, a=det_part)

TRANSPOSED = {0: 1, 1: 0, "N": 1, "T": 0}


def triangular_side(ct, y, a, b, trans=0, lower=False, unit_diagonal=False, **_):
    if trans in TRANSPOSED:
        return linalg.solve_triangular(a, ct, TRANSPOSED[trans], lower, unit_diagonal)
    return linalg.solve_triangular(np.conj(a), ct, 0, lower, unit_diagonal)


def triangular_matrix(ct, y, a, b, trans=0, lower=False, unit_diagonal=False, **_):
    db = triangular_side(ct, y, a, b, trans, lower, unit_diagonal)
    part = -np.outer(db, y) if np.ndim(b) == 1 else -db @ T(y)
    if trans not in (0, "N"):
        part = T(part) if trans in TRANSPOSED else H(part)
    edge = 1 if unit_diagonal else 0
    return np.tril(part, -edge) if lower else np.triu(part, edge)


rule(linalg.solve_triangular, a=triangular_matrix, b=triangular_side)


def shifted(ab, low, up):
    """The diagonals of a band matrix, in the form for its transpose."""
    rows = [np.roll(ab[up - k], -k) for k in range(-low, up + 1)]
    return np.stack(rows)


def banded_side(ct, y, l_and_u, ab, b, **_):
    low, up = l_and_u
    return linalg.solve_banded((up, low), shifted(ab, low, up), ct)


def banded_matrix(ct, y, l_and_u, ab, b, **_):
    low, up = l_and_u
    db = banded_side(ct, y, l_and_u, ab, b)
    db, y = (db[:, None], y[:, None]) if np.ndim(b) == 1 else (db, y)
    rows = [-np.sum(np.roll(db, k, 0) * y, 1) for k in range(up, -low - 1, -1)]
    return np.stack(rows) * inside(low, up, len(y))


def inside(low, up, n):
    """1 for the places of a band that lie in the matrix."""
    rows = np.arange(n) - np.arange(up, -low - 1, -1)[:, None]
    return np.logical_and(rows >= 0, rows < n)


inert(inside)
rule(linalg.solve_banded, ab=banded_matrix, b=banded_side)


def sylvester_side(ct, y, a, b, q):
    return linalg.solve_sylvester(T(a), T(b), ct)


rule(linalg.solve_sylvester, q=sylvester_side,
     a=lambda ct, y, a, b, q: -sylvester_side(ct, y, a, b, q) @ T(y),
     b=lambda ct, y, a, b, q: -T(y) @ sylvester_side(ct, y, a, b, q))  # fmt: skip


@like(linalg.pinv)
def pinv(a, *, atol=None, rtol=None, return_rank=False, check_finite=True):
    if return_rank or atol is not None or rtol is not None:
        raise refused("`scipy.linalg.pinv` with a tolerance or the rank", "Leave them out.")
    return np.linalg.pinv(a)


# -- factors -------------------------------------------------------------------------------------


def triangle(x, lower):
    return np.tril(x) if lower else np.triu(x)


def cholesky_of(ct, y, a, lower=False, **_):
    return cholesky_part(triangle(ct, lower), triangle(y, lower), a, not lower)


rule(linalg.cholesky, a=cholesky_of)


def factorisation(f, formula):
    """Register a factorisation: `formula(cotangents, results, a, **options)` is that of `a`."""
    names = names_of(f)

    def augmented(*args, **options):
        given = {**dict(zip(names, args, strict=False)), **options}
        if any([differs(value) for name, value in given.items() if name != "a"]):
            raise refused(f"`{f.__name__}` of two matrices", "Reduce it to a problem of one.")
        y = f(*args, **options)

        def back(ct, store):
            if ct is None or not differs(given["a"]):
                return (None,) * len(given)
            part = formula(filled(ct, y), y, **given)
            cts = [project(part, value) if name == "a" else None for name, value in given.items()]
            return tuple(cts)

        return y, back

    AUGMENTED[f] = augmented


def filled(cts, y):
    """The cotangents of the parts of a result, zeros for missing ones."""
    if not isinstance(y, tuple):
        return cts
    return tuple([np.zeros_like(p) if c is None else c for c, p in zip(cts, y, strict=True)])


def cho_factor_part(cts, y, a, lower=False, **_):
    """The other half of the result is undefined, and has no derivative."""
    return cholesky_of(cts[0], y[0], a, lower)


def qr_of(cts, y, a, mode="full", pivoting=False, **_):
    square = np.shape(a)[-2] == np.shape(a)[-1]
    if pivoting or not (mode == "economic" or (mode == "full" and square)):
        raise refused("`scipy.linalg.qr` with pivoting, or not economic,",
                      'Pass mode="economic".')  # fmt: skip
    return qr_part(cts, y, a)


def plain_problem(options) -> bool:
    return options.get("subset_by_index") is None and options.get("subset_by_value") is None


def eigh_of(cts, y, a, eigvals_only=False, **options):
    if not plain_problem(options):
        raise refused("`scipy.linalg.eigh` of some eigenvalues", "Compute all of them.")
    if eigvals_only:
        return eigvalsh_of(cts, y, a, **options)
    return eigh_part(cts, y, a)


def eigvalsh_of(ct, y, a, lower=True, **options):
    if not plain_problem(options):
        raise refused("`scipy.linalg.eigvalsh` of some eigenvalues", "Compute all of them.")
    v = linalg.eigh(a, lower=lower)[1]
    return eigh_part((ct, np.zeros_like(v)), (y, v), a)


def svd_of(cts, y, a, full_matrices=True, compute_uv=True, **_):
    if compute_uv:
        return svd_part(cts, y, a, full_matrices)
    return svdvals_of(cts, y, a)


def svdvals_of(ct, y, a, **_):
    u, _, vt = linalg.svd(a, full_matrices=False)
    return np.conj(u) * ct[..., None, :] @ np.conj(vt)


factorisation(linalg.cho_factor, cho_factor_part)
factorisation(linalg.qr, qr_of)
factorisation(linalg.eigh, eigh_of)
factorisation(linalg.eigvalsh, eigvalsh_of)
factorisation(linalg.svd, svd_of)
factorisation(linalg.svdvals, svdvals_of)


@like(linalg.cho_solve)
def cho_solve(c_and_lower, b, overwrite_b=False, check_finite=True):
    c, lower = c_and_lower
    if lower:
        return linalg.solve_triangular(c, linalg.solve_triangular(c, b, 0, True), 2, True)
    return linalg.solve_triangular(c, linalg.solve_triangular(c, b, 2))


# -- functions of a matrix -----------------------------------------------------------------------


def magnitude(ct) -> float:
    """The size of a cotangent: its direction is what the matrix function is asked for."""
    return float(np.max(np.abs(ct), initial=0.0)) or 1.0


def derivative_along(f, a, direction):
    """The derivative of the matrix function `f` at `a` along `direction`, which may be large."""
    n, size = np.shape(a)[-1], magnitude(direction)
    above = np.concatenate([a, direction / size], -1)
    below = np.concatenate([np.zeros_like(a), a], -1)
    return f(np.concatenate([above, below], -2))[..., :n, n:] * size


def of_matrix(f):
    """Register a function of a square matrix that has a power series."""
    rule(f, A=lambda ct, y, A: derivative_along(f, T(A), ct))


def sqrtm_part(ct, y, A):
    return linalg.solve_sylvester(T(y), T(y), ct)


inert(magnitude)
for f in (linalg.expm, linalg.logm, linalg.sinm, linalg.cosm, linalg.tanm, linalg.sinhm,
          linalg.coshm, linalg.tanhm):  # fmt: skip
    of_matrix(f)
rule(linalg.sqrtm, A=sqrtm_part)

# -- matrices with a pattern, norms --------------------------------------------------------------


def vectors(f, *values):
    if any([np.ndim(value) > 1 for value in values]):
        raise refused(f"`scipy.linalg.{f}` of more than vectors", "Make one matrix at a time.")


@like(linalg.toeplitz)
def toeplitz(c, r: Any = None):
    vectors("toeplitz", c, 0 if r is None else r)
    c = np.ravel(c)
    r = np.conj(c) if r is None else np.ravel(r)
    rows, columns = np.arange(len(c))[:, None], np.arange(len(r))
    return np.concatenate([c[::-1], r[1:]])[len(c) - 1 - rows + columns]


@like(linalg.hankel)
def hankel(c, r: Any = None):
    vectors("hankel", c, 0 if r is None else r)
    c = np.ravel(c)
    r = np.zeros_like(c) if r is None else np.ravel(r)
    rows, columns = np.arange(len(c))[:, None], np.arange(len(r))
    return np.concatenate([c, r[1:]])[rows + columns]


@like(linalg.circulant)
def circulant(c):
    vectors("circulant", c)
    c = np.ravel(c)
    places = np.arange(len(c))
    return c[(places[:, None] - places) % len(c)]


@like(linalg.block_diag)
def block_diag(*arrs):
    blocks = [np.atleast_2d(block) for block in arrs]
    if any([block.ndim > 2 for block in blocks]):
        raise refused("`scipy.linalg.block_diag` of stacks", "Make one matrix at a time.")
    return np.concatenate([
        np.concatenate([
            block if i == j else np.zeros((block.shape[0], other.shape[1]), block.dtype)
            for j, other in enumerate(blocks)
        ], 1)
        for i, block in enumerate(blocks)
    ])  # fmt: skip


@like(linalg.norm)
def norm(a, ord=None, axis=None, keepdims=False, check_finite=True):
    return np.linalg.norm(a, ord, axis, keepdims)


keeping(linalg.inv, linalg.solve, linalg.det, linalg.solve_triangular, linalg.solve_banded,
        linalg.cholesky, linalg.cho_factor, linalg.cho_solve, linalg.qr, linalg.eigh,
        linalg.eigvalsh, linalg.svd, linalg.svdvals)  # fmt: skip
inert(linalg.issymmetric, linalg.ishermitian, linalg.bandwidth)
