"""SciPy's rules: tables against finite differences in first and second order, and refusals."""

import numpy as np
import pytest

pytest.importorskip("scipy", reason="SciPy's rules are tested where SciPy is installed")
from scipy import fft, integrate, linalg, signal, sparse, special, stats
from scipy.sparse.linalg import cg, spsolve

import flux
from flux.ad import runtime
from flux.ad.check import check_rule
from flux.ad.registry import AUGMENTED, is_inert
from flux.errors import NotDifferentiable

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")  # poles of unused slopes
rng = np.random.default_rng(1)
X, Y = rng.uniform(0.2, 0.8, (3, 4)), rng.uniform(1.2, 1.9, (3, 4))
V, W = rng.normal(size=4), rng.normal(size=3)
M, N = rng.normal(size=(4, 3)), rng.normal(size=(3, 4))
S = rng.normal(size=(4, 4)) + 4 * np.eye(4)
P, Z = S @ S.T, S + 1j * rng.normal(size=(4, 4))
B = rng.normal(size=(2, 3, 3)) + 3 * np.eye(3)
BAND = rng.normal(size=(3, 4)) + np.array([[0], [5], [0]])


def twice(f, *args):
    """Check the rule of `f`, and the derivative of its pullback."""

    def backwards(*args):
        y, back = flux.pullback(f, *args)
        whole = tuple([np.cos(part) for part in y]) if isinstance(y, tuple) else np.cos(y)
        return [part for part in back(whole) if part is not None]

    check_rule(f, *args)
    check_rule(backwards, *args, rtol=1e-4, atol=1e-6)


UNARY = """erf erfc erfi erfcx erfinv erfcinv dawsn ndtr ndtri log_ndtr expit logit log_expit exp2
exp10 expm1 log1p cosm1 cbrt round sindg cosdg tandg cotdg exprel entr gamma rgamma gammaln loggamma
digamma psi expi exp1 spence wrightomega j0 j1 y0 y1 i0 i1 i0e i1e k0 k1 k0e k1e sinc""".split()
BINARY = """owens_t xlogy xlog1py powm1 rel_entr kl_div huber pseudo_huber boxcox boxcox1p beta
betaln poch binom""".split()


@pytest.mark.parametrize("name", UNARY)
def test_ufunc_of_one_array(name):
    f = getattr(special, name)
    twice(f, X)
    for x in (float(X[0, 0]), np.zeros((3, 0))):
        check_rule(f, x)
    y, back = flux.pullback(f, X.astype(np.float32))
    assert y.dtype == back(y)[0].dtype == np.float32


@pytest.mark.parametrize("name", BINARY)
def test_ufunc_of_two_arrays_that_broadcast(name):
    f = getattr(special, name)
    twice(f, X, Y)
    for a, b in ((X[0], Y), (Y, 0.6), (0.7, X)):
        check_rule(f, a, b)
    y, back = flux.pullback(f, X.astype(np.float32), Y.astype(np.float32))
    assert [part.dtype for part in back(y)] == [np.float32, np.float32]


def case(f, *args):
    return pytest.param(f, args, id=getattr(f, "__name__", str(f)))


