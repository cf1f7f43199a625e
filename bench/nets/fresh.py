"""In a process of its own: import a framework, build a model, take steps, print what that took.

`python bench/nets/fresh.py in_flux LeNet` prints seconds for the imports and from there to the
first loss, and the most bytes that the process ever held.
"""

from __future__ import annotations

import sys
from pathlib import Path
from time import perf_counter

START = perf_counter()
STEPS = 20  # before the memory is read


def main(framework: str, name: str) -> None:
    import importlib
    import json

    sys.path[0] = str(Path(__file__).parent.parent)
    module = importlib.import_module(f"nets.{framework}")
    imported = perf_counter()
    step = module.step(name)
    float(step())
    first = perf_counter()
    for _ in range(STEPS):
        float(step())
    found = {"imports": imported - START, "first": first - imported, "peak": peak()}
    print(json.dumps(found))


def peak() -> float:
    """The most bytes of this process that were in memory at once; 0 where no one counts them."""
    try:
        import resource
    except ImportError:  # Windows
        return 0
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return float(most if sys.platform == "darwin" else 1024 * most)


if __name__ == "__main__":
    main(*sys.argv[1:])
