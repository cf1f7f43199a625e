"""JAX's errors about values that are only known to the data, in the user's terms."""

from __future__ import annotations

import os
import sysconfig
import traceback

import jax

from flux.errors import PACKAGE, StagingError, source_line

__all__ = ["staging_error"]

LIBRARIES = tuple({sysconfig.get_paths()["purelib"], sysconfig.get_paths()["stdlib"]})
REASONS = {
    jax.errors.TracerBoolConversionError: "a branch or loop test depends on the data",
    jax.errors.TracerIntegerConversionError: "a Python int (an index, a length) depends on the data",
    jax.errors.TracerArrayConversionError: "a NumPy function was given an array of the program",
    jax.errors.NonConcreteBooleanIndexError: "a boolean mask makes an array of unknown length",
}


def staging_error(error: Exception, function) -> Exception:
    """The `StagingError` for an error of JAX, at the user's innermost line."""
    if os.environ.get("FLUX_TRACEBACK") == "full":
        return error
    if not isinstance(error, (jax.errors.ConcretizationTypeError, *REASONS)):
        return error
    reason = next(
        (text for kind, text in REASONS.items() if isinstance(error, kind)),
        "a Python value depends on the data",
    )
    where = None
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if not frame.filename.startswith((PACKAGE, "<", *LIBRARIES)):
            where = source_line(frame.filename, frame.lineno or 0, frame.line)
            break
    name = getattr(function, "__name__", type(function).__name__)
    return StagingError(
        f"`{name}` cannot be compiled as written: {reason}, and is not known when the program is "
        "made.",
        where=where,
        hint="Data-dependent control flow inside a compiled function is not supported yet: decide "
        "with jnp.where, or take this part out of flux.jit.",
    )
