"""Errors of a function while it is traced, in the user's terms: the user's lines, our reasons."""

from __future__ import annotations

import os
import traceback
from types import TracebackType

import jax
import numpy as np

from flux.compiler.namespaces import is_users
from flux.errors import (
    PACKAGE,
    FluxError,
    NotDifferentiable,
    SourceError,
    StagingError,
    source_line,
    user_line,
)

__all__ = ["in_user_terms", "is_of_making", "no_flat", "refuse_catching"]

REASONS = {
    jax.errors.TracerBoolConversionError: "a branch or loop test depends on the data, "
    "which are not known when the program is made",
    jax.errors.TracerIntegerConversionError: "a Python int (an index, a length) depends on the "
    "data, which are not known when the program is made",
    jax.errors.TracerArrayConversionError: "NumPy was given an array of the compiled program",
    jax.errors.NonConcreteBooleanIndexError: "a boolean mask makes an array of unknown length",
    RecursionError: "it calls itself to a depth that only the data decide, or without an end",
    jax.errors.ConcretizationTypeError: "a Python value depends on the data, which are not "
    "known when the program is made",
}
HINTS = {
    jax.errors.TracerArrayConversionError: "Make arrays with jax.numpy and use its functions, "
    "or operators and methods of the array; or take this part out of flux.jit.",
}
NEEDED = "an operation of Python needs a value that only the data decide"
HINT = (
    "Where a library or a comprehension needs the value itself, decide with jnp.where, or take "
    "this part out of flux.jit."
)
ARRAYS_HAVE = {
    *dir(np.ndarray),
    *dir(np.float64),
    *dir(int),
    *dir(jax.Array),
    "sharding",
    "devices",
}
FOLDED = (PACKAGE, *[str(m.__file__).rpartition("__init__")[0] for m in (jax,)])


def in_user_terms(error: Exception, function) -> Exception:
    """The error to raise for one that was met while `function` was traced.

    JAX's errors about values that only the data decide become a `StagingError` at the user's
    innermost line; any other error stays, without the frames that are ours or JAX's.
    `FLUX_TRACEBACK=full` keeps everything.
    """
    if os.environ.get("FLUX_TRACEBACK") == "full":
        return error
    for kind, reason in REASONS.items():
        if isinstance(error, kind):
            return staging_error(error, reason, HINTS.get(kind, HINT), function)
    if isinstance(error, NotImplementedError) and "arr.flat" in str(error):
        return no_flat(innermost(error))
    if names_tracer(error):
        return staging_error(error, NEEDED, HINT, function)
    notes = getattr(error, "__notes__", None)
    if notes:
        notes[:] = [note for note in notes if "JAX_TRACEBACK_FILTERING" not in note]
    return error.with_traceback(folded(error.__traceback__))


def no_flat(where: str | None = None) -> StagingError:
    return StagingError(
        "`x.flat` of an array of a compiled program is not covered.",
        where=where or user_line(),
        hint="Use x.ravel() or x.reshape(-1); change an item there and give it its shape again.",
    )


def names_tracer(error: BaseException) -> bool:
    """Does an error speak of what stands in place of the data, which plain Python does not have?"""
    if isinstance(error, FluxError) or "Tracer" not in (text := str(error)):
        return False
    if isinstance(error, AttributeError):  # arrays may have it, or nothing has
        return text.split()[-1].strip("'") in ARRAYS_HAVE
    return True


def is_of_making(error: BaseException) -> bool:
    """Is an error one of the making of a program, which plain Python would not raise?"""
    ours = StagingError, NotDifferentiable, SourceError, *REASONS
    return isinstance(error, ours) or names_tracer(error)


def refuse_catching(error: BaseException | None) -> None:
    """Raise an error of the making of a program again, which the user's `try` is not to catch."""
    if error is not None and is_of_making(error):
        raise error


def staging_error(error: Exception, reason: str, hint: str, function) -> StagingError:
    name = getattr(function, "__name__", type(function).__name__)
    return StagingError(
        f"`{name}` cannot be compiled as written: {reason}.",
        where=innermost(error),
        hint=hint,
    )


def innermost(error: Exception) -> str | None:
    """The user's innermost line in the traceback of an error."""
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if is_users(frame.filename):
            return source_line(frame.filename, frame.lineno or 0, frame.line)
    return None


def folded(tb: TracebackType | None) -> TracebackType | None:
    """A traceback without the frames that are ours or JAX's."""
    if tb is None:
        return None
    rest = folded(tb.tb_next)
    filename = tb.tb_frame.f_code.co_filename
    if filename.startswith(FOLDED) and not is_users(filename):
        return rest
    return TracebackType(rest, tb.tb_frame, tb.tb_lasti, tb.tb_lineno)
