"""The picture of a training run: its curves, and what was read in some held-out images."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from flux.train.curves import BLUE, ORANGE, empty_figure, plain

__all__ = ["draw"]

ROWS, COLUMNS = 4, 8
RED, GREY = "#c53030", "#4a5568"


def draw(
    path: Path,
    losses: list[float],
    accuracies: list[float],
    images: np.ndarray,
    guesses: np.ndarray,
    labels: np.ndarray,
) -> None:
    """Write the picture.

    Args:
        path: the file, of a kind that matplotlib writes.
        losses: the loss of each epoch.
        accuracies: the accuracy on held-out images after each epoch.
        images, guesses, labels: the held-out images, what the model reads, what they are.

    Raises: ``FluxError`` with the way to install it, if matplotlib is not there.
    """
    figure = empty_figure(12, 4.6)
    halves = figure.subfigures(1, 2, squeeze=False, width_ratios=(1, 1.5))
    _curves(halves[0, 0], losses, accuracies)
    _grid(halves[0, 1], images, guesses, labels)
    figure.savefig(path, dpi=120)


def _curves(figure, losses: list[float], accuracies: list[float]) -> None:
    epochs = np.arange(1, len(losses) + 1)
    above, below = figure.subplots(2, 1, sharex=True)
    above.plot(epochs, losses, color=BLUE)
    above.set(ylabel="training loss", yscale="log")
    below.plot(epochs[: len(accuracies)], 100 * np.asarray(accuracies), color=ORANGE)
    below.set(ylabel="held-out accuracy, %", xlabel="epoch")
    for axes in (above, below):
        plain(axes)


def _grid(figure, images, guesses, labels) -> None:
    wrong = np.flatnonzero(guesses != labels)
    figure.suptitle(
        f"held-out digits: {len(labels) - len(wrong)} of {len(labels)} right; wrong ones in red",
        fontsize=11,
    )
    chosen = _chosen(wrong, len(labels))
    for axes, i in zip(figure.subplots(ROWS, COLUMNS).flat, chosen, strict=False):
        right = guesses[i] == labels[i]
        axes.imshow(images[i], cmap="gray_r", vmin=0, vmax=1)
        axes.set_title(
            f"{guesses[i]}" if right else f"{guesses[i]}, is {labels[i]}",
            fontsize=9,
            color=GREY if right else RED,
        )
    for axes in figure.axes:
        axes.set(xticks=[], yticks=[])


def _chosen(wrong: np.ndarray, size: int) -> np.ndarray:
    """The wrong ones, as far as half of the grid holds them, among others, evenly taken."""
    wrong = wrong[: ROWS * COLUMNS // 2]
    others = np.setdiff1d(np.arange(size), wrong)
    count = min(ROWS * COLUMNS - len(wrong), len(others))
    return np.concatenate([wrong, others[np.linspace(0, len(others) - 1, count).astype(int)]])