SPECIAL = [
    case(lambda x: special.gammainc(1.5, x), X), case(lambda x: special.gammaincc(1.5, x), X),
    case(lambda x: special.gammaincinv(1.5, x), X), case(lambda x: special.gammainccinv(1.5, x), X),
    case(lambda x: special.betainc(1.5, 2.5, x), X),
    case(lambda x: special.betaincc(1.5, 2.5, x), X),
    case(lambda x: special.betaincinv(1.5, 2.5, x), X), case(lambda x: special.expn(3, x), X),
    case(lambda x: special.betainccinv(1.5, 2.5, x), X),
    case(lambda x: special.inv_boxcox(x, 0.3), X), case(lambda x: special.inv_boxcox1p(x, 0), X),
    case(lambda x: special.boxcox(x, 0.0), X), case(special.boxcox, X, 1e-5 * Y),
    case(lambda x: special.exprel(1e-3 * x), X), case(special.ndtri_exp, -Y),
    case(lambda x: special.multigammaln(x + 1, 3), X), case(lambda x: special.polygamma(2, x), X),
    case(lambda x: special.zeta(2.5, x), X), case(lambda x: np.real(special.lambertw(x)), X),
    case(lambda x: special.lambertw(x, k=-1), X), case(special.erf, Z / 4), case(special.wofz, Z),
    case(lambda x: special.jv(0.5, x), Y), case(lambda x: special.yv(2, x), Y),
    case(lambda x: special.iv(2, x), Y), case(lambda x: special.kv(0.5, x), Y),
    case(lambda x: special.ive(2, x), Y), case(lambda x: special.kve(2, x), Y),
    case(lambda x: special.yn(2, x), Y), case(lambda x: special.kn(2, x), Y),
    case(lambda x: special.hankel1(1.5, x), Y), case(special.logsumexp, X),
    case(lambda x: special.logsumexp(x, 0), X),
    case(lambda x: special.logsumexp(x, axis=1, keepdims=True), X),
    case(lambda x, b: special.logsumexp(x, axis=1, b=b), X, Y),
    case(lambda x: special.logsumexp(x, axis=1, b=-Y, return_sign=True)[0], X),
    case(special.softmax, X), case(lambda x: special.softmax(x, axis=1), X),
    case(lambda x: special.log_softmax(x, axis=-1), X), case(lambda x: special.comb(x + 5, 2.5), X),
    case(lambda x: special.comb(5, x, repetition=True), X),
    case(lambda x: special.eval_genlaguerre(3, 0.5, x), X),
    case(lambda x: special.eval_jacobi(3, 0.5, 0.7, x), X),
    case(lambda x: special.eval_gegenbauer(3, 0.5, x), X),
]  # fmt: skip


@pytest.mark.parametrize(("f", "args"), SPECIAL)
def test_special_function(f, args):
    twice(f, *args)


@pytest.mark.parametrize("degree", [0, 1, 4])
def test_orthogonal_polynomials(degree):
    for name in "chebyt chebyu legendre laguerre hermite hermitenorm".split():
        f = getattr(special, f"eval_{name}")
        twice(lambda x: f(degree, x), X)  # noqa: B023


def test_slopes_far_out_and_at_removable_singularities():
    assert flux.gradient(special.log_ndtr, -30.0)[0] == pytest.approx(30.033259667, rel=1e-9)
    assert flux.gradient(special.log_ndtr, 40.0) == (0.0,)
    assert flux.gradient(special.i1, 0.0) == (0.5,)
    assert flux.hessian(special.exprel, 0.0) == pytest.approx(1 / 3)
    assert flux.gradient(special.spence, 1.0) == (-1.0,)
    assert flux.gradient(special.logsumexp, np.array([1e3, -1e3]))[0].tolist() == [1.0, 0.0]


def test_against_torch():
    torch = pytest.importorskip("torch", reason="the reference of this test is PyTorch")
    for name in "erf erfc erfcx erfinv expit logit ndtr ndtri log_ndtr i0 i0e i1 i1e entr".split():
        x = torch.tensor(X, requires_grad=True)
        getattr(torch.special, name)(x).sum().backward()
        ours = flux.gradient(lambda x: np.sum(getattr(special, name)(x)), X)[0]  # noqa: B023
        np.testing.assert_allclose(ours, x.grad.numpy(), rtol=1e-6)


def sym(x):
    return x + x.T


