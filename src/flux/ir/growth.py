"""Lists that a loop does nothing to but append: what it appends can be collected instead."""

from __future__ import annotations

from flux.ir import prims
from flux.ir.analyse import walk
from flux.ir.program import (
    Block,
    Call,
    Const,
    For,
    Move,
    Operand,
    Prim,
    Program,
    Statement,
    Var,
    While,
    blocks_of,
    flat,
    inputs_of,
)

__all__ = ["growing_lists"]


def growing_lists(program: Program) -> dict[int, tuple[Var, ...]]:
    """By `id` of a loop over items: the lists that each of its iterations makes longer.

    A list counts if this program made it, no iteration of the loop (nor of a loop around it that
    the list outlives) does anything to it but append, outside of branches, and nothing before the
    loop could give it another name.
    """
    made = made_lists(program)
    found: dict[int, tuple[Var, ...]] = {}
    order = {id(statement): place for place, statement in enumerate(walk(program.block))}
    for chain in chains_of(program.block, ()):
        loop = chain[-1]
        lists = [v for v in made if grows(v, made[v], chain, program.block, order)]
        if lists:
            found[id(loop)] = tuple(lists)
    return found


def made_lists(program: Program) -> dict[Var, Statement]:
    """The lists that a program makes, and where they get the name that they keep."""
    made: dict[Var, Statement] = {}
    for statement in walk(program.block):
        if isinstance(statement, Call) and is_operation(statement, prims.list_):
            made[flat(statement.targets)[0]] = statement
        elif isinstance(statement, Move) and statement.value in made:
            only = [s for s in walk(program.block) if reads(s, statement.value)] == [statement]
            if only and program.result != statement.value:
                del made[statement.value]
                made[statement.target] = statement
    return made


def is_operation(call: Call, prim: Prim) -> bool:
    """Is a call that operation, in an adjoint too?"""
    return call.fn is prim or (isinstance(call.fn, Const) and call.fn.name == prim.name)


def chains_of(block: Block, around: tuple[Statement, ...]):
    """Every loop over items, after the statements that it stands in."""
    for statement in block.body:
        chain = (*around, statement)
        if isinstance(statement, For):
            yield chain
        for inner in blocks_of(statement):
            yield from chains_of(inner, chain)


def grows(var: Var, made: Statement, chain: tuple, block: Block, order: dict[int, int]) -> bool:
    """Does the last loop of the chain do nothing to the list `var` but append?"""
    inside = [statement for statement in chain if made not in walk_all(statement)]
    if not inside or inside[-1] is not chain[-1]:
        return False  # it is made in the loop itself
    if not all([isinstance(statement, For) for statement in inside]):
        return False
    outermost = inside[0]
    within = [s for s in walk_all(outermost) if reads(s, var)]
    straight = {id(s) for s in appends_in(outermost, var)}
    if not within or any([id(s) not in straight for s in within]):
        return False
    before = [s for s in walk(block) if reads(s, var) and order[id(s)] < order[id(outermost)]]
    return all([is_append(s, var) for s in before]) and bool(appends_in(chain[-1], var))


def walk_all(statement: Statement):
    """A statement, and all inside it."""
    yield statement
    for inner in blocks_of(statement):
        yield from walk(inner)


def appends_in(loop: For, var: Var):
    """The appends that every iteration comes to, those of loops inside it included."""
    found = []
    for statement in loop.body.body:
        if is_append(statement, var):
            found.append(statement)
        elif isinstance(statement, For):
            found += appends_in(statement, var)
    return found


def is_append(statement: Statement, var: Var) -> bool:
    """`var.append(value)`."""
    if not isinstance(statement, Call) or not is_operation(statement, prims.call_method):
        return False
    args = statement.args
    return args[:2] == (var, Const("append")) and var not in args[2:] and not statement.keywords


def reads(statement: Statement, var: Operand) -> bool:
    """Does a statement itself, or the end of one of its blocks, read the variable?"""
    ends = [o for inner in blocks_of(statement) for o in inner.yields]
    if isinstance(statement, For | While):
        ends += statement.collect
    stop = statement.stop if isinstance(statement, For) else None
    return var in (*inputs_of(statement), *ends, stop)
