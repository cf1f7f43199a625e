"""The ratios of `models.py` as a picture: how long a peer's step takes, in steps of Flux."""

from __future__ import annotations

from pathlib import Path

from measure import Row

COLOURS = ("#4c72b0", "#dd8452", "#8c8c8c", "#55a868")


def draw(rows: list[Row], path: Path) -> None:
    """Bars by model, on a logarithmic axis; longer than 1 means that Flux is faster."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    rows = [row for row in rows if row.unit == "s" and row.ratio]
    models = list(dict.fromkeys(row.what for row in rows))
    peers = list(dict.fromkeys(row.peer for row in rows))
    height = 0.8 / len(peers)
    with pyplot.rc_context({"svg.hashsalt": "flux"}):
        figure, axes = pyplot.subplots(figsize=(8, 0.3 + 0.6 * len(models)), layout="constrained")
        for i, peer in enumerate(peers):
            bars = {row.what: 1 / row.ratio for row in rows if row.peer == peer}
            places = [models.index(model) + (i - len(peers) / 2 + 0.5) * height for model in bars]
            drawn = axes.barh(places, bars.values(), height, label=peer, color=COLOURS[i % 4])
            axes.bar_label(drawn, fmt="%.2g", padding=2, fontsize=8)
        axes.set(yticks=range(len(models)), yticklabels=models, xscale="log")
        axes.set_xlabel("time of a training step, Flux = 1")
        axes.axvline(1, color="black", linewidth=1)
        axes.invert_yaxis()
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False)
        figure.savefig(path, metadata={"Date": None})
        pyplot.close(figure)
