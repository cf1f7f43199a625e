"""Names are read when Python reads them: which readings need a variable of their own?

In `a * (a := b)` the left operand is what `a` was before. The parser gives every reading of a local
name a variable, the *pin*. This pass drops the pins of names that still hold the value wherever the
pin is used; the few others become statements such as `a_before = a`. So an expression that assigns
nothing is written back as it stood.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from flux.ir.analyse import walk
from flux.ir.program import (
    Block,
    Call,
    For,
    Function,
    If,
    Move,
    Operand,
    Raise,
    Statement,
    Var,
    While,
    inputs_of,
    targets_of,
)

__all__ = ["settle"]


def settle(
    block: Block, params: Iterable[Var], result: Operand, pins: dict[Var, Var], fresh: Callable
) -> Operand:
    """Drop the pins that are not needed, name the others; returns the new `result`. In place.

    Args:
        pins: of each pin, the variable that was read.
        fresh: makes a name that is not used.
    """
    held = Held(params, pins)
    held.visit(block)
    held.use([result])
    renamed: dict[Any, Any] = dict(pins)
    for pin in held.needed:
        base = fresh(f"{pins[pin].base}_before")
        renamed[pin] = Var(base, base, pin.inert)
    if pins:
        Renaming(renamed, held.needed).block(block)
    return renamed.get(result, result)


class Held:
    """One walk in the order of execution that knows which variable each Python name holds.

    Attributes:
        held: by name, the variable; `None` where it depends on the way taken.
        needed: the pins that are used after their name was assigned anew.
    """

    def __init__(self, params: Iterable[Var], pins: dict[Var, Var]):
        self.pins = pins
        self.held: dict[str, Var | None] = {var.base: var for var in params}
        self.changes: list[tuple[str, Var | None]] = []
        self.same: dict[Var, Operand] = {}
        self.needed: dict[Var, None] = {}

    def hold(self, name: str, var: Var | None) -> None:
        self.changes.append((name, self.held.get(name)))
        self.held[name] = var

    def use(self, operands: Iterable[Operand | None]) -> None:
        for operand in operands:
            var = self.pins.get(operand) if isinstance(operand, Var) else None
            if var is None:
                continue
            held = self.held.get(var.base)
            if held is not var and self.root(held) is not self.root(var):
                self.needed.setdefault(operand)  # type: ignore[arg-type]

    def root(self, var: Operand | None) -> Operand | None:
        while var in self.same:
            var = self.same[var]  # type: ignore[index]
        return var

    def visit(self, block: Block) -> None:
        for statement in block.body:
            self.use(inputs_of(statement))
            if isinstance(statement, If):
                self.branch(statement)
            elif isinstance(statement, For | While):
                self.loop(statement)
            elif isinstance(statement, Function):
                self.hold(getattr(statement.node, "name", ""), None)
            for target in targets_of(statement):
                self.hold(target.base, target)

    def branch(self, node: If) -> None:
        """Walk both sides from the same start; what they leave differently is not known."""
        outer, ends = self.changes, []
        for block in (node.then, node.orelse):
            self.changes = []
            self.visit(block)
            self.use(block.yields)
            ends.append({} if block.raises else {name: self.held[name] for name, _ in self.changes})
            for name, before in reversed(self.changes):
                self.held[name] = before
        self.changes = outer
        then, orelse = ends
        for name in {**then, **orelse}:
            left = then.get(name, self.held.get(name)) if not node.then.raises else orelse[name]
            right = orelse.get(name, self.held.get(name)) if not node.orelse.raises else then[name]
            self.hold(name, left if left is right else None)

    def loop(self, node: For | While) -> None:
        """A name that the body assigns holds something else from the second iteration on."""
        for param, target, init, value in zip(
            node.params, node.targets, node.inits, node.body.yields, strict=False
        ):
            if value is param and isinstance(init, Var):
                self.same[param] = self.same[target] = init
        assigned = {t.base for s in walk(node.body) for t in targets_of(s)}
        assigned |= {getattr(s.node, "name", "") for s in walk(node.body)
                     if isinstance(s, Function)}  # fmt: skip
        starts = [*node.params, *([node.item] if isinstance(node, For) else [])]
        for name in assigned:
            self.hold(name, None)
        for var in starts:
            self.hold(var.base, var)
        self.visit(node.body)
        self.use([*node.body.yields, *node.collect])
        for name in {*assigned, *(var.base for var in starts)}:
            self.hold(name, None)


class Renaming:
    """Puts other operands in the place of some. In place."""

    def __init__(self, renamed: dict[Any, Any], kept: Iterable[Var]):
        self.renamed, self.kept = renamed, set(kept)

    def of(self, operands: tuple[Operand, ...]) -> tuple[Operand, ...]:
        renamed = self.renamed
        for operand in operands:
            if isinstance(operand, Var) and operand in renamed:
                return tuple([self.one(o) for o in operands])
        return operands

    def one(self, operand: Any) -> Any:
        return self.renamed.get(operand, operand) if isinstance(operand, Var) else operand

    def block(self, block: Block) -> None:
        body: list[Statement] = []
        for statement in block.body:
            if isinstance(statement, Move) and statement.target in self.renamed:
                if statement.target in self.kept:
                    body.append(replace(statement, target=self.one(statement.target)))
                continue
            self.statement(statement)
            body.append(statement)
        block.body, block.yields = body, self.of(block.yields)

    def statement(self, statement: Statement) -> None:
        match statement:
            case Call():
                statement.fn = self.one(statement.fn)
                statement.args = self.of(statement.args)
                if statement.keywords:
                    pairs = [(name, self.one(value)) for name, value in statement.keywords]
                    statement.keywords = tuple(pairs)
            case Move():
                statement.value = self.one(statement.value)
            case If():
                statement.test = self.one(statement.test)
                self.block(statement.then)
                self.block(statement.orelse)
            case For() | While():
                if isinstance(statement, For):
                    statement.iterable = self.one(statement.iterable)
                    statement.stop = self.one(statement.stop)
                statement.inits = self.of(statement.inits)
                statement.collect = self.of(statement.collect)
                self.block(statement.body)
            case Function():
                statement.defaults = self.of(statement.defaults)
            case Raise():
                statement.exception = self.one(statement.exception)
                statement.cause = self.one(statement.cause)
