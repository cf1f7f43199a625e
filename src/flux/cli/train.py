"""Train a model of the zoo on its data.

Writes the model, a picture of its curves and of what it reads in held-out images, and pictures of
what it makes. Ctrl-C stops after the current step and keeps what was learned.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from pathlib import Path
from time import perf_counter

import numpy as np

from flux import zoo
from flux.cli import picture
from flux.cli.course import follow
from flux.cli.png import sheet, write_png
from flux.cli.task import Task, classify
from flux.cli.training import Training
from flux.errors import FluxError

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `flux train`."""
    parser.add_argument("model", metavar="MODEL", help=f"one of: {', '.join(zoo.names())}")
    parser.add_argument("--epochs", type=_positive(int), help="passes over the data")
    parser.add_argument("--batch", type=_positive(int), help="examples in a step")
    parser.add_argument("--lr", type=_positive(float), help="learning rate")
    parser.add_argument("--seed", type=_seed, help="of parameters, orders and dropout (default: 0)")
    parser.add_argument("--data", type=Path, metavar="FOLDER", help="train on the data set in it")
    parser.add_argument("--out", type=Path, metavar="DIR", help="default: runs/MODEL")
    parser.add_argument("--quiet", action="store_true", help="show no progress")


def run(options: argparse.Namespace) -> int:
    """Train, report, and write the model and its pictures."""
    task = Task(options.model, options.data)
    given = {key: getattr(options, key) for key in zoo.Settings._fields}
    settings = task.module.SETTINGS._replace(**{k: v for k, v in given.items() if v is not None})
    out = _folder(options.out or Path("runs") / options.model)
    if hasattr(task.module, "train"):
        follow(task.name, task.module, settings, out, progress=not options.quiet)
        return 0
    training = Training(task, settings)
    started = perf_counter()
    try:
        training.run(progress=not options.quiet)
    except KeyboardInterrupt:
        path = training.save(out)
        whole = len(training.losses)
        print(f"\nStopped after {whole} whole epochs; what was learned is kept in {path}")
        _print_rows(_use(task, path))
        return 130
    except FluxError:
        training.save(out)
        raise
    seconds = perf_counter() - started
    path = training.save(out)
    print(f"{task.name}: trained in {seconds:.1f} s")
    _print_rows({**_figures(training), "model": path, **_draw(training, out), **_use(task, path)})
    return 0


def _print_rows(rows: dict) -> None:
    for name, value in rows.items():
        print(f"  {name:<18} {value}")


def _use(task: Task, path: Path) -> dict[str, str]:
    return {"try it": f"{command()} predict {path}"} if task.classifies else {}


def _figures(training: Training) -> dict[str, str]:
    """What the training came to, and, on the data that travel with the package, should."""
    got, expected = training.measures[-1], training.task.module.EXPECTED
    size, shown = len(training.held_out[0]), _worded(got, expected)
    if expected.what == "accuracy":
        shown += f"   {round(got * size)} of {size} right"
    rows = {f"held-out {expected.what}": shown}
    if training.task.folder is None:
        rows["expected"] = f"{_worded(expected.value, expected)} or {expected.better}"
    return rows | {"training loss": f"{training.losses[-1]:.4f}"}


def _worded(value: float, expected: zoo.Expected) -> str:
    return f"{100 * value:.1f} %" if expected.what == "accuracy" else f"{value:.4g}"


def _draw(training: Training, folder: Path) -> dict[str, str]:
    """Draw the curves and what the model makes; returns where they are, or why there is none."""
    task, path = training.task, folder / f"{training.task.name}.png"
    seen = None
    if task.classifies:
        images, truth = training.held_out
        seen = images, classify(training.model, images)[0], truth
    try:
        curves = training.losses, training.measures, task.module.EXPECTED.what
        picture.draw(path, *curves, seen)
        rows = {"picture": str(path)}
    except FluxError as problem:
        rows = {"picture": f"none: {problem}"}
    made = getattr(task.module, "pictures", lambda *_: {})(training.model, *training.held_out)
    for name, images in made.items():
        rows[name] = str(write_png(folder / f"{name}.png", sheet(np.asarray(images))))
    return rows


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


def command() -> str:
    """How this command is called from here: by its name, if the shell finds it under that."""
    own = Path(sys.argv[0])
    found = shutil.which("flux")
    if own.stem != "flux" or (found and Path(found).resolve() == own.resolve()):
        return "flux"
    return os.path.relpath(own)
