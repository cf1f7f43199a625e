"""Write a program as Python whose branches and loops are calls: their blocks become functions.

    def then_1():                        if t:
        x_1 = x * 2                          x = x * 2
        return (x_1,)                    else:
    def else_1():                            x = x + 1
        x_1 = x + 1
        return (x_1,)
    (x,) = if_(t, then_1, else_1, region)

What `if_`, `for_` and `while_` do with them is the compiler's affair: run one of them, or make
control flow of a compiled program of all. A variable that may be unbound holds `undefined`.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from flux.errors import is_users, source_line, user_line
from flux.ir import prims
from flux.ir.analyse import outer_variables, walk
from flux.ir.emit import Writer, place
from flux.ir.growth import growing_lists
from flux.ir.program import (
    NO_RESULT,
    UNDEFINED,
    Block,
    Call,
    Const,
    For,
    Global,
    If,
    Move,
    Operand,
    Prim,
    Program,
    Statement,
    Var,
    Where,
    While,
    inputs_of,
)
from flux.ir.texts import ERRORS
from flux.ir.unbound import Unbound, is_unassigned

__all__ = ["Control", "Region", "RegionWriter", "Undefined", "undefined"]


class Undefined:
    """The type of the value of a variable that is not bound."""

    __slots__ = ()
    __constant__ = True

    def __repr__(self):
        return "undefined"

    def __bool__(self):
        raise UnboundLocalError("a variable is used before it is assigned")


undefined = Undefined()


@dataclass(frozen=True, eq=False)
class Region:
    """A branch or loop of a program: what its run time knows of it.

    Attributes:
        names: of the variables that it hands over, in order.
        filename, where: its place in the user's source.
        cotangents: they are cotangents, of which `None` is zero.
        records: the places among `names` of what only one side of a branch uses.
        collects: the number of values that every iteration of a loop leaves behind.
        grows: what the body calls the lists that it does nothing to but append.
        flagged: the places of variables that may be unbound, and are read later.
        unasked: of those, the ones that the body of a loop does not read before it assigns them.
    """

    names: tuple[str, ...]
    filename: str
    where: Where
    cotangents: bool = False
    records: frozenset[int] = frozenset()
    collects: int = 0
    grows: tuple[str, ...] = ()
    flagged: frozenset[int] = frozenset()
    unasked: frozenset[int] = frozenset()

    @property
    def line(self) -> str | None:
        """Its place in words; of a program of ours, the line of the user's that called it."""
        here = source_line(self.filename, self.where.line)
        return here if is_users(self.filename) else user_line() or here


@dataclass(frozen=True)
class Control:
    """What a program that is written so calls.

    Attributes:
        if_: `if_(test, then, orelse, region)`.
        for_: `for_(body, iterable, inits, region)`; the body returns its yields, whether to stop,
            and what to collect.
        while_: `while_(body, inits, region)`; the body returns its yields and what to collect.
        message: makes the text of an exception.
        bound: `bound(value, name)`: the value, unless the variable of this name is not bound;
            a third argument says that it is one of an enclosing function.
        call: calls a function of the user's; `None` where calls stay as they are.
        prims: what is called in place of operations of the language.
        callees: by `id`, what is called in place of a constant that is called.
        instead: by `id`, what stands in place of a constant elsewhere.
    """

    if_: Callable
    for_: Callable
    while_: Callable
    message: Callable
    bound: Callable
    call: Callable | None = None
    prims: dict[Prim, Callable] = field(default_factory=dict)
    callees: dict[int, Any] = field(default_factory=dict)
    instead: dict[int, Any] = field(default_factory=dict)


class Frame:
    """One of the functions that are written.

    Attributes:
        outer: names of enclosing functions that it reads, which it must not assign.
        own: how it calls its variables, by their base.
    """

    def __init__(self, outer: set[str]):
        self.outer, self.own = outer, {}


