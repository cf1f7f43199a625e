"""Train a model of the zoo on its data.

Writes the model, and a picture of its curves and of what it reads in held-out images. Ctrl-C stops
after the current step and keeps what was learned.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
import threading
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter

import numpy as np

import flux
from flux import zoo
from flux.cli import picture
from flux.cli.course import follow
from flux.errors import FluxError, NonFiniteLoss
from flux.train.progress import Progress

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `flux train`."""
    parser.add_argument("model", metavar="MODEL", help=f"one of: {', '.join(zoo.names())}")
    parser.add_argument("--epochs", type=_positive(int), help="passes over the data")
    parser.add_argument("--batch", type=_positive(int), help="examples in a step")
    parser.add_argument("--lr", type=_positive(float), help="learning rate")
    parser.add_argument("--seed", type=_seed, help="of parameters, orders and dropout (default: 0)")
    parser.add_argument("--out", type=Path, metavar="DIR", help="default: runs/MODEL")
    parser.add_argument("--quiet", action="store_true", help="show no progress")


def run(options: argparse.Namespace) -> int:
    """Train, report, and write the model and its picture."""
    module = zoo.load(options.model)
    given = {key: getattr(options, key) for key in zoo.Settings._fields}
    settings = module.SETTINGS._replace(**{k: v for k, v in given.items() if v is not None})
    out = _folder(options.out or Path("runs") / options.model)
    if hasattr(module, "train"):
        follow(options.model, module, settings, out, progress=not options.quiet)
        return 0
    training = Training(options.model, module, settings)
    started = perf_counter()
    try:
        training.run(progress=not options.quiet)
    except KeyboardInterrupt:
        path = training.save(out)
        print(
            f"\nStopped after {len(training.accuracies)} whole epochs; what was learned is kept in "
            f"{path}\n  {command()} predict {path}"
        )
        return 130
    except FluxError:
        training.save(out)
        raise
    seconds = perf_counter() - started
    path = training.save(out)
    drawn = _draw(training, out / f"{options.model}.png")
    print(_report(training, seconds, path, drawn))
    return 0


def _draw(training: Training, path: Path) -> str:
    """Draw the picture; returns where it is, or why there is none."""
    seen = (training.held_out, training.guesses(), training.truth)
    try:
        picture.draw(path, training.losses, training.accuracies, *seen)
    except FluxError as problem:
        return f"none: {problem}"
    return str(path)


def _report(training: Training, seconds: float, path: Path, drawn: str) -> str:
    right, expected = training.accuracies[-1], training.module.EXPECTED
    count, size = round(right * len(training.truth)), len(training.truth)
    rows = {
        "held-out accuracy": f"{_percent(right)}   {count} of {size} right",
        "expected": f"{_percent(expected)} or more",
        "training loss": f"{training.losses[-1]:.4f}",
        "model": path,
        "picture": drawn,
        "try it": f"{command()} predict {path}",
    }
    lines = [f"  {name:<18} {value}" for name, value in rows.items()]
    return "\n".join([f"{training.name}: trained in {seconds:.1f} s", *lines])


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _folder(path: Path) -> Path:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise FluxError(f"{path} cannot be made a folder: {problem.strerror}.") from None
    return path


def _seed(text: str) -> int:
    seed = int(text)
    if seed < 0:
        raise argparse.ArgumentTypeError(f"must be an integer of at least 0, got {text}")
    return seed


_seed.__name__ = "int"


def _positive(kind: type):
    """A number greater than zero, in the words of argparse."""

    def read(text: str):
        value = kind(text)
        if not value > 0:
            raise argparse.ArgumentTypeError(f"must be greater than 0, got {text}")
        return value

    read.__name__ = kind.__name__
    return read


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


def command() -> str:
    """How this command is called from here: by its name, if the shell finds it under that."""
    own = Path(sys.argv[0])
    found = shutil.which("flux")
    if own.stem != "flux" or (found and Path(found).resolve() == own.resolve()):
        return "flux"
    return os.path.relpath(own)


class Training:
    """A model of the zoo, its data, and how far it has come.

    Attributes:
        losses: the mean training loss of each epoch.
        accuracies: the accuracy on held-out data after each epoch.
    """

    def __init__(self, name: str, module, settings: zoo.Settings):
        flux.seed(settings.seed)
        self.name, self.module, self.settings = name, module, settings
        self.model = module.build()
        self.opt = flux.setup(flux.optim.Adam(settings.lr), self.model)
        self.held_out, self.truth = module.data("test")
        train = module.data("train")
        self.batches = flux.DataLoader(train, settings.batch, shuffle=True, rng=settings.seed)
        self.scores = flux.jit(lambda model, inputs: model(inputs))
        self.losses: list[float] = []
        self.accuracies: list[float] = []

    def run(self, *, progress: bool) -> None:
        """Train for all epochs. Ctrl-C raises `KeyboardInterrupt` between two steps."""
        epochs = self.settings.epochs
        with (
            interrupted_between_steps() as check,
            Progress(epochs * len(self.batches), enabled=progress) as bar,
        ):
            step = 0
            for epoch in range(1, epochs + 1):
                losses = []
                for batch in self.batches:
                    loss, seen = flux.trainstep(self.module.loss, self.model, batch, self.opt)
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
        self.accuracies.append(float((self.guesses() == self.truth).mean()))

    def guesses(self) -> np.ndarray:
        """What the model takes the held-out examples for."""
        return np.asarray(self.scores(self.model, self.held_out)).argmax(-1)

    def save(self, folder: Path) -> Path:
        """Write a checkpoint, from which `flux predict` reads."""
        path = folder / "model.safetensors"
        about = {"zoo": self.name, "accuracies": self.accuracies, **self.settings._asdict()}
        flux.save(path, self.model, self.opt, **about)
        return path
