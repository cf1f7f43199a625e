"""The model zoo: one file a model. A file's name is the model's name.

What `flux train` asks of a model file, to call `flux.train` with it:

- `build()`: the model, untrained.
- `data(split)`: a tuple of arrays with one entry an example, for `"train"` and for `"test"`.
- `loss(model, *batch)`: what is made small, or a tuple of that and a dict of numbers to look at.
- `measure(model, *batch)`: by what the model is judged: a number, the mean over held-out examples.
- `SETTINGS` and `EXPECTED`: how it is trained, and what `measure` is to come to.

What it may offer besides:

- `rule(lr, steps)`: the rule of the optimiser, for so many steps; without it `Adam(lr)`.
- `batches(model, settings)`, in the place of `data`: batches that are made while the model learns.
  `measure` then gets the model alone.
- `COMPILED = False`: steps run as plain Python, for models that have another structure in each.
- `report(model)`: what else there is to say of a trained model, by name.
- `draw(model, path)`: a picture of what a trained model makes.
- `CLASSES`: that the model is a classifier of images into so many classes: `data` gives images and
  labels, the model scores. `flux predict` then reads images with it.
- `READS`: the name of a data set in `flux.datasets` that is read from a folder, `--data`, and may
  take the place of `data`. `build(shape)` then takes the shape of an input.
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
    """What a model's `measure` comes to: `value`, or better. An accuracy is worded in percent.

    >>> print(Expected("held-out accuracy", 0.97))
    97.0 % or more
    >>> print(Expected("held-out loss", 1.3, "less", unit="nats a letter"))
    1.3 nats a letter or less
    """

    what: str
    value: float
    better: str = "more"
    unit: str = ""

    def __str__(self):
        return f"{self.worded(self.value)} or {self.better}"

    def worded(self, value: float) -> str:
        """A value as it is shown."""
        if "accuracy" in self.what:
            return f"{100 * value:.1f} %"
        return f"{value:.4g} {self.unit}".rstrip()


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
