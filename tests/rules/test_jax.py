"""JAX's functions as leaves: against finite differences, and against `jax.grad`."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import flux
from flux.ad.check import check_rule
from flux.ad.registry import AUGMENTED
from flux.ad.runtime import resolve
from flux.rules.jax.leaf import Pull

rng = np.random.default_rng(1)
X, Y = rng.uniform(0.2, 0.8, (3, 4)), rng.uniform(1.2, 1.9, (3, 4))
V, W, M = rng.normal(size=4), rng.normal(size=4), rng.normal(size=(4, 3))
S = rng.normal(size=(4, 4)) + 4 * np.eye(4)
Z = rng.normal(size=(3, 4)) + 1j * rng.normal(size=(3, 4))


@pytest.fixture
def double():
    """64-bit JAX, which finite differences need."""
    before = jax.config.jax_enable_x64
    jax.config.update("jax_enable_x64", True)
    yield
    jax.config.update("jax_enable_x64", before)


def arrays(value):
    """NumPy arrays in `value` as JAX arrays, made when 64-bit is on."""
    return jax.tree.map(lambda x: jnp.asarray(x) if isinstance(x, np.ndarray) else x, value)


def backwards(f, **keywords):
    """The pullback of `f`, as a function of the arguments."""

    def pulled(*args):
        y, back = flux.pullback(lambda *args: f(*args, **keywords), *args)
        return back(jax.tree.map(jnp.cos, y))

    return pulled


def case(f, *args, **keywords):
    return pytest.param(f, args, keywords, id=getattr(f, "__name__", str(f)))


index = np.array([0, 2, 2, 1])
TABLE = [
    *[case(getattr(jnp, name), X) for name in """sin cos tan tanh exp log sqrt square abs negative
      sum mean prod max min std var cumsum ravel transpose sort log1p expm1 arctan sinh""".split()],
    *[case(getattr(jnp, name), X, Y[0]) for name in """add subtract multiply divide power maximum
      minimum arctan2 logaddexp hypot""".split()],
    *[case(getattr(jnp, name), Z) for name in "exp abs conj real imag angle square sum".split()],
    *[case(getattr(jax.nn, name), X - 0.45) for name in """relu softmax log_softmax gelu sigmoid
      silu softplus elu leaky_relu""".split()],
    case(jnp.sum, X, axis=1), case(jnp.sum, X, 0), case(jnp.mean, X, axis=(0, 1), keepdims=True),
    case(jnp.maximum, X, 0.5), case(jnp.where, X > 0.5, X, 0.0), case(jnp.clip, X, 0.3, 0.6),
    case(jnp.reshape, X, (4, 3)), case(jnp.moveaxis, X, 0, 1), case(jnp.broadcast_to, V, (3, 4)),
    case(jnp.concatenate, [X, Y]), case(jnp.concatenate, (X, Y), axis=1), case(jnp.stack, [V, W]),
    case(jnp.dot, X, M), case(jnp.matmul, X, M), case(jnp.einsum, "ij,jk->ik", X, M),
    case(jnp.tensordot, X, M, 1), case(jnp.outer, V, W), case(jnp.take, V, index),
    case(jnp.take, X, index, axis=1), case(jnp.array, [0.5, 1.5]), case(jnp.diag, V),
    case(jnp.tile, V, np.array([2])), case(jnp.reshape, X, (np.int64(2), -1)), case(jnp.pad, X, 1),
    case(jnp.linalg.solve, S, V), case(jnp.linalg.norm, X), case(jnp.fft.fft, V),
    case(jnp.split, X, 2, 1), case(jnp.meshgrid, V, W), case(jnp.linalg.slogdet, S),
    case(jax.nn.one_hot, index, 4), case(jax.scipy.special.logsumexp, X),
    case(jax.lax.dynamic_slice, V, (1,), (2,)), case(optax.l2_loss, X, Y),
    case(optax.softmax_cross_entropy_with_integer_labels, X, np.array([0, 3, 1])),
    case(lambda x: x.sum(), X), case(lambda x: x.mean(axis=1), X),
    case(lambda x: x.reshape(4, 3), X),
    case(lambda x: x.T @ x, X), case(lambda x: x.max(1) * x.min(), X), case(lambda x: abs(x), V),
    case(lambda x: x[0].astype(jnp.float64), X), case(lambda x: x[0].sum().item() ** 2, X),
    case(lambda x: x.real * x.imag, Z), case(lambda x: x.shape[0] * x / x.size, X),
    case(lambda x, y: x**y, X, Y), case(lambda x: x**2 + x**0.5 + 2.0**x, X),
    case(lambda x: x[1], X), case(lambda x: x[1:, ::2], X), case(lambda x: x[index], S),
    case(lambda x: x[index, index], S), case(lambda x: x[0] * x[1] + x[2, 1] * x[0], X),
    case(lambda x: [row.sum() ** 2 for row in x], X), case(lambda x: x[jnp.array(1)] * x[-1], X),
    case(lambda x, v: x.at[1].set(v), X, V), case(lambda x, v: x.at[index].add(v), S, V),
    case(lambda x: x.at[0].multiply(x[1]), X), case(lambda x: x.at[1:].get() * 2, X),
    case(lambda x: x.at[0].apply(jnp.sin), X), case(lambda x: x.at[0, 1].max(0.9), X),
    case(lambda p: (p["w"] @ p["v"][0]) * p["s"], {"w": X, "v": [V], "s": 0.5}),
    case(lambda p: jax.tree.map(jnp.sin, p), {"a": X, "b": (V, [0.5])}),
    case(lambda a, b: jax.tree.map(lambda x, y: x * y, a, b), {"a": X}, {"a": Y}),
    case(lambda p: sum(jnp.sum(x**2) for x in jax.tree.leaves(p)), [X, (V, W)]),
    case(lambda p: optax.tree.norm(p), {"a": X, "b": [V]}),
    case(lambda p: sum(jnp.sum(x**2) for x in jax.tree.leaves(p)), [(V, [(W, V)])]),
    case(lambda x, y: jax.jit(lambda x, y: [(x * y, y), {"a": (x, [y * y])}])(x, y), V, W),
    case(lambda x: jax.jit(lambda y: y * y)(x), X),
]  # fmt: skip


@pytest.mark.parametrize(("f", "args", "keywords"), TABLE)
@pytest.mark.usefixtures("double")
def test_against_finite_differences(f, args, keywords):
    check_rule(f, *arrays(args), **keywords)
    check_rule(backwards(f, **keywords), *arrays(args), rtol=1e-4, atol=1e-6)


CAPTURING = {
    "vmap": lambda x: jax.vmap(lambda y: y * x[0])(x).sum(),
    "jit": lambda x: jax.jit(lambda y: y * x[0])(x).sum(),
    "scan": lambda x: jax.lax.scan(lambda c, y: (c * y + x[0], c), 1.0, x)[0],
    "cond": lambda x: jax.lax.cond(x[0] > 0, lambda v: v * x[1], lambda v: v, x[2]),
    "fori_loop": lambda x: jax.lax.fori_loop(0, 3, lambda i, c: c * x[0], x).sum(),
    "checkpoint": lambda x: jax.checkpoint(lambda y: jnp.sin(y) * x)(x).sum(),
    "grad": lambda x: jax.grad(lambda y: jnp.sum(y**3 * x[0]))(x).sum(),
    "switch": lambda x: jax.lax.switch(1, [jnp.sin, lambda v: v * v * x[0]], x).sum(),
    "jvp": lambda x: jax.jvp(lambda v: v**3 * x[0], (x,), (x,))[1].sum(),
    "map": lambda x: jax.lax.map(lambda v: v * x.sum(), x).sum(),
    "partial": lambda x: jax.vmap(functools.partial(lambda a, y: y * a, x[0]))(x).sum(),
}


@pytest.mark.parametrize("name", CAPTURING)
@pytest.mark.usefixtures("double")
def test_what_a_callback_captured_is_differentiated(name):
    check_rule(CAPTURING[name], arrays(V))
    check_rule(backwards(CAPTURING[name]), arrays(V), rtol=1e-4)


class Scaled:
    def __init__(self, scale):
        self.scale = scale

    def apply(self, x):
        return x * self.scale


@pytest.mark.usefixtures("double")
def test_the_object_behind_a_bound_method_gets_its_gradient():
    layer, x = Scaled(jnp.asarray(2.0)), arrays(V)
    gradient, _ = flux.gradient(lambda layer, x: jax.vmap(layer.apply)(x).sum(), layer, x)
    assert np.isclose(gradient.scale, x.sum())


def test_a_captured_whole_number_is_read_again_at_every_call():
    scale = 2

    def scaled(x):
        return jax.vmap(lambda y: y * scale)(x).sum()

    x = jnp.ones(2)
    first = flux.gradient(scaled, x)[0]
    scale = 3
    assert (first.tolist(), flux.gradient(scaled, x)[0].tolist()) == ([2.0, 2.0], [3.0, 3.0])


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float16, jnp.bfloat16])
def test_gradients_keep_the_dtype(dtype):
    x = jnp.ones((2, 3), dtype)
    gradients = flux.gradient(lambda x, y: jnp.sum(jnp.tanh(x) * y).astype("float32"), x, x)
    assert [g.dtype for g in gradients] == [dtype, dtype]


def test_whole_numbers_and_keys_have_no_gradient():
    x = jnp.arange(3.0)
    places, key = jnp.array([0, 2]), jax.random.key(0)
    grads = flux.gradient(
        lambda x, i, k: (jnp.take(x, i) * jax.random.normal(k, (2,))).sum(), x, places, key
    )
    assert (grads[0].shape, grads[1], grads[2]) == ((3,), None, None)


def test_numpy_arrays_and_floats_keep_their_kinds():
    a, b = flux.gradient(lambda a, b: jnp.sum(jnp.sin(a) * b), np.ones(3), 2.0)
    assert type(a) is np.ndarray
    assert a.dtype == np.float64
    assert type(b) is float


def test_numpys_float64_in_a_compiled_gradient_is_no_reason_for_a_warning():
    def rates(n):
        return 2.0 ** -np.arange(n, dtype=np.float64)

    with jax.enable_x64(False):
        gradient = flux.jit(flux.grad(lambda x: (x * rates(3)).sum()))
        assert gradient(jnp.ones(3)).tolist() == [1, 0.5, 0.25]


@pytest.mark.parametrize("f", [jnp.maximum, jnp.minimum])
def test_ties_are_shared(f):
    gradients = flux.gradient(lambda a, b: f(a, b).sum(), jnp.ones(1), jnp.ones(1))
    assert [float(g[0]) for g in gradients] == [0.5, 0.5]


@pytest.mark.parametrize("shape", [(0,), (1,), (0, 3), (1, 3)])
def test_empty_and_single_axes(shape):
    x = jnp.ones(shape)
    gradient, _ = flux.gradient(lambda x, y: jnp.sum(x * y), x, jnp.ones((1,)))
    assert gradient.shape == shape


def loss(x, w):
    return jnp.sum(jnp.tanh(x @ w) ** 2) + jnp.linalg.norm(x[0]) * jnp.max(w)


@pytest.mark.parametrize("wrap", [jax.jit, lambda f: f])
def test_agrees_with_jax_inside_and_outside_jit(wrap):
    x, w = jnp.asarray(X, "float32"), jnp.asarray(M, "float32")
    ours = wrap(lambda x, w: flux.gradient(loss, x, w))(x, w)
    for mine, theirs in zip(ours, jax.grad(loss, (0, 1))(x, w), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-5)


def test_jax_transforms_our_gradient():
    x = jnp.asarray(V, "float32")

    def f(x):
        return jnp.sum(jnp.sin(x) * x**2)

    def ours(x):
        return flux.gradient(f, x)[0]

    np.testing.assert_allclose(jax.jacfwd(ours)(x), jax.hessian(f)(x), atol=1e-5)
    np.testing.assert_allclose(jax.jacrev(ours)(x), jax.hessian(f)(x), atol=1e-5)
    batch = jnp.stack([x, 2 * x])
    np.testing.assert_allclose(jax.vmap(ours)(batch), jax.vmap(jax.grad(f))(batch), rtol=1e-5)


def test_a_leaf_is_compiled_once_for_a_signature():
    leaf = resolve(jnp.hypot)
    assert AUGMENTED[jnp.hypot] is leaf
    for _ in range(3):
        leaf(jnp.ones(7), 2.0)
    assert len([key for key in leaf.records if "7" in str(key[1])]) == 1


def test_residuals_that_are_arguments_are_the_callers_own_objects():
    a, b = jnp.ones((2, 2)), jnp.ones((2, 2))
    _, back = resolve(jnp.dot)(a, b)
    pull = next(c.cell_contents for c in back.__closure__ if isinstance(c.cell_contents, Pull))
    assert {id(r) for r in pull.residuals} == {id(a), id(b)}


def test_pullbacks_of_one_signature_have_one_structure():
    def made(scale):
        _, back = resolve(jnp.tanh)(scale * jnp.ones(3))
        return next(c.cell_contents for c in back.__closure__ if isinstance(c.cell_contents, Pull))

    assert jax.tree.structure(made(1.0)) == jax.tree.structure(made(2.0))
    (ct,) = jax.jit(lambda pull, ct: pull([ct]))(made(0.0), jnp.ones(3))
    np.testing.assert_allclose(ct, 1.0)


def test_a_layer_made_by_tree_map_hands_its_gradient_back():
    model, x = flux.Chain(flux.Dense(3, 2, jnp.tanh, rng=0), flux.Dense(2, 1, rng=1)), jnp.ones(3)
    grad = flux.gradient(lambda m: jax.tree.map(lambda w: 2 * w, m)(x)[0], model)[0]
    expected = jax.grad(lambda m: jax.tree.map(lambda w: 2 * w, m)(x)[0])(model)
    for ours, theirs in zip(jax.tree.leaves(grad), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5)
