"""Progress: what it shows where, and that it waits for nothing that it does not show."""

import io

import pytest
from rich.console import Console

from flux.train.progress import Progress


class Loss:
    """A loss that counts how often it was read."""

    def __init__(self):
        self.reads = 0

    def __float__(self):
        self.reads += 1
        return 0.25


@pytest.fixture
def log():
    return Console(file=io.StringIO(), width=200)


@pytest.fixture
def terminal():
    return Console(file=io.StringIO(), width=200, force_terminal=True)


def text(console) -> str:
    return console.file.getvalue()


def test_a_log_gets_one_line_an_epoch(log, monkeypatch):
    seconds = iter(range(1000))
    monkeypatch.setattr("flux.train.progress.perf_counter", lambda: next(seconds))
    with Progress(6, console=log) as progress:
        for step in range(1, 7):
            progress.update((step + 1) // 2, step, loss=1 / step)
    lines = text(log).splitlines()
    assert [line.split("  ")[:3] for line in lines] == [
        ["epoch 1", "step 2/6", "loss 0.5000"],
        ["epoch 2", "step 4/6", "loss 0.2500"],
        ["epoch 3", "step 6/6", "loss 0.1667"],
    ]


def test_a_log_of_short_epochs_is_short(log):
    with Progress(1000, console=log) as progress:
        for step in range(1, 1001):
            progress.update(step, step, loss=1 / step)
    assert len(text(log).splitlines()) < 5


def test_a_log_is_free_of_control_characters(log):
    with Progress(1, console=log) as progress:
        progress.update(1, 1, loss=0.5)
    assert "\x1b" not in text(log)


def test_a_terminal_gets_a_bar_with_loss_accuracy_and_speed(terminal):
    with Progress(2, console=terminal) as progress:
        progress.update(1, 1, loss=1.0, accuracy=0.5)
        progress.update(1, 2, loss=0.5, accuracy=0.975)
    for part in ("epoch 1", "2/2", "loss 0.5000", "accuracy 97.5 %", "steps/s", "━"):
        assert part in text(terminal)


def test_the_cursor_comes_back_after_an_interruption(terminal):
    def interrupted():
        with Progress(2, console=terminal) as progress:
            progress.update(1, 1, loss=1.0)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert text(terminal).rindex("\x1b[?25h") > text(terminal).rindex("\x1b[?25l")


@pytest.mark.parametrize("console", ["log", "terminal"])
def test_a_loss_that_is_not_shown_is_not_read(console, request):
    loss = Loss()
    with Progress(10_000, console=request.getfixturevalue(console)) as progress:
        for step in range(1, 10_001):
            progress.update(1, step, loss)
    assert loss.reads < 50


def test_nothing_is_shown_when_told_so(capfd):
    with Progress(1, enabled=False) as progress:
        progress.update(1, 1, loss=0.5)
    assert capfd.readouterr() == ("", "")


def test_the_number_of_steps_may_be_unknown(log, terminal):
    for console in (log, terminal):
        with Progress(None, console=console) as progress:
            progress.update(1, 1, loss=0.5)
        assert "loss 0.5000" in text(console)
