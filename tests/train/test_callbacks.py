"""Callbacks of `flux.train`; TensorBoard's files are read back by a decoder of their own."""

import math
import struct
import sys

import numpy as np
import pytest

import flux
from flux import callbacks, optim, schedules
from flux.train import loop

X = np.linspace(-1, 1, 8, dtype=np.float32)
DATA = [(X, 3 * X), (X, 3 * X)]


def loss(line, x, y):
    error = flux.losses.mse(line["slope"] * x, y)
    return error, {"accuracy": 1 / (1 + error)}


def trained(*chosen, epochs=10, rule=None, of_opt=()):
    """The line, its optimiser and the history, after training with these callbacks.

    `of_opt` are functions from the optimiser to further ones.
    """
    line = {"slope": np.zeros((), np.float32)}
    opt = flux.setup(rule or optim.Descent(0.1), line)
    made = [*chosen, *[make(opt) for make in of_opt]]
    history = flux.train(loss, line, DATA, opt, epochs=epochs, callbacks=made, progress=False)
    return line, opt, history


class Scores:
    """Gives one score of a list after each epoch."""

    def __init__(self, *scores):
        self.scores, self.slopes = iter(scores), []

    def __call__(self, run):
        self.slopes.append(float(run.model["slope"]))
        return next(self.scores)


# early_stopping, patience


@pytest.mark.parametrize(
    ("scores", "options", "epochs"),
    [
        ((3, 2, 1, 2, 1, 1), {"patience": 3}, 6),
        ((3, math.nan, math.nan), {"patience": 2}, 3),
        ((1, 2, 3, 3, 2), {"patience": 2, "mode": "max"}, 5),
        ((3, 2.95, 2.9), {"patience": 2, "min_delta": 0.2}, 3),
        ((4, 3, 2, 1), {"patience": 1}, 4),
    ],
)
def test_training_stops_when_the_score_no_longer_gets_better(scores, options, epochs):
    stop = callbacks.early_stopping(Scores(*scores), **options)
    assert len(trained(stop, epochs=len(scores))[2].epoch_loss) == epochs


def test_the_best_arrays_come_back():
    scores = Scores(3, 1, 2, 2, 2)
    line, _, _ = trained(callbacks.early_stopping(scores, 3, restore_best=True))
    assert float(line["slope"]) == scores.slopes[1] != scores.slopes[-1]


def test_the_best_arrays_come_back_at_the_last_epoch_and_stay_shared():
    flux.seed(0)
    layer = flux.Dense(2, 2)
    model = flux.Chain(layer, flux.Dropout(0.5), layer)
    opt = flux.setup(optim.Adam(0.1), model)
    scores, seen = iter([2, 1, 3]), []

    def score(run):
        seen.append(np.asarray(layer.weight))
        return next(scores)

    stop = callbacks.early_stopping(score, restore_best=True)
    flux.train(
        lambda m, x: (m(x) ** 2).sum(), model, [np.ones((1, 2), np.float32)], opt,
        epochs=3, callbacks=[stop], progress=False,
    )  # fmt: skip
    np.testing.assert_array_equal(model[0].weight, seen[1])
    assert model[0].weight is model[2].weight


def test_one_callback_needs_no_list_and_a_score_may_be_a_loss_with_metrics():
    def score(run):
        return 1.0, {"accuracy": 0.5}

    line = {"slope": np.zeros((), np.float32)}
    opt, x = flux.setup(optim.Descent(0.1), line), np.ones(2, np.float32)
    stop = callbacks.early_stopping(score, patience=2)
    history = flux.train(loss, line, [(x, x)], opt, epochs=9, callbacks=stop, progress=False)
    assert len(history.epoch_loss) == 3


def test_a_metric_is_watched_by_name():
    stop = callbacks.early_stopping("accuracy", patience=2, mode="max", min_delta=0.01)
    history = trained(stop, epochs=100)[2]
    assert 3 < len(history.epoch_loss) < 50
    assert history.metrics["accuracy"][-1] - history.metrics["accuracy"][-3] < 0.01


def test_a_metric_that_is_not_there_and_a_mode_that_nobody_knows():
    with pytest.raises(flux.FluxError, match="no metric `recall` to watch; there is loss, accurac"):
        trained(callbacks.early_stopping("recall", mode="max"))
    with pytest.raises(flux.FluxError, match="told whether the best `accuracy`"):
        callbacks.early_stopping("accuracy")
    with pytest.raises(ValueError, match="mode must be 'min' or 'max'"):
        callbacks.early_stopping(mode="least")


def test_a_second_run_starts_to_wait_anew():
    stop = callbacks.early_stopping(lambda run: 1.0, patience=3)
    assert [len(trained(stop)[2].epoch_loss) for _ in range(2)] == [4, 4]


