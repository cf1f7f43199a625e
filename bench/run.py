"""Run the benchmarks, each in a process of its own, and write their tables to RESULTS.md.

Beside it stands a picture of the training steps of whole models, models.svg. A whole run replaces
both files; `--only` and `--quick` just print.
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import platform
import subprocess
import sys
import tempfile
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from measure import COLUMNS, Row
from picture import draw

BENCH = Path(__file__).parent
NAMES = (
    "train_step",
    "models",
    "convolutions",
    "fresh_process",
    "call_overhead",
    "compiled_loops",
    "gradient_numpy",
    "transform_time",
    "memory",
)
PACKAGES = ("numpy", "jax", "optax", "equinox", "autograd", "torch", "keras")


def measured(name: str, quick: bool) -> list[Row] | None:
    """The rows of one script; `None` if it broke, which it then said itself."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.json"
        command = [sys.executable, BENCH / f"{name}.py", "--json", path, *["--quick"] * quick]
        if subprocess.run(command).returncode:
            return None
        return [Row(**fields) for fields in json.loads(path.read_text(encoding="utf-8"))]


def document(tables: dict[str, list[Row] | None]) -> str:
    """All tables as Markdown, under the machine that they come from."""
    parts = [
        "# Results\n",
        "Written by `make bench`. Times are medians of alternating rounds, never the best one;\n"
        "the quartiles are those of the ratio in each round. A bound applies to the ratio, or to\n"
        "our own figure where there is no peer.\n",
        "\n".join(f"- {line}" for line in machine()) + "\n",
    ]
    for name, rows in tables.items():
        text = ast.get_docstring(ast.parse((BENCH / f"{name}.py").read_text(encoding="utf-8")))
        parts += [f"## {name}.py\n", f"{text}\n"]
        parts += ["![ratios](models.svg)\n"] if name == "models" and rows else []
        parts.append("It broke.\n" if rows is None else markdown(rows))
    return "\n".join(parts)


def markdown(rows: list[Row]) -> str:
    lines = [COLUMNS, ["---"] * len(COLUMNS), *(row.cells() for row in rows)]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def machine() -> list[str]:
    """Date, commit, processor, and the versions that take part."""
    return [
        f"{date.today()}, commit {commit()}",
        f"{processor()}, {os.cpu_count()} cores, {platform.system()}; the machine is shared",
        f"Python {platform.python_version()}, {', '.join(map(installed, PACKAGES))}",
    ]


def commit() -> str:
    command = ["git", "-C", BENCH, "describe", "--always", "--dirty"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return done.stdout.strip().replace("-dirty", " with changes")


def processor() -> str:
    """The model of the processor, where the system says it."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()


def installed(package: str) -> str:
    try:
        return f"{package} {version(package)}"
    except PackageNotFoundError:
        return f"{package} not installed"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=NAMES, help="this benchmark alone")
    parser.add_argument("--quick", action="store_true", help="fewer rounds, less work")
    options = parser.parse_args()
    names = (options.only,) if options.only else NAMES
    tables = {name: measured(name, options.quick) for name in names}
    if not (options.only or options.quick):
        (BENCH / "RESULTS.md").write_text(document(tables), encoding="utf-8")
        if tables["models"]:
            draw(tables["models"], BENCH / "models.svg")
        print(f"written: {BENCH / 'RESULTS.md'}")
    return int(None in tables.values())  # a bound that is not kept is a result, not a failure


if __name__ == "__main__":
    sys.exit(main())
