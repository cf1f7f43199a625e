"""The training of a model of the zoo, step by step, and how far it has come."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from pathlib import Path

import numpy as np

import flux
from flux import zoo
from flux.cli.task import Task, batches_of
from flux.errors import NonFiniteLoss
from flux.train.progress import Progress

__all__ = ["Training", "interrupted_between_steps"]


class Training:
    """A model of the zoo, its data, and how far it has come.

    Attributes:
        model, opt: what is trained, and its optimiser.
        held_out: the data that it does not see.
        losses: the mean training loss of each epoch.
        measures: what the file's `measure` said of held-out data after each epoch.
    """

    def __init__(self, task: Task, settings: zoo.Settings):
        flux.seed(settings.seed)
        self.task, self.settings = task, settings
        self.held_out, train = task.data("test"), task.data("train")
        self.shape = self.held_out[0].shape[1:]
        self.model = task.build(self.shape)
        size, seed = settings.batch, settings.seed
        self.batches = flux.DataLoader(train, size, shuffle=True, rng=seed)
        self.steps = settings.epochs * len(self.batches)
        rule = getattr(task.module, "rule", None)
        chosen = rule(settings.lr, self.steps) if rule else flux.optim.Adam(settings.lr)
        self.opt = flux.setup(chosen, self.model)
        self.measured = flux.jit(task.module.measure)
        self.losses: list[float] = []
        self.measures: list[float] = []

    def run(self, *, progress: bool) -> None:
        """Train for all epochs. Ctrl-C raises `KeyboardInterrupt` between two steps."""
        with (
            interrupted_between_steps() as check,
            Progress(self.steps, enabled=progress) as bar,
        ):
            step = 0
            for epoch in range(1, self.settings.epochs + 1):
                losses = []
                for batch in self.batches:
                    found = flux.trainstep(self.task.module.loss, self.model, batch, self.opt)
                    loss, seen = found if isinstance(found, tuple) else (found, {})
                    losses.append(loss)
                    step += 1
                    bar.update(epoch, step, loss, **seen)
                    check()
                self._end_epoch(epoch, float(np.mean(losses)))

    def _end_epoch(self, epoch: int, loss: float) -> None:
        if not np.isfinite(loss):
            raise NonFiniteLoss(
                f"the loss in epoch {epoch} is {loss}; the model is as it was before that.",
                hint=f"A smaller learning rate than {self.settings.lr:g} may help: --lr.",
            )
        self.losses.append(loss)
        self.measures.append(self.measure())

    def measure(self) -> float:
        """The mean of the file's `measure` over the held-out examples."""
        found, sizes = [], []
        for batch in batches_of(self.held_out):
            found.append(float(self.measured(self.model, *batch)))
            sizes.append(len(batch[0]))
        return float(np.average(found, weights=sizes))

    def save(self, folder: Path) -> Path:
        """Write a checkpoint, from which `flux predict` reads."""
        path = folder / "model.safetensors"
        about = {"zoo": self.task.name, "folder": self.task.folder, "shape": list(self.shape)}
        about |= {"measures": self.measures, **self.settings._asdict()}
        flux.save(path, self.model, self.opt, **about)
        return path


@contextmanager
def interrupted_between_steps():
    """Let Ctrl-C wait for the end of a step, so that model and optimiser fit each other.

    Yields: a function to call between steps, which then raises `KeyboardInterrupt`. A second Ctrl-C
        does not wait.
    """
    asked = []

    def ask(*_) -> None:
        if asked:
            raise KeyboardInterrupt
        asked.append(True)

    def check() -> None:
        if asked:
            raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield check  # only the main thread receives Ctrl-C
        return
    before = signal.signal(signal.SIGINT, ask)
    try:
        yield check
    finally:
        signal.signal(signal.SIGINT, before)
