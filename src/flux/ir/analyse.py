"""Facts about programs: which variables are used, which may carry a derivative."""

from __future__ import annotations

from dataclasses import replace

from flux.ir import prims
from flux.ir.program import (
    Block,
    Call,
    Const,
    For,
    Function,
    If,
    Move,
    Operand,
    Prim,
    Program,
    Var,
    While,
    blocks_of,
    inputs_of,
    targets_of,
)
from flux.ir.texts import text_variables

__all__ = [
    "active_variables",
    "lower_collects",
    "outer_variables",
    "prune",
    "take_keywords",
    "walk",
]


def walk(block: Block):
    """All statements of a block, those inside branches and loops included."""
    for statement in block.body:
        yield statement
        for inner in blocks_of(statement):
            yield from walk(inner)


def prune(program: Program) -> None:
    """Drop what nobody reads: branch results, carried variables and flags. In place."""
    while _prune_once(program):
        pass


def _prune_once(program: Program) -> bool:
    used: set[Operand | None] = {program.result}
    joins = []
    for statement in walk(program.block):
        if isinstance(statement, If | For | While):
            joins.append(statement)
        used.update(inputs_of(statement))
        match statement:
            case For():
                used.update([statement.stop, *statement.collect])
            case While():
                used.update(statement.collect)
    changed = False
    # What a target takes is used only if the target is: look at yields by target.
    while True:
        more = set()
        for statement in joins:
            if isinstance(statement, If):
                for i, target in enumerate(statement.targets):
                    if target in used:
                        more.update((statement.then.yields[i], statement.orelse.yields[i]))
            else:
                first = isinstance(statement, While)
                for i, param in enumerate(statement.params):
                    if param in used or statement.targets[i] in used or (first and i == 0):
                        more.add(statement.body.yields[i])
        if more <= used:
            break
        used |= more
    for block in _blocks(program.block):
        kept = []
        for statement in block.body:
            if isinstance(statement, Move) and _is_flag(statement) and statement.target not in used:
                if statement.target.base not in program.cells:
                    changed = True
                    continue
            changed |= _narrow(statement, used)
            kept.append(statement)
        block.body = kept
    return changed


def _is_flag(statement: Move) -> bool:
    return isinstance(statement.value, Const) and isinstance(statement.value.value, bool)


def _blocks(block: Block):
    yield block
    for statement in walk(block):
        yield from blocks_of(statement)


def _narrow(statement, used: set) -> bool:
    """Drop the unused targets of a branch or loop."""
    if isinstance(statement, If):
        keep = [i for i, t in enumerate(statement.targets) if t in used]
        if len(keep) == len(statement.targets):
            return False
        statement.targets = tuple(statement.targets[i] for i in keep)
        for block in (statement.then, statement.orelse):
            block.yields = tuple(block.yields[i] for i in keep)
        return True
    if isinstance(statement, For | While):
        first = isinstance(statement, While)
        keep = [
            i
            for i, (param, target) in enumerate(
                zip(statement.params, statement.targets, strict=True)
            )
            if param in used or target in used or (first and i == 0)
        ]
        if len(keep) == len(statement.params):
            return False
        statement.params = tuple(statement.params[i] for i in keep)
        statement.targets = tuple(statement.targets[i] for i in keep)
        statement.inits = tuple(statement.inits[i] for i in keep)
        statement.body.yields = tuple(statement.body.yields[i] for i in keep)
        return True
    return False


PURE = frozenset(
    [*prims.BINARY.values(), *prims.INPLACE.values(), *prims.UNARY.values(), prims.tuple_]
)
"""Operations whose result carries a derivative only if an argument does."""


def active_variables(program: Program) -> set[Var]:
    """The variables that may carry a derivative: a fixpoint from the parameters."""
    active: set[Var] = set(program.params)
    texts = text_variables(program)

    def carries(operand: Operand) -> bool:
        return isinstance(operand, Var) and operand in active

    def mark(var: Var, flag: bool) -> None:
        if flag and (not var.inert or var in texts):
            active.add(var)

    while True:
        before = len(active)
        for statement in walk(program.block):
            match statement:
                case Call(fn=Prim() as prim) if prim in PURE:
                    for target in targets_of(statement):
                        mark(target, any(map(carries, statement.args)))
                case Call(fn=Prim(inert=True)):
                    for target in texts.intersection(targets_of(statement)):
                        mark(target, any(map(carries, statement.args)))
                case Call() | Function():
                    for target in targets_of(statement):
                        mark(target, True)
                case Move():
                    mark(statement.target, carries(statement.value))
                case If():
                    sides = zip(
                        statement.targets, statement.then.yields, statement.orelse.yields,
                        strict=True,
                    )  # fmt: skip
                    for target, a, b in sides:
                        mark(target, carries(a) or carries(b))
                case For() | While():
                    if isinstance(statement, For):
                        mark(statement.item, True)
                    carried = zip(
                        statement.params, statement.inits, statement.body.yields, statement.targets,
                        strict=True,
                    )  # fmt: skip
                    for param, init, out, target in carried:
                        flag = carries(init) or carries(out)
                        mark(param, flag)
                        mark(target, flag)
        if len(active) == before:
            return active


def outer_variables(block: Block, own: set[Var]) -> list[Var]:
    """The variables that a block reads and does not itself define, in order of first use."""
    defined = set(own)
    for statement in walk(block):
        defined.update(targets_of(statement))
        if isinstance(statement, For | While):
            defined.update(statement.params)
            if isinstance(statement, For):
                defined.add(statement.item)
    read: dict[Var, None] = {}

    def note(operands) -> None:
        for operand in operands:
            if isinstance(operand, Var) and operand not in defined:
                read.setdefault(operand)

    for inner in _blocks(block):
        for statement in inner.body:
            note(inputs_of(statement))
            if isinstance(statement, For):
                note([statement.stop])
            if isinstance(statement, For | While):
                note(statement.collect)
        note(inner.yields)
    return list(read)


def take_keywords(program: Program) -> None:
    """Let a program start with the statement that makes `**keywords` a value. In place."""
    body = program.block.body
    started = body and isinstance(body[0], Call) and body[0].fn is prims.var_keywords
    if program.args.kwarg and not started:
        body.insert(0, Call((), prims.var_keywords, (program.params[-1],), program.where))


def lower_collects(block: Block) -> Block:
    """A copy with what loops collect as appends to a list, for a second differentiation."""
    body = []
    for statement in block.body:
        if isinstance(statement, If):
            sides = lower_collects(statement.then), lower_collects(statement.orelse)
            statement = replace(statement, then=sides[0], orelse=sides[1])
        if isinstance(statement, For | While):
            inner = lower_collects(statement.body)
            for var, operand in zip(statement.collected, statement.collect, strict=True):
                body.append(Call((var,), prims.list_, (), statement.where))
                args = (var, Const("append"), operand)
                nothing = Var(f"{var.name}.none", f"{var.base}_none")
                inner.body.append(Call((nothing,), prims.call_method, args, statement.where))
            statement = replace(statement, body=inner, collected=(), collect=())
        body.append(statement)
    return replace(block, body=body)
