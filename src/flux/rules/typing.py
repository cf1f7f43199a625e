"""Derivatives of the functions of Python's `typing`."""

from __future__ import annotations

import typing

from flux.rules.equivalents import as_python


@as_python(typing.cast)
def cast(kind, value):
    return value
