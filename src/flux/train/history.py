"""What a training run leaves behind: losses, metrics, speed."""

from __future__ import annotations

import os
from time import perf_counter
from typing import Any

import numpy as np

__all__ = ["History"]


class History:
    """The history of a training run.

    Attributes:
        loss: the loss of every step, before the step.
        epoch_loss: the mean of each epoch.
        ends: how many steps were done at the end of each epoch.
        metrics: for each metric the mean of each epoch.
        steps_per_second: without the first step, which compiles; of a run that was resumed, since
            then.
    """

    def __init__(self):
        self.loss: list[float] = []
        self.epoch_loss: list[float] = []
        self.ends: list[int] = []
        self.metrics: dict[str, list[float]] = {}
        self.collected: dict[str, list[Any]] = {}
        self.since: float | None = None
        self.until = 0.0
        self.first = self.before = 0

    def __repr__(self):
        last = f", loss {self.epoch_loss[-1]:.4g}" if self.epoch_loss else ""
        return f"History({len(self.epoch_loss)} epochs, {len(self.loss)} steps{last})"

    @property
    def steps_per_second(self) -> float:
        seconds = self.until - (self.since or self.until)
        return (len(self.loss) - self.before - 1) / seconds if seconds > 0 else 0.0

    def plot(self, path: str | os.PathLike) -> None:
        """Write a picture of the loss by step and by epoch, and of each metric.

        Args:
            path: the file, of a kind that matplotlib writes: `.png`, `.svg`, `.pdf`.

        Raises: `FluxError` with the way to install it, if matplotlib is not there.
        """
        from flux.train.curves import draw

        draw(path, self.loss, self.ends, self.epoch_loss, self.metrics)

    def begin(self) -> None:
        """An epoch begins."""
        self.collected, self.first = {}, len(self.loss)

    def add(self, loss: float, metrics: dict[str, Any]) -> None:
        """A step is done."""
        self.until = perf_counter()
        if self.since is None:
            self.since = self.until
        self.loss.append(loss)
        for name, value in metrics.items():
            self.collected.setdefault(name, []).append(value)

    def end(self) -> None:
        """An epoch is over."""
        self.ends.append(len(self.loss))
        self.epoch_loss.append(float(np.mean(self.loss[self.first :])))
        for name, values in self.collected.items():
            mean = float(np.mean([float(value) for value in values]))
            self.metrics.setdefault(name, []).append(mean)

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps of it."""
        collected = {name: [float(v) for v in values] for name, values in self.collected.items()}
        return {
            "loss": np.asarray(self.loss, np.float64),
            "ends": self.ends,
            "epoch_loss": self.epoch_loss,
            "metrics": self.metrics,
            "collected": collected,
            "first": self.first,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what `state_dict` returned."""
        self.__dict__.update(state)
        self.loss = state["loss"].tolist()
        self.before = len(self.loss)
