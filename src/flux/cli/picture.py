"""The picture of a training run: its curves, and what was read in held-out images."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from flux.train.curves import BLUE, ORANGE, empty_figure, plain
from flux.zoo import Expected

__all__ = ["draw"]

ROWS, COLUMNS = 4, 8
RED, GREY = "#c53030", "#4a5568"


def draw(
    path: Path,
    losses: list[float],
    measures: list[float],
    expected: Expected,
    seen: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None,
) -> None:
    """Write the picture.

    Args:
        path: the file, of a kind that matplotlib writes.
        losses: the loss of each epoch.
        measures: by what the model is judged, on held-out data after each epoch.
        expected: what that is.
        seen: held-out images, what the model takes them for, what they are.

    Raises: ``FluxError`` with the way to install it, if matplotlib is not there.
    """
    figure = empty_figure(12 if seen else 4.8, 4.6)
    shares = (1, 1.5) if seen else (1,)
    parts = figure.subfigures(1, len(shares), squeeze=False, width_ratios=shares)
    _curves(parts[0, 0], losses, measures, expected)
    if seen:
        _grid(parts[0, 1], *seen)
    figure.savefig(path, dpi=120)


def _curves(figure, losses: list[float], measures: list[float], expected: Expected) -> None:
    epochs = np.arange(1, len(losses) + 1)
    share = "accuracy" in expected.what
    above, below = figure.subplots(2, 1, sharex=True)
    above.plot(epochs, losses, color=BLUE)
    above.set(ylabel="training loss", yscale="log" if min(losses, default=0) > 0 else "linear")
    shown = 100 * np.asarray(measures) if share else measures
    below.plot(epochs, shown, color=ORANGE)
    below.set(ylabel=f"{expected.what}{', %' if share else ''}", xlabel="epoch")
    for axes in (above, below):
        plain(axes)


def _grid(figure, images, guesses, labels) -> None:
    wrong = np.flatnonzero(guesses != labels)
    figure.suptitle(
        f"held-out images: {len(labels) - len(wrong)} of {len(labels)} right; wrong ones in red",
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
