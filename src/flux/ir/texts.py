"""Which variables hold a text of numbers that may be read as a number again.

`float(f"{x}")` has lost the derivative of `x`, and must not pass for a constant. A text that is
printed, compared or raised costs nothing: only one that is given to anything else is followed.
"""

from __future__ import annotations

from collections.abc import Iterator

from flux.ir import prims
from flux.ir.program import (
    Block,
    Call,
    For,
    Global,
    If,
    Operand,
    Prim,
    Program,
    Var,
    While,
    blocks_of,
    inputs_of,
    targets_of,
)

__all__ = ["ERRORS", "text_variables"]

ERRORS = ("Error", "Exception", "Warning", "Exit", "Interrupt")
"""How the names of exceptions end."""


def text_variables(program: Program) -> set[Var]:
    """The variables that texts of numbers go to; none if nobody could read numbers from them."""
    statements = list(_walk(program.block))
    found: set[Operand] = set()
    while True:
        before = len(found)
        for statement in statements:
            found.update(_reached(statement, found))
        if len(found) == before:
            break
    read = program.result in found or any(_may_read(s, found) for s in statements)
    return {var for var in found if isinstance(var, Var)} if read else set()


def _walk(block: Block) -> Iterator:
    for statement in block.body:
        yield statement
        for inner in blocks_of(statement):
            yield from _walk(inner)


def _reached(statement, found: set[Operand]) -> Iterator[Operand]:
    """The variables that a statement gives what it has of the texts in `found`."""
    if isinstance(statement, If):
        sides = zip(statement.targets, statement.then.yields, statement.orelse.yields, strict=True)
        yield from (target for target, a, b in sides if a in found or b in found)
    elif isinstance(statement, For | While):
        carried = zip(
            statement.params, statement.inits, statement.body.yields, statement.targets, strict=True
        )
        for param, init, out, target in carried:
            if init in found or out in found:
                yield param
                yield target
        if isinstance(statement, For) and statement.iterable in found:
            yield statement.item
    elif isinstance(statement, Call) and isinstance(statement.fn, Prim) and statement.fn.inert:
        if statement.fn in prims.TEXTS:
            yield from targets_of(statement)
    elif any(operand in found for operand in inputs_of(statement)):
        yield from targets_of(statement)
        if isinstance(statement, Call) and statement.fn is prims.call_method:
            yield statement.args[0]  # a list that the text is appended to


def _may_read(statement, found: set[Operand]) -> bool:
    """May the statement read numbers from a text, or hand it to somebody who does?"""
    if not isinstance(statement, Call) or (isinstance(statement.fn, Prim) and statement.fn.inert):
        return False
    operands = list(inputs_of(statement))
    error = any(isinstance(o, Global) and o.path.endswith(ERRORS) for o in operands)
    return not error and any(operand in found for operand in operands)
