"""Train a model of the zoo on its data.

Writes the model, and a picture of its curves and of what it reads in held-out images. Ctrl-C stops
after the current step and keeps what was learned; --resume goes on from there, and from where the
program was killed, as if nothing had been.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from pathlib import Path
from time import perf_counter

from flux import zoo
from flux.cli import picture
from flux.cli.task import Task, about, classify
from flux.cli.training import Training
from flux.errors import ArgumentError, FluxError

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `flux train`."""
    parser.add_argument("model", metavar="MODEL", help=f"one of: {', '.join(zoo.names())}")
    parser.add_argument("--list", action=List, help="show the models and what to expect of each")
    parser.add_argument("--epochs", type=_positive(int), help="passes over the data")
    parser.add_argument("--batch", type=_positive(int), help="examples in a step")
    parser.add_argument("--lr", type=_positive(float), help="learning rate")
    parser.add_argument("--seed", type=_seed, help="of parameters, orders and dropout (default: 0)")
    parser.add_argument("--data", type=Path, metavar="FOLDER", help="train on the data set in it")
    parser.add_argument("--out", type=Path, metavar="DIR", help="default: runs/MODEL")
    parser.add_argument("--resume", action="store_true", help="go on from the model in DIR, if any")
    parser.add_argument("--quiet", action="store_true", help="show no progress")


class List(argparse.Action):
    """Print the models and end, as `--help` does."""

    def __init__(self, *names, **options):
        super().__init__(*names, nargs=0, **options)

    def __call__(self, parser, *_):
        for name in zoo.names():
            module = zoo.load(name)
            first = (module.__doc__ or "").splitlines()[0]
            expected = module.EXPECTED
            print(f"{name:<11}{first}\n{'':<11}{expected.what}: {expected}")
        parser.exit()


def run(options: argparse.Namespace) -> int:
    """Train, report, and write the model and its picture."""
    path = (options.out or Path("runs") / options.model) / "model.safetensors"
    resume = options.resume and path.exists()
    task, settings = _begun(options, path) if resume else _new(options)
    _folder(path.parent)
    training = Training(task, settings, path)
    started = perf_counter()
    try:
        training.run(progress=not options.quiet, resume=resume)
    except KeyboardInterrupt:
        whole = len(training.losses)
        print(f"\nStopped after {whole} whole epochs; what was learned is kept in {path}")
        again = f"{command()} train {task.name} --out {path.parent} --resume"
        _print_rows({"go on": again, **_use(task, path)})
        return 130
    seconds = perf_counter() - started
    print(f"{task.name}: trained in {seconds:.1f} s")
    rows = {**_figures(training), **getattr(task.module, "report", lambda _: {})(training.model)}
    pictures = {"picture": _draw(training), **_drawn(training)}
    _print_rows({**rows, "model": path, **pictures, **_use(task, path)})
    return 0


def _given(options) -> dict:
    given = {name: getattr(options, name) for name in zoo.Settings._fields}
    return {name: value for name, value in given.items() if value is not None}


def _new(options) -> tuple[Task, zoo.Settings]:
    """What is trained, and how: as its file says, but for what is given."""
    task = Task(options.model, options.data)
    return task, task.module.SETTINGS._replace(**_given(options))


def _begun(options, path: Path) -> tuple[Task, zoo.Settings]:
    """What a run was, and how; only the number of epochs may be another."""
    found, given = about(path), _given(options)
    settings = zoo.Settings(**found["settings"])
    was = {"model": found["model"], "data": found["folder"], **settings._asdict()}
    folder = {} if options.data is None else {"data": str(options.data.resolve())}
    for name, value in {"model": options.model, **folder, **given}.items():
        if name != "epochs" and value != was[name]:
            raise ArgumentError(
                f"the run in {path} was begun with {name} {was[name]}; got {value}.",
                hint="Leave that out to go on, or --resume to begin anew.",
            )
    task = Task(found["model"], found["folder"], found["shape"])
    return task, settings._replace(epochs=given.get("epochs", settings.epochs))


def _print_rows(rows: dict) -> None:
    for name, value in rows.items():
        print(f"  {name:<18} " + str(value).replace("\n", "\n" + 21 * " "))


def _use(task: Task, path: Path) -> dict[str, str]:
    return {"try it": f"{command()} predict {path}"} if task.classifies else {}


def _figures(training: Training) -> dict[str, str]:
    """What the training came to, and, on the data that travel with the package, should."""
    got, expected = training.measures[-1], training.task.module.EXPECTED
    shown = expected.worded(got)
    if "accuracy" in expected.what:
        size = len(training.held_out[0])
        shown += f"   {round(got * size)} of {size} right"
    rows = {expected.what: shown}
    if training.task.folder is None:
        rows["expected"] = str(expected)
    return rows | {"training loss": f"{training.losses[-1]:.4f}"}


def _draw(training: Training) -> str:
    """Draw the curves and what the model reads; returns where that is, or why it is not."""
    task, path = training.task, training.path.parent / f"{training.task.name}.png"
    seen = None
    if task.classifies:
        images, truth = training.held_out
        seen = images, classify(training.model, images)[0], truth
    try:
        picture.draw(path, training.losses, training.measures, task.module.EXPECTED, seen)
    except FluxError as problem:
        return f"none: {problem}"
    return str(path)


def _drawn(training: Training) -> dict[str, str]:
    """Let a model that makes pictures draw one; returns where that is, or why it is not."""
    draw = getattr(training.task.module, "draw", None)
    if draw is None:
        return {}
    path = training.path.parent / "samples.png"
    try:
        draw(training.model, path)
    except FluxError as problem:
        return {"samples": f"none: {problem}"}
    return {"samples": str(path)}


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
