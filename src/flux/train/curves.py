"""Curves of a training run as a picture, drawn with matplotlib without a display."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from flux.errors import FluxError

__all__ = ["BLUE", "ORANGE", "draw", "empty_figure", "plain"]

BLUE, ORANGE = "#2b6cb0", "#dd6b20"
PANEL_WIDTH, HEIGHT = 5.0, 3.4  # inches


def empty_figure(width: float, height: float) -> Any:
    """A figure of this size, in inches.

    Raises: `FluxError` with the way to install it, if matplotlib is not there.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise FluxError(
            "the picture needs matplotlib, which is not installed.",
            hint="Install it with: pip install 'fluxml[plot]'",
        ) from None
    return Figure(figsize=(width, height), layout="constrained")


def draw(
    path: str | os.PathLike,
    losses: list[float],
    ends: list[int],
    epoch_losses: list[float],
    metrics: dict[str, list[float]],
) -> None:
    """Write the picture: the loss in the first panel, and a panel for each metric.

    Args:
        path: the file.
        losses: by step.
        ends: how many steps were done at the end of each epoch.
        epoch_losses, metrics: the means of each epoch.
    """
    figure = empty_figure(PANEL_WIDTH * (1 + len(metrics)), HEIGHT)
    first, *others = figure.subplots(1, 1 + len(metrics), squeeze=False)[0]
    first.plot(np.arange(1, len(losses) + 1), losses, color=BLUE, alpha=0.35, linewidth=0.8)
    first.plot(ends, epoch_losses, color=BLUE, marker="o", markersize=3)
    positive = losses and np.nanmin(losses) > 0
    first.set(xlabel="step", ylabel="loss", yscale="log" if positive else "linear")
    for axes, (name, values) in zip(others, metrics.items(), strict=True):
        axes.plot(np.arange(1, len(values) + 1), values, color=ORANGE, marker="o", markersize=3)
        axes.set(xlabel="epoch", ylabel=name)
    for axes in figure.axes:
        plain(axes)
    figure.savefig(path, dpi=120)


def plain(axes) -> None:
    """A faint grid, and no frame above and at the right."""
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
