"""Classify images with a model that `flux train` wrote.

Images come from a file (.npy and .csv with as many numbers an image as the model was trained with,
or a .png), or from the held-out part of the data that it was trained on.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
from rich.columns import Columns
from rich.console import Console
from rich.text import Text

from flux.cli.images import as_text, read_images
from flux.cli.task import classify, of_file
from flux.errors import FluxError

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `flux predict`."""
    parser.add_argument("model", type=Path, metavar="MODEL", help="a file of `flux train`")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("file", type=Path, nargs="?", metavar="FILE", help=".npy, .csv or .png")
    what.add_argument(
        "--sample", type=int, default=4, metavar="N", help="N held-out images (default: 4)"
    )


def run(options: argparse.Namespace) -> int:
    """Print the label of each image, and how sure the model is."""
    model, task = of_file(options.model)
    if not task.classifies:
        raise FluxError(f"{task.name} does not classify images; `flux train` shows what it does.")
    if options.file:
        assert task.shape is not None  # whatever classifies is built for images of a shape
        images, labels = read_images(options.file, task.shape), None
    else:
        held_out, truth = task.data("test")
        chosen = _some(options.sample, len(held_out))
        images, labels = held_out[chosen], truth[chosen]
    guesses, probabilities = classify(model, images)
    Console().print(Columns(_cards(images, guesses, probabilities, labels), padding=(1, 3)))
    return 0


def _some(count: int, size: int) -> np.ndarray:
    if not 1 <= count <= size:
        raise FluxError(f"--sample must be 1 to {size}, as many as are held out; got {count}.")
    return np.linspace(0, size - 1, count).astype(int)


def _cards(images, guesses, probabilities, labels):
    encoding = getattr(sys.stdout, "encoding", None) or "ascii"
    for i, (image, guess, sure) in enumerate(zip(images, guesses, probabilities, strict=True)):
        line = f"{guess}  {sure:.1%}".replace("%", " %")
        if labels is not None and labels[i] != guess:
            line += f"  (is {labels[i]})"
        yield Text(f"{as_text(image, encoding)}\n{line}")
