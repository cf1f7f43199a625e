"""What a function's parser knows while it walks, and what its parts ask of each other."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Sequence
from types import FunctionType, ModuleType

from flux.errors import NotDifferentiable, source_line
from flux.ir import prims
from flux.ir.program import Block, Const, Operand, Prim, Var, Where
from flux.ir.scope import deleted_names, parameter_names, scope_of, tried_names
from flux.ir.source import Source

__all__ = ["Loop", "RESULT", "RETURNED", "Refused", "State", "Trial", "UNBOUND"]

RESULT, RETURNED = "result", "returned"
UNBOUND = Const(prims.UNSET, "unset")
"""The value of a name without one, where a read of it is to be caught by a `try`."""


class Loop:
    """The flags of a loop that is being parsed, by name.

    Attributes:
        stop: the loop ends after this iteration.
        skip: the rest of this iteration is skipped.
        broken: a `break` ended the loop (its `else` does not run).
    """

    def __init__(self, stop: str, skip: str, broken: str):
        self.stop, self.skip, self.broken = stop, skip, broken


class Trial:
    """A `try` that is being parsed.

    Attributes:
        exception, raised: the names of its exception and of the flag that there is one.
        depth: how many loops are around it.
        where: the range of the `try`.
        catches: it has handlers; else it only cleans up.
    """

    def __init__(self, exception: str, raised: str, depth: int, where: Where, catches: bool):
        self.exception, self.raised, self.depth, self.where = exception, raised, depth, where
        self.catches = catches


class Refused(Exception):
    """A construct in a branch is refused when the branch is reached, not before."""

    def __init__(self, error: NotDifferentiable):
        super().__init__(error)
        self.error = error


class State:
    """One function on its way to a program: the block that grows, and what each name holds.

    Attributes:
        env: by name, the variable that holds its value now.
        block: where statements are added.
        depth: how many branches and loops are around.
        pins: of each reading of a local name, the variable that was read (see `flux.ir.pins`).
        unnamed: temporaries whose call may still assign a name directly.
        renamed: names inside a comprehension, by the names that they have in the source.
        doubtful: variables that may be without a value.
        filled: names in cells that have a value for certain.
        loops, trials, handled: the loops, `try` statements and caught exceptions around.
    """

    # What the parts of the parser provide.
    assign: Callable[[str, Operand, Where], None]
    define: Callable[..., Var]
    delete: Callable[[str, Where], None]
    is_builtin: Callable[[str], bool]
    is_cell: Callable[[str], bool]
    is_local: Callable[[str], bool]
    is_special: Callable[[str], bool]
    module_path: Callable[[ast.Attribute], str | None]
    read: Callable[[str, Where], Operand]
    choose: Callable[[Operand, Callable, Callable, Where], None]
    doubt: Callable[[Var, Iterable[Operand]], None]
    emit_refusal: Callable[[NotDifferentiable, Where], None]
    guarded: Callable[[list[str], list[ast.stmt], Where], None]
    left_as: Callable[[str, Operand], Operand]
    statements: Callable[[list[ast.stmt]], None]
    for_each: Callable[[ast.For, Operand], None]
    loop_over: Callable[[Operand, Iterable[str], ast.expr, Callable, Where, bool], None]
    on_Assign: Callable[[ast.Assign], None]
    target: Callable[[ast.expr, Operand, Where], None]
    as_variable: Callable[..., Var]
    call: Callable[..., Var]
    expression: Callable[[ast.expr], Operand]
    index: Callable[[ast.expr], Operand]
    merged: Callable[[Sequence[ast.expr | None], list[ast.expr], Where, Prim], Operand]
    operands: Callable[[list[ast.expr]], tuple[Operand, ...]]
    sequence: Callable[[ast.expr, list[ast.expr], Prim, Prim | None], Operand]
    any_all: Callable[[ast.Call, bool], Operand]
    without_generators: Callable[[ast.Call, str | None], ast.Call]
    emit: Callable[..., None]
    throw: Callable[[Operand, Where], None]
    unless_raised: Callable[[Callable[[], None], Where], None]

    def __init__(self, fn: FunctionType, source: Source):
        self.fn, self.source, self.node = fn, source, source.node
        self.scope = scope_of(self.node)
        self.freevars = fn.__code__.co_freevars
        self.env: dict[str, Operand] = {}
        self.block = Block()
        self.taken = {*self.scope.bound, *self.freevars, *identifiers(self.node)}
        self.versions: dict[str, int] = {}
        self.renamed: dict[str, str] = {}
        self.unnamed: set[Operand] = set()
        self.pins: dict[Var, Var] = {}
        self.returns: dict[str, Where] = {}
        self.tried = {self.mangled(name) for name in tried_names(self.node)}
        self.deleted = deleted_names(self.node) if self.tried else set()
        self.doubtful: set[Operand] = set()
        self.filled = set(parameter_names(self.node.args))
        self.loops: list[Loop] = []
        self.trials: list[Trial] = []
        self.handled: list[Operand] = []
        self.left = Loop("", "", "")
        self.depth = 0
        self.modules: dict[str, ModuleType] = {}
        self.builtins: dict[str, None] = {}
        self.result_base = self.fresh(RESULT)
        self.returned_base = self.fresh(RETURNED)

    def refuse(self, node: ast.AST, what: str, hint: str):
        """Refuse a construct: at once if every call would run it, else when it is reached."""
        line = getattr(node, "lineno", self.node.lineno)
        error = NotDifferentiable(
            f"{what}, which the automatic differentiation does not cover.",
            where=source_line(self.source.file.name, line),
            hint=hint + "\nOr give the function around it a derivative with @flux.rule, or declare "
            "that it has none with flux.nograd.",
        )
        if self.depth == 0:
            raise error
        raise Refused(error)

    def fresh(self, base: str) -> str:
        """A Python name that the function does not use."""
        name, count = base, 0
        while name in self.taken:
            count += 1
            name = f"{base}_{count}"
        self.taken.add(name)
        return name

    def version(self, base: str, inert: bool = False) -> Var:
        """A new variable of the name `base`."""
        count = self.versions.get(base, 0)
        self.versions[base] = count + 1
        return Var(base if count == 0 else f"{base}.{count}", base, inert)

    def temp(self, inert: bool = False) -> Var:
        count = self.versions.get("", 0) + 1
        self.versions[""] = count
        temp = self.version(self.fresh(f"t{count}"), inert)
        self.unnamed.add(temp)
        return temp

    def mangled(self, name: str) -> str:
        owner = self.source.owner
        if owner and name.startswith("__") and not name.endswith("__"):
            return f"_{owner.lstrip('_')}{name}"
        return name


def identifiers(node: ast.AST) -> set[str]:
    """Every name that occurs in the syntax: names made by us keep clear of them."""
    found = [n for n in ast.walk(node) if isinstance(n, ast.Name | ast.arg)]
    return {n.id if isinstance(n, ast.Name) else n.arg for n in found}
