"""Many kills: `make killtest COUNT=30`; five in each training, until there have been so many."""

import random
import sys
import tempfile
from pathlib import Path

from kill.check import differing, ended, killed, start


def main(count: int, seed: int) -> int:
    chance = random.Random(seed)
    wrong = done = 0
    with tempfile.TemporaryDirectory() as folder:
        whole = Path(folder) / "whole"
        expected = ended(start(whole), whole)
        while done < count:
            found = killed(Path(folder) / f"killed-{done}", min(5, count - done), chance)
            done += min(5, count - done)
            different = differing(expected, found)
            wrong += bool(different)
            print(f"{done} kills:", f"DIFFERS in {different}" if different else "same", flush=True)
    return min(wrong, 1)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2])))
