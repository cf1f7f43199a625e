"""Just-ahead-of-time compilation: Python over objects, as one XLA program."""

from flux.compiler.jit import Jitted, jit

__all__ = ["Jitted", "jit"]
