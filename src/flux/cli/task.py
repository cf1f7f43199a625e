"""A model of the zoo with the data that it is trained on: its own, or those in a user's folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

import flux
from flux import zoo
from flux.errors import FluxError, ModelFileError
from flux.io.checkpoint import read_extra

__all__ = ["Task", "about", "batches_of", "classify", "of_file"]

AT_ONCE = 500  # held-out examples


class Task:
    """A model of the zoo with its data.

    Args:
        name: of the model.
        folder: where to read the data set that the model file names in `READS`; `None` for the
            data that travel with the package.
        shape: that of an input; read from the data if not given.

    Raises: `FluxError` if the model takes no other data.
    """

    def __init__(self, name: str, folder: str | Path | None = None, shape=None):
        self.name, self.module, self.given = name, zoo.load(name), shape
        self.folder = None if folder is None else str(Path(folder).resolve())
        self.read: Any = None
        if folder is not None:
            self.read = getattr(flux.datasets, getattr(self.module, "READS", ""), None)
            if self.read is None:
                raise FluxError(f"{name} is trained on data of its own; it takes no --data.")

    def data(self, split: str) -> tuple:
        """The arrays of a part of the data; none if data are made while the model learns."""
        if self.read:
            return self.read(self.folder, split)
        return self.module.data(split) if hasattr(self.module, "data") else ()

    @property
    def shape(self) -> tuple[int, ...] | None:
        """That of an input, where the model is built for it."""
        if self.given is None and hasattr(self.module, "READS"):
            self.given = self.data("test")[0].shape[1:]
        return None if self.given is None else tuple(self.given)

    def build(self):
        """The model, untrained."""
        return self.module.build(self.shape) if self.shape else self.module.build()

    @property
    def classifies(self) -> bool:
        """Is the model a classifier of images?"""
        return hasattr(self.module, "CLASSES")


def about(path: Path) -> dict[str, Any]:
    """What `flux train` wrote into a file beside the model: `model`, `folder`, `shape`, `settings`.

    Raises: `ModelFileError` if the file holds another model.
    """
    found = read_extra(path).get("zoo")
    if found is None:
        raise ModelFileError(
            f"{path} holds a model that is not from the zoo; nobody here can build it.",
            hint="Build it in Python and fill it: flux.restore(path, model).",
        )
    return found


def of_file(path: Path) -> tuple[Any, Task]:
    """The trained model in a file of `flux train`, and what it was trained for."""
    found = about(path)
    task = Task(found["model"], found["folder"], found["shape"])
    model = task.build()
    flux.restore(path, model)
    return model, task


def batches_of(arrays: tuple) -> flux.DataLoader:
    """Examples in their order, in batches."""
    return flux.DataLoader(arrays, AT_ONCE)


def classify(model, images) -> tuple[np.ndarray, np.ndarray]:
    """The likeliest class of each image, and its probability."""
    scores = flux.jit(lambda model, images: flux.softmax(model(images)))
    found = [np.asarray(scores(model, *batch)) for batch in batches_of((np.asarray(images),))]
    probabilities = np.concatenate(found)
    return probabilities.argmax(-1), probabilities.max(-1)
