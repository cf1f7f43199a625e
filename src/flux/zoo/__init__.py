"""The model zoo: one file a model. A file's name is the model's name.

What `flux train` asks of a model file:

- `build()`: the model, untrained.
- `data(split)`: a tuple of arrays with one entry an example, for `"train"` and for `"test"`.
- `loss(model, *batch)`: what is made small, or a tuple of that and a dict of numbers to look at.
- `measure(model, *batch)`: by what the model is judged: a number, the mean over examples.
- `SETTINGS` and `EXPECTED`: how it is trained, and what `measure` is to come to.

What it may offer besides:

- `rule(lr, steps)`: the rule of the optimiser, for so many steps; without it `Adam(lr)`.
- `CLASSES`: that the model is a classifier of images into so many classes: `data` gives images and
  labels, the model scores. `flux predict` then reads images with it.
- `pictures(model, *held_out)`: what the model makes, by name; arrays of images with values between
  0 and 1, of shape (rows, columns, H, W) or (rows, columns, H, W, 3).
- `READS`: the name of a data set in `flux.datasets` that is read from a folder, `--data`, and may
  take the place of `data`. `build(shape)` then takes the shape of an input.

A model of another kind has, in the place of `data` and `loss`, a course of its own:
`train(model, settings, *, progress)` trains it in place, and `report(model)` says, by name, how
good it is. What `EXPECTED` counts is then said in its file.
"""

from __future__ import annotations

import importlib
import pkgutil
from types import ModuleType
from typing import NamedTuple

from flux.errors import FluxError

__all__ = ["Expected", "Settings", "load", "names"]


class Settings(NamedTuple):
    """How a model is trained unless the user says otherwise."""

    epochs: int
    batch: int
    lr: float
    seed: int = 0


class Expected(NamedTuple):
    """What a model's `measure` comes to on held-out data: `value`, or better.

    >>> Expected("accuracy", 0.97).reached(0.98), Expected("loss", 0.5, "less").reached(0.6)
    (True, False)
    """

    what: str
    value: float
    better: str = "more"

    def reached(self, value: float) -> bool:
        """Is it as good as was expected?"""
        return value >= self.value if self.better == "more" else value <= self.value


def names() -> list[str]:
    """The models that there are.

    >>> "mlp" in names()
    True
    """
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def load(name: str) -> ModuleType:
    """The file of a model.

    Raises: ``FluxError`` naming the models that there are.
    """
    if name not in names():
        raise FluxError(f"there is no model {name!r} in the zoo; there are: {', '.join(names())}.")
    return importlib.import_module(f"flux.zoo.{name}")
