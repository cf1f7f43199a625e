"""Directional derivatives, Jacobians, Hessians, checkpoints, hooks: against JAX and differences."""

import ast

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import flux

A = np.array([[1.0, 2.0], [3.0, 5.0]])
X = np.array([0.5, -1.5])


def field(x):
    y = A @ x
    for i in range(2):
        y = np.tanh(y) * (i + 1) + x
    return y


def field_of_jax(x):
    y = jnp.asarray(A) @ x
    for i in range(2):
        y = jnp.tanh(y) * (i + 1) + x
    return y


@pytest.fixture(autouse=True)
def double():
    with jax.enable_x64(True):
        yield


def test_pushforward_agrees_with_jvp():
    t = np.array([0.3, 0.7])
    expected = jax.jvp(field_of_jax, (jnp.asarray(X),), (jnp.asarray(t),))[1]
    assert np.allclose(flux.pushforward(field, X)(t), expected)
    assert np.allclose(flux.pushforward(field_of_jax, jnp.asarray(X))(jnp.asarray(t)), expected)


def test_pushforward_keeps_the_structure_and_takes_none_for_zero():
    along = flux.pushforward(lambda x, y: {"a": x * y, "b": (x, "text")}, 2.0, 3.0)
    assert along(1.0, None) == {"a": 3.0, "b": (1.0, None)}
    assert along(0.0, 1.0)["a"] == 2.0
    with pytest.raises(flux.FluxError, match="2 tangents"):
        along(1.0)


@pytest.mark.line(160)
def test_forward_over_reverse_and_reverse_over_forward_agree():
    def energy(x):
        return np.sum(np.sin(x) * x**2)

    t = np.array([1.0, 2.0])
    forward = flux.pushforward(lambda x: flux.gradient(energy, x)[0], X)(t)
    reverse = flux.gradient(lambda x: flux.pushforward(energy, x)(t), X)[0]
    exact = (2 * np.sin(X) + 4 * X * np.cos(X) - X**2 * np.sin(X)) * t
    assert np.allclose(forward, exact)
    assert np.allclose(reverse, exact)


def test_jacobian_agrees_with_jax():
    expected = jax.jacobian(field_of_jax)(jnp.asarray(X))
    assert np.allclose(flux.jacobian(field, X)[0], expected)
    assert np.allclose(flux.jacobian(field_of_jax, jnp.asarray(X))[0], expected)


def test_jacobian_has_the_shapes_of_result_and_argument():
    by_matrix, by_number, by_text = flux.jacobian(lambda m, s, t: (m @ X) * s, A, 2.0, "t")
    assert by_matrix.shape == (2, 2, 2)
    assert by_number.shape == (2,)
    assert by_text is None
    assert flux.jacobian(lambda x: x[:0], X)[0].shape == (0, 2)
    with pytest.raises(flux.FluxError, match="got a list"):
        flux.jacobian(lambda x: [x], X)


class Affine:
    def __init__(self, matrix, shifts):
        self.matrix, self.shifts, self.name = matrix, shifts, "affine"


def test_jacobian_has_the_structure_of_its_argument():
    def values(model, x):
        return jnp.tanh(model.matrix @ x) * model.shifts["by"][0] + model.shifts["to"]

    def of_leaves(matrix, by, to):
        return values(Affine(matrix, {"by": (by,), "to": to}), X)

    leaves = jnp.asarray(A), jnp.asarray(X), jnp.asarray(1.5)
    model = Affine(leaves[0], {"by": (leaves[1],), "to": leaves[2]})
    found, by_x = flux.jacobian(values, model, jnp.asarray(X))
    expected = jax.jacobian(of_leaves, argnums=(0, 1, 2))(*leaves)
    assert type(found) is Affine
    assert found.name is None
    parts = found.matrix, found.shifts["by"][0], found.shifts["to"]
    for part, reference in zip(parts, expected, strict=True):
        np.testing.assert_allclose(part, reference, rtol=1e-5)
    assert by_x.shape == (2, 2)
    pair = flux.jacobian(lambda pair: pair[0].matrix @ X + pair[1].matrix @ X, [model, model])[0]
    assert pair[0] is pair[1]  # as in a gradient, with the sum of both


def test_hessian_agrees_with_jax():
    def energy(x):
        return (field(x) ** 2).sum()

    expected = jax.hessian(lambda x: (field_of_jax(x) ** 2).sum())(jnp.asarray(X))
    assert np.allclose(flux.hessian(energy, X), expected)


def test_nested_gradients_do_not_confuse_perturbations():
    assert flux.gradient(lambda x: x * flux.gradient(lambda y: x + y, 1.0)[0], 1.0) == (1.0,)
    assert flux.gradient(lambda x: x * flux.gradient(lambda y: x * y, 2.0)[0], 3.0) == (6.0,)

    def alias(x):
        return flux.gradient(lambda y: y * (x - y), x)[0]

    assert flux.gradient(alias, 3.0) == (-1.0,)


