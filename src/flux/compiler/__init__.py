"""Just-ahead-of-time compilation: Python over objects, as one XLA program."""

from flux.compiler.jit import Jitted, jit
from flux.compiler.lower import Lowered, lower

__all__ = ["Jitted", "Lowered", "jit", "lower"]
