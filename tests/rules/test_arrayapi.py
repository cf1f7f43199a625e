"""Arrays of any library of the array API standard: programs against finite differences."""

import math

import numpy as np
import pytest

import flux
from flux.ad.check import check_rule
from flux.errors import NotDifferentiable

xp = pytest.importorskip(
    "array_api_strict", reason="the rules of the array API are tested with array-api-strict"
)
RANDOM = np.random.default_rng(0)


def array(*shape, low=-2.0, high=2.0):
    return xp.asarray(RANDOM.uniform(low, high, shape))


def complex_array(*shape):
    return xp.asarray(RANDOM.normal(size=shape) + 1j * RANDOM.normal(size=shape))


X, Y, W, V = array(3, 4), array(3, 4), array(4, 5), array(6)
P, Q = array(3, 4, low=0.2), array(3, 4, low=1.1)  # positive, above 1
U = array(3, 4, low=-0.9, high=0.9)  # inside the unit interval
S = array(3, 3) + 4 * xp.eye(3)
BATCH, Z, ZS = array(2, 3, 4), complex_array(3, 4), complex_array(3, 3) + 4 * xp.eye(3)
PLACES = xp.asarray([2, 0, 2, 2])
ALONG = xp.asarray([[0, 3, 3], [1, 1, 1], [2, 0, 1]])


def weighted(y):
    """A real number that depends on all of the result."""
    if isinstance(y, tuple | list):
        total = 0.0
        for part in y:
            total = total + weighted(part)
        return total
    if isinstance(y, float):
        return y
    if not isinstance(y, complex) and xp.isdtype(y.dtype, "complex floating"):
        return weighted(xp.real(y)) + 2 * weighted(xp.imag(y))
    waves = xp.cos(xp.arange(y.size, dtype=xp.float64))
    return xp.sum(xp.astype(y, xp.float64) * xp.reshape(waves, y.shape))


def agrees(f, *args):
    """First and second order."""

    def loss(*args):
        return weighted(f(*args))

    def slopes(*args):
        return weighted(flux.gradient(loss, *args))

    check_rule(loss, *args, rtol=1e-5, atol=1e-6)
    check_rule(slopes, *args, rtol=1e-4, atol=1e-5)


# -- functions -------------------------------------------------------------------------------------

ONE = [
    (X, "negative positive sin cos tan sinh cosh tanh asinh atan exp expm1 square floor ceil trunc "
        "round real abs sign"),
    (P, "log log2 log10 log1p sqrt reciprocal"),
    (U, "asin acos atanh"),
    (Q, "acosh"),
    (Z, "sin tan exp log sqrt abs conj real imag sign square reciprocal asinh tanh"),
    (X, "sum mean max min prod var std flip sort cumulative_sum0 diff"),
    (Z, "sum mean prod"),
    (S, "linalg.inv linalg.det linalg.slogdet linalg.trace linalg.diagonal matrix_transpose "
        "linalg.qr linalg.svdvals linalg.vector_norm linalg.matrix_norm tril triu"),
    (ZS, "linalg.inv linalg.det linalg.trace linalg.vector_norm linalg.matrix_norm"),
    (V, "fft.rfft fft.fftshift fft.ifftshift cumulative_sum cumulative_prod unstack"),
    (Z, "fft.fft fft.ifft fft.fftn fft.ifftn fft.irfft fft.irfftn"),
    (X, "fft.rfftn"),
]  # fmt: skip
CASES = [(x, name) for x, names in ONE for name in names.split() if name != "cumulative_sum0"]


def named(name):
    f = xp
    for part in name.split("."):
        f = getattr(f, part)
    return f


@pytest.mark.parametrize(("x", "name"), CASES, ids=lambda p: p if isinstance(p, str) else "")
def test_function_of_one_array(x, name):
    f = named(name)
    agrees(lambda x: f(x), x)


@pytest.mark.parametrize("name", """
    add subtract multiply divide atan2 hypot logaddexp maximum minimum copysign remainder
    floor_divide vecdot""".split())  # fmt: skip
