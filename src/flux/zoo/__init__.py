"""The model zoo: one file a model. A file's name is the model's name.

A model file offers `build()`, `data(split)` with `(inputs, labels)`, `loss(model, inputs, labels)`,
the `SETTINGS` with which it is trained, and the accuracy `EXPECTED` on held-out data.

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

__all__ = ["Settings", "load", "names"]


class Settings(NamedTuple):
    """How a model is trained unless the user says otherwise."""

    epochs: int
    batch: int
    lr: float
    seed: int = 0


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
