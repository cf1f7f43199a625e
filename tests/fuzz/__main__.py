"""A long run: `make fuzz COUNT=10000 START=0 KIND=program`.

The kinds are `program`, `order` and `shares`; every fourth program of the first is of the second.
With `COMPILED=1`, compiled programs are compared with eager ones.
"""

import os
import sys
import time
from collections import Counter

from fuzz.check import check, check_compiled


def outcome(seed: int, kind: str, compiled: bool) -> str:
    if compiled:
        return check_compiled(seed, kind, second=seed % 10 == 0)
    kind = "order" if kind == "program" and seed % 4 == 3 else kind
    return check(seed, second=seed % 10 == 0, kind=kind)


def main(start: int, count: int, kind: str) -> int:
    """Check programs and print what became of them; the failures in full."""
    outcomes: Counter[str] = Counter()
    begin, compiled = time.perf_counter(), bool(os.environ.get("COMPILED"))
    for seed in range(start, start + count):
        try:
            outcomes[outcome(seed, kind, compiled)] += 1
        except AssertionError as error:
            outcomes["WRONG"] += 1
            print(error, flush=True)
    seconds = time.perf_counter() - begin
    print(f"{count} programs from {start} in {seconds:.0f} s:", dict(outcomes))
    return min(outcomes["WRONG"], 1)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]))
