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
SHOWN: dict[int, list[str]] = {}
"""By conformance line: the outcomes of the tests that show it, in whatever process."""


@pytest.fixture
def rng():
    """A seeded NumPy generator."""
    import numpy as np

    return np.random.default_rng(0)


def pytest_addoption(parser):
    parser.addoption("--lines", action="store_true", help="print the table of conformance lines")


def pytest_configure(config):
    config.addinivalue_line("markers", "line(number, ...): the conformance lines a test shows")


def pytest_make_parametrize_id(val):
    """Flux's objects by their text, but for addresses: ids are the same in every process."""
    text = repr(val)
    return text if type(val).__module__.startswith("flux.") and " at 0x" not in text else None


def pytest_collection_modifyitems(items):
    for item in items:
        shown = [n for marker in item.iter_markers("line") for n in flat(marker.args)]
        item.user_properties += [("line", number) for number in shown]


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_logreport(report):
    if report.when == "call" or report.outcome != "passed":
        for name, number in report.user_properties:
            if name == "line":
                SHOWN.setdefault(number, []).append(report.outcome)


def flat(numbers):
    for number in numbers:
        yield from number if isinstance(number, tuple) else (number,)


def pytest_terminal_summary(terminalreporter, config):
    if not config.getoption("--lines"):
        return
    write = terminalreporter.write_line
    write("")
    done = total = 0
    for group, numbers in GROUPS.items():
        good = [n for n in numbers if SHOWN.get(n) and set(SHOWN[n]) == {"passed"}]
        done, total = done + len(good), total + len(numbers)
        rest = {n: sorted(set(SHOWN.get(n, ["no test"]))) for n in numbers if n not in good}
        note = "".join(f"  {n:03}: {', '.join(why)}" for n, why in rest.items())
        write(f"{group:28}{len(good):4} of {len(numbers):3}{note}")
    write(f"{'all that concern eager mode':28}{done:4} of {total:3}")
