"""A run that goes on from a file gives the numbers of one without a break; `kill/` kills it."""

import jax
import numpy as np
import pytest

import flux
from flux import callbacks, optim
from flux.random import generator
from flux.train.resume import latest

DATA = (np.random.default_rng(0).normal(size=(10, 3)).astype(np.float32), np.arange(10) % 2)


def build(seed):
    flux.seed(seed)
    model = flux.Chain(flux.Dense(3, 4, flux.relu), flux.Dropout(0.5), flux.Dense(4, 2))
    return model, flux.setup(optim.Adam(0.05), model)


def loss(model, x, y):
    value = flux.losses.logit_crossentropy(model(x), y)
    return value, {"half": value / 2}


class Jitter:
    """Scores that the random state decides."""

    def __call__(self, run):
        run.history.metrics.setdefault("luck", []).append(generator().uniform())


def loader():
    return flux.DataLoader(DATA, 3, shuffle=True)


class Stream:
    """Examples without an index."""

    def __iter__(self):
        return zip(*DATA, strict=True)


def trained(path, seed=0, data=loader, made=lambda opt: [], epochs=4, resume=None, steps=1):
    """Everything that a run ends with."""
    model, opt = build(seed)
    batches = data()
    every = callbacks.checkpoint_every(path, steps=steps)
    history = flux.train(
        loss, model, batches, opt, epochs=epochs, callbacks=[every, Jitter(), *made(opt)],
        progress=False, resume=resume,
    )  # fmt: skip
    arrays = [np.asarray(leaf).tobytes() for leaf in jax.tree.leaves([model, opt.state])]
    seen = {name: list(values) for name, values in history.metrics.items()}
    lists = (history.loss, history.epoch_loss, history.ends, seen)
    return arrays, lists, generator().uniform(), getattr(batches, "epoch", None)


def stopping(opt):
    best = callbacks.early_stopping("luck", 2, mode="max", restore_best=True)
    return [callbacks.plateau(opt, "luck", 1, mode="min"), best]


def counting(opt):
    return [callbacks.patience(lambda run: run.history.metrics["luck"][-1] < 2, 3)]


class StopAt:
    def step(self, run):
        return run.step == 6

    def __call__(self, run):
        run.history.metrics.setdefault("ends", []).append(run.step)


@pytest.mark.parametrize(
    ("made", "data"),
    [
        (stopping, loader),
        (counting, lambda: [(x, y) for x, y in flux.DataLoader(DATA, 3)]),
        (lambda opt: [StopAt()], lambda: flux.DataLoader(Stream(), 3)),
    ],
)
def test_a_run_goes_on_from_any_step_with_the_same_bits(made, data, tmp_path):
    expected = trained(tmp_path / "{step}", data=data, made=made)
    end = len(expected[1][0])
    for step in {1, 4, 6, end - 1, end}:  # an epoch has four
        file = tmp_path / f"{step}"
        assert trained(tmp_path / "x", 1, data=data, made=made, resume=file) == expected, step


def test_the_files_after_epochs_are_as_good(tmp_path):
    every = callbacks.checkpoint_every(tmp_path / "{epoch}")
    expected = trained(tmp_path / "last", made=lambda opt: [every, *stopping(opt)])
    for epoch in range(1, len(expected[1][1]) + 1):
        again = trained(tmp_path / "x", 1, made=stopping, resume=tmp_path / f"{epoch}")
        assert again == expected


def test_a_run_of_more_epochs_goes_on_where_one_of_fewer_ended(tmp_path):
    path = tmp_path / "{epoch}-{step:04}"
    trained(path, epochs=2, resume=path)
    assert trained(path, 1, epochs=4, resume=path) == trained(tmp_path / "whole", epochs=4)


def test_evaluation_on_the_training_data_after_each_epoch_is_counted(tmp_path):
    def data():
        batches.append(loader())
        return batches[-1]

    def scored(opt):
        return [lambda run: len([batch for batch in batches[-1]]) == 0]

    batches = []
    expected = trained(tmp_path / "{step}", data=data, made=scored)
    for step in (3, 5):
        file = tmp_path / f"{step}"
        assert trained(tmp_path / "x", 1, data=data, made=scored, resume=file) == expected


def test_the_latest_file_is_found_and_what_a_kill_left_is_removed(tmp_path):
    names = ["run-9-90", "run-10-99", "run-10-100", "run-x-1", ".run-3-4.77.part", ".other.1.part"]
    for name in names:
        (tmp_path / name).touch()
    assert latest(tmp_path / "run-{epoch}-{step}") == tmp_path / "run-10-100"
    assert latest(tmp_path / "other") is None
    assert {path.name for path in tmp_path.iterdir()} == {*names[:4]}


def test_a_refused_step_is_not_taken_for_done(tmp_path):
    model, opt = build(0)
    data = [DATA, (DATA[0] * np.inf, DATA[1])]
    every = callbacks.checkpoint_every(tmp_path / "{step}", steps=1)
    with pytest.raises(flux.NonFiniteLoss, match="batch 2"):
        flux.train(loss, model, data, opt, callbacks=[every], progress=False)
    assert [path.name for path in tmp_path.iterdir()] == ["1"]


def test_a_file_that_is_no_run_and_data_that_cannot_go_on_are_refused(tmp_path):
    def refused(data, file, match, error=flux.ModelFileError):
        with pytest.raises(error, match=match):
            flux.train(loss, model, data, opt, progress=False, resume=file)

    trained(tmp_path / "run", epochs=1)
    model, opt = build(0)
    flux.save(tmp_path / "model", model, opt)
    before = np.asarray(model[0].weight)
    refused(loader(), tmp_path / "model", "not the state of a run")
    refused([DATA], tmp_path / "run", "other data than the list")
    refused(flux.DataLoader(DATA, 4, shuffle=True), tmp_path / "run", "batchsize=3", ValueError)
    np.testing.assert_array_equal(model[0].weight, before)


def test_a_torch_loader_that_shuffles_is_refused_at_once(tmp_path):
    data = pytest.importorskip("torch.utils.data")
    model, opt = build(0)
    shuffled = data.DataLoader(list(zip(*DATA, strict=True)), 3, shuffle=True)
    with pytest.raises(flux.FluxError, match="flux.DataLoader"):
        flux.train(loss, model, shuffled, opt, progress=False, resume=tmp_path / "none")
