"""What the two programs of an adjoint share: what the first records, and names for their variables.

A *plan* says how to reverse a block: `augment.py` makes it while it writes the augmented program,
`reverse.py` follows it backwards.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeGuard

from flux.ir import prims
from flux.ir.analyse import active_variables, walk
from flux.ir.program import (
    Block,
    Call,
    Const,
    If,
    Operand,
    Prim,
    Program,
    Statement,
    Var,
)

__all__ = ["NONE", "Plan", "RunTime", "State", "Step"]

NONE = Const(None)


@dataclass(frozen=True)
class RunTime:
    """What the generated programs call.

    Attributes:
        augmented: the augmented form of a primitive, for the given mask of active arguments.
        call: `call(f, *args, **kwargs) -> (y, back)` for a callee whose own cotangent is dropped.
        call_value: the same for a callee that may carry a cotangent; `back` returns it first.
        accumulate: the sum of two cotangents, `None` being zero.
        items: iterates over pairs of an item and its pullback.
        pullback: makes the pullback of a generated function from its back program and residuals.
        take_default: takes the cotangent of a function's default value out of the store.
        dense: a cotangent that is kept lazy (rows of an array) as an ordinary array.
    """

    augmented: Callable[[Prim, tuple[bool, ...]], Any]
    call: Callable
    call_value: Callable
    accumulate: Callable
    items: Callable
    pullback: Callable
    take_default: Callable
    dense: Callable


@dataclass
class Step:
    """How to reverse one statement.

    Attributes:
        statement: of the original program.
        record: the variable of the augmented program that holds what the reverse needs.
        inner: the plans of the statement's blocks.
        item_back: of a loop, the variable that holds the pullback of the item.
        saved: of a call whose reverse is in line, the recorded values that it needs.
    """

    statement: Statement
    record: Var | None = None
    inner: tuple[Plan, ...] = ()
    took: Var | None = None
    item_back: Var | None = None
    saved: tuple[Operand, ...] = ()


@dataclass
class Plan:
    """How to reverse a block: its steps, and the variables that they need recorded."""

    steps: list[Step] = field(default_factory=list)
    records: list[Var] = field(default_factory=list)
    kept: dict[Var, Var] = field(default_factory=dict)


def sided_variables(program: Program) -> set[Var]:
    """The variables that hold something else for each side of a branch: the records of sides."""
    found: set[Var] = set()
    for statement in walk(program.block):
        if isinstance(statement, If):
            found.update(statement.records)
        elif isinstance(statement, Call) and any([statement.fn is side for side in SIDES]):
            found.update([v for v in statement.args[:1] if isinstance(v, Var)])
    return found


SIDES = (*prims.TAKE_SIDE.values(), *prims.UNPACK_SIDE.values())


class State:
    """One program on its way to its adjoint.

    Attributes:
        program: the program to differentiate.
        rt: what the generated programs call.
        active: the variables that may carry a derivative.
        names: the Python names that are taken.
        plan: how to reverse the program's block.
        sum: what adds two cotangents.
        lazy: the operands of the back program that may be sums which are not carried out.
        sided: the variables that hold something else for each side of a branch.
    """

    def __init__(self, program: Program, runtime: RunTime):
        self.program, self.rt = program, runtime
        self.active = active_variables(program)
        self.sum = self.summation()
        self.counts: dict[str, int] = {}
        self.bases: dict[str, str] = {}
        self.lazy: set[Operand] = set()
        self.sided = sided_variables(program)
        self.names = set(program.names)
        self.plan = Plan()

    def summation(self) -> Prim | Operand:
        """What adds two cotangents."""
        return Const(self.rt.accumulate, "accumulate")

    def program_like(
        self, name: str, args, params, block: Block, result: Operand = NONE
    ) -> Program:
        source = self.program
        own = params is source.params
        return Program(
            name=name,
            filename=source.filename,
            args=args,
            params=params,
            block=block,
            result=result,
            where=source.where,
            cells=source.cells if own else (),
            freevars=source.freevars if own else (),
            names=frozenset(self.names),
            flags=source.flags,
            returned=source.returned if own else None,
            cotangents=source.cotangents or not own,
            returns=source.returns if own else {},
        )

    def fresh(self, base: str) -> Var:
        """A new variable under a new name, numbered where needed."""
        while True:
            count = self.counts.get(base, 0)
            self.counts[base] = count + 1
            name = f"{base}_{count + 1}" if count or base in ("back", "steps", "side") else base
            if name not in self.names:
                self.names.add(name)
                return Var(name, name)

    def is_active(self, operand: Operand) -> TypeGuard[Var]:
        return isinstance(operand, Var) and operand in self.active
