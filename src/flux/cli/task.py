"""A model of the zoo with the data that it is trained on: its own, or those in a user's folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

import flux
from flux import zoo
from flux.errors import FluxError, ModelFileError
from flux.io.checkpoint import read_extra

__all__ = ["Task", "batches_of", "classify", "of_file"]

AT_ONCE = 500  # held-out examples


class Task:
    """A model of the zoo with its data.

    Args:
        name: of the model.
        folder: where to read the data set that the model file names in `READS`; `None` for the
            data that travel with the package.

    Raises: `FluxError` if the model takes no other data.
    """

    def __init__(self, name: str, folder: str | Path | None = None):
        self.name, self.module = name, zoo.load(name)
        self.folder = None if folder is None else str(Path(folder).resolve())
        self.read: Any = None
        if folder is not None:
            self.read = getattr(flux.datasets, getattr(self.module, "READS", ""), None)
            if self.read is None:
                raise FluxError(f"{name} is trained on data of its own; it takes no --data.")

    def data(self, split: str) -> tuple:
        """The arrays of a part of the data."""
        return self.read(self.folder, split) if self.read else self.module.data(split)

    def build(self, shape: Sequence[int]):
        """The model, untrained, for inputs of this shape."""
        if hasattr(self.module, "READS"):
            return self.module.build(tuple(shape))
        return self.module.build()

    @property
    def classifies(self) -> bool:
        """Is the model a classifier of images?"""
        return hasattr(self.module, "CLASSES")


def of_file(path: Path) -> tuple[Any, Task]:
    """The trained model in a file of `flux train`, and what it was trained for.

    Raises: `ModelFileError` if the file holds another model.
    """
    extra = read_extra(path)
    if extra.get("zoo") is None:
        raise ModelFileError(
            f"{path} holds a model that is not from the zoo, so `flux predict` cannot build it.",
            hint="Build it in Python and fill it: flux.restore(path, model).",
        )
    task = Task(extra["zoo"], extra.get("folder"))
    if hasattr(task.module, "train"):
        raise FluxError(f"{path} holds the model `{task.name}`, which does not classify images.")
    model = task.build(extra["shape"])
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
