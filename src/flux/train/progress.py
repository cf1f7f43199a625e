"""What a training run shows while it runs: a live bar in a terminal, a line now and then in a log.

The loss may still be on its way when a step reports it. It is read, and thereby waited for, only
when it is shown: ten times a second at most.
"""

from __future__ import annotations

from time import perf_counter
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress as Bar, TextColumn, TimeRemainingColumn

__all__ = ["Progress"]

BAR_EVERY = 0.1  # seconds between two states of the bar
LINE_EVERY, LINE_APART = 10.0, 1.0  # within an epoch; at least between the ends of two epochs
SPEED_OVER = 1.0  # over how long the speed is taken


class Progress:
    """Show the state of a training run.

    Args:
        total_steps: how many steps there will be; `None` if nobody knows.
        enabled: whether anything is shown at all.
        console: where; standard error if not given.

    >>> import sys
    >>> with Progress(2, console=Console(file=sys.stdout, width=80)) as progress:
    ...     for step in (1, 2):
    ...         progress.update(1, step, loss=1 / step, accuracy=0.5)
    epoch 1  step 2/2  loss 0.5000  accuracy 50.0 %  ... steps/s
    """

    def __init__(
        self, total_steps: int | None, *, enabled: bool = True, console: Console | None = None
    ):
        self.total, self.enabled = total_steps, enabled
        self.last: tuple[int, int, Any, dict[str, Any]] | None = None
        self.shown = perf_counter()
        self.mark, self.speed = (self.shown, 0), 0.0
        if enabled:
            console = console or Console(stderr=True)
            self.display = _Live(console, total_steps) if console.is_terminal else _Log(console)

    def update(self, epoch: int, step: int, loss: Any, **metrics: Any) -> None:
        """Report a step that is done.

        Args:
            epoch: the epoch, from 1.
            step: how many steps are done in all, over all epochs.
            loss: a number or an array of one number, which is not waited for.
            metrics: more of them, by name.
        """
        if not self.enabled:
            return
        now = perf_counter()
        if self.last is None:
            self.mark = (now, step)  # before this step, everything was compiled
        ended = self.last is not None and epoch != self.last[0]
        if ended and now - self.shown >= self.display.apart:
            self._show(now)
        self.last = (epoch, step, loss, metrics)
        if now - self.shown >= self.display.every:
            self._show(now)

    def close(self) -> None:
        """Show the last step, and leave the terminal as it was."""
        if not self.enabled:
            return
        self._show(perf_counter())
        self.display.close()
        self.enabled = False

    def _show(self, now: float) -> None:
        if self.last is None:
            return
        self.shown = now
        epoch, step, loss, metrics = self.last
        values = {"loss": loss, **metrics}
        since, first = self.mark
        if step > first and now > since:
            self.speed = (step - first) / (now - since)
        if now - since >= SPEED_OVER:
            self.mark = (now, step)
        texts = [f"{name} {_worded(name, value)}" for name, value in values.items()]
        self.display.show(epoch, step, self.total, "  ".join([*texts, f"{self.speed:.0f} steps/s"]))

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *problem) -> None:
        self.close()


class _Live:
    """A bar that is drawn again in its place."""

    every = apart = BAR_EVERY

    def __init__(self, console: Console, total: int | None):
        self.bar = Bar(
            TextColumn("epoch {task.fields[epoch]}"),
            BarColumn(bar_width=20),
            TextColumn("{task.completed}" + (f"/{total}" if total else "")),
            TextColumn("{task.fields[text]}"),
            TimeRemainingColumn(),
            console=console,
            auto_refresh=False,
        )
        self.task = self.bar.add_task("", total=total, epoch=1, text="compiling")
        self.bar.start()
        self.bar.refresh()

    def show(self, epoch: int, step: int, total: int | None, text: str) -> None:
        self.bar.update(self.task, completed=step, epoch=epoch, text=text, refresh=True)

    def close(self) -> None:
        self.bar.stop()


class _Log:
    """A line at the end of each epoch, and now and then within long ones."""

    every, apart = LINE_EVERY, LINE_APART

    def __init__(self, console: Console):
        self.console = console
        self.written: tuple[int, int] | None = None

    def show(self, epoch: int, step: int, total: int | None, text: str) -> None:
        if (epoch, step) == self.written:
            return
        self.written = (epoch, step)
        of = f"/{total}" if total else ""
        line = f"epoch {epoch}  step {step}{of}  {text}"
        self.console.print(line, markup=False, highlight=False, soft_wrap=True)

    def close(self) -> None:
        pass


def _worded(name: str, value: Any) -> str:
    number = float(value)
    return f"{number:.1%}".replace("%", " %") if name == "accuracy" else f"{number:.4f}"