def test_function_of_two_arrays(name):
    f = named(name)
    agrees(lambda x, y: f(x, y), X, Y)
    if name != "vecdot":
        agrees(lambda x, y: f(x, y), X, Y[0, :])  # broadcast


def sums(x):
    return (
        xp.sum(x, axis=1), xp.sum(x, axis=(0, 2), keepdims=True), xp.mean(x, axis=-1),
        xp.prod(x, axis=1), xp.prod(x, axis=(0, 2)), xp.max(x, axis=(1, 2)),
        xp.min(x, axis=0, keepdims=True), xp.var(x, axis=1, correction=1.0),
        xp.std(x, axis=(0, 1), keepdims=True), xp.cumulative_sum(x, axis=1, include_initial=True),
        xp.cumulative_prod(x, axis=2), xp.diff(x, axis=1, n=2),
        xp.sort(x, axis=1, descending=True),
    )  # fmt: skip


def shaped(x):
    first, *rest = xp.unstack(x, axis=1)
    return (
        xp.reshape(x, (4, -1)), xp.permute_dims(x, (2, 0, 1)), xp.moveaxis(x, 0, -1),
        xp.squeeze(x[:1, ...], axis=0), xp.expand_dims(x, axis=1), xp.flip(x, axis=1),
        xp.roll(x, 5), xp.roll(x, (1, -2), axis=(0, 2)), xp.tile(x, (2, 1, 1, 2)),
        xp.tile(x, (2,)), xp.repeat(x, 3, axis=1), xp.repeat(x, 2),
        xp.repeat(x, xp.asarray([2, 0, 1]), axis=1), xp.broadcast_to(x, (2, 2, 3, 4)),
        xp.concat([x, x * x], axis=1), xp.concat((x, x), axis=None), xp.stack([x, -x], axis=-1),
        first, rest[1], x.mT, x[0, ...].T, xp.tril(x, k=-1),
        xp.asarray(x, copy=True), xp.meshgrid(x[0, 0, :], x[0, :, 0]),
        xp.broadcast_arrays(x, x[0, ...]), x.to_device(x.device),
    )  # fmt: skip


def products(x, w):
    b = x[0, ...]
    return (
        x @ w, b @ w, b[0, :] @ w, x @ w[:, 0], b[0, :] @ b[1, :], b.T @ x, xp.matmul(x, w),
        xp.tensordot(x, w, axes=1), xp.tensordot(x, x, axes=((0, 2), (0, 2))),
        xp.tensordot(x, w, axes=((2,), (0,))), xp.vecdot(b, b, axis=-2),
        xp.linalg.outer(w[0, :], w[:, 1]), xp.linalg.cross(b[:, 0], b[:, 1]),
        xp.matmul(b[0, :], w), xp.linalg.vecdot(b, b),
    )  # fmt: skip


def powers(x, y):
    return (
        x**2, x**y, x**0.5, 2.0**y, xp.pow(x, y), xp.pow(x, 3.0), pow(x, 2), x**-1, x**0,
        x / y, x % y, x // y, 1.0 / x, 3 - x, 2 * x, x - 1, +x, -x, abs(x - 1), 5.0 % x,
    )  # fmt: skip


def chosen(x, y):
    return (
        xp.where(x > y, x * y, xp.sin(y)), xp.where(x > 0, x, 0.0), xp.where(x > 0, 1.0, y),
        xp.maximum(x, 0.5), xp.clip(x, -0.5, 0.5), xp.clip(x, min=0.1), xp.clip(x, y - 1, y + 1),
        xp.clip(x, max=y), xp.min(xp.clip(x, min=y)),
    )  # fmt: skip


def indexed(x):
    return (
        x[0, ...], x[1, 2], x[..., -1], x[:, None, 1:3], x[::-1, ::2], x[x > 0], x[...],
        x[xp.asarray([0, 1, 0]), xp.asarray([3, 3, 3])], xp.take(x, PLACES, axis=0),
        xp.take(x, PLACES, axis=-1), xp.take_along_axis(x, ALONG, axis=1),
    )  # fmt: skip


