"""The training of a model of the zoo by `flux.train`: how far it has come, Ctrl-C, its file."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path

import numpy as np

import flux
from flux import zoo
from flux.cli.task import Task, batches_of
from flux.errors import NonFiniteLoss

__all__ = ["Training", "interrupted_between_steps"]

STEPS = 200  # between two states on the disk, at most


class Training:
    """A model of the zoo, its data, and how far it has come. A callback of its own run.

    Args:
        task: the model and its data.
        settings: how it is trained.
        path: the file that is written after each epoch and every so many steps.

    Attributes:
        model, opt: what is trained, and its optimiser.
        held_out: the data that it does not see.
        losses: the mean training loss of each epoch.
        measures: what the file's `measure` said of held-out data after each epoch.
    """

    def __init__(self, task: Task, settings: zoo.Settings, path: Path):
        flux.seed(settings.seed)
        self.task, self.settings, self.path = task, settings, path
        self.held_out, self.model = task.data("test"), task.build()
        self.batches = self._batches()
        rule = getattr(task.module, "rule", lambda lr, _: flux.optim.Adam(lr))
        steps = settings.epochs * len(self.batches)
        self.opt = flux.setup(rule(settings.lr, steps), self.model)
        self.losses: list[float] = []
        self.measures: list[float] = []
        self.about = {"model": task.name, "folder": task.folder}
        self.about |= {"shape": task.shape and list(task.shape), "settings": settings._asdict()}
        self.named = str(path).replace("{", "{{").replace("}", "}}")  # braces stand for numbers
        self.every = flux.callbacks.checkpoint_every(
            self.named, epochs=1, steps=STEPS, zoo=self.about
        )
        self.check: Callable[[], None] = lambda: None

    def _batches(self):
        size, seed = self.settings.batch, self.settings.seed
        if hasattr(self.task.module, "batches"):
            return self.task.module.batches(self.model, self.settings)
        return flux.DataLoader(self.task.data("train"), size, shuffle=True, rng=seed)

    def run(self, *, progress: bool, resume: bool = False) -> None:
        """Train for all epochs, or those that the file has left.

        Raises: `KeyboardInterrupt` between two steps after Ctrl-C, `NonFiniteLoss`; in the file is
            then what was learned before.
        """
        with interrupted_between_steps() as self.check:
            try:
                flux.train(
                    self.task.module.loss,
                    self.model,
                    self.batches,
                    self.opt,
                    epochs=self.settings.epochs,
                    callbacks=[self, self.every],
                    progress=progress,
                    resume=self.named if resume else None,
                    compiled=getattr(self.task.module, "COMPILED", True),
                )
            except NonFiniteLoss as problem:
                flux.save(self.path, self.model, self.opt, zoo=self.about)
                hint = f"A smaller learning rate than {self.settings.lr:g} may help: --lr."
                raise NonFiniteLoss(problem.what, hint=hint) from None

    def step(self, run) -> None:
        """After a step: go on, unless Ctrl-C was pressed."""
        try:
            self.check()
        except KeyboardInterrupt:
            self.every.save(run)
            raise

    def __call__(self, run) -> None:
        self.losses = list(run.history.epoch_loss)
        self.measures.append(self.measure())

    def measure(self) -> float:
        """The mean of the file's `measure` over the held-out examples."""
        measure = self.task.module.measure
        if not self.held_out:
            return float(measure(self.model))
        found, sizes = [], []
        for batch in batches_of(self.held_out):
            found.append(float(measure(self.model, *batch)))
            sizes.append(len(batch[0]))
        return float(np.average(found, weights=sizes))

    def state_dict(self) -> dict[str, list[float]]:
        return {"losses": self.losses, "measures": self.measures}

    def load_state_dict(self, state: dict[str, list[float]]) -> None:
        self.losses, self.measures = state["losses"], state["measures"]


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
