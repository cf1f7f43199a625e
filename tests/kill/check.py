"""Kill a training at random moments, resume it, and compare it with one that was left alone."""

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

TESTS = Path(__file__).parent.parent


def start(folder: Path, seed: int = 0) -> subprocess.Popen:
    folder.mkdir(exist_ok=True)
    paths = [entry for entry in sys.path if entry]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, "-m", "kill.child", str(folder), str(seed)]
    return subprocess.Popen(
        command, cwd=TESTS, env=environment, stdout=subprocess.PIPE, text=True, bufsize=1
    )


def ended(child: subprocess.Popen, folder: Path) -> dict[str, np.ndarray]:
    """What a training ends with, when nobody kills it any more."""
    child.communicate()
    assert child.returncode == 0
    with np.load(folder / "end.npz", allow_pickle=False) as arrays:
        return dict(arrays)


def killed(folder: Path, kills: int, chance: random.Random) -> dict[str, np.ndarray]:
    """What a training ends with that is killed so many times.

    Each kill comes some steps after the start and some milliseconds after a step: in the midst of a
    step, of an epoch's end, of the writing of a file.
    """
    for kill in range(kills):
        begun = any(folder.glob("*.safetensors"))
        child = start(folder, 1 + kill if begun else 0)
        assert child.stdout is not None
        with child, child.stdout as steps:
            for _ in range(chance.randint(1, 20)):
                steps.readline()
            time.sleep(chance.random() * 0.01)
            child.kill()
    found = ended(start(folder, 99), folder)
    assert not list(folder.glob(".*.part")), "what a killed program had begun to write is left"
    assert len(list(folder.glob("*.safetensors"))) == 2, "keep=2 files were to be left"
    return found


def differing(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> list[str]:
    """The names of what is not the same, bit for bit."""
    names = sorted(one.keys() | other.keys())
    return [name for name in names if bits(one.get(name)) != bits(other.get(name))]


def bits(array: np.ndarray | None):
    return None if array is None else (array.dtype.str, array.shape, array.tobytes())
