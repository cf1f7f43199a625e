"""Just-ahead-of-time compilation: Python over objects, as one XLA program."""

from flux.compiler.jit import Jitted, jit
from flux.compiler.lower import Lowered, lower
from flux.compiler.vmap import Mapped, vmap

__all__ = ["Jitted", "Lowered", "Mapped", "jit", "lower", "vmap"]
