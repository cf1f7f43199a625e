"""Write what a training run is while it runs, and go on from there with the same numbers.

A run is its model, its optimiser, how far it has come, the random state, the place in the data, the
history, and what callbacks remember. Whatever has methods `state_dict` and `load_state_dict`, data
and callbacks alike, is asked for its part: a dict of what `flux.save` takes.
"""

from __future__ import annotations

import glob
import os
import re
import string
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flux.errors import FluxError, ModelFileError
from flux.io.checkpoint import read_extra, restore, save
from flux.random import getstate, setstate

if TYPE_CHECKING:
    from flux.train.loop import Run

__all__ = ["checkpoint_every", "go_on", "latest", "rest_of"]


class checkpoint_every:
    """Save the run every so many epochs, or steps; `flux.train(..., resume=path)` goes on from it.

    The file is one of `flux.save`. Its extra values, which `flux.restore` returns, are `epoch`, the
    number of whole epochs that are done, `step`, that of steps, and `run`, the rest of what the run
    needs to go on. It is written after all other callbacks of the step or epoch.

    Args:
        path: the file, in which `{epoch}` and `{step}` stand for these numbers; without them, the
            same file is replaced. Its folder is made if it is not there.
        epochs: how many epochs apart; 1 if neither is given.
        steps: how many steps apart.
        keep: how many files of this run are kept, the latest ones; all if not given.
        **extra: further values of the file, as `flux.save` takes them.

    Raises: `ValueError` for another name in braces, and for an extra value with a name of its own.

    >>> import flux, numpy as np, tempfile
    >>> def loss(model, x):
    ...     return ((model["w"] - x) ** 2).sum()
    >>> def trained(folder, epochs):
    ...     model, data = {"w": np.zeros(2, np.float32)}, [np.ones(2, np.float32)]
    ...     opt = flux.setup(flux.optim.Adam(0.1), model)
    ...     path = f"{folder}/{{epoch:03}}.safetensors"
    ...     every = checkpoint_every(path, epochs=2, keep=2)
    ...     flux.train(loss, model, data, opt, epochs=epochs, callbacks=[every], resume=path,
    ...                progress=False)
    ...     return model["w"], sorted(file.name for file in Path(folder).iterdir())
    >>> with tempfile.TemporaryDirectory() as whole, tempfile.TemporaryDirectory() as parts:
    ...     expected, files = trained(whole, 9)
    ...     _, before = trained(parts, 5)  # and here the program is killed
    ...     again, after = trained(parts, 9)
    >>> before, after == files, bool((again == expected).all())
    (['002.safetensors', '004.safetensors'], True, True)
    """

    last = True

    def __init__(
        self,
        path: str | os.PathLike,
        *,
        epochs: int | None = None,
        steps: int | None = None,
        keep: int | None = None,
        **extra: Any,
    ):
        self.path, self.steps = os.fspath(path), steps
        self.epochs = 1 if epochs is None and steps is None else epochs
        for name, value in {"epochs": epochs, "steps": steps, "keep": keep}.items():
            if value is not None and value < 1:
                raise ValueError(f"checkpoint_every: {name} must be at least 1, got {value}.")
        for name in extra:
            if name in ("epoch", "step", "run"):
                raise ValueError(f"checkpoint_every: {name!r} is a value of its own in the file.")
        self.keep, self.extra = keep, extra
        self.written: list[str] = []
        self.named(0, 0)

    def named(self, epoch: int, step: int) -> str:
        try:
            return self.path.format(epoch=epoch, step=step)
        except (LookupError, ValueError):
            raise ValueError(
                f"checkpoint_every: in the path, {{epoch}} and {{step}} may stand in braces; got "
                f"{self.path!r}."
            ) from None

    def step(self, run: Run) -> None:
        """After a step."""
        if self.steps and run.step % self.steps == 0:
            self.save(run)

    def __call__(self, run: Run) -> None:
        if self.epochs and run.done % self.epochs == 0:
            self.save(run)

    def save(self, run: Run) -> None:
        """Write the file of now, and remove the oldest beyond `keep`."""
        run.look()  # a step that was refused must not be taken for done
        path = self.named(run.done, run.step)
        self.written = [other for other in self.written if other != path] + [path]
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        own = {"epoch": run.done, "step": run.step, "run": state_of(run)}
        save(path, run.model, run.opt, **own, **self.extra)
        while self.keep and len(self.written) > self.keep:
            Path(self.written[0]).unlink(missing_ok=True)
            del self.written[0]  # only now: a program that is killed here looks for it again

    def state_dict(self) -> dict[str, Any]:
        return {"written": self.written}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.written = state["written"]


