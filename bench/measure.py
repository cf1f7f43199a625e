"""What the benchmarks share: alternating rounds, medians, and the rows of a table.

No script reports the best time: on a shared machine that is luck. Everything that is compared is
measured in the same rounds, so a slow minute of the machine meets all of it.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median, quantiles
from time import perf_counter

from rich.console import Console
from rich.table import Table

COLUMNS = ("what", "ours", "peer", "ratio", "bound", "kept?", "note")
PREFIXES = {
    "s": ((1, "s"), (1e-3, "ms"), (1e-6, "µs")),
    "B": ((1e6, "MB"), (1e3, "kB")),
    "FLOP/s": ((1e9, "GFLOP/s"), (1e6, "MFLOP/s")),
}


@dataclass
class Row:
    """One line of a table.

    Attributes:
        what: the work.
        ours: what Flux takes, or does: seconds, bytes, operations a second, or a count, as `unit`
            says.
        peer: the name of what it is compared with, if anything.
        theirs: what the peer takes.
        bound: the most that the ratio may be, or `ours` where there is no peer; `None` where
            nothing is promised.
        rounds: the median of the rounds' own ratios, which a change of the machine's load during
            the run does not move.
    """

    what: str
    ours: float
    peer: str = ""
    theirs: float | None = None
    bound: float | None = None
    unit: str = "s"
    note: str = ""
    rounds: float | None = None

    @property
    def ratio(self) -> float | None:
        if self.rounds is not None:
            return self.rounds
        return self.ours / self.theirs if self.theirs else None

    @property
    def kept(self) -> str:
        if self.bound is None:
            return "–"
        if self.peer and self.theirs is None:
            return "not measured"
        return "yes" if (self.ratio if self.peer else self.ours) <= self.bound else "NO"

    def cells(self) -> tuple[str, ...]:
        peer = f"{self.peer} {shown(self.theirs, self.unit)}".strip()
        ratio = "–" if self.ratio is None else f"{self.ratio:.{2 if self.ratio >= 0.1 else 4}f} x"
        bound = "–"
        if self.bound is not None:
            bound = f"{self.bound:g} x" if self.peer else shown(self.bound, self.unit)
        return (
            self.what,
            shown(self.ours, self.unit),
            peer or "–",
            ratio,
            bound,
            self.kept,
            self.note,
        )


def shown(value: float | None, unit: str) -> str:
    """A quantity with a fitting prefix: `shown(2e-5, "s")` is `20.0 µs`."""
    if value is None:
        return ""
    if not unit:
        return f"{value:g}"
    for size, name in PREFIXES[unit]:
        if value >= size:
            return f"{value / size:.3g} {name}"
    return f"{value / 1e-9:.3g} ns" if unit == "s" else f"{value:.3g} {unit}"


def alternate(works: dict[str, Callable], rounds: int, seconds=0.02) -> dict[str, list[float]]:
    """Seconds per call of each work, one number a round; every round turns the order around.

    Each work is first called until it is warm, which also decides how many calls fill `seconds`.
    """
    calls = {name: max(1, int(seconds / _warm(work))) for name, work in works.items()}
    times: dict[str, list[float]] = {name: [] for name in works}
    order = list(works)
    for _ in range(rounds):
        order.reverse()
        for name in order:
            times[name].append(_seconds(works[name], calls[name]))
    return times


def _warm(work: Callable) -> float:
    work()
    return median(_seconds(work, 1) for _ in range(5))


def _seconds(work: Callable, calls: int) -> float:
    started = perf_counter()
    for _ in range(calls):
        work()
    return (perf_counter() - started) / calls


def compared(what: str, times: dict[str, list[float]], ours: str, peer: str, **more) -> Row:
    """A row of medians: of the times, and of the rounds' own ratios, with their quartiles."""
    ratios = [a / b for a, b in zip(times[ours], times[peer], strict=True)]
    low, middle, high = quantiles(ratios, n=4)
    spread = f"quartiles {low:.2f} to {high:.2f}"
    more["note"] = "; ".join(filter(None, [spread, more.get("note", "")]))
    return Row(what, median(times[ours]), peer, median(times[peer]), rounds=middle, **more)


def on_one_thread() -> None:
    """Start this script again with BLAS on one thread, which it only reads when it is loaded."""
    wanted = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    if not wanted.items() <= os.environ.items():
        sys.stdout.flush()
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **wanted})


def script(main: Callable[..., list[Row]], question: str | None) -> None:
    """The command line of a benchmark: measure, print the table, and hand it to `run.py`."""
    parser = argparse.ArgumentParser(description=question)
    parser.add_argument("--quick", action="store_true", help="fewer rounds, less work")
    parser.add_argument("--json", type=Path, help="write the rows to this file, too")
    options = parser.parse_args()
    rows = main(quick=options.quick)
    table = Table(*COLUMNS, title=(question or "").splitlines()[0])
    for row in rows:
        table.add_row(*row.cells())
    Console(width=None if sys.stdout.isatty() else 160).print(table)
    if options.json:
        options.json.write_text(json.dumps([asdict(row) for row in rows]), encoding="utf-8")
