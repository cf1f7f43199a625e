"""Derivatives of the functions of Python and its libraries: one file a library.

The rules of Python itself, one file a subject, are always there. Those of another library are
loaded when the library is: `load()` looks which are. SciPy's subjects are loaded one by one, as
SciPy itself does.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys

from flux.ad.api import BEFORE_USE
from flux.ad.registry import AUGMENTED
from flux.ir import sharing
from flux.rules.copies import on_copies

__all__ = ["load"]

ALWAYS = ("operators", "containers", "indexing", "methods", "concatenation", "iteration", "views",
          "itertools", "functools", "attributes", "calls", "variables", "builtins", "inert", "copy",
          "constructors", "getters", "math", "typing", "exceptions", "reads")  # fmt: skip
LIBRARIES = ("numpy", "jax", "scipy", "scipy.special", "scipy.linalg", "scipy.sparse",
             "scipy.sparse.linalg", "scipy.fft", "scipy.signal", "scipy.integrate",
             "scipy.stats", "torch")  # fmt: skip
LAST = ("arrayapi",)
"""Of any library that implements a standard: asked after those that have rules of their own."""
TAKE_LISTS = ("numpy", "scipy")
loaded: set[str] = set()
modules: list[int] = []
"""How many modules there were when libraries were last looked for."""


def load() -> None:
    """Load the rules of every library that the program has imported."""
    if loaded and modules == [len(sys.modules)]:
        return
    for name in (*ALWAYS, *LIBRARIES, *LAST):
        if name not in loaded and (name not in LIBRARIES or name in sys.modules):
            loaded.add(name)
            if importlib.util.find_spec(f"flux.rules.{name}"):
                importlib.import_module(f"flux.rules.{name}")
            for f, rule in AUGMENTED.items():
                if takes_lists(f):
                    AUGMENTED[f] = on_copies(rule)
    modules[:] = [len(sys.modules)]


def takes_lists(f) -> bool:
    """Is `f` a function or method of a library that takes lists for arrays?"""
    owner = getattr(f, "__objclass__", None) or getattr(f, "__self__", None)
    if any([type(part).__name__ == "ufunc" for part in (f, owner)]):
        return True
    module = getattr(f, "__module__", None) or getattr(owner, "__module__", None) or ""
    return module.startswith(TAKE_LISTS) and not module.startswith("numpy.random")


BEFORE_USE.append(load)
sharing.BEFORE.append(load)
