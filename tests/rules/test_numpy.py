"""NumPy's rules: a table of functions and arguments, each against finite differences."""

import numpy as np
import pytest

from flux.ad.check import check_rule

rng = np.random.default_rng(1)
X = rng.uniform(0.2, 0.8, (3, 4))
Y = rng.uniform(1.2, 1.9, (3, 4))
V, W = rng.normal(size=4), rng.normal(size=4)
M, N = rng.normal(size=(4, 3)), rng.normal(size=(3, 4))
S = rng.normal(size=(4, 4)) + 4 * np.eye(4)
B = rng.normal(size=(2, 3, 3)) + 3 * np.eye(3)
P = S @ S.T
Z = rng.normal(size=(3, 4)) + 1j * rng.normal(size=(3, 4))
T = rng.normal(size=(2, 3, 4))
EMPTY, ONE = np.zeros((3, 0)), rng.uniform(0.2, 0.8, (3, 1))

UNARY = """sin cos tan arcsin arccos arctan sinh cosh tanh arcsinh arctanh exp exp2 expm1 log log2
log10 log1p sqrt cbrt square reciprocal negative positive absolute fabs degrees radians deg2rad
rad2deg sinc nan_to_num real imag conj angle floor ceil rint trunc sign round fix abs""".split()
BINARY = """add subtract multiply divide power float_power arctan2 hypot logaddexp logaddexp2
maximum minimum fmax fmin copysign mod fmod remainder heaviside""".split()
COMPLEX = """sin cos tan exp log sqrt square reciprocal absolute sign conj real imag angle sinh cosh
tanh negative""".split()


@pytest.mark.parametrize("name", UNARY)
def test_function_of_one_array(name):
    f = getattr(np, name)
    for x in (X, X[0], X[0, 0], float(X[0, 0]), EMPTY, np.array(0.3)):
        check_rule(f, x)


@pytest.mark.parametrize("name", COMPLEX)
def test_function_of_a_complex_array(name):
    check_rule(getattr(np, name), Z)


def test_arccosh_beyond_one():
    check_rule(np.arccosh, Y)


@pytest.mark.parametrize("name", BINARY)
def test_function_of_two_arrays_that_broadcast(name):
    f = getattr(np, name)
    for a, b in ((X, Y), (X, Y[0]), (ONE, Y), (X[0, 0], Y), (X, 1.7), (1.7, X), (X, 2),
                 (EMPTY, ONE), (X[0], ONE)):  # fmt: skip
        check_rule(f, a, b)


@pytest.mark.parametrize("name", ["add", "subtract", "multiply", "divide", "power"])
def test_function_of_two_complex_arrays(name):
    check_rule(getattr(np, name), Z, Z[0] + 0.5)
    check_rule(getattr(np, name), X, Z)
    check_rule(getattr(np, name), Z, X)


AXES = [{}, {"axis": 0}, {"axis": -1}, {"axis": (0, 1)}, {"axis": 1, "keepdims": True}]
REDUCTIONS = "sum mean prod max min std var ptp nansum nanmean nanmax nanmin nanvar nanstd".split()


@pytest.mark.parametrize("name", REDUCTIONS)
def test_reduction_along_every_choice_of_axes(name):
    f = getattr(np, name)
    for options in AXES:
        check_rule(lambda x: f(x, **options), X)  # noqa: B023
        check_rule(lambda x: f(x, **options), T)  # noqa: B023
    check_rule(f, X, 1)
    check_rule(f, X[0])


def case(f, *args, **keywords):
    return pytest.param(f, args, keywords, id=getattr(f, "__name__", str(f)))


