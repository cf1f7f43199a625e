"""What does a process take until its first step of training is done, and at most of memory?

The models are those of `models.py`, each in a process of its own. The time is that from the start
of Python's imports to the first loss, with empty folders for compiled programs ("cold") and with
those that the process before has left ("warm"). Equinox and Keras have JAX's persistent cache, with
the same threshold as Flux's: programs that compile in 0.3 seconds are not kept. PyTorch, eager,
keeps none.
The memory is the most that the process held until the end of 21 steps.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections import defaultdict
from importlib.util import find_spec
from pathlib import Path
from statistics import median

from measure import Row, compared, script

FRESH = Path(__file__).parent / "nets" / "fresh.py"
FRAMEWORKS = {
    "flux": "in_flux",
    "Equinox": "in_equinox",
    "PyTorch eager": "in_torch",
    "Keras (JAX)": "in_keras",
}
NEEDED = {"PyTorch eager": "torch", "Keras (JAX)": "keras"}  # and may not be installed
TIMED, WEIGHED = ("LeNet", "LSTM"), ("ResNet", "GPT")


def measured(who: str, name: str, folder: str) -> dict[str, float]:
    """What `fresh.py` tells of one process whose compiled programs are kept in `folder`."""
    kept = {
        "FLUX_CACHE_DIR": folder,
        "JAX_COMPILATION_CACHE_DIR": "" if who == "flux" else folder,
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0.3",
    }
    command = [sys.executable, FRESH, FRAMEWORKS[who], name]
    done = subprocess.run(command, env=os.environ | kept, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{who}, {name}: {done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def rounds_of(name: str, frameworks: list[str], rounds: int) -> list[Row]:
    """Rows of the time to the first step, cold and warm, and of memory."""
    times: dict[str, dict] = {"cold": defaultdict(list), "warm": defaultdict(list)}
    notes: dict[str, dict] = {"cold": defaultdict(list), "warm": defaultdict(list)}
    peaks = defaultdict(list)
    for turn in range(rounds):
        for who in frameworks[:: 1 if turn % 2 else -1]:
            with tempfile.TemporaryDirectory() as folder:
                for state in times:
                    found = measured(who, name, folder)
                    times[state][who].append(found["imports"] + found["first"])
                    notes[state][who].append(found["imports"])
                    peaks[who].append(found["peak"])
    rows = []
    for state, taken in times.items():
        for who in frameworks[1:]:
            imports = [f"{median(notes[state][w]):.2g} s" for w in ("flux", who)]
            note = f"of that imports {imports[0]} and {imports[1]}"
            rows.append(compared(f"{name}, first step, {state}", taken, "flux", who, note=note))
    return [*rows, *memory(name, peaks)]


def memory(name: str, peaks: dict[str, list[float]]) -> list[Row]:
    ours = max(peaks["flux"])
    others = [(who, max(peaks[who])) for who in FRAMEWORKS if who != "flux" and who in peaks]
    return [Row(f"{name}, most memory", ours, who, most, unit="B") for who, most in others]


def weighed(name: str, frameworks: list[str]) -> list[Row]:
    """Rows of memory alone; everything is compiled."""
    peaks = {}
    for who in frameworks:
        with tempfile.TemporaryDirectory() as folder:
            peaks[who] = [measured(who, name, folder)["peak"]]
    return memory(name, peaks)


def main(quick: bool = False) -> list[Row]:
    frameworks = [who for who in FRAMEWORKS if who not in NEEDED or find_spec(NEEDED[who])]
    rows = [row for name in TIMED for row in rounds_of(name, frameworks, 2 if quick else 4)]
    return rows + [row for name in WEIGHED for row in weighed(name, frameworks)]


if __name__ == "__main__":
    script(main, __doc__)
