"""The training loop: for each batch one compiled step, its loss read while the next one runs."""

from __future__ import annotations

import copy
import math
import os
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from inspect import isgeneratorfunction
from types import FunctionType
from typing import Any

from flux.errors import (
    ArgumentError,
    FluxError,
    NonFiniteLoss,
    brief,
    check_integer,
    told_options,
    user_line,
)
from flux.optim.optimiser import Optimiser, check_optimiser, matching
from flux.train.history import History
from flux.train.progress import Progress
from flux.train.resume import go_on, rest_of
from flux.train.step import RUNNING, as_batch, guarded_step, is_array

__all__ = ["Run", "train"]


VALIDATION = (
    "Compute it in a callback, after each epoch: callbacks=[lambda run: print(loss(model, x, y))]."
)


@told_options("train", validation=VALIDATION, validation_data=VALIDATION)
def train(
    loss: Callable,
    model,
    data: Iterable,
    opt: Optimiser,
    *,
    epochs: int = 1,
    callbacks: Iterable[Callable[[Run], Any]] = (),
    progress: bool = True,
    resume: str | os.PathLike | None = None,
    compiled: bool = True,
) -> History:
    """Train a model, in place: for each batch loss, gradient and update, as one compiled program.

    Args:
        loss: `loss(model, *batch)` returns a scalar, or a tuple that starts with it; a dict of
            scalars as the second entry is shown and kept as metrics.
        model: any object.
        data: an iterable of batches, gone through once an epoch; a batch is a tuple of the loss's
            further arguments, or the only one. A tuple of arrays is one batch.
        opt: from `flux.setup`.
        epochs: how often to go through the data.
        callbacks: called with the `Run` after each epoch; one that returns `True` ends it. A
            callback with a method `step` has that called after each step in the same way; one with
            a method `end` has that called when training is over, also when an exception ends it.
            `flux.callbacks` has the usual ones.
        progress: show the state while it runs.
        resume: the path that `flux.callbacks.checkpoint_every` was given. If a file is there, the
            run goes on from it, and ends with the numbers that it would have without the break:
            model, optimiser, random state, place in the data, history and callbacks are those of
            the file. Otherwise it begins. `epochs` counts all epochs, those of the file too. Data
            other than a `DataLoader` must give the same batches in each epoch.
        compiled: `False` runs each step as plain Python: for a debugger, and for models that have
            another structure in each step, such as that of a tree.

    Returns: the history: losses by step and by epoch, metrics, speed.
    Raises: `NonFiniteLoss` naming the batch, with `model` and `opt` as they were before it.

    >>> import flux, numpy as np
    >>> x = np.linspace(-1, 1, 8, dtype=np.float32)
    >>> line = {"slope": np.zeros((), np.float32)}
    >>> def loss(line, x, y):
    ...     return flux.losses.mse(line["slope"] * x, y)
    >>> opt = flux.setup(flux.optim.Descent(0.5), line)
    >>> history = flux.train(loss, line, [(x, 3 * x)], opt, epochs=50, progress=False)
    >>> round(float(line["slope"]), 3), len(history.loss)
    (3.0, 50)
    """
    callbacks = list(callbacks) if isinstance(callbacks, Iterable) else [callbacks]  # type: ignore
    check_arguments(loss, model, data, opt, epochs, callbacks)
    data = [data] if isinstance(data, tuple) and all(map(is_array, data)) else data
    run = Run(loss, model, opt, epochs, data, callbacks)
    run.one = guarded_step if compiled else guarded_step.__wrapped__
    if resume is not None:
        go_on(run, resume)
    with ExitStack() as stack:
        for callback in run.callbacks:
            if hasattr(callback, "end"):
                stack.callback(callback.end, run)
        run.display = stack.enter_context(Progress(total(data, epochs), enabled=progress))
        while run.done < epochs and (run.batch or not run.stopped):
            run.one_epoch()
        run.finished = True
    return run.history


ORDER = "flux.train(loss, model, data, opt)"
AGAIN = (
    "A class whose `__iter__` is this generator can be gone through once an epoch; `data()` once."
)


def check_arguments(loss, model, data, opt, epochs, callbacks) -> None:
    """Refuse arguments in another order, and what is no number of epochs and no callback."""
    check_optimiser("train", opt, ORDER)
    iterable = hasattr(data, "__iter__") or hasattr(data, "__getitem__")
    found: list[tuple[str, Any, bool]] = [
        ("a function as loss", loss, callable(loss)),
        ("a model", model, not isinstance(model, FunctionType)),
        ("batches as data", data, iterable),
    ]
    for callback in callbacks:
        called = callable(callback) or hasattr(callback, "step") or hasattr(callback, "end")
        found.append(("functions as callbacks", callback, called))
    for expected, value, fits in found:
        if not fits:
            again = isgeneratorfunction(value)
            raise ArgumentError(
                f"train expected {expected}, and got {brief(value)}.",
                where=user_line(),
                hint=AGAIN if again else f"The order is {ORDER}.",
            )
    check_integer("train", "epochs", epochs)
    matching(opt, model)


