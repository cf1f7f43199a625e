"""`state` and `load`: what a model remembers, out of it and into it."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import flux


def make():
    return flux.Chain(
        flux.Dense(2, 3, bias=False), flux.BatchNorm(3), flux.Dropout(0.5), head=flux.Dense(3, 1)
    )


def same(a, b):
    return jax.tree.all(
        jax.tree.map(lambda x, y: bool(np.all(x == y)), flux.state(a), flux.state(b))
    )


def test_the_state_holds_parameters_statistics_and_random_state_by_path():
    model = make()
    found = flux.state(model)
    assert list(found) == ["layers"]
    assert list(found["layers"][1]) == ["scale", "shift", "mean", "var", "n", "eps", "momentum"]
    assert found["layers"][0] == {"weight": model[0].weight}
    assert found["layers"][2]["rng"]["key"] is model[2].rng.key


def test_loading_makes_another_model_the_same():
    first, second = make(), make()
    flux.trainmode(first)(np.ones((4, 2), np.float32) * np.arange(4)[:, None])
    parts = second[0], second[1]
    assert not same(first, second)
    flux.load(second, flux.state(first))
    assert same(first, second)
    assert parts == (second[0], second[1])
    assert second[0].bias is None


def test_a_state_is_a_snapshot():
    model = {"w": np.ones(2), "steps": 1}
    before = flux.state(model)
    model["w"][0], model["steps"] = 5, 2
    assert before["w"].tolist() == [1, 1]
    flux.load(model, before)
    model["w"][0] = 7
    assert before == {"w": before["w"], "steps": 1}
    assert before["w"].tolist() == [1, 1]


def test_arrays_in_tuples_closures_and_partials_are_filled():
    def make(start):
        w, parts = np.full(2, start), (np.full(1, start), 3)
        inner = functools.partial(max, np.full(3, start))
        return lambda x: (w, parts, inner)

    model = make(0.0)
    flux.load(model, flux.state(make(4.0)))
    w, parts, inner = model(None)
    assert [w.tolist(), parts[0].tolist(), inner.args[0].tolist()] == [[4] * 2, [4], [4] * 3]


def test_loaded_arrays_are_of_the_model_in_library_and_dtype():
    model = {"a": jnp.zeros(2, jnp.bfloat16), "b": np.zeros(2), "c": np.zeros(2, np.complex64)}
    kinds = {name: (type(a), a.dtype) for name, a in model.items()}
    flux.load(model, {"a": np.ones(2), "b": jnp.arange(2), "c": np.full(2, 1j)})
    assert {name: (type(a), a.dtype) for name, a in model.items()} == kinds
    assert model["b"].tolist() == [0, 1]
    assert model["c"].tolist() == [1j, 1j]


def test_keys_and_scalars_are_filled():
    model = {"key": jax.random.key(0), "scalar": jnp.zeros(()), "n": 1}
    flux.load(model, {"key": jax.random.key(3), "scalar": 2.0, "n": np.array(4)})
    assert model == {"key": jax.random.key(3), "scalar": 2.0, "n": 4}
    assert type(model["n"]) is int


def test_what_is_shared_stays_shared_and_must_agree():
    shared = np.zeros(2)
    model = [shared, {"again": shared}]
    flux.load(model, {0: np.ones(2), 1: {"again": np.ones(2)}})
    assert model[0] is model[1]["again"]
    with pytest.raises(flux.FluxError, match=r"\[1\].again and \[0\] are one array"):
        flux.load(model, {0: np.ones(2), 1: {"again": np.zeros(2)}})


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"w": np.zeros((3, 2))}, flux.ShapeError, r"w has the shape \(3, 2\) .* \(2, 3\) here"),
        ({"w": 1.0}, flux.ShapeError, r"w has the shape \(\) .* \(2, 3\) here"),
        ({"w": "text"}, flux.FluxError, "w is a str"),
        ({"k": np.zeros(2)}, flux.FluxError, "k is float64 in the state and int64 here"),
        ({"more": {"b": 1.0}}, flux.FluxError, "more.b is in the state and not in this model"),
        ({"n": None}, flux.FluxError, "n is a NoneType"),
    ],
)
def test_a_misfit_is_named_and_changes_nothing(change, error, message):
    model = {"k": np.zeros(2, np.int64), "w": np.ones((2, 3)), "n": 2}
    before = dict(model)
    good = {"k": np.ones(2, np.int64), "w": np.zeros((2, 3)), "n": 5}
    with pytest.raises(error, match=message):
        flux.load(model, {**good, **change})
    assert all(model[name] is before[name] for name in model)


def test_a_missing_entry_is_named():
    model = make()
    given = flux.state(model)
    del given["layers"][3]["bias"]
    with pytest.raises(flux.FluxError, match=r"layers\[3\].bias is in this model and not"):
        flux.load(model, given)


def test_a_tuple_cannot_be_filled():
    with pytest.raises(flux.FluxError, match="no tuple"):
        flux.load((np.ones(2),), {0: np.ones(2)})


def test_loading_works_in_a_compiled_function():
    model = make()
    given = jax.tree.map(lambda x: x * 2, flux.state(model)["layers"][0])
    flux.jit(flux.load)(model[0], given)
    np.testing.assert_array_equal(model[0].weight, given["weight"])
