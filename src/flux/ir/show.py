"""A program as readable text: what `code_ir` prints."""

from __future__ import annotations

from flux.ir.emit import Emitted
from flux.ir.program import Program

__all__ = ["show"]


def show(program: Program) -> str:
    """The statements of `program`, one operation a line, with the user's lines as comments."""
    return Emitted(program).text()
