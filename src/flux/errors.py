"""Every exception that Flux raises, and the one place that words them.

FluxError
├── NotDifferentiable (TypeError)     a construct or a callee that has no derivative
├── SourceError (TypeError)           the source of a function cannot be found or has changed
├── StagingError (TypeError)          a compiled function needs a value that only the data decide
├── ShapeError (ValueError)           an array of the wrong shape
├── LabelError (ValueError)           a class label out of range
├── DataFileError (ValueError)        a data file that is missing, truncated or damaged
├── ModelFileError (ValueError)       a file that is not a model, or not this model
├── NonFiniteLoss (ArithmeticError)   training met a loss that is NaN or infinite
├── NonFiniteValue (FloatingPointError)   `debug_nans`: the operation that made the first NaN
└── OutOfBounds (IndexError)          `check_bounds`: an index beyond the end of an axis

A message has four parts, in this order: where (in the user's terms), what was expected, what was
given, and a way out. `FluxError(what, where=..., hint=...)` puts them together.
"""

from __future__ import annotations

import linecache
import os
import sys
from types import FrameType

__all__ = [
    "DataFileError",
    "FluxError",
    "LabelError",
    "ModelFileError",
    "NonFiniteLoss",
    "NonFiniteValue",
    "NotDifferentiable",
    "OutOfBounds",
    "ShapeError",
    "SourceError",
    "StagingError",
    "source_line",
    "user_line",
]

PACKAGE = os.path.dirname(os.path.abspath(__file__)) + os.sep


class FluxError(Exception):
    """The base of all of Flux's exceptions.

    Args:
        what: what went wrong, with what was expected and what was given.
        where: the place in the user's code, as `source_line` or `user_line` words it.
        hint: a way out.
    """

    def __init__(self, what: str, *, where: str | None = None, hint: str | None = None):
        self.what, self.where, self.hint = what, where, hint
        parts = [what]
        if where:
            parts.append(f"  at {where}")
        if hint:
            parts.extend("  " + line for line in hint.splitlines())
        super().__init__("\n".join(parts))


class NotDifferentiable(FluxError, TypeError):
    """A construct or a callee that the automatic differentiation does not cover."""


class SourceError(FluxError, TypeError):
    """The source of a function cannot be found, or is not what was imported."""


class StagingError(FluxError, TypeError):
    """A compiled function needs a Python value that only the data can decide."""


class ShapeError(FluxError, ValueError):
    """An array whose shape does not fit; the message names the layer, expected and given."""


class LabelError(FluxError, ValueError):
    """A class label that is not one of the classes."""


class DataFileError(FluxError, ValueError):
    """A data file that is missing, truncated or damaged; the message names the offset or line."""


class ModelFileError(FluxError, ValueError):
    """A file that is not a model file, is damaged, or holds another model."""


class NonFiniteLoss(FluxError, ArithmeticError):
    """Training met a loss that is NaN or infinite; the model is as it was before that batch."""


class NonFiniteValue(FluxError, FloatingPointError):
    """Under `flux.debug_nans`, an operation or its derivative gave NaN or an infinite number."""


class OutOfBounds(FluxError, IndexError):
    """Under `flux.check_bounds`, an index that is not one of the places along its axis."""


def source_line(filename: str, line: int, text: str | None = None) -> str:
    """Word a place in the user's code: `train.py line 12: total = external(x)`."""
    text = (text or linecache.getline(filename, line)).strip()
    place = f"{os.path.basename(filename)} line {line}"
    return f"{place}: {text}" if text else place


def user_line() -> str | None:
    """Word the innermost line of the running program that is neither ours nor JAX's."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        filename = frame.f_code.co_filename
        if is_users(filename):
            return source_line(filename, frame.f_lineno)
        frame = frame.f_back
    return None


def is_users(filename: str) -> bool:
    """Is a file neither ours, nor installed, nor generated? An example of a docstring is a file."""
    generated = filename.startswith("<") and not filename.startswith("<doctest")
    return not (generated or filename.startswith(PACKAGE) or "site-packages" in filename)