def test_patience_counts_only_what_is_true_in_a_row():
    answers = iter([True, False, True, True, True, True])
    history = trained(callbacks.patience(lambda run: next(answers), 3))[2]
    assert len(history.epoch_loss) == 5


# plateau


def test_the_rate_falls_as_in_torch():
    torch = pytest.importorskip("torch")
    scores = [3.0, 2.0, 2.0, 2.0, 2.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]
    found = []

    def lower(opt):
        score = Scores(*scores)
        return callbacks.plateau(opt, score, 2, factor=0.5, lowest=0.03, min_delta=0.1)

    seen = lambda run: found.append(run.opt.hyper["lr"])  # noqa: E731
    trained(of_opt=[lower, lambda opt: seen], epochs=len(scores))

    optimiser = torch.optim.SGD([torch.zeros(1, requires_grad=True)], 0.1)
    scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimiser, factor=0.5, patience=1, threshold=0.1, threshold_mode="abs", min_lr=0.03
    )  # which waits one epoch longer than its patience says
    expected = []
    for score in scores:
        scheduler.step(score)
        expected.append(optimiser.param_groups[0]["lr"])
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert found[0] > found[-1] == 0.03


def test_a_rate_that_follows_a_schedule_is_lowered_and_held():
    rule = optim.Descent(schedules.polynomial(0.1, 100))
    lower = lambda opt: callbacks.plateau(opt, lambda run: 1.0, 2, factor=0.5)  # noqa: E731
    _, opt, _ = trained(of_opt=[lower], epochs=4, rule=rule)
    assert opt.hyper["lr"] == pytest.approx(schedules.polynomial(0.1, 100)(5) / 2)


def test_plateau_needs_a_rate():
    model = {"w": np.zeros(2, np.float32)}
    with pytest.raises(flux.FluxError, match="optimiser with a learning rate"):
        callbacks.plateau(flux.setup(optim.AdaDelta(), model))
    with pytest.raises(ValueError, match="factor must be between 0 and 1"):
        callbacks.plateau(flux.setup(optim.Adam(), model), factor=2.0)


# throttle


def test_calls_are_so_many_seconds_apart(monkeypatch):
    clock, calls = iter(range(0, 1000)), []
    monkeypatch.setattr(callbacks, "perf_counter", lambda: next(clock) / 2)
    trained(callbacks.throttle(lambda run: calls.append((run.epoch, run.step)), 1.2), epochs=4)
    assert calls[0] == (1, 1)
    assert 2 < len(calls) < 8


def test_a_throttled_call_that_is_true_ends_the_run():
    history = trained(callbacks.throttle(lambda run: run.step == 1, 60))[2]
    assert len(history.loss) == 1


# checkpoint_every


def test_files_after_epochs_and_after_steps(tmp_path):
    trained(
        callbacks.checkpoint_every(tmp_path / "a" / "{epoch}.safetensors", epochs=3),
        callbacks.checkpoint_every(tmp_path / "b" / "{step:02}-{epoch}", steps=3, keep=2),
        callbacks.checkpoint_every(tmp_path / "last", about={"sizes": [1, 2]}), epochs=7,
    )  # fmt: skip
    assert sorted(p.name for p in (tmp_path / "a").iterdir()) == ["3.safetensors", "6.safetensors"]
    assert sorted(p.name for p in (tmp_path / "b").iterdir()) == ["09-4", "12-5"]
    line = {"slope": np.zeros((), np.float32)}
    extra = flux.restore(tmp_path / "last", line)
    assert (extra["epoch"], extra["step"], extra["about"]) == (7, 14, {"sizes": [1, 2]})


@pytest.mark.parametrize(
    ("path", "options"),
    [("{name}", {}), ("{", {}), ("a", {"steps": 0}), ("a", {"keep": -1}), ("a", {"run": 1})],
)
def test_a_path_or_number_that_makes_no_sense(path, options):
    with pytest.raises(ValueError, match="checkpoint_every"):
        callbacks.checkpoint_every(path, **options)


# tensorboard