def total(batches, epochs: int) -> int | None:
    """How many steps there will be; `None` if the data do not tell."""
    try:
        return len(batches) * epochs
    except TypeError:
        return None


class Run:
    """A training run, as callbacks see it.

    Attributes:
        model, opt: what is trained, and its optimiser.
        data, callbacks: as `train` got them, the callbacks in the order in which they are called.
        epoch, epochs: the epoch, from 1, and how many there are to be.
        done: how many whole epochs are done.
        step: how many steps are done, in all epochs.
        batch: how many batches of the epoch are done; 0 when it is over.
        history: what came of them.
        stopped: a callback has ended the run.
        finished: it has come to its end, and no exception has broken it off.
    """

    def __init__(
        self, loss: Callable, model, opt: Optimiser, epochs: int, data: Any = (), callbacks=()
    ):
        self.loss, self.model, self.opt, self.epochs, self.data = loss, model, opt, epochs, data
        self.callbacks: list[Any] = sorted(callbacks, key=lambda c: getattr(c, "last", False))
        self.epoch = self.done = self.step = self.batch = 0
        self.history = History()
        self.display: Any = None
        self.batches: Any = None
        self.stopped = self.finished = False
        self.halted: Any = RUNNING
        self.one: Callable = guarded_step
        self.unseen: tuple[Any, Any, int, tuple] | None = None

    def one_epoch(self) -> None:
        """Go through the data once, or through what a run that goes on has left of them."""
        self.epoch = self.done + 1
        if not self.batch:
            self.history.begin()
        self.steps()
        if not self.batch:
            raise FluxError(
                f"the data gave no batch in epoch {self.epoch}.",
                hint="A generator can be gone through only once: pass a list or a DataLoader.",
            )
        self.look()
        self.history.end()
        self.done, self.batch = self.epoch, 0
        self.ask(self.callbacks)

    def steps(self) -> None:
        """A step for each batch of the epoch, and the callbacks after each."""
        after = [callback.step for callback in self.callbacks if hasattr(callback, "step")]
        self.batches = rest_of(self.data, self.batch)
        for batch in () if self.stopped else self.batches:
            self.one_step(as_batch(batch))
            self.ask(after)
            if self.stopped:
                break
        self.batches = None

    def one_step(self, batch: tuple) -> None:
        value, self.halted = self.one(self.loss, self.model, batch, self.opt, self.halted, True)
        self.look()  # at the step before, while this one runs
        self.batch, self.step = self.batch + 1, self.step + 1
        self.unseen = value, self.halted, self.batch, batch
        loss, metrics = parts(value)
        self.display.update(self.epoch, self.step, loss, **metrics)

    def look(self) -> None:
        """Read the loss of the last step; those after a refused one have been refused too."""
        if self.unseen is None:
            return
        (value, halted, number, batch), self.unseen = self.unseen, None
        loss, metrics = parts(value)
        loss = float(loss)
        if halted:
            self.explain(batch)
            what = f"the loss is {loss}" if not math.isfinite(loss) else "a gradient is not finite"
            raise NonFiniteLoss(
                f"{what} at batch {number} of epoch {self.epoch}; the model and the optimiser are "
                "as they were before that batch.",
                hint="Look for an infinite or missing value in that batch, or lower the learning "
                "rate with flux.adjust(opt, lr).",
            )
        self.history.add(loss, metrics)

    def explain(self, batch: tuple) -> None:
        """Run the loss outside the compiler: what is wrong with the batch may raise there."""
        try:
            self.loss(copy.deepcopy(self.model), *batch)
        except FluxError:
            raise
        except Exception:
            return  # the loss is not finite: that is what there is to say

    def ask(self, callbacks: list) -> None:
        """Call them; has one asked to stop?"""
        for callback in callbacks:
            self.stopped |= callback(self) is True


def parts(value) -> tuple[Any, dict[str, Any]]:
    """The loss and the metrics in what a loss function returned."""
    if not isinstance(value, tuple):
        return value, {}
    loss = value[0]
    metrics = value[1] if len(value) > 1 and isinstance(value[1], dict) else {}
    return loss, {name: part for name, part in metrics.items() if getattr(part, "ndim", 0) == 0}
