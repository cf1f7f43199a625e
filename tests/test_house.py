"""The house itself: floors without circles, and what `import flux` loads."""

import subprocess
import sys

from tools.graph import by_floor, circles, climbs, graph


def test_no_room_imports_from_a_floor_above():
    print(by_floor())
    assert climbs() == []


def test_no_files_import_each_other_in_a_circle():
    assert circles(graph()) == []


def test_importing_flux_loads_no_array_library():
    loaded = run(
        "import flux, sys; print([m for m in ('jax', 'torch', 'rich') if m in sys.modules])"
    )
    assert loaded == "[]"


def test_every_module_can_be_imported_first():
    for module in ("flux.layers", "flux.train", "flux.optim", "flux.io", "flux.data", "flux.cli"):
        assert run(f"import {module}; print('whole')") == "whole"


def test_flux_train_is_callable_whatever_was_imported_before():
    assert run("import flux.train.step, flux; print(callable(flux.train))") == "True"


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()
