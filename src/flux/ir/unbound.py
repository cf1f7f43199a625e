"""Which variables may be unbound where a program reads them?

A variable that only one side of a branch assigns, or only the body of a loop, is handed on with or
without a value. What is handed on under its own name is no reading yet: a name that nobody reads
afterwards costs nothing.
"""

from __future__ import annotations

from collections.abc import Iterator

from flux.ir.analyse import walk
from flux.ir.program import (
    UNDEFINED,
    For,
    If,
    Move,
    Operand,
    Program,
    Statement,
    Var,
    While,
    inputs_of,
)

__all__ = ["Unbound", "is_unassigned"]


class Unbound:
    """The variables of a program that may be unbound.

    Attributes:
        unset: all of them.
        flagged: those whose value is read later, so that somebody must know.
    """

    def __init__(self, program: Program):
        self.returned = program.returned
        statements = list(walk(program.block))
        self.flows = [flow for statement in statements for flow in flows_of(statement)]
        self.unset = self.reached()
        self.flagged = self.unset & self.wanted(program, statements) if self.unset else self.unset

    def reached(self) -> set[Var]:
        """Where a missing value comes to: a fixpoint."""
        unset: set[Var] = set()
        while True:
            before = len(unset)
            for target, operand in self.flows:
                given = operand is UNDEFINED or (operand in unset and is_same(target, operand))
                if given and target.base != self.returned:
                    unset.add(target)
            if len(unset) == before:
                return unset

    def wanted(self, program: Program, statements: list[Statement]) -> set[Operand]:
        """What is read, and what is handed on to what is read: a fixpoint."""
        wanted: set[Operand] = {program.result}
        for statement in statements:
            wanted.update(reads_of(statement))
        wanted.update(operand for target, operand in self.flows if not is_same(target, operand))
        while True:
            before = len(wanted)
            wanted.update(o for target, o in self.flows if target in wanted)
            if len(wanted) == before:
                return wanted

    def is_read(self, target: Var, operand: Operand) -> bool:
        """Is to hand `operand` on to `target` a reading of a name that may be unbound?"""
        unset = operand in self.unset and not is_same(target, operand)
        return unset or is_unassigned(operand)


def is_same(target: Var, operand: Operand) -> bool:
    """Are both one name of the user's?"""
    return isinstance(operand, Var) and operand.base == target.base


def is_unassigned(operand: Operand) -> bool:
    """Is it a name that nothing has assigned where it is read?"""
    return isinstance(operand, Var) and operand.name == f"{operand.base}.undefined"


def flows_of(statement: Statement) -> Iterator[tuple[Var, Operand]]:
    """Variables, each with what it takes over; what a block that raises hands on is nothing."""
    match statement:
        case Move(target=target, value=value):
            if value is UNDEFINED:
                yield target, value
        case If():
            for block in (statement.then, statement.orelse):
                if not block.raises:
                    yield from zip(statement.targets, block.yields, strict=False)
        case For() | While():
            ends = [statement.inits]
            if not statement.body.raises:
                ends.append(statement.body.yields)
            for values in ends:
                yield from zip(statement.params, values, strict=False)
                yield from zip(statement.targets, values, strict=False)


def reads_of(statement: Statement) -> Iterator[Operand]:
    """The operands that a statement reads."""
    if isinstance(statement, For | While):
        yield from statement.collect
        if isinstance(statement, For):
            yield statement.iterable
            if statement.stop is not None:
                yield statement.stop
    else:
        yield from inputs_of(statement)
