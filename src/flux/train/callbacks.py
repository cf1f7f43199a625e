"""What `flux.train` calls between its steps and epochs: stopping, saving, logging, drawing.

A callback is any callable that takes the `Run`; `train` calls it after each epoch, its method
`step` after each step, and its method `end` when training is over. One that returns `True` ends the
run. One that remembers something from call to call has methods `state_dict`, which returns it in
arrays, numbers, strings, lists and dicts, and `load_state_dict`: a run that is resumed then goes on
as if there had been no break.

>>> import flux, numpy as np
>>> x = np.linspace(-1, 1, 8, dtype=np.float32)
>>> line = {"slope": np.zeros((), np.float32)}
>>> def loss(line, x, y):
...     return flux.losses.mse(line["slope"] * x, y)
>>> opt = flux.setup(flux.optim.Descent(0.5), line)
>>> stop = early_stopping(patience=3, min_delta=1e-3)
>>> data = [(x, 3 * x)]
>>> flux.train(loss, line, data, opt, epochs=100, callbacks=[stop], progress=False)
History(12 epochs, 12 steps, loss ...)
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

from flux.errors import FluxError, suggests_names
from flux.io.convert import from_host, to_host
from flux.io.structure import replace_arrays
from flux.optim.optimiser import Optimiser, adjust
from flux.train.events import EventFile
from flux.train.loop import Run
from flux.train.resume import checkpoint_every
from flux.train.step import is_array
from flux.tree.walk import places

__all__ = [
    "checkpoint_every", "early_stopping", "patience", "plateau", "plot_history", "tensorboard",
    "throttle",
]  # fmt: skip
suggests_names(__name__)

Score = str | Callable[[Run], Any]


class Watch:
    """Whether a score still gets better; it starts anew with each run.

    Attributes:
        best: the best one so far, with its sign changed where more is better.
        waited: how many epochs it has not been bettered.
    """

    def __init__(self, who: str, score: Score, mode: str | None, min_delta: float):
        if mode is None and isinstance(score, str) and score != "loss":
            raise FluxError(
                f"{who} expected to be told whether the best `{score}` is the least or the most.",
                hint=f"{who}({score!r}, mode='max'), or mode='min'.",
            )
        if mode not in (None, "min", "max"):
            raise ValueError(f"{who}: mode must be 'min' or 'max', got {mode!r}.")
        self.score, self.sign, self.min_delta = score, -1 if mode == "max" else 1, min_delta
        self.best, self.waited, self.run = math.inf, 0, None

    def better(self, run: Run) -> bool:
        """Is it better than ever, by more than `min_delta`? A score that is NaN never is."""
        if self.run is not None and run is not self.run:
            self.best, self.waited = math.inf, 0
        self.run = run
        value = self.sign * value_of(self.score, run)
        better = value < self.best - self.min_delta
        self.best = value if better else self.best
        self.waited = 0 if better else self.waited + 1
        return better

    def state_dict(self) -> dict[str, Any]:
        return {"best": self.best, "waited": self.waited}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.best, self.waited, self.run = state["best"], state["waited"], None


def value_of(score: Score, run: Run) -> float:
    """The score after an epoch: the mean loss, that of a metric, or what a function says; of a
    tuple, such as a loss with metrics, the first entry.

    Raises: `FluxError` naming the metrics that there are.
    """
    if callable(score):
        found = score(run)
        return float(found[0] if isinstance(found, tuple) else found)
    history = run.history
    found = history.epoch_loss if score == "loss" else history.metrics.get(score)
    if not found:
        known = ", ".join(["loss", *history.metrics])
        raise FluxError(
            f"there is no metric `{score}` to watch; there is {known}.",
            hint="The loss returns its metrics: return loss, {'accuracy': share}.",
        )
    return found[-1]


class early_stopping:
    """End the run when a score has not become better for some epochs.

    Args:
        score: `"loss"`, the name of a metric, or a function of the `Run` that returns a number, for
            example the loss on held-out data.
        patience: after how many epochs in a row without a better score.
        mode: `"min"` or `"max"`, what the best is; of the loss and of a function `"min"` if not
            given.
        min_delta: by how much it has to be better to count.
        restore_best: give the model back the arrays that it had at the best score, when the run
            has ended without an exception.

    >>> early_stopping("accuracy", patience=3, mode="max").watch.waited
    0
    """

    def __init__(
        self,
        score: Score = "loss",
        patience: int = 5,
        *,
        mode: str | None = None,
        min_delta: float = 0.0,
        restore_best: bool = False,
    ):
        self.watch = Watch("early_stopping", score, mode, min_delta)
        self.patience, self.restore_best = patience, restore_best
        self.kept: dict[str, Any] = {}

    def __call__(self, run: Run) -> bool:
        if self.watch.better(run) and self.restore_best:
            found = {id(place.value): place for place in places([run.model], is_array)}
            self.kept = {place.name: place.value.copy() for place in found.values()}
        return self.watch.waited >= self.patience

    def end(self, run: Run) -> None:
        """Put the best arrays back."""
        found = list(places([run.model], is_array)) if run.finished else []
        kept = [(place.value, self.kept.get(place.name)) for place in found]
        new = {id(old): like(old, best) for old, best in kept if best is not None}
        replace_arrays(run.model, new)
        self.kept = {}

    def state_dict(self) -> dict[str, Any]:
        return {"watch": self.watch.state_dict(), "kept": self.kept}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.watch.load_state_dict(state["watch"])
        self.kept = state["kept"]


def like(array, kept):
    """`kept`, which may have been read from a file, in the library of `array`."""
    return kept if type(kept) is type(array) else from_host(to_host(kept), array)


class patience:
    """End the run when `predicate(run)` has been true after so many epochs in a row.

    >>> rising = patience(lambda history: history[-1] > history[-2], 2)
    >>> [rising(losses) for losses in ([1, 2], [2, 1], [1, 2], [2, 3])]
    [False, False, False, True]
    """

    def __init__(self, predicate: Callable[[Run], bool], wait: int):
        self.predicate, self.wait, self.count = predicate, wait, 0

    def __call__(self, run: Run) -> bool:
        self.count = self.count + 1 if self.predicate(run) else 0
        return self.count >= self.wait

    def state_dict(self) -> dict[str, Any]:
        return {"count": self.count}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.count = state["count"]


class plateau:
    """Lower the learning rate when a score has not become better for some epochs.

    Args:
        opt: the optimiser, whose rate is changed with `flux.adjust`; a rate that followed a
            schedule then no longer does.
        score, mode, min_delta: as of `early_stopping`.
        patience: after how many epochs in a row without a better score.
        factor: by what the rate is multiplied.
        lowest: below which it does not go.

    Raises: `FluxError` if the optimiser has no learning rate.

    >>> import flux, numpy as np
    >>> opt = flux.setup(flux.optim.Adam(0.1), {"w": np.zeros(2)})
    >>> lower = plateau(opt, lambda run: 1.0, patience=2)
    >>> [lower(None), opt.hyper["lr"], lower(None), lower(None), opt.hyper["lr"]]
    [None, 0.1, None, None, 0.01]
    """

    def __init__(
        self,
        opt: Optimiser,
        score: Score = "loss",
        patience: int = 10,
        *,
        factor: float = 0.1,
        mode: str | None = None,
        min_delta: float = 1e-4,
        lowest: float = 0.0,
    ):
        if "lr" not in opt.hyper:
            raise FluxError(
                f"plateau expected an optimiser with a learning rate, and got {opt!r}.",
                hint="A rule of flux.optim has one; that inside an optax transformation is fixed.",
            )
        if not 0 < factor < 1:
            raise ValueError(f"plateau: factor must be between 0 and 1, got {factor}.")
        self.watch = Watch("plateau", score, mode, min_delta)
        self.opt, self.patience, self.factor, self.lowest = opt, patience, factor, lowest

    def __call__(self, run: Run) -> None:
        self.watch.better(run)
        if self.watch.waited >= self.patience:
            self.watch.waited = 0
            rate = self.opt.hyper["lr"]
            adjust(self.opt, min(rate, max(rate * self.factor, self.lowest)))

    def state_dict(self) -> dict[str, Any]:
        return self.watch.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.watch.load_state_dict(state)


class throttle:
    """Call `f(run)` after steps, but only if the last call is some seconds ago.

    Args:
        f: the first call is after the first step; where it returns `True`, the run ends.
        seconds: the least time between the end of a call and the start of the next.

    >>> often = throttle(lambda run: "called", seconds=60)
    >>> often.step(None), often.step(None)
    ('called', None)
    """

    def __init__(self, f: Callable[[Run], Any], seconds: float):
        self.f, self.seconds, self.last = f, seconds, -math.inf

    def step(self, run: Run) -> Any:
        """What `f` returns; `None` if it is too early."""
        if perf_counter() - self.last < self.seconds:
            return None
        answer = self.f(run)
        self.last = perf_counter()
        return answer

    def __call__(self, run: Run) -> Any:
        return self.step(run)


class tensorboard:
    """Write the run for TensorBoard, which reads it with `tensorboard --logdir folder`.

    After each step `loss/step`; after each epoch `loss/epoch`, every metric under its name,
    `hyper/lr` and other hyperparameters, and `steps_per_second`; all over the number of steps.

    Args:
        folder: a folder of its own for each run; one that is resumed goes on in its folder.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder, tensorboard(folder) as board:
    ...     board.scalar("held-out accuracy", 0.98, step=100)  # whatever else is to be seen
    """

    def __init__(self, folder: str | os.PathLike):
        self.folder = folder
        self.file: EventFile | None = None
        self.seen = 0

    def scalar(self, tag: str, value: float, step: int) -> None:
        """Write a number of your own."""
        if self.file is None:
            self.file = EventFile(self.folder)
        self.file.scalar(tag, float(value), step)

    def step(self, run: Run) -> None:
        """The losses that are known by now: that of the last step is when the next one runs."""
        self.seen = max(self.seen, run.history.before)
        for number, loss in enumerate(run.history.loss[self.seen :], self.seen + 1):
            self.scalar("loss/step", loss, number)
        self.seen = len(run.history.loss)

    def __call__(self, run: Run) -> None:
        self.step(run)
        history, step = run.history, run.step
        hyper = {f"hyper/{name}": value for name, value in run.opt.hyper.items()}
        means = {name: values[-1] for name, values in history.metrics.items()}
        speed = {"steps_per_second": history.steps_per_second}
        rows = {"loss/epoch": history.epoch_loss[-1], **means, **hyper, **speed}
        for tag, value in rows.items():
            self.scalar(tag, value, step)

    def end(self, run: Run | None = None) -> None:
        """Write what is left, and close the file."""
        if run is not None:
            self.step(run)
        if self.file is not None:
            self.file.close()
        self.file, self.seen = None, 0

    def __enter__(self) -> tensorboard:
        return self

    def __exit__(self, *problem) -> None:
        self.end()


class plot_history:
    """Draw the history, loss and metrics, after an epoch and when training is over.

    Args:
        path: the file, of a kind that matplotlib writes; its folder is made if it is not there.
        seconds: the least time between two drawings; the last one is always made.

    Raises: `FluxError` with the way to install it, if matplotlib is not there.

    >>> callback = plot_history("pictures/run.png", seconds=60)
    >>> callback.path.name
    'run.png'
    """

    def __init__(self, path: str | os.PathLike, *, seconds: float = 10.0):
        self.path = Path(path)
        self.drawn = throttle(self.draw, seconds)

    def draw(self, run: Run) -> None:
        """Draw it now."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        run.history.plot(self.path)

    def __call__(self, run: Run) -> None:
        self.drawn(run)

    def end(self, run: Run) -> None:
        """Draw all of it."""
        if run.history.loss:
            self.draw(run)
