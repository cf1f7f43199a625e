"""The structured SSA program: what a function is, once its syntax is gone.

A program is a block; a block is a list of statements; a statement is a call, a move, a branch, a
loop, a nested function or a raise. Operators, attribute reads, indexing and building a tuple are
calls too. Every variable is assigned once; a branch and a loop name the variables that leave them
(`targets`), and their blocks say what is handed over (`yields`). A variable also remembers its
`base`, the name that it has in Python: versions of one base never live at the same time, so a
program is written back as Python under the names that the user chose.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

__all__ = [
    "Block",
    "Call",
    "Const",
    "For",
    "Function",
    "Global",
    "If",
    "Move",
    "Operand",
    "Prim",
    "Program",
    "Raise",
    "Statement",
    "NO_RESULT",
    "UNDEFINED",
    "Var",
    "While",
    "Where",
    "blocks_of",
    "inputs_of",
    "targets_of",
]


@dataclass(frozen=True, slots=True)
class Where:
    """A range of the user's source: first and last line, first and last column."""

    line: int
    column: int
    end_line: int
    end_column: int

    @classmethod
    def of(cls, node: ast.AST) -> Where:
        """The range of a syntax node that has one."""
        return cls(node.lineno, node.col_offset, node.end_lineno, node.end_col_offset)  # type: ignore[attr-defined]


@dataclass(frozen=True, slots=True, eq=False)
class Var:
    """A variable that is assigned once.

    Attributes:
        name: unique in its program.
        base: its name as Python; shared by the versions of one user variable.
        inert: it is known to carry no derivative (a comparison, a loop counter).
    """

    name: str
    base: str
    inert: bool = False


@dataclass(frozen=True, slots=True)
class Const:
    """A value that is known when the program is made; `name` is how it is spelled if no literal."""

    value: Any
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Global:
    """A global or built-in name, or an attribute chain on a module (`np.linalg.norm`)."""

    path: str


UNDEFINED = Const(None, "undefined")
"""Stands for a variable that one side of a branch does not assign."""

NO_RESULT = Const(None)
"""The result of a function that has not returned yet; another constant than a returned `None`."""

Operand = Var | Const | Global


@dataclass(frozen=True, slots=True, eq=False)
class Prim:
    """An operation of the language itself: an operator, an attribute read, building a tuple.

    Attributes:
        name: how error texts and `code_ir` call it.
        fn: what it computes, as a Python function.
        write: its Python spelling, made from the syntax of its arguments; `None` calls `fn`. A
            spelling that is `None` leaves the operation out.
        inert: the result carries no derivative and the operation needs no reverse.
    """

    name: str
    fn: Callable
    write: Callable[..., ast.expr | None] | None = None
    inert: bool = False


@dataclass(slots=True, eq=False)
class Call:
    """`targets = fn(*args, **keywords)`; where `unpack`, the targets take a tuple apart.

    A target may itself be a tuple of targets.
    """

    targets: tuple[Var | tuple[Var, ...], ...]
    fn: Prim | Operand
    args: tuple[Operand, ...]
    where: Where
    keywords: tuple[tuple[str, Operand], ...] = ()
    unpack: bool = False


@dataclass(slots=True, eq=False)
class Move:
    """`target = value`."""

    target: Var
    value: Operand
    where: Where


@dataclass(slots=True, eq=False)
class Block:
    """Statements, and what the block hands over to the statement that holds it."""

    body: list[Statement] = field(default_factory=list)
    yields: tuple[Operand, ...] = ()
    raises: bool = False


@dataclass(slots=True, eq=False)
class If:
    """One of two blocks; `targets` take the yields of the one that ran.

    `records` are those of the targets that only the blocks of later branches with the same test
    take apart: each side has its own structure there.
    """

    test: Operand
    then: Block
    orelse: Block
    targets: tuple[Var, ...]
    where: Where
    records: tuple[Var, ...] = ()