index = np.array([0, 2, 2, 1])
mask = np.array([True, False, True, True])
TABLE = [
    case(np.sum, X, where=X > 0.4), case(np.sum, X, initial=2.0), case(np.mean, X, where=X > 0.4),
    case(np.max, X, initial=0.5), case(np.max, X, axis=0, initial=0.5),
    case(np.prod, np.array([0.0, 2.0, 3.0])), case(np.prod, np.array([0.0, 0.0, 3.0])),
    case(np.prod, T, axis=(0, 2)), case(np.var, X, ddof=1), case(np.std, X, axis=0, ddof=1),
    case(np.var, Z), case(np.cumsum, X), case(np.cumsum, T, axis=1), case(np.cumprod, X),
    case(np.cumprod, X, axis=1), case(np.average, X), case(np.average, X, 1),
    case(lambda x, w: np.average(x, weights=w), X, Y),
    case(lambda x, w: np.average(x, axis=1, weights=w), X, Y[0]),
    case(np.median, X), case(np.median, X, 1), case(np.quantile, X, 0.3, 1),
    case(np.percentile, X, 30.0), case(np.quantile, V, np.array([0.3, 0.6])),
    case(np.cov, N), case(np.corrcoef, N), case(np.trace, S), case(np.trace, T, 1, 0, 2),
    case(np.logaddexp.reduce, X), case(np.add.reduce, X), case(np.multiply.reduce, X, 1),
    case(np.maximum.reduce, X), case(np.add.accumulate, X),
    # shapes
    case(np.reshape, X, (4, 3)), case(np.reshape, X, -1), case(np.ravel, X),
    case(np.transpose, T), case(np.transpose, T, (2, 0, 1)), case(np.transpose, T, (1, 2, 0)),
    case(np.swapaxes, T, 0, 2), case(np.moveaxis, T, 0, 2), case(np.moveaxis, T, (0, 1), (2, 0)),
    case(np.rollaxis, T, 2), case(np.expand_dims, X, 1), case(np.squeeze, ONE),
    case(np.broadcast_to, V, (3, 4)), case(np.broadcast_to, ONE, (2, 3, 4)),
    case(np.flip, X), case(np.flip, X, 1), case(np.fliplr, X), case(np.flipud, X),
    case(np.rot90, X), case(np.rot90, X, 3), case(np.roll, X, 2), case(np.roll, X, (1, 2), (0, 1)),
    case(np.roll, X, 1, axis=0), case(np.tril, S), case(np.triu, S, 1), case(np.copy, X),
    case(np.diag, V), case(np.diag, S), case(np.diag, X, 1), case(np.diag, V, -1),
    case(np.diagonal, X), case(np.diagonal, T, 1, 0, 2), case(np.diagonal, X, -1),
    case(np.diagflat, V), case(np.tile, X, 2), case(np.tile, X, (2, 1, 3)),
    case(np.tile, V, (2, 2)),
    case(np.repeat, X, 2), case(np.repeat, X, 3, 1), case(np.repeat, X, [1, 0, 2], axis=0),
    case(np.repeat, V, [1, 2, 0, 1]), case(np.pad, X, 1), case(np.pad, X, ((1, 0), (2, 1))),
    case(np.atleast_1d, 0.5), case(np.atleast_2d, V), case(np.atleast_3d, X),
    case(np.atleast_2d, V, X), case(np.broadcast_arrays, V, X), case(np.matrix_transpose, T),
    case(lambda a, b: np.meshgrid(a, b), V, W[:3]),
    case(lambda a, b: np.meshgrid(a, b, indexing="ij"), V, W[:3]),
    case(np.linspace, 0.5, 2.0), case(np.linspace, V, W, 5), case(np.full, (2, 3), 0.5),
    case(np.full_like, X, 0.5), case(np.geomspace, 0.5, 2.0, 5), case(np.logspace, 0.1, 1.0, 5),
    case(np.vander, V),
    # joining and cutting
    case(np.concatenate, (X, Y)), case(np.concatenate, [X, Y], 1),
    case(np.concatenate, (X, V), None),
    case(np.concatenate, (X, Y), axis=-1), case(np.concatenate, T), case(np.stack, [V, W]),
    case(np.stack, (X, Y), 1), case(np.stack, (X, Y), axis=-1), case(np.vstack, (V, X)),
    case(np.hstack, (X, ONE)), case(np.hstack, [V, W]), case(np.dstack, [X, Y]),
    case(np.dstack, [V, W]),
    case(np.column_stack, [V, S]), case(np.append, V, W), case(np.append, X, Y, 0),
    case(np.split, X, 2, 1), case(np.array_split, V, 3), case(np.hsplit, X, 2),
    case(np.vsplit, X, 3),
    case(np.block, [[X, ONE], [X[:1], ONE[:1]]]), case(np.delete, X, 1, 0), case(np.unstack, X),
    case(np.array, [0.5, 2.0]), case(np.array, [[V, W], [W, V]]), case(np.array, (1.0, 2)),
    case(np.asarray, [V, (0.5, 1.0, 2.0, 3.0)]), case(np.sum, [0.5, 2.0]), case(np.sin, [0.5, 2.0]),
    case(np.add, [0.5, 2.0], (1.0, 3.0)), case(np.maximum, [0.5, 2.0], 1.0),
    # choosing, sorting, differences
    case(np.where, X > 0.5, X, Y), case(np.where, X > 0.5, X, 0.0), case(np.where, mask, V, X),
    case(np.where, X > 0.5, [0.5, 1.0, 2.0, 3.0], 1.0),
    case(np.clip, X, 0.3, 0.6), case(np.clip, X, None, 0.6), case(np.clip, X, X * 0.9, 0.5),
    case(np.clip, X, max=0.5), case(lambda x, m: np.clip(x, min=m, max=0.7), X, 0.4),
    case(np.sort, X), case(np.sort, X, 0), case(np.sort, X, None), case(np.partition, V, 2),
    case(np.take, X, index, 0) if False else case(np.take, X, [0, 2, 2], 1), case(np.take, X, 5),
    case(np.take, X, index, mode="wrap"), case(np.take_along_axis, X, np.argsort(X, 1), 1),
    case(np.compress, [True, False, True], X, 0), case(np.extract, X > 0.5, X),
    case(np.select, [X > 0.6, X > 0.4], [X, Y], 0.5), case(np.choose, index % 2, [V, W]),
    case(np.diff, X), case(np.diff, X, 2, 1), case(np.diff, V, prepend=0.5, append=W),
    case(np.ediff1d, V), case(np.gradient, V), case(np.gradient, X), case(np.gradient, V, 0.5),
    case(np.gradient, V, np.array([0.0, 1.0, 3.0, 4.0])),
    case(np.gradient, X, axis=1, edge_order=2),
    case(np.interp, X, np.array([0.0, 0.3, 0.5, 1.0]), V), case(np.interp, X * 2 - 0.5,
         np.array([0.0, 0.3, 0.5, 1.0]), V), case(np.unwrap, np.array([0.0, 3.0, 6.5, 13.0])),
    case(np.trapezoid, X), case(np.trapezoid, X, V), case(np.polyval, V, X),
    case(np.modf, X + 1), case(np.divmod, Y, X), case(np.nan_to_num, X),
    # products
    case(np.matmul, N, M), case(np.matmul, V, M), case(np.matmul, N, V), case(np.matmul, V, W),
    case(np.matmul, T, M), case(np.matmul, T[:, :, :3], B), case(np.matmul, N[:, :3], B),
    case(np.dot, N, M), case(np.dot, V, W), case(np.dot, V, M), case(np.dot, 2.0, V),
    case(np.dot, V, 2.0), case(np.dot, T, M), case(np.dot, N[:, :3], B),
    case(np.dot, T[..., :3], B),
    case(np.inner, N, X), case(np.inner, V, W), case(np.inner, T, X), case(np.inner, T, V),
    case(np.outer, V, W), case(np.outer, X, V), case(np.vdot, V, W), case(np.vdot, X, Y),
    case(np.vdot, Z, Z + 1), case(np.tensordot, T, M, 1),
    case(np.tensordot, T, X, ((1, 2), (0, 1))),
    case(np.tensordot, T, X, axes=((2, 1), (1, 0))), case(np.tensordot, X, Y),
    case(np.tensordot, V, W, 0), case(np.kron, V, W), case(np.kron, X, S), case(np.kron, X, V),
    case(np.cross, V[:3], W[:3]), case(np.cross, M, M + 1), case(np.vecdot, X, Y),
    case(np.linalg.multi_dot, [N, M, N]), case(np.convolve, V, W[:3]),
    case(np.convolve, V, W[:3], "same"), case(np.convolve, V[:3], W, "valid"),
    case(np.correlate, V, W[:3]), case(np.correlate, V, W[:3], "full"),
    case(np.einsum, "ij,jk->ik", N, M), case(np.einsum, "ij,jk", N, M), case(np.einsum, "ii", S),
    case(np.einsum, "ii->i", S), case(np.einsum, "ij->", X), case(np.einsum, "ij->j", X),
    case(np.einsum, "...ij,...jk->...ik", T, M), case(np.einsum, "i,ij,j", V, S, W),
    case(np.einsum, "bij,kj->bki", T, X), case(np.einsum, "ii,jj->ij", S, P),
    case(np.einsum, "ij,ij->i", ONE, X), case(np.einsum, "...,...", V, X),
    # linear algebra
    case(np.linalg.solve, S, V), case(np.linalg.solve, S, M), case(np.linalg.solve, B, T[..., :2]),
    case(np.linalg.inv, S), case(np.linalg.inv, B), case(np.linalg.det, S), case(np.linalg.det, B),
    case(np.linalg.slogdet, S), case(np.linalg.slogdet, B), case(np.linalg.pinv, M),
    case(np.linalg.pinv, N), case(np.linalg.matrix_power, S, 3),
    case(np.linalg.matrix_power, S, -2),
    case(lambda x: np.linalg.cholesky(x + x.T), P),
    case(lambda x: np.linalg.cholesky(x + x.T, upper=True), P),
    case(np.linalg.qr, S), case(np.linalg.qr, M), case(np.linalg.qr, B),
    case(lambda x: np.linalg.eigh(x + x.T), S), case(lambda x: np.linalg.eigvalsh(x + x.T), S),
    case(np.linalg.svd, S), case(np.linalg.svd, M, False),
    case(np.linalg.svd, N, full_matrices=False),
    case(np.linalg.svdvals, M), case(np.linalg.svd, M, compute_uv=False),
    case(np.linalg.norm, X), case(np.linalg.norm, V), case(np.linalg.norm, V, 1),
    case(np.linalg.norm, V, 3), case(np.linalg.norm, V, np.inf), case(np.linalg.norm, X, "nuc"),
    case(np.linalg.norm, X, 2), case(np.linalg.norm, X, 1), case(np.linalg.norm, X, axis=1),
    case(np.linalg.norm, X, axis=(0, 1)), case(np.linalg.norm, T, axis=(0, 2), keepdims=True),
    case(np.linalg.norm, Z), case(np.linalg.vector_norm, X), case(np.linalg.matrix_norm, T),
    case(np.linalg.trace, T), case(np.linalg.diagonal, T),
    # Fourier transforms
    case(np.fft.fft, V), case(np.fft.fft, Z), case(np.fft.fft, Z, 3), case(np.fft.fft, Z, 6, 0),
    case(np.fft.ifft, Z), case(np.fft.ifft, Z, norm="ortho"), case(np.fft.rfft, V),
    case(np.fft.rfft, X, 5), case(np.fft.rfft, X, 3, 0), case(np.fft.irfft, Z),
    case(np.fft.irfft, Z, 5), case(np.fft.irfft, Z, 12), case(np.fft.irfft, Z, norm="forward"),
    case(np.fft.fft2, Z), case(np.fft.ifft2, T), case(np.fft.fftn, T),
    case(np.fft.ifftn, Z, norm="ortho"),
    case(np.fft.rfft2, X), case(np.fft.rfftn, T), case(np.fft.irfft2, Z), case(np.fft.irfftn, Z),
    case(np.fft.fftshift, X), case(np.fft.ifftshift, X, 1), case(np.fft.fft2, Z, (2, 6)),
    # methods and attributes
    case(lambda x: x.sum(), X), case(lambda x: x.mean(0), X), case(lambda x: x.sum(axis=1), X),
    case(lambda x: x.reshape(4, 3), X), case(lambda x: x.reshape((2, -1)), X),
    case(lambda x: x.transpose(), X), case(lambda x: x.transpose(2, 0, 1), T),
    case(lambda x: x.transpose((2, 0, 1)), T), case(lambda x: x.T, X), case(lambda x: x.mT, T),
    case(lambda x: x.real, Z), case(lambda x: x.imag, Z), case(lambda x: x.dot(M), N),
    case(lambda x: x.astype(np.float64), X), case(lambda x: x.copy(), X),
    case(lambda x: x.flatten(), X),
    case(lambda x: x.ravel(), X), case(lambda x: x.max(0), X), case(lambda x: x.min(), X),
    case(lambda x: x.prod(1), X), case(lambda x: x.std(ddof=1), X), case(lambda x: x.var(0), X),
    case(lambda x: x.clip(0.3, 0.6), X), case(lambda x: x.round(1), X),
    case(lambda x: x.cumsum(1), X),
    case(lambda x: x.cumprod(), V), case(lambda x: x.take([0, 0, 3]), X),
    case(lambda x: x.repeat(2), X),
    case(lambda x: x.squeeze(), ONE), case(lambda x: x.swapaxes(0, 1), X),
    case(lambda x: x.trace(), S),
    case(lambda x: x.diagonal(1), S), case(lambda x: x.conj(), Z), case(lambda x: x[0].item(), V),
    case(lambda x: x.item(1), X), case(lambda x: x.item(1, 2), X), case(lambda x: x.tolist(), X),
    case(lambda x: x.sum().item() ** 2, X), case(lambda x: x.sum().copy() * x.mean().round(), X),
    case(lambda x: x.shape[0] * x.sum() / x.size + x.ndim, X), case(lambda x: len(x) * x[0], X),
    case(lambda x: x.argmax() * x, X), case(lambda x: np.float64(x) * 2, 0.5),
    case(lambda x: abs(x), X),
    case(lambda x: x.compress([True, False, True, True], 1), X), case(lambda x: x.sum().sum(), X),
    # indexing
    case(lambda x: x[1], X), case(lambda x: x[1:, ::2], X), case(lambda x: x[..., None, 0], X),
    case(lambda x: x[index], S), case(lambda x: x[index, index], S), case(lambda x: x[:, index], S),
    case(lambda x: x[mask], S), case(lambda x: x[x > 0.5], X), case(lambda x: x[[0, 0, 2]] ** 2, X),
    case(lambda x: x[0] * x[1] + x[2] * x[0], X), case(lambda x: [row.sum() ** 2 for row in x], X),
    case(lambda x: x[-1] * x[2, 1] + x[()].sum(), X), case(lambda x: x[1:, mask], X),
]  # fmt: skip


@pytest.mark.line(165)
@pytest.mark.parametrize(("f", "args", "keywords"), TABLE)
def test_against_finite_differences(f, args, keywords):
    check_rule(f, *args, **keywords)