def solved(a, b):
    return (
        xp.linalg.solve(a, b), xp.linalg.solve(a, b[:, 0]), xp.linalg.matrix_power(a, 3),
        xp.linalg.matrix_power(a, -2), xp.linalg.diagonal(b, offset=1),
        xp.linalg.diagonal(b, offset=-1), xp.linalg.trace(b, offset=1),
        xp.linalg.cholesky(a @ a.mT), xp.linalg.cholesky(a @ a.mT, upper=True),
        xp.linalg.svd(b, full_matrices=False).S, *[abs(q) for q in xp.linalg.qr(b.mT)],
        xp.linalg.vector_norm(b, ord=3, axis=0), xp.linalg.vector_norm(b, ord=math.inf),
        xp.linalg.vector_norm(b, ord=1, keepdims=True), xp.linalg.matrix_norm(b, ord="nuc"),
        xp.linalg.matrix_norm(b, ord=1), xp.linalg.matrix_norm(b, ord=math.inf, keepdims=True),
    )  # fmt: skip


def symmetric(a):
    values, vectors = xp.linalg.eigh(a + a.mT)
    return values, vectors**2, xp.linalg.eigvalsh(a @ a.mT)


def decomposed(x):
    u, s, vt = xp.linalg.svd(x, full_matrices=False)
    return xp.abs(u), s, vt**2


def waves(x):
    return (
        xp.fft.rfft(x, n=3), xp.fft.rfft(x, n=9, axis=0), xp.fft.fft(x * (1 + 0j), n=6),
        xp.fft.irfft(xp.fft.rfft(x), n=7), xp.fft.fftn(x * 1j, s=(2, 5), axes=(0, 1)),
        xp.fft.rfftn(x, s=(5, 3), axes=(0, 1), norm="ortho"), xp.fft.ifft(x * 1j, norm="forward"),
        xp.fft.irfftn(x * 1j, axes=(0, 1)), xp.fft.fftshift(x, axes=1),
    )  # fmt: skip


def complex_values(z):
    return (
        z * xp.conj(z),
        abs(z),
        xp.real(z) * xp.imag(z),
        z @ z.mT,
        z**2,
        (1 + 2j) * z,
        z / (z + 3),
    )


def made_of_numbers(a, b):
    x = xp.asarray([[a, b], (a * b, 2.0)])
    return (
        x @ x, xp.full((2,), a), xp.full_like(x, b), xp.linspace(a, b, 5),
        xp.linspace(a, b, 4, endpoint=False), x * b, a / x, a**x, b - x,
    )  # fmt: skip


# -- programs --------------------------------------------------------------------------------------


def item_by_item(x):
    y = xp.zeros(3, dtype=x.dtype)
    for i in range(3):
        y[i] = xp.sum(x[i, :]) ** 2
    return y


def rows_in_a_loop(x):
    total = 0.0
    for i in range(x.shape[0]):
        row = x[i, :]
        if xp.sum(row) > 0:
            total = total + xp.sum(row * row)
        else:
            total = total - xp.prod(row)
    return total


def iterated(x):
    total = 0.0
    for item in x[0, :]:
        total += item * item
    a, b, *rest = x[1, :]
    return total + a * b - rest[0]


def changed_in_place(x):
    y = xp.asarray(x, copy=True)
    y += xp.exp(x)
    y *= 2
    y[0, :] += x[1, :]
    y[1:, ::2] = x[0, 0]
    y[-1, 1] = 3.0
    y[y > 3] = xp.sum(x)
    y -= 1.0
    y **= 2
    return y


def rows_moved(x):
    y = x * x
    y[0, :] = y[1, :] * y[2, :]
    y **= 2
    for i in range(1, 3):
        y[i, ...] = y[i - 1, ...] * x[i, ...]
    return y


def kept_in_containers(x):
    found = {"a": x, "b": [x * 2]}
    found["a"] = xp.sin(found["a"])
    found["b"].append(found["a"] / xp.linalg.vector_norm(x))
    return xp.stack(found["b"]) + xp.sum(xp.concat([found["a"], x]))