def crc32c(data):
    """Castagnoli's checksum bit by bit, by division of polynomials."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def checked(data, checksum):
    crc = crc32c(data)
    assert struct.unpack("<I", checksum)[0] == ((crc >> 15 | crc << 17) + 0xA282EAD8) % 2**32
    return data


def records(data):
    while data:
        (length,) = struct.unpack("<Q", checked(data[:8], data[8:12]))
        yield checked(data[12 : 12 + length], data[12 + length : 16 + length])
        data = data[16 + length :]


def number_at(data, at):
    number = shift = 0
    while True:
        byte, at = data[at], at + 1
        number, shift = number | (byte & 0x7F) << shift, shift + 7
        if byte < 0x80:
            return number, at


def fields(data):
    """A protocol buffer as a dict by the number of the field."""
    found, at = {}, 0
    while at < len(data):
        key, at = number_at(data, at)
        if key & 7 == 0:
            value, at = number_at(data, at)
        elif key & 7 == 2:
            length, at = number_at(data, at)
            value, at = data[at : at + length], at + length
        else:
            kind, size = {1: ("<d", 8), 5: ("<f", 4)}[key & 7]
            value, at = struct.unpack(kind, data[at : at + size])[0], at + size
        found[key >> 3] = value
    return found


def scalars(folder):
    """`{tag: [(step, value), ...]}` of all files of a folder; tags as event.proto numbers them."""
    found = {}
    for path in sorted(folder.glob("events.out.tfevents.*")):
        first, *others = map(fields, records(path.read_bytes()))
        assert first[3] == b"brain.Event:2"
        assert first[1] > 1.6e9
        for event in others:
            entry = fields(fields(event[5])[1])
            found.setdefault(entry[1].decode(), []).append((event[2], entry[2]))
    return found


def test_tensorboard_reads_losses_metrics_and_rates(tmp_path):
    rule = optim.Descent(schedules.cosine(0.1, 300))
    _, _, history = trained(callbacks.tensorboard(tmp_path), epochs=120, rule=rule)
    found = scalars(tmp_path)
    assert [step for step, _ in found["loss/step"]] == [*range(1, 241)]
    np.testing.assert_allclose([v for _, v in found["loss/step"]], history.loss, rtol=1e-6)
    assert [step for step, _ in found["loss/epoch"]] == [*range(2, 241, 2)]
    np.testing.assert_allclose([v for _, v in found["loss/epoch"]], history.epoch_loss, rtol=1e-6)
    assert found["accuracy"][-1][1] == pytest.approx(history.metrics["accuracy"][-1])
    assert found["hyper/lr"][0] == (2, pytest.approx(schedules.cosine(0.1, 300)(1)))


def test_what_was_logged_before_an_exception_is_in_the_file(tmp_path):
    board = callbacks.tensorboard(tmp_path)
    line = {"slope": np.zeros((), np.float32)}
    opt = flux.setup(optim.Descent(0.1), line)
    data = [*DATA, (X, 3 * X * np.inf)]
    with pytest.raises(flux.NonFiniteLoss):
        flux.train(loss, line, data, opt, callbacks=[board], progress=False)
    assert [step for step, _ in scalars(tmp_path)["loss/step"]] == [1, 2]


def test_numbers_of_ones_own_however_large(tmp_path):
    with callbacks.tensorboard(tmp_path) as board:
        for step, value in [(0, 0.25), (2**40, 1e300), (300, math.nan)]:
            board.scalar("größe", value, step)
    (zero, quarter), (far, large), (_, none) = scalars(tmp_path)["größe"]
    assert (zero, quarter, far, large) == (0, 0.25, 2**40, math.inf)
    assert math.isnan(none)


def test_tensorboard_itself_reads_the_file(tmp_path):
    reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    trained(callbacks.tensorboard(tmp_path), epochs=3)
    events = reader.EventAccumulator(str(tmp_path))
    events.Reload()
    found = [(e.step, e.value) for e in events.Scalars("loss/step")]
    assert found == scalars(tmp_path)["loss/step"]


# plot_history, and the hooks of the loop


def test_the_picture_of_a_run(tmp_path):
    pytest.importorskip("matplotlib")
    path = tmp_path / "new" / "run.svg"
    trained(callbacks.plot_history(path), epochs=2)
    text = path.read_text()
    assert text.rstrip().endswith("</svg>")
    assert all(f"<!-- {word} -->" in text for word in ("step", "loss", "accuracy", "epoch"))


def test_without_matplotlib_the_way_to_it_is_told(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(flux.FluxError, match=r"pip install 'fluxml\[plot\]'"):
        trained(epochs=1)[2].plot(tmp_path / "run.png")


def test_end_is_called_also_after_an_exception():
    class Last:
        def __init__(self):
            self.seen = []

        def __call__(self, run):
            if run.epoch == 2:
                raise KeyboardInterrupt

        def end(self, run):
            self.seen.append((run.epoch, run.finished))

    last = Last()
    trained(last, epochs=1)
    with pytest.raises(KeyboardInterrupt):
        trained(last)
    assert last.seen == [(1, True), (2, False)]
    assert loop.Run(loss, {}, None, 1).finished is False
