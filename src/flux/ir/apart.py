"""Two versions of a variable that are needed at once must not have one name.

Programs are written with the names of the user, a variable's versions under one name. That is right
as long as only one of them is needed at a time, which holds for what a user wrote, but not for its
reverse: the cotangent of an older version may wait while that of a newer one is made. This pass
finds such pairs, and names for them.
"""

from __future__ import annotations

from collections.abc import Iterable

from flux.ir.program import (
    UNDEFINED,
    Block,
    For,
    If,
    Move,
    Operand,
    Program,
    Raise,
    Statement,
    Var,
    While,
    blocks_of,
    inputs_of,
    targets_of,
)

__all__ = ["names_apart"]


def names_apart(program: Program) -> dict[Var, str]:
    """Names for the variables that cannot have their own."""
    several = versions(program)
    if not several:
        return {}
    found = Apart(several)
    live = found.reads(set(), [program.result])
    found.block(program.block, live)
    return found.names(program) if found.conflicts else {}


def versions(program: Program) -> set[Var]:
    """The variables that share their name with another."""
    by_base: dict[str, list[Var]] = {}
    for var in (*program.params, *defined(program.block)):
        by_base.setdefault(var.base, []).append(var)
    return {v for group in by_base.values() if len(set(group)) > 1 for v in group}


def defined(block: Block) -> list[Var]:
    """Every variable that a block, or a block inside of it, assigns."""
    found: list[Var] = []
    for statement in block.body:
        found += targets_of(statement)
        if isinstance(statement, For | While):
            found += statement.params
        if isinstance(statement, For):
            found.append(statement.item)
        for inner in blocks_of(statement):
            found += defined(inner)
    return found


class Apart:
    """One walk over a program, from its end: which variables are still needed at each place?

    Attributes:
        several: the variables that are looked at.
        conflicts: pairs that are needed at once.
        webs: the variables that must be called as another: a loop's before and after it.
    """

    def __init__(self, several: set[Var]):
        self.several = several
        self.conflicts: set[tuple[Var, Var]] = set()
        self.webs: dict[Var, Var] = {}

    def web(self, var: Var) -> Var:
        while (other := self.webs.get(var)) is not None:
            var = other
        return var

    # -- what is needed ----------------------------------------------------------------------------

    def reads(self, live: set[Var], operands: Iterable[Operand | None]) -> set[Var]:
        live.update([o for o in operands if isinstance(o, Var) and o in self.several])
        return live

    def assign(self, pairs: list[tuple[Var, Operand | None]], live: set[Var]) -> None:
        """Variables take values over, all at once; what is needed before it is left in `live`."""
        pairs = [(target, value) for target, value in pairs if target in self.several]
        for target, value in pairs:
            for other in (*live, *[t for t, _ in pairs]):
                if other.base == target.base and other not in (target, value):
                    self.conflicts.add((target, other))
        live.difference_update([target for target, _ in pairs])

    def block(self, block: Block, live: set[Var]) -> set[Var]:
        for statement in reversed(block.body):
            live = self.statement(statement, live)
        return live

    def statement(self, statement: Statement, live: set[Var]) -> set[Var]:
        match statement:
            case If():
                return self.branch(statement, live)
            case For() | While():
                return self.loop(statement, live)
            case Raise():
                live = set()
            case Move(target=target, value=value):
                self.assign([(target, value)], live)
            case _:
                self.assign([(target, None) for target in targets_of(statement)], live)
        return self.reads(live, inputs_of(statement))

    def branch(self, node: If, live: set[Var]) -> set[Var]:
        before: set[Var] = set()
        for block in (node.then, node.orelse):
            inner = set() if block.raises else set(live)
            if not block.raises:
                self.take_over(node.targets, block.yields, inner)
            before |= self.block(block, inner)
        return self.reads(before, [node.test])

    def take_over(self, targets, values, live: set[Var]) -> None:
        """`targets` take `values` over; those without one keep what their name holds."""
        pairs = [p for p in zip(targets, values, strict=True) if p[1] is not UNDEFINED]
        self.assign(pairs, live)
        live.difference_update(targets)
        self.reads(live, values)

    def loop(self, node: For | While, live: set[Var]) -> set[Var]:
        for param, target in zip(node.params, node.targets, strict=True):
            if self.web(param) is not self.web(target):
                self.webs[self.web(target)] = self.web(param)
        head = set(live).difference(node.targets)
        self.reads(head, (*node.params, *node.collected))
        while True:
            inner = set(head)
            if isinstance(node, For):
                self.reads(inner, [node.stop])
            if not node.body.raises:
                self.take_over(node.params, node.body.yields, inner)
                self.reads(inner, node.collect)
            inner = self.block(node.body, inner)
            if isinstance(node, For):
                self.assign([(node.item, None)], inner)
            if inner <= head:
                break
            head |= inner
        self.take_over(node.params, node.inits, head)
        self.assign([(collected, None) for collected in node.collected], head)
        return self.reads(head, inputs_of(node))

    # -- names -------------------------------------------------------------------------------------

    def names(self, program: Program) -> dict[Var, str]:
        """A name for each variable that does not keep its own."""
        apart: dict[Var, set[Var]] = {}
        for a, b in self.conflicts:
            a, b = self.web(a), self.web(b)
            if a is not b:
                apart.setdefault(a, set()).add(b)
                apart.setdefault(b, set()).add(a)
        taken = set(program.names) | {v.base for v in defined(program.block)}
        called = {self.web(param): param.base for param in program.params}
        for var in dict.fromkeys(map(self.web, defined(program.block))):
            if var in called or var not in apart or var.base in program.cells:
                continue
            others = {called.get(other, other.base) for other in apart[var] if other in called}
            name, count = var.base, 1
            while name in others or (count > 1 and name in taken):
                count += 1
                name = f"{var.base}_{count}"
            called[var] = name
        return {v: called[w] for v in self.several if (w := self.web(v)) in called
                and called[w] != v.base}  # fmt: skip