@dataclass(slots=True, eq=False)
class For:
    """A loop over an iterable.

    `params` hold the carried variables at the start of an iteration: `inits` at first, then the
    body's yields; `targets` hold them after the loop. Each of `collected` is the list of what an
    operand of `collect` was in every iteration. `stop`, where true, ends the loop after this
    iteration.
    """

    item: Var
    iterable: Operand
    params: tuple[Var, ...]
    inits: tuple[Operand, ...]
    body: Block
    targets: tuple[Var, ...]
    where: Where
    stop: Operand | None = None
    collected: tuple[Var, ...] = ()
    collect: tuple[Operand, ...] = ()


@dataclass(slots=True, eq=False)
class While:
    """A loop as long as the first carried variable is true; otherwise as `For`."""

    params: tuple[Var, ...]
    inits: tuple[Operand, ...]
    body: Block
    targets: tuple[Var, ...]
    where: Where
    collected: tuple[Var, ...] = ()
    collect: tuple[Operand, ...] = ()


@dataclass(slots=True, eq=False)
class Function:
    """A nested `def` or `lambda`, kept as syntax: it is transformed when it is called.

    `defaults` are the default values in order: positional ones, then keyword-only ones.
    """

    target: Var
    node: ast.FunctionDef | ast.Lambda
    defaults: tuple[Operand, ...]
    where: Where


@dataclass(slots=True, eq=False)
class Raise:
    """`raise exception from cause`; ends its block."""

    exception: Operand | None
    cause: Operand | None
    where: Where


Statement = Call | Move | If | For | While | Function | Raise


@dataclass(slots=True, eq=False)
class Program:
    """A function as statements.

    Attributes:
        name, filename: of the user's function.
        args: its signature, without annotations; defaults are placeholders.
        params: the variables that the signature binds, in order.
        block: the statements.
        result: what it returns.
        cells: own variables that nested functions capture.
        freevars: captured variables of enclosing functions.
        modules: global names that were bound to modules when the program was made.
        builtins: names that were not shadowed by globals when the program was made.
        flags: the `__future__` flags that the function was compiled under.
        names: every identifier of the function's syntax; names made later keep clear of them.
        cotangents: its values are cotangents, of which `None` is zero.
        returned: the base of the variable that holds the result, where control never reaches the
            end of the function without a `return`: its first value, `None`, is never seen then.
        returns: the lines of statements such as `return x`, by the name.
    """

    name: str
    filename: str
    args: ast.arguments
    params: tuple[Var, ...]
    block: Block
    result: Operand
    where: Where
    cells: tuple[str, ...] = ()
    freevars: tuple[str, ...] = ()
    modules: dict[str, Any] = field(default_factory=dict)
    builtins: tuple[str, ...] = ()
    names: frozenset[str] = frozenset()
    flags: int = 0
    returned: str | None = None
    cotangents: bool = False
    returns: dict[str, Where] = field(default_factory=dict)


def blocks_of(statement: Statement) -> tuple[Block, ...]:
    """The blocks that a statement holds."""
    if isinstance(statement, If):
        return statement.then, statement.orelse
    if isinstance(statement, For | While):
        return (statement.body,)
    return ()


def flat(targets: tuple) -> tuple[Var, ...]:
    """All variables of targets that may be tuples of targets."""
    if not any(isinstance(target, tuple) for target in targets):
        return targets
    return tuple(v for t in targets for v in (flat(t) if isinstance(t, tuple) else (t,)))


def targets_of(statement: Statement) -> tuple[Var, ...]:
    """The variables that a statement assigns in the block it stands in."""
    if isinstance(statement, Move | Function):
        return (statement.target,)
    if isinstance(statement, Call):
        return flat(statement.targets)
    if isinstance(statement, If):
        return statement.targets
    if isinstance(statement, For | While):
        return (*statement.targets, *statement.collected)
    return ()


def inputs_of(statement: Statement) -> Iterator[Operand]:
    """The operands that a statement itself reads (not those inside its blocks)."""
    match statement:
        case Call():
            if not isinstance(statement.fn, Prim):
                yield statement.fn
            yield from statement.args
            for _, operand in statement.keywords:
                yield operand
        case Move():
            yield statement.value
        case If():
            yield statement.test
        case For():
            yield statement.iterable
            yield from statement.inits
        case While():
            yield from statement.inits
        case Function():
            yield from statement.defaults
        case Raise():
            yield from (o for o in (statement.exception, statement.cause) if o is not None)