def state_of(run: Run) -> dict[str, Any]:
    """What a run is besides its model, optimiser, epoch and step."""
    source = run.batches if hasattr(run.batches, "state_dict") else run.data
    return {
        "batch": run.batch,
        "stopped": run.stopped,
        "random": getstate(),
        "data": source.state_dict() if remembers(source) else None,
        "history": run.history.state_dict(),
        "callbacks": [[kind(c), c.state_dict()] for c in run.callbacks if remembers(c)],
    }


def remembers(part) -> bool:
    return hasattr(part, "state_dict")


def kind(part) -> str:
    return type(part).__name__


def go_on(run: Run, path: str | os.PathLike) -> None:
    """Bring a run that has not begun to where the latest file of `path` left it, if there is one.

    Raises: `FluxError` for data whose order cannot be found again, `ModelFileError` for a file that
        is not of a run or not of this one; the run is then as it was.
    """
    if kind(getattr(run.data, "sampler", None)) == "RandomSampler":
        raise FluxError(
            "the order of a PyTorch loader that shuffles cannot be found again by resume=.",
            hint="Give its data set to flux.DataLoader(dataset, batchsize, shuffle=True).",
        )
    file = latest(path)
    if file is None:
        return
    saved = read_extra(file).get("run")
    if saved is None:
        raise ModelFileError(
            f"{file} holds a model, and not the state of a run.",
            hint="Write it with flux.callbacks.checkpoint_every, or call flux.restore and leave "
            "resume= out.",
        )
    before = run.data.state_dict() if remembers(run.data) else None
    if (before is None) != (saved["data"] is None):
        raise ModelFileError(
            f"{file} is of a run over other data than the {kind(run.data)} that is given.",
            hint="Pass the data in the form that the run had: a DataLoader, or a list of batches.",
        )
    if before is not None:
        run.data.load_state_dict(saved["data"])
    try:
        extra = restore(file, run.model, run.opt)
    except ModelFileError:
        if before is not None:
            run.data.load_state_dict(before)
        raise
    run.done = run.epoch = extra["epoch"]
    run.step = extra["step"]
    run.batch, run.stopped = saved["batch"], saved["stopped"]
    run.history.load_state_dict(saved["history"])
    setstate(saved["random"])
    remind(run.callbacks, saved["callbacks"])


def remind(callbacks, saved: list) -> None:
    """Give each callback the state of the first one of its kind that is left."""
    for callback in filter(remembers, callbacks):
        found = next((entry for entry in saved if entry[0] == kind(callback)), None)
        if found is not None:
            callback.load_state_dict(found[1])
            saved.remove(found)


def rest_of(data, done: int) -> Iterator:
    """The batches of an epoch of which `done` have been; data that remember know that."""
    return iter(data) if remembers(data) else islice(data, done, None)


def latest(path: str | os.PathLike) -> Path | None:
    """The file of most steps and epochs that `checkpoint_every(path)` has left, if any.

    What a program that was killed while it wrote left beside it is removed.
    """
    parts = list(string.Formatter().parse(os.fspath(path)))
    anything = "".join(glob.escape(text) + "*" * (name is not None) for text, name, _, _ in parts)
    folder, name = os.path.split(anything)
    for leftover in glob.glob(os.path.join(folder, f".{name}.*.part")):
        Path(leftover).unlink(missing_ok=True)
    names = [name for _, name, _, _ in parts if name is not None]
    number = "".join(re.escape(text) + r"(\d+)" * (name is not None) for text, name, _, _ in parts)
    found = []
    for file in glob.glob(anything):
        if match := re.fullmatch(number, file):
            numbers = dict(zip(names, map(int, match.groups()), strict=True))
            found.append((numbers.get("step", 0), numbers.get("epoch", 0), file))
    return Path(max(found)[2]) if found else None