LINALG = [
    case(linalg.inv, S), case(linalg.inv, B), case(linalg.inv, Z),
    case(lambda x: linalg.inv(sym(x), assume_a="pos"), P),
    case(lambda x: linalg.inv(x, True) @ x, S), case(linalg.solve, S, V), case(linalg.solve, S, M),
    case(lambda a, b: linalg.solve(a, b, transposed=True), S, V),
    case(lambda a, b: linalg.solve(sym(a), b, assume_a="sym"), P, M),
    case(lambda a, b: linalg.solve(a, b, assume_a="upper triangular"), S, M),
    case(linalg.solve, Z, Z[:, :2]), case(linalg.det, S), case(linalg.det, B),
    case(lambda ab, b: linalg.solve_banded((1, 1), ab, b), BAND, V),
    case(lambda ab, b: linalg.solve_banded((1, 1), ab, b), BAND, M),
    case(linalg.solve_sylvester, S, P, S + 1), case(linalg.pinv, M),
    case(lambda x: linalg.cholesky(sym(x)), P), case(lambda x: linalg.cholesky(sym(x), True), P),
    case(lambda x, b: linalg.cho_solve(linalg.cho_factor(sym(x)), b), P, V),
    case(lambda x, b: linalg.cho_solve(linalg.cho_factor(sym(x), lower=True), b), P, M),
    case(lambda x: linalg.qr(x, mode="economic"), M), case(linalg.qr, S),
    case(lambda x: np.abs(linalg.eigh(sym(x))[1]), S), case(lambda x: linalg.eigvalsh(sym(x)), S),
    case(lambda x: linalg.eigh(sym(x), eigvals_only=True), S), case(linalg.svdvals, M),
    case(lambda x: np.abs(linalg.svd(x, full_matrices=False)[0]), M),
    case(lambda x: linalg.svd(x, compute_uv=False), M), case(linalg.expm, S / 8),
    case(linalg.expm, B / 3), case(linalg.expm, Z / 4), case(linalg.sinm, S / 8),
    case(linalg.cosm, S / 8), case(linalg.tanm, S / 8), case(linalg.sinhm, S / 8),
    case(linalg.coshm, S / 8), case(linalg.tanhm, S / 8), case(linalg.logm, P),
    case(linalg.sqrtm, P), case(linalg.toeplitz, V), case(linalg.toeplitz, V, W),
    case(linalg.toeplitz, Z[0]), case(linalg.hankel, V), case(linalg.hankel, V, W),
    case(linalg.circulant, V), case(linalg.block_diag, S, M, V), case(linalg.norm, M),
    case(lambda x: linalg.norm(x, 2), M), case(lambda x: linalg.norm(x, "nuc"), M),
]  # fmt: skip


@pytest.mark.parametrize(("f", "args"), LINALG)
def test_linear_algebra(f, args):
    twice(f, *args)


@pytest.mark.parametrize("trans", [0, 1, 2])
@pytest.mark.parametrize("lower", [False, True])
@pytest.mark.parametrize("unit", [False, True])
def test_triangular_system(trans, lower, unit):
    twice(lambda a, b: linalg.solve_triangular(a, b, trans, lower, unit), S, V)
    check_rule(lambda a, b: linalg.solve_triangular(a, b, trans, lower, unit), Z, M)


def test_a_derivative_along_a_huge_cotangent_is_as_exact():
    small, large = [flux.pullback(linalg.expm, S / 8)[1](c * np.eye(4))[0] for c in (1.0, 1e12)]
    np.testing.assert_allclose(large / 1e12, small, rtol=1e-12)


# -- sparse matrices -----------------------------------------------------------------------------

A = sparse.csr_array(sparse.random_array((4, 4), density=0.5, rng=rng) + 3 * sparse.eye_array(4))
R = sparse.random_array((3, 4), density=0.5, rng=rng)
DATA, COO = A.data.copy(), sparse.coo_array(A)
BUILT = {
    "csr": lambda d: sparse.csr_array((d, A.indices, A.indptr), shape=(4, 4)),
    "csc": lambda d: sparse.csc_array((d, A.indices, A.indptr)),
    "coo": lambda d: sparse.coo_array((d, COO.coords), shape=(4, 4)),
    "from coo": lambda d: sparse.csr_matrix((d, COO.coords)),
    "from repeated places": lambda d: sparse.csc_array((d, (COO.coords[0] % 2, COO.coords[1]))),
    "converted": lambda d: sparse.coo_array((d, COO.coords)).tocsc().copy(),
    "multiple": lambda d: -2.0 * sparse.csr_array((d, A.indices, A.indptr)).T / 3.0,
    "sum": lambda d: sparse.csr_array((d, A.indices, A.indptr)) + A * d[0],
    "difference": lambda d: sparse.csr_array((d, A.indices, A.indptr)) - 5.0 * sparse.eye_array(4),
}


@pytest.mark.parametrize("form", ["csr", "csc", "coo", "bsr", "dia", "dok", "lil"])
@pytest.mark.parametrize("kind", ["array", "matrix"])
def test_product_with_a_constant_sparse_matrix(form, kind):
    Q = getattr(sparse, f"{form}_{kind}")(R)
    twice(lambda v: Q @ v, V)
    twice(lambda m: Q @ m, M)
    twice(lambda w: w @ Q, W)
    twice(lambda w: Q.T.dot(w), W)
    if kind == "matrix":
        twice(lambda v: Q * v, V)


