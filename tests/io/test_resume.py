"""A training that was stopped and resumed gives the numbers of one that was not."""

import jax
import numpy as np
import pytest

import flux
from flux.random import generator


def build(seed=0):
    flux.seed(seed)
    model = flux.Chain(
        flux.Dense(4, 8, flux.relu), flux.BatchNorm(8), flux.Dropout(0.5), flux.Dense(8, 3)
    )
    return model, flux.setup(flux.optim.AdamW(0.01), model)


def loss(model, x, y):
    return flux.losses.logit_crossentropy(model(x), y)


@pytest.fixture
def batches():
    rng = np.random.default_rng(0)
    data = (rng.normal(size=(32, 4)).astype(np.float32), rng.integers(0, 3, 32))
    return lambda rng=1: flux.DataLoader(data, 8, shuffle=True, rng=rng)


def epoch(model, opt, loader):
    return [float(flux.trainstep(loss, model, batch, opt)) for batch in loader]


def numbers(model):
    return [np.asarray(a) for a in jax.tree.leaves(model)]


def test_resuming_gives_the_same_numbers_as_not_stopping(batches, tmp_path):
    path = tmp_path / "model.safetensors"
    model, opt = build()
    loader = batches()
    epoch(model, opt, loader)
    rest = iter(loader)
    flux.trainstep(loss, model, next(rest), opt)
    flux.save(path, model, opt, data=loader.state_dict(), random=flux.random.getstate())
    expected = epoch(model, opt, rest), epoch(model, opt, loader), generator().integers(2**60)

    resumed, state = build(seed=9)
    again = batches(rng=2)
    extra = flux.restore(path, resumed, state)
    again.load_state_dict(extra["data"])
    flux.random.setstate(extra["random"])
    assert (epoch(resumed, state, again), epoch(resumed, state, again)) == expected[:2]
    assert generator().integers(2**60) == expected[2]
    for one, other in zip(numbers(model), numbers(resumed), strict=True):
        np.testing.assert_array_equal(one, other)


def test_what_was_frozen_stays_frozen(batches, tmp_path):
    model, opt = build()
    flux.freeze(opt, model[0])
    flux.save(tmp_path / "model.safetensors", model, opt)
    resumed, state = build(seed=9)
    flux.restore(tmp_path / "model.safetensors", resumed, state)
    before = np.asarray(resumed[0].weight)
    epoch(resumed, state, batches())
    np.testing.assert_array_equal(resumed[0].weight, before)


def test_another_rule_is_refused(tmp_path):
    model, opt = build()
    flux.save(tmp_path / "model.safetensors", model, opt)
    other = flux.setup(flux.optim.Momentum(0.01), model)
    with pytest.raises(flux.ModelFileError, match="another optimiser"):
        flux.restore(tmp_path / "model.safetensors", model, other)


def test_restoring_compiles_nothing_again(batches, tmp_path, caplog):
    model, opt = build()
    epoch(model, opt, batches())
    flux.save(tmp_path / "model.safetensors", model, opt)
    flux.restore(tmp_path / "model.safetensors", model, opt)
    with jax.log_compiles():
        epoch(model, opt, batches())
    assert "Compiling" not in caplog.text


def test_what_compiling_turned_into_arrays_is_given_to_a_fresh_model(tmp_path):
    def fresh():
        return {"slope": np.zeros(2), "steps": 0, "rate": 0.5, "kept": 7}

    def count(line, x):
        line["steps"] += 1
        line["rate"] *= 0.5
        return ((line["slope"] - x) ** 2).sum()

    line = fresh()
    opt = flux.setup(flux.optim.Descent(), line)
    flux.trainstep(count, line, np.ones(2, np.float32), opt)
    flux.save(tmp_path / "trained", line)
    again = fresh()
    flux.restore(tmp_path / "trained", again)
    assert (int(again["steps"]), float(again["rate"]), again["kept"]) == (1, 0.25, 7)
    np.testing.assert_array_equal(again["slope"], line["slope"])

    flux.save(tmp_path / "fresh", {**fresh(), "slope": np.ones(2, np.float32), "steps": 5})
    flux.restore(tmp_path / "fresh", line)
    assert int(line["steps"]) == 5


def test_an_array_in_two_places_stays_one_while_it_is_trained():
    model = {"a": np.ones(2, np.float32)}
    model["b"] = model["a"]
    opt = flux.setup(flux.optim.Descent(), model)
    for _ in range(2):
        flux.trainstep(lambda m, x: (m["a"] * m["b"] * x).sum(), model, np.ones(2), opt)
    assert model["a"] is model["b"]
    np.testing.assert_allclose(model["a"], [0.64, 0.64], rtol=1e-6)
