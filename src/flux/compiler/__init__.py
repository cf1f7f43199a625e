"""Just-ahead-of-time compilation: Python over objects, as one XLA program."""

from flux.compiler.bounds import check_bounds
from flux.compiler.export import Artefact, export, load_exported
from flux.compiler.finite import debug_nans
from flux.compiler.jit import Jitted, jit
from flux.compiler.lower import Lowered, lower
from flux.compiler.show import show
from flux.compiler.vmap import Mapped, vmap

__all__ = [
    "Artefact", "Jitted", "Lowered", "Mapped", "check_bounds", "debug_nans", "export", "jit",
    "load_exported", "lower", "show", "vmap",
]  # fmt: skip
