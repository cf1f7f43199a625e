"""A training that was stopped and resumed gives the numbers of one that was not."""

import jax
import numpy as np
import pytest

import flux


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
    return lambda: flux.DataLoader(data, 8, shuffle=True, rng=1)


def epoch(model, opt, loader):
    return [float(flux.trainstep(loss, model, batch, opt)) for batch in loader]


def numbers(model):
    return [np.asarray(a) for a in jax.tree.leaves(model)]


def test_resuming_gives_the_same_numbers_as_not_stopping(batches, tmp_path):
    path = tmp_path / "model.safetensors"
    model, opt = build()
    loader = batches()
    epoch(model, opt, loader)
    flux.save(path, model, opt, epoch=loader.epoch)
    expected = epoch(model, opt, loader)

    resumed, state = build(seed=9)
    again = batches()
    again.epoch = flux.restore(path, resumed, state)["epoch"]
    assert epoch(resumed, state, again) == expected
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