@pytest.mark.parametrize("build", BUILT.values(), ids=BUILT)
def test_gradient_with_respect_to_the_entries(build):
    twice(lambda d, v: build(d) @ v, DATA, V)
    twice(lambda d, m: m.T @ build(d), DATA, M[: build(DATA).shape[0]])
    check_rule(lambda d: build(d).data ** 2, DATA)
    check_rule(lambda d: build(d).sum(), DATA)
    check_rule(lambda d: build(d).toarray(), DATA)


def test_sums_along_an_axis_and_multiples():
    check_rule(lambda d: BUILT["csr"](d).sum(axis=0) * BUILT["csc"](d).sum(1), DATA)
    check_rule(lambda s: (A * s) @ V + (A / s) @ V, 1.5)


def test_sparse_system():
    for build in (BUILT["csr"], BUILT["csc"]):
        twice(lambda d, b: spsolve(build(d), b), DATA, V)  # noqa: B023
        twice(lambda d, b: spsolve(build(d), b), DATA, M)  # noqa: B023


def test_gradient_of_a_sparse_argument_is_sparse_with_its_pattern():
    found = flux.gradient(lambda a: np.sum(np.sin(a @ V)), A)[0]
    assert type(found) is type(A)
    whole = np.cos(A @ V)[:, None] * V
    np.testing.assert_allclose(found.toarray(), np.where(A.toarray() != 0, whole, 0))


def set_data(d):
    made = BUILT["csr"](DATA.copy())
    made.data = d
    return np.sum(made @ V)


def set_entry(d):
    made = BUILT["csr"](DATA.copy())
    made.data[0] = d[0]
    return np.sum(made @ V)


def set_item(d):
    made = BUILT["csr"](DATA.copy())
    made[0, 0] = d[0]
    return np.sum(made @ V)


SPARSE_REFUSED = [
    set_data, set_entry, set_item, lambda d: np.sum((BUILT["csr"](d) @ A).data),
    lambda d: BUILT["csr"](d)[0, 0], lambda d: sparse.csr_array(np.outer(d, d)).sum(),
    lambda d: abs(BUILT["csr"](d)).sum(), lambda d: sparse.diags_array(d[:4]).sum(),
    lambda d: BUILT["csr"](d).multiply(2.0).sum(), lambda d: (BUILT["csr"](d) * V).sum(),
    lambda d: np.sum(BUILT["csr"](d)), lambda d: np.add(BUILT["csr"](d), A).sum(),
    lambda d: np.sum(vars(BUILT["csr"](d))["data"]), lambda d: cg(A, d[:4])[0][0],
    lambda d: np.sum((BUILT["csr"](d) - A) @ V),
    lambda d: np.sum(BUILT["csr"](d).asformat("dia") @ V),
]  # fmt: skip


@pytest.mark.parametrize("f", SPARSE_REFUSED)
def test_what_would_lose_the_derivative_of_a_sparse_matrix_is_refused(f):
    with pytest.raises(NotDifferentiable):
        flux.gradient(f, DATA)


# -- transforms, convolutions, integrals, distributions ------------------------------------------

C = rng.normal(size=(3, 4)) + 1j * rng.normal(size=(3, 4))


@pytest.mark.parametrize("name", "fft ifft rfft irfft fft2 ifft2 fftn ifftn rfftn irfftn".split())
def test_fourier_transform(name):
    f = getattr(fft, name)
    twice(f, N if name.startswith("r") else C)
    check_rule(lambda x: f(x, norm="ortho"), N if name.startswith("r") else C)


@pytest.mark.parametrize("kind", [2, 3])
def test_cosine_and_sine_transforms(kind):
    for f in (fft.dct, fft.idct, fft.dst, fft.idst):
        twice(lambda x: f(x, kind, norm="ortho"), N)  # noqa: B023
        check_rule(lambda x: f(x, type=kind, axis=0, norm="ortho"), N)  # noqa: B023


@pytest.mark.parametrize("mode", ["full", "same", "valid"])
def test_convolution(mode):
    for f in (signal.convolve, signal.fftconvolve, signal.correlate):
        twice(lambda a, b: f(a, b, mode), V, W)  # noqa: B023
        check_rule(lambda a, b: f(a, b, mode=mode), C, X[:2, :3])  # noqa: B023
    twice(lambda a, b: signal.convolve(a, b, mode), W, V)


