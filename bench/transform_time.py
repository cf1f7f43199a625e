"""What does the first gradient of a function cost, over a later one, and what does it leave?

That is the time of reading, transforming and compiling a function of 100 lines with branches and
loops. Every round has new code, written to a file and imported; the library itself is warm. The
garbage collector is on, as in use: a round that meets a full collection is a long one. Then the
memory that is held for such functions when the program has dropped them.

Bound: 50 ms.
"""

from __future__ import annotations

import gc
import importlib.util
import random
import tempfile
import tracemalloc
import weakref
from pathlib import Path
from statistics import median, quantiles
from time import perf_counter

import numpy as np
from measure import Row, script

import flux

LINES = 100
BOUND = 0.05
KINDS = {  # what the function calls, and its argument
    "Python floats": ("math", 0.5),
    "NumPy arrays": ("np", np.linspace(0, 1, 10)),
}
STATEMENTS = (
    "y = {lib}.sin(y) * {a} + x / {b}",
    "z = z + y * {a} - {lib}.tanh(x * {b})",
    "for k in range(2):\n    y = y * {a} + z\n    z = {lib}.cos(z + k)",
    "if n > {a}:\n    z = z - y / {b}\nelse:\n    z = {lib}.exp(-y * y)",
    "parts = [y, z * {a}]",
    "y, z = parts[1], parts[0] - {b}",
)


def source(lib: str, seed: int) -> str:
    """A function of `LINES` lines; each seed gives other code."""
    rng = random.Random(seed)
    body = ["y, z, parts = x, x * x, [x, x]"]
    while len(body) < LINES - 2:
        numbers = {"a": f"{rng.uniform(0.5, 0.9):.6f}", "b": f"{rng.uniform(1, 2):.6f}"}
        body += rng.choice(STATEMENTS).format(lib=lib, **numbers).split("\n")
    end = "return np.sum(y + z)" if lib == "np" else "return y + z"
    head = ["import math", "import numpy as np", "def f(x, n):"]
    return "\n".join([*head, *("    " + line for line in [*body, end])]) + "\n"


def new_function(folder: str, lib: str, seed: int):
    """The function of `source`, imported from a new file."""
    path = Path(folder) / f"{lib}_{seed}.py"
    path.write_text(source(lib, seed), encoding="utf-8")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.f


def taken(f, x) -> float:
    started = perf_counter()
    flux.gradient(f, x, 1)
    return perf_counter() - started


def first_times(what: str, lib: str, x, folder: str, rounds: int) -> Row:
    """The row of first gradients over later ones."""
    firsts = []
    for seed in range(rounds + 2):
        f = new_function(folder, lib, seed)
        first = taken(f, x)
        firsts.append(first - median(taken(f, x) for _ in range(5)))
    del firsts[:2]  # the library's own first times
    low, _, high = (f"{1e3 * part:.0f}" for part in quantiles(firsts, n=4))
    note = f"quartiles {low} to {high} ms; longest {1e3 * max(firsts):.0f} ms"
    return Row(f"first gradient, {what}", median(firsts), bound=BOUND, note=note)


def held(folder: str, count: int):
    """Rows of functions that were differentiated and that nobody else holds any more."""
    gc.collect()
    tracemalloc.start()
    tracked, seen = len(gc.get_objects()), []
    for seed in range(1000, 1000 + count):
        f = new_function(folder, "math", seed)
        taken(f, 0.5)
        seen.append(weakref.ref(f))
    del f
    gc.collect()
    grown = tracemalloc.get_traced_memory()[0] / count
    tracemalloc.stop()
    note = f"and {(len(gc.get_objects()) - tracked) / count:,.0f} objects for the garbage collector"
    yield Row("held for a dropped function", grown, unit="B", note=note)
    alive = sum(ref() is not None for ref in seen)
    yield Row("dropped functions still alive", alive, unit="", note=f"of {count}")


def main(quick: bool = False) -> list[Row]:
    rounds = 7 if quick else 25
    with tempfile.TemporaryDirectory() as folder:
        times = [first_times(what, *kind, folder, rounds) for what, kind in KINDS.items()]
        return [*times, *held(folder, rounds)]


if __name__ == "__main__":
    script(main, __doc__)