class RegionWriter(Writer):
    """Writes the statements of one program, each block as a function."""

    def __init__(self, program: Program, control: Control):
        super().__init__(program)
        self.control = control
        self.unbound = Unbound(program)
        self.messages = messages_of(program)
        self.growing = growing_lists(program)
        self.count = 0
        self.taken = set(program.names)
        self.called: dict[Var, str] = {param: param.base for param in program.params}
        self.frames = [Frame(set())]

    def cell_of(self, name: str) -> list[ast.stmt]:
        if name in self.program.names - {param.base for param in self.program.params}:
            # No statement of this function may assign it, if only its blocks do.
            made = ast.Assign([ast.Name(name, ast.Store())], ast.Constant(None))
            return [made, ast.Delete([ast.Name(name, ast.Del())]), *super().cell_of(name)]
        return super().cell_of(name)

    # -- names ---------------------------------------------------------------------------------

    def name(self, var: Var) -> str:
        return self.called.get(var) or super().name(var)

    def store(self, target: Var | tuple) -> ast.expr:
        if isinstance(target, tuple):
            return super().store(target)
        return ast.Name(self.define(target), ast.Store())

    def define(self, var: Var) -> str:
        """The name of a variable that the function being written assigns."""
        frame = self.frames[-1]
        base = super().name(var)
        name = frame.own.get(base)
        if name is None:
            name = self.unused(base) if base in frame.outer else base
            frame.own[base] = name
        self.called[var] = name
        return name

    def unused(self, base: str) -> str:
        while True:
            self.count += 1
            name = f"{base}_{self.count}"
            if name not in self.taken:
                self.taken.add(name)
                return name

    def injected(self, value: Any, name: str) -> ast.expr:
        return super().injected(self.control.instead.get(id(value), value), name)

    def value(self, operand: Operand) -> ast.expr:
        """An operand that is handed on, bound or not."""
        if operand is UNDEFINED:
            return self.injected(undefined, "undefined")
        return super().operand(operand)

    def operand(self, operand: Operand) -> ast.expr:
        if is_unassigned(operand):
            return self.checked(UNDEFINED, operand.base)  # type: ignore[union-attr]
        if isinstance(operand, Var) and operand in self.unbound.unset:
            return self.checked(operand, operand.base)
        if isinstance(operand, Global):
            free = operand.path in self.program.freevars
            if free or operand.path in self.program.cells:
                return self.checked(operand, operand.path, free)
        return self.value(operand)

    def checked(self, operand: Operand, name: str, free: bool = False) -> ast.expr:
        """A reading of a variable that may be unbound; `free`: of an enclosing function."""
        args = [self.value(operand), ast.Constant(name), *[ast.Constant(True)] * free]
        return self.called_with("bound", self.control.bound, args)

    def called_with(self, name: str, fn, args: list[ast.expr]) -> ast.expr:
        return ast.Call(self.injected(fn, name), args, [])

    def value_for(self, target: Var, operand: Operand) -> ast.expr:
        """What a variable takes over; the first value of a result that is set later is none."""
        if target.base == self.program.returned and operand is NO_RESULT:
            return self.value(UNDEFINED)
        if isinstance(operand, Var) and self.unbound.is_read(target, operand):
            node = self.operand(operand)
            if target.base == self.program.returned and operand.base in self.program.returns:
                place(node, self.program.returns[operand.base])
            return node
        return self.value(operand)

    def values(self, operands, targets=()) -> ast.expr:
        """Operands that `targets` take over, or that are handed on as they are."""
        if not targets:
            return ast.Tuple([self.value(operand) for operand in operands], ast.Load())
        pairs = zip(targets, operands, strict=True)
        return ast.Tuple([self.value_for(*pair) for pair in pairs], ast.Load())

    def targets(self, variables) -> ast.expr:
        return ast.Tuple([self.store(var) for var in variables], ast.Store())

    # -- statements ----------------------------------------------------------------------------

    def statement(self, statement: Statement) -> list[ast.stmt]:
        if isinstance(statement, Move):
            value = statement.value
            read = isinstance(value, Var)
            node = self.operand(value) if read else self.value_for(statement.target, value)
            return [ast.Assign([self.store(statement.target)], node)]
        return super().statement(statement)

    def call(self, call: Call) -> ast.stmt:
        fn = call.fn
        if isinstance(fn, Prim):
            instead = self.control.prims.get(fn)
            if fn is prims.fstring and call.targets[0] in self.messages:
                instead = self.control.message
            if instead is not None:
                fn = Const(instead, fn.name.replace(" ", "_"))
                call = Call(call.targets, fn, call.args, call.where, call.keywords, call.unpack)
        elif isinstance(fn, Const) and id(fn.value) in self.control.callees:
            fn = Const(self.control.callees[id(fn.value)], fn.name)
            call = Call(call.targets, fn, call.args, call.where, call.keywords, call.unpack)
        elif self.control.call is not None:
            args = (fn, *call.args)
            fn = Const(self.control.call, "call_")
            call = Call(call.targets, fn, args, call.where, call.keywords, call.unpack)
        return super().call(call)

    def region(self, statement: If | For | While) -> ast.expr:
        names = tuple([var.base for var in statement.targets])
        records = frozenset()
        if isinstance(statement, If):
            places = {var: i for i, var in enumerate(statement.targets)}
            records = frozenset([places[var] for var in statement.records if var in places])
        flagged, unasked = self.flagged(statement, records)
        collects = 0 if isinstance(statement, If) else len(statement.collect)
        region = Region(
            names,
            self.program.filename,
            statement.where,
            self.program.cotangents,
            records,
            collects,
            tuple([self.name(var) for var in self.growing.get(id(statement), ())]),
            flagged,
            unasked,
        )
        return self.injected(region, "region")

    def flagged(self, statement: If | For | While, records) -> tuple[frozenset, frozenset]:
        """The places of variables that may be unbound, and those that a body does not read."""
        known, places = self.unbound.flagged, range(len(statement.targets))
        if self.program.cotangents or not known:
            return frozenset(), frozenset()
        found = {i for i in places if statement.targets[i] in known and i not in records}
        if isinstance(statement, If):
            return frozenset(found), frozenset()
        asked = {i for i in places if statement.params[i] in known}
        return frozenset(found | asked), frozenset(found - asked)

    def inner(
        self, kind: str, params: tuple[Var, ...], block: Block, where: Where, ends: Callable
    ) -> ast.FunctionDef:
        """A block as a function of `params` that returns what `ends()` is."""
        outer = {self.name(var) for var in outer_variables(block, set(params))}
        outer |= {o.path.partition(".")[0] for o in globals_of(block)}
        self.frames.append(Frame(outer | set(self.program.cells) | set(self.program.freevars)))
        names = [ast.arg(name) for name in self.parameters(params)]
        body = self.block(block)
        if not block.raises:
            body.append(place(ast.Return(ends()), where))
        self.frames.pop()
        args = ast.arguments([], names, None, [], [], None, [])
        node = ast.FunctionDef(self.unused(kind), args, body or [ast.Pass()], [], None, None)
        node.type_params = []  # type: ignore[attr-defined]
        return place(node, where)

    def parameters(self, params: tuple[Var, ...]) -> list[str]:
        """Names of parameters; of two versions of one variable only the first is read."""
        names: list[str] = []
        for param in params:
            name = self.define(param)
            if name in names:
                name = self.called[param] = self.unused(param.base)
            names.append(name)
        return names

    def branch(self, node: If) -> list[ast.stmt]:
        test = self.operand(node.test)
        sides = [
            self.inner(
                kind, (), block, node.where, lambda b=block: self.values(b.yields, node.targets)
            )
            for kind, block in (("then", node.then), ("else", node.orelse))
        ]
        args = [test, *[ast.Name(side.name, ast.Load()) for side in sides], self.region(node)]
        value = self.called_with("if_", self.control.if_, args)
        if not node.targets:
            return [*sides, ast.Expr(value)]
        return [*sides, ast.Assign([self.targets(node.targets)], value)]

    def loop(self, node: For | While, name: str, fn, body: ast.FunctionDef, args: list):
        inits = self.values(node.inits, node.targets)
        args = [ast.Name(body.name, ast.Load()), *args, inits, self.region(node)]
        value = self.called_with(name, fn, args)
        ends = [self.targets(node.targets), self.targets(node.collected)]
        return [body, ast.Assign([ast.Tuple(ends, ast.Store())], value)]

    def for_loop(self, node: For) -> list[ast.stmt]:
        iterable = self.operand(node.iterable)

        def ends():
            stop = ast.Constant(False) if node.stop is None else self.operand(node.stop)
            parts = [self.values(node.body.yields, node.targets), stop, self.values(node.collect)]
            return ast.Tuple(parts, ast.Load())

        body = self.inner("body", (node.item, *node.params), node.body, node.where, ends)
        return self.loop(node, "for_", self.control.for_, body, [iterable])

    def while_loop(self, node: While) -> list[ast.stmt]:
        def ends():
            parts = [self.values(node.body.yields, node.targets), self.values(node.collect)]
            return ast.Tuple(parts, ast.Load())

        body = self.inner("body", node.params, node.body, node.where, ends)
        return self.loop(node, "while_", self.control.while_, body, [])


def globals_of(block: Block) -> list[Global]:
    """The global names that a block reads."""
    found: list[Global] = []
    for statement in walk(block):
        operands: tuple[Operand, ...] = ()
        if isinstance(statement, Call):
            operands = (*statement.args, *[o for _, o in statement.keywords])
            operands += () if isinstance(statement.fn, Prim) else (statement.fn,)
        elif isinstance(statement, Move):
            operands = (statement.value,)
        found += [o for o in operands if isinstance(o, Global)]
    return found


def messages_of(program: Program) -> set[Operand]:
    """The variables that only go into exceptions, as texts."""
    found: set[Operand] = set()
    other: set[Operand] = set()
    for statement in walk(program.block):
        if isinstance(statement, Call):
            fn, *args = (statement.fn, *statement.args)
            if not isinstance(fn, Global) and args and isinstance(args[0], Global):
                fn = args[0]  # an adjoint calls the run time's `call` with it
            named = isinstance(fn, Global) and fn.path.endswith(ERRORS)
            (found if named else other).update(args)
        else:
            other.update(inputs_of(statement))
    return {o for o in found - other if isinstance(o, Var)}
