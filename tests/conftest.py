"""Shared fixtures, the samples' import path, and the table of conformance lines."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

GROUPS = {
    "source and front end": range(1, 21),
    "expressions": range(21, 41),
    "control flow": range(41, 75),
    "functions, closures, calls": range(75, 103),
    "objects and mutation": range(103, 133),
    "semantics": range(133, 168),
    "robustness": range(192, 201),
}
LINES = pytest.StashKey()
"""By conformance line: the outcomes of the tests that show it."""


@pytest.fixture
def rng():
    """A seeded NumPy generator."""
    import numpy as np

    return np.random.default_rng(0)


def pytest_addoption(parser):
    parser.addoption("--lines", action="store_true", help="print the table of conformance lines")


def pytest_configure(config):
    config.addinivalue_line("markers", "line(number, ...): the conformance lines a test shows")
    config.stash[LINES] = {}


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    if report.when == "call" or report.outcome != "passed":
        for marker in item.iter_markers("line"):
            for number in flat(marker.args):
                item.config.stash[LINES].setdefault(number, []).append(report.outcome)


def flat(numbers):
    for number in numbers:
        yield from number if isinstance(number, tuple) else (number,)


def pytest_terminal_summary(terminalreporter, config):
    if not config.getoption("--lines"):
        return
    shown = config.stash[LINES]
    write = terminalreporter.write_line
    write("")
    done = total = 0
    for group, numbers in GROUPS.items():
        good = [n for n in numbers if shown.get(n) and set(shown[n]) == {"passed"}]
        done, total = done + len(good), total + len(numbers)
        rest = {n: sorted(set(shown.get(n, ["no test"]))) for n in numbers if n not in good}
        note = "".join(f"  {n:03}: {', '.join(why)}" for n, why in rest.items())
        write(f"{group:28}{len(good):4} of {len(numbers):3}{note}")
    write(f"{'all that concern eager mode':28}{done:4} of {total:3}")