class Scaled:
    def __init__(self, scale):
        self.scale = scale

    def __call__(self, x):
        return x * self.scale


def through_an_object(x, y):
    layer = Scaled(y)
    layer.scale = layer.scale + x
    return layer(x)


def of_any_library(x):
    lib = x.__array_namespace__()
    power = lib.square
    return power(x) + lib.sum(x * x)


def numbers_of_arrays(x):
    return float(x[0, 0]) ** 2 * x + float(xp.sum(x)) * math.sin(x[1, 1])


PROGRAMS = [
    (sums, BATCH), (shaped, BATCH), (products, BATCH, W), (powers, P, Q), (chosen, X, Y),
    (indexed, X), (solved, S, X), (symmetric, S), (decomposed, X), (waves, X),
    (complex_values, ZS), (made_of_numbers, 1.5, -0.7), (item_by_item, X), (rows_in_a_loop, X),
    (iterated, X), (changed_in_place, X), (rows_moved, X), (kept_in_containers, X),
    (through_an_object, X, Y), (of_any_library, X), (numbers_of_arrays, X),
]  # fmt: skip


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda p: p[0].__name__)
def test_program(program):
    agrees(*program)


def equal(found, right):
    np.testing.assert_allclose(np.asarray(found), np.asarray(right), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("shape", [(), (0, 3), (1, 1)], ids=str)
def test_shapes_at_the_edge(shape):
    agrees(lambda x: x * xp.exp(x) + xp.sum(x), xp.ones(shape))


def test_gradients_have_the_dtype_and_the_device_of_the_primal():
    device = xp.Device("device1")
    x = xp.asarray([1.0, 2.0, 3.0], dtype=xp.float32, device=device)
    y = xp.asarray([1.0, 2.0, 3.0], dtype=xp.float64, device=device)
    places = xp.asarray([0, 2], device=device)

    def f(x, y, n):
        x = xp.multiply(x.to_device(xp.Device("CPU_DEVICE")), 1.0).to_device(device)
        part = xp.take(xp.maximum(x * y, 0.5), places)
        return xp.sum(part) + float(xp.sum(x)) * 2 + xp.sum(y * xp.astype(n, y.dtype))

    found = flux.gradient(f, x, y, xp.asarray([1, 1, 1], device=device))
    assert [(g.dtype, g.device) for g in found[:2]] == [(v.dtype, v.device) for v in (x, y)]
    assert found[2] is None
    equal(found[0].to_device(xp.Device("CPU_DEVICE")), [3.0, 2.0, 5.0])


def test_reads_of_arrays_that_cannot_change(monkeypatch):
    monkeypatch.delattr(type(X), "__setitem__")
    agrees(indexed, X)


def test_ties_are_those_of_jax():
    import jax
    import jax.numpy as jnp

    def kinks(lib):
        def f(x):
            y = lib.maximum(x, 1.0) + lib.minimum(x, x * x) + lib.clip(x, 0.0, 1.0) + abs(x)
            return lib.sum(y) + lib.max(x) + lib.min(x * 0) + lib.prod(x) + lib.sum(x**2.0)

        return f

    x = [0.0, 1.0, 1.0, -2.0]
    right = jax.grad(kinks(jnp))(jnp.asarray(x))
    equal(flux.gradient(kinks(xp), xp.asarray(x))[0], right)


def test_memory_of_gradients_is_nobody_elses():
    x = xp.ones((2, 3))
    found = flux.gradient(lambda x, y: xp.sum(x) + xp.sum(y), x, x)
    for part in found:
        part += 1.0
    equal(found[0], np.full((2, 3), 2.0))
    equal(found[1], np.full((2, 3), 2.0))


def test_many_reads_make_one_array(monkeypatch):
    made = []
    zeros = xp.zeros
    monkeypatch.setattr(xp, "zeros", lambda *a, **k: made.append(a) or zeros(*a, **k))

    def f(x):
        total = 0.0
        for i in range(50):
            total = total + xp.sum(x[i, :] * x[i, :]) + x[i, 0]
        return total + xp.sum(xp.take(x, PLACES, axis=0))

    x = xp.ones((50, 2))
    (found,) = flux.gradient(f, x)
    assert len([a for a in made if a[0] == (50, 2)]) == 1
    expected = np.full((50, 2), 2.0) + [1.0, 0.0]
    np.add.at(expected, [2, 0, 2, 2], 1.0)
    equal(found, expected)


def test_dense_and_directional_derivatives():
    equal(flux.jacobian(lambda x: x**2, V)[0], np.diag(2 * np.asarray(V)))
    equal(flux.hessian(lambda x: xp.sum(x**3), V), np.diag(6 * np.asarray(V)))
    equal(flux.pushforward(lambda x: x**2, V)(V), 2 * np.asarray(V) ** 2)


def named_operators(x):
    return xp.sum(x.__add__(x).__rmul__(3.0)[0, :].__neg__()) + x[0, 0].__float__()


def test_operators_by_name():
    (found,) = flux.gradient(named_operators, X)
    expected = np.zeros((3, 4))
    expected[0] = -6
    expected[0, 0] += 1
    equal(found, expected)


def test_libraries_with_rooms_of_their_own_keep_them():
    import jax.numpy as jnp

    from flux.ad.spaces import space_of
    from flux.rules.arrayapi.space import SPACE

    for x in (np.ones(3), jnp.ones(3)):
        (found,) = flux.gradient(lambda x: x.__array_namespace__().sum(x * x), x)
        assert type(found) is type(x)
        assert space_of(type(x)) is not SPACE
    assert space_of(type(X)) is SPACE


# -- refusals --------------------------------------------------------------------------------------


REFUSED = {
    "function without rule": lambda x: xp.sum(xp.unique_values(x)),
    "linear algebra without rule": lambda x: xp.sum(xp.linalg.pinv(x)),
    "private attribute": lambda x: x._array.sum(),
    "shared memory": lambda x: xp.sum(xp.from_dlpack(x)),
    "function of NumPy": lambda x: np.sin(x).sum(),
    "option that the standard lacks": lambda x: xp.sum(xp.sin(x, out=x)),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name):
    with pytest.raises(NotDifferentiable) as caught:
        flux.gradient(REFUSED[name], X)
    assert "test_arrayapi.py" in str(caught.value)


def test_functions_of_other_libraries_do_not_lose_the_derivative():
    import jax.numpy as jnp

    for f in (jnp.asarray, jnp.from_dlpack):
        with pytest.raises(NotDifferentiable, match="array_api_strict"):
            flux.gradient(lambda x, f=f: f(x).sum(), X)


HELD = xp.asarray([1.0, 2.0])


def item_of_a_global(x):
    HELD[0] = xp.sum(x)
    return HELD[0]


def global_in_place(x):
    y = HELD
    y += x[0, :2]
    return xp.sum(y)


def alias_changed(x):
    y = xp.asarray(x, copy=True)
    z = y
    y[0, :] = 0.0
    return xp.sum(y * z)


def argument_changed(x):
    x[0, :] = 0.0
    return xp.sum(x)


def view_changed(x):
    y = xp.asarray(x, copy=True)
    row = y[0, :]
    row += 1
    return xp.sum(y)


def base_changed_under_a_view(x):
    y = xp.asarray(x, copy=True)
    view = xp.reshape(y, (-1,))
    y[0, :] = 0.0
    return xp.sum(view)


def the_same_array(x):
    y = xp.asarray(x)
    y += 1.0
    return xp.sum(y)


SHARED = [
    alias_changed, argument_changed, view_changed, base_changed_under_a_view, the_same_array,
    item_of_a_global, global_in_place,
]  # fmt: skip


@pytest.mark.parametrize("program", SHARED)
def test_changes_that_others_would_see_are_refused(program):
    x = xp.asarray(X, copy=True)
    with pytest.raises(NotDifferentiable) as caught:
        flux.gradient(program, x)
    assert "test_arrayapi.py" in str(caught.value)
    equal(x, X)
    equal(HELD, [1.0, 2.0])