def test_a_gradient_penalty_has_a_gradient():
    def loss(w, x):
        g = flux.gradient(lambda x: jnp.sum(jnp.tanh(w @ x)), x)[0]
        return jnp.sum(g**2)

    def expected(w, x):
        return jnp.sum(jax.grad(lambda x: jnp.sum(jnp.tanh(w @ x)))(x) ** 2)

    args = jnp.asarray(A), jnp.asarray(X)
    for ours, theirs in zip(
        flux.gradient(loss, *args), jax.grad(expected, (0, 1))(*args), strict=True
    ):
        assert np.allclose(ours, theirs)


@pytest.mark.line(161)
def test_an_inner_optimiser_is_differentiated_through():
    def after_descent(rate):
        x = 3.0
        while x * x > 1.0:
            x = x - rate * flux.gradient(lambda x: x**2, x)[0]
        return x

    step = 1e-6
    expected = (after_descent(0.1 + step) - after_descent(0.1 - step)) / (2 * step)
    assert np.isclose(flux.gradient(after_descent, 0.1)[0], expected)


class Counter:
    def __init__(self):
        self.calls, self.seen, self.random = 0, [], np.random.default_rng(0)

    def __call__(self, x):
        self.calls += 1
        self.seen.append(x)
        return [np.sin(x) * x * self.calls, {"noise": np.random.rand() * x}]


@pytest.mark.line(156)
def test_checkpoint_runs_again_and_changes_nothing_twice():
    runs = []

    def run(counter, x):
        runs.append(1)
        return flux.checkpoint(counter)(x)

    def loss(counter, x, run):
        np.random.seed(3)
        parts = run(counter, x)
        return np.sum(parts[0]) + np.sum(parts[1]["noise"])

    plain = flux.gradient(lambda x: loss(Counter(), x, lambda c, x: c(x)), X)[0]
    counter = Counter()
    value, (found,) = flux.withgradient(lambda x: loss(counter, x, run), X)
    assert np.allclose(found, plain)
    assert np.isclose(value, loss(Counter(), X, run))
    assert counter.calls == 1
    assert len(counter.seen) == 1


def test_checkpoint_gives_captured_values_and_objects_their_gradient():
    class Scale:
        def __init__(self, w):
            self.w = w

        def __call__(self, x):
            return x * self.w

    layer = Scale(2.0)
    by_layer, by_x = flux.gradient(lambda m, x: flux.checkpoint(m)(x) ** 2, layer, 3.0)
    assert (by_layer.w, by_x) == (36.0, 24.0)
    assert flux.gradient(lambda a: flux.checkpoint(lambda x: a * x)(3.0), 2.0) == (3.0,)
    nested = flux.checkpoint(flux.checkpoint(lambda x: x**3))
    assert flux.gradient(nested, 2.0) == (12.0,)


@pytest.mark.line(151)
def test_hook_sees_and_replaces_the_gradient():
    seen = []
    assert flux.gradient(lambda x: flux.hook(seen.append, x) ** 2, 3.0) == (6.0,)
    assert seen == [6.0]
    clipped = flux.gradient(lambda x: (flux.hook(lambda g: np.clip(g, -1, 1), x) ** 2).sum(), X * 4)
    assert clipped[0].tolist() == [1.0, -1.0]
    with pytest.raises(flux.FluxError, match="got a list"):
        flux.gradient(lambda x: flux.hook(print, [x])[0], 1.0)


def polynomial(x, n):
    y = 1.0
    for _ in range(n):
        y = y * x + 1.0 if x > 0 else y * x
    return y


def test_the_program_that_is_shown_is_the_function():
    made: dict = {}
    exec(flux.code_ir(polynomial), made)
    for x in (2.0, -3.0):
        assert made["polynomial"](x, 4) == polynomial(x, 4)


def test_the_adjoint_that_is_shown_is_a_function_and_its_pullback():
    (forward, back) = ast.parse(flux.code_adjoint(polynomial)).body
    assert isinstance(forward, ast.FunctionDef)
    assert isinstance(back, ast.FunctionDef)
    assert [argument.arg for argument in forward.args.args] == ["x", "n"]


def test_a_wrong_rule_is_found_by_differences():
    def cube(x):
        return x**3

    flux.rule(cube)(lambda x: (x**3, lambda ct: (2.0 * x**2 * ct,)))
    with pytest.raises(AssertionError):
        flux.check_rule(cube, 1.5)
    flux.rule(cube)(lambda x: (x**3, lambda ct: (3.0 * x**2 * ct,)))
    flux.check_rule(cube, 1.5)


def test_within_gradient_says_where_it_is_asked():
    def f(x):
        return 2 * x if flux.within_gradient() else 3 * x

    assert f(1.0) == 3.0
    assert flux.gradient(f, 1.0) == (2.0,)
    assert not flux.within_gradient()
