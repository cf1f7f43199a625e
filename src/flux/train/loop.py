"""The training loop: for each batch one compiled step, its loss read while the next one runs."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from typing import Any

from flux.errors import FluxError, NonFiniteLoss, user_line
from flux.optim.optimiser import Optimiser
from flux.train.history import History
from flux.train.progress import Progress
from flux.train.step import RUNNING, as_batch, guarded_step, is_array

__all__ = ["Run", "train"]


def train(
    loss: Callable,
    model,
    data: Iterable,
    opt: Optimiser,
    *,
    epochs: int = 1,
    callbacks: Iterable[Callable[[Run], Any]] = (),
    progress: bool = True,
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
    check_arguments(loss, opt)
    run = Run(loss, model, opt, epochs)
    batches = [data] if isinstance(data, tuple) and all(map(is_array, data)) else data
    callbacks = tuple(callbacks)
    with ExitStack() as stack:
        for callback in callbacks:
            if hasattr(callback, "end"):
                stack.callback(callback.end, run)  # type: ignore[attr-defined]
        run.display = stack.enter_context(Progress(total(batches, epochs), enabled=progress))
        for run.epoch in range(1, epochs + 1):
            run.one_epoch(batches, callbacks)
            if run.asked([callback(run) for callback in callbacks]):
                break
        run.finished = True
    return run.history


def check_arguments(loss, opt) -> None:
    """Refuse a rule in the place of an optimiser, and something else in that of the loss."""
    if not isinstance(opt, Optimiser):
        raise FluxError(
            f"train expected an optimiser, and got {opt!r}.",
            where=user_line(),
            hint="Make one of a rule and the model: opt = flux.setup(rule, model).",
        )
    if not callable(loss):
        raise FluxError(
            f"train expected a function as loss, and got a {type(loss).__name__}.",
            where=user_line(),
            hint="The order is flux.train(loss, model, data, opt).",
        )


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
        epoch, epochs: the epoch, from 1, and how many there are to be.
        step: how many steps are done, in all epochs.
        history: what came of them.
        stopped: a callback has ended the run.
        finished: it has come to its end, and no exception has broken it off.
    """

    def __init__(self, loss: Callable, model, opt: Optimiser, epochs: int):
        self.loss, self.model, self.opt, self.epochs = loss, model, opt, epochs
        self.epoch = self.step = self.batch = 0
        self.history = History()
        self.display: Any = None
        self.stopped = self.finished = False
        self.halted: Any = RUNNING
        self.unseen: tuple[Any, Any, int, tuple] | None = None

    def one_epoch(self, batches: Iterable, callbacks: Iterable) -> None:
        """Go through the data once."""
        after = [callback.step for callback in callbacks if hasattr(callback, "step")]
        self.batch = 0
        self.history.begin()
        for batch in batches:
            self.one_step(as_batch(batch))
            if after and self.asked([callback(self) for callback in after]):
                break
        if not self.batch:
            raise FluxError(
                f"the data gave no batch in epoch {self.epoch}.",
                hint="A generator can be gone through only once: pass a list or a DataLoader.",
            )
        self.look()
        self.history.end()

    def one_step(self, batch: tuple) -> None:
        value, self.halted = guarded_step(self.loss, self.model, batch, self.opt, self.halted, True)
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

    def asked(self, answers: list) -> bool:
        """Has a callback asked to stop?"""
        self.stopped |= any(answer is True for answer in answers)
        return self.stopped


def parts(value) -> tuple[Any, dict[str, Any]]:
    """The loss and the metrics in what a loss function returned."""
    if not isinstance(value, tuple):
        return value, {}
    loss = value[0]
    metrics = value[1] if len(value) > 1 and isinstance(value[1], dict) else {}
    return loss, {name: part for name, part in metrics.items() if getattr(part, "ndim", 0) == 0}
