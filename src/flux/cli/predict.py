"""Classify images with a model that `flux train` wrote.

Images come from a file (.npy and .csv with 8×8 numbers an image, or a .png), or from the held-out
part of the data that the model was trained on.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
from rich.columns import Columns
from rich.console import Console
from rich.text import Text

import flux
from flux import zoo
from flux.cli.images import as_text, read_images
from flux.errors import FluxError, ModelFileError
from flux.io.checkpoint import read_extra

__all__ = ["add_arguments", "classify", "load", "run"]


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
    model, module = load(options.model)
    held_out, truth = module.data("test")
    if options.file:
        images, labels = read_images(options.file, held_out.shape[1:]), None
    else:
        chosen = _some(options.sample, len(held_out))
        images, labels = held_out[chosen], truth[chosen]
    guesses, probabilities = classify(model, images)
    Console().print(Columns(_cards(images, guesses, probabilities, labels), padding=(1, 3)))
    return 0


def load(path: Path):
    """The model of a file and its file in the zoo."""
    name = read_extra(path).get("zoo")
    if name is None:
        raise ModelFileError(
            f"{path} holds a model that is not from the zoo, so `flux predict` cannot build it.",
            hint="Build it in Python and fill it: flux.restore(path, model).",
        )
    module = zoo.load(name)
    if hasattr(module, "train"):
        raise FluxError(f"{path} holds the model `{name}`, which does not classify images.")
    model = module.build()
    flux.restore(path, model)
    return model, module


def classify(model, images) -> tuple[np.ndarray, np.ndarray]:
    """The likeliest class of each image, and its probability."""
    scores = flux.jit(model)(np.asarray(images))
    probabilities = np.asarray(flux.softmax(scores))
    return probabilities.argmax(-1), probabilities.max(-1)


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
