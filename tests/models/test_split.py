"""`split`: a model as a pure function, under the transformations of JAX and of Flux."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import flux

X = np.array([[0.1, 0.2], [0.5, -0.4], [-0.3, 0.9]], np.float32)


@pytest.fixture
def model():
    flux.seed(0)
    layers = flux.Dense(2, 3, flux.tanh), flux.BatchNorm(3), flux.Dropout(0.3), flux.Dense(3, 1)
    return flux.trainmode(flux.Chain(*layers))


def test_parameters_and_state_are_apart(model):
    params, state, _ = flux.split(model)
    found = flux.trainables(model, path=True)
    assert params.keys() == found.keys()
    assert all(params[name] is found[name] for name in found)
    assert list(state) == ["layers[1].mean", "layers[1].var", "layers[2].rng.key"]


def test_a_run_is_that_of_the_model_and_changes_nothing(model):
    params, state, apply = flux.split(model)
    first, after = apply(params, state, X)
    again, _ = apply(params, state, X)
    second, _ = apply(params, after, X)
    np.testing.assert_array_equal(first, again)
    assert (model[1].mean == 0).all()
    np.testing.assert_array_equal(first, model(X))
    np.testing.assert_array_equal(second, model(X))
    np.testing.assert_allclose(after["layers[1].mean"] * 1.9, model[1].mean, rtol=1e-6)


def test_it_works_under_jax_and_flux(model):
    params, state, apply = flux.split(model)

    def loss(params, state):
        y, state = apply(params, state, X)
        return (y**2).sum(), state

    (value, after), grads = jax.value_and_grad(loss, has_aux=True)(params, state)
    for gradient in (
        lambda p: jax.jit(jax.grad(loss, has_aux=True))(p, state)[0],
        lambda p: flux.gradient(lambda p: loss(p, state)[0], p)[0],
        lambda p: flux.jit(lambda p: flux.gradient(lambda p: loss(p, state)[0], p)[0])(p),
        lambda p: flux.gradient(flux.jit(lambda p: loss(p, state)[0]), p)[0],
    ):
        found = gradient(params)
        assert found.keys() == grads.keys()
        for name, part in grads.items():
            np.testing.assert_allclose(found[name], part, rtol=1e-3, atol=1e-5)
    for run in (flux.jit(apply), jax.jit(apply)):
        y, state_after = run(params, state, X)
        np.testing.assert_allclose((y**2).sum(), value, rtol=1e-5)
        for name, part in after.items():
            np.testing.assert_allclose(state_after[name], part, rtol=1e-5)


def test_state_is_carried_through_a_scan(model):
    params, state, apply = flux.split(model)

    def step(state, x):
        y, state = apply(params, state, x)
        return state, y

    last, ys = jax.lax.scan(step, state, jnp.stack([X, 2 * X]))
    assert ys.shape == (2, 3, 1)
    model(X)
    model(2 * X)
    np.testing.assert_allclose(last["layers[1].var"], model[1].var, rtol=1e-5)


def test_control_flow_on_data_works_under_jax():
    def model(x, w=None):
        return x if x.sum() > 0 else scale * x

    scale = jnp.array(3.0)
    params, state, apply = flux.split(model)
    assert (list(params), state) == (["scale"], {})
    y, _ = jax.jit(apply)(params, state, -X)
    np.testing.assert_allclose(y, -3 * X, rtol=1e-6)
    grads = jax.grad(lambda p: apply(p, state, -X)[0].sum())(params)
    np.testing.assert_allclose(grads["scale"], -X.sum(), rtol=1e-5)


def test_what_is_shared_is_one_parameter():
    layer = flux.Dense(2, 2, bias=False)
    params, _, apply = flux.split(flux.Chain(layer, layer))
    assert list(params) == ["layers[0].weight"]
    y, _ = apply({"layers[0].weight": 2 * jnp.eye(2)}, {}, X)
    np.testing.assert_array_equal(y, 4 * X)


class Counting:
    nontrainable = ("seen",)

    def __init__(self, **fields):
        vars(self).update(weight=np.ones(2), seen=np.zeros(()), steps=0, memory=None, notes=[])
        vars(self).update(fields)


def change_number(self, x):
    self.steps += 1


def make_memory(self, x):
    self.memory = x


def append(self, x):
    self.notes.append(3)


def change_parameter(self, x):
    self.weight = self.weight * 2


@pytest.mark.parametrize(
    ("change", "name"),
    [
        (change_number, "steps"),
        (make_memory, "memory"),
        (append, r"notes\[0\]"),
        (change_parameter, "weight"),
    ],
)
def test_a_change_that_would_be_forgotten_is_refused(change, name):
    kind = type("Kind", (Counting,), {"__call__": change})
    params, state, apply = flux.split(kind())
    with pytest.raises(flux.FluxError, match=f"`{name}`"):
        apply(params, state, X)


def test_arrays_of_numpy_in_the_state_are_not_changed_in_place():
    def count(self, x):
        self.seen += 1
        return x * self.weight

    params, state, apply = flux.split(type("Kind", (Counting,), {"__call__": count})())
    assert list(state) == ["seen"]
    _, after = apply(params, state, X)
    assert (state["seen"], after["seen"]) == (0, 1)


def test_the_new_state_has_a_derivative():
    def follow(self, x):
        self.seen = (0.5 * self.seen + x.mean()) * self.weight.sum()
        return x

    params, state, apply = flux.split(type("Kind", (Counting,), {"__call__": follow})())
    state["seen"] = np.array(3.0)
    grads = flux.gradient(lambda p, s: apply(p, s, X)[1]["seen"] ** 2, params, state)
    value = 2.0 * (1.5 + X.mean())
    np.testing.assert_allclose(grads[0]["weight"], [2 * value * value / 2] * 2, rtol=1e-6)
    np.testing.assert_allclose(grads[1]["seen"], 2 * value * 0.5 * 2, rtol=1e-6)


def test_other_paths_are_refused(model):
    params, state, apply = flux.split(model)
    with pytest.raises(flux.FluxError, match=r"params expected the 6 .* got 0"):
        apply({}, state, X)