def test_integrals_of_samples():
    twice(integrate.trapezoid, N, np.sort(V))
    twice(integrate.cumulative_trapezoid, N, np.sort(V))
    check_rule(lambda x: integrate.cumulative_trapezoid(x, dx=0.5, axis=0, initial=0), N)


SHAPES = {"norm": (), "expon": (), "laplace": (), "logistic": (), "cauchy": (), "gamma": (1.5,),
          "beta": (1.5, 2.5), "t": (3.5,), "lognorm": (0.7,)}  # fmt: skip


@pytest.mark.parametrize("name", SHAPES)
def test_densities(name):
    own, shapes = getattr(stats, name), SHAPES[name]
    twice(own.logpdf, X, *shapes)
    check_rule(lambda x, m, s, *p: own.logpdf(x, *p, loc=m, scale=s), X, 0.05, 1.3, *shapes)
    check_rule(lambda x, m, s, *p: own.pdf(x, *p, m, s), X, W[:, None] / 9, X + 1, *shapes)


@pytest.mark.parametrize("method", ["cdf", "logcdf", "sf", "logsf", "ppf"])
def test_distribution_functions(method):
    for own in (stats.norm, stats.logistic) + ((stats.expon,) if method != "logcdf" else ()):
        f = getattr(own, method)
        twice(lambda x, m, s: f(x, loc=m, scale=s), X, 0.05, 1.3)  # noqa: B023


# -- what is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize("room", [special, linalg, fft, signal, integrate, stats, sparse])
def test_every_function_without_rule_refuses_values_that_carry_a_derivative(room):
    values = [getattr(room, name) for name in dir(room) if not name.startswith("_")]
    runtime.call(special.erf, 0.5), flux.gradient(special.erf, 0.5)  # loads the rules
    asked = 0
    for f in values:
        kind = not callable(f) or isinstance(f, type) and issubclass(f, BaseException)
        if kind or f in AUGMENTED or is_inert(f):
            continue
        if getattr(f, "__module__", "scipy").startswith("scipy"):
            asked += 1
            with pytest.raises(NotDifferentiable, match="has no derivative rule"):
                runtime.resolve(f)(np.eye(3))
    assert asked > 10 or room is fft


REFUSED = [
    lambda v: special.jv(v, 1.0), lambda v: special.jv(2 * v, 1.0), lambda v: special.jv([v], 1.0),
    lambda v: special.gammainc(v, v), lambda v: special.zeta(v), lambda v: special.zeta(x=v, q=2.0),
    lambda v: special.polygamma(v, 2.0), lambda v: special.lambertw(0.5, v),
    lambda v: special.erf(np.ones(2) * v, out=np.zeros(2)), lambda v: special.sici(v),
    lambda v: linalg.eigh(np.eye(3), np.eye(3) * v), lambda v: linalg.qr(P * v, pivoting=True),
    lambda v: linalg.eigh(P * v, subset_by_index=[0, 1]), lambda v: fft.dct(V * v),
    lambda v: stats.norm.rvs(v), lambda v: stats.norm(v), lambda v: stats.gamma.cdf(v, 2.0),
    lambda v: integrate.quad(lambda t: t * v, 0, 1), lambda v: stats.norm.expect(lambda t: t * v),
]  # fmt: skip


@pytest.mark.parametrize("f", REFUSED)
def test_what_has_no_closed_form_is_refused_where_it_would_be_needed(f):
    def scalar(v):
        y = f(v)
        first = y[0] if isinstance(y, tuple | list) else y
        return np.sum(np.real(first))

    with pytest.raises(NotDifferentiable, match="test_scipy.py line"):
        flux.gradient(scalar, 0.5)


def test_a_bound_method_of_a_model_handed_to_scipy_is_refused():
    class Model:
        def __init__(self):
            self.rate = 2.0

        def value(self, t):
            return self.rate * t

    with pytest.raises(NotDifferentiable, match="quad"):
        flux.gradient(lambda m: integrate.quad(m.value, 0, 1)[0], Model())


def test_constants_may_be_computed_and_drawn():
    def loss(x):
        nodes, weights = special.roots_legendre(4)
        noise = stats.norm.rvs(size=4, random_state=0)
        return np.sum(x * nodes * weights * noise) + np.sum(x @ linalg.hadamard(4))

    check_rule(loss, V)
