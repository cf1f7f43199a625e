"""From a function's syntax tree to its structured SSA program.

`Parser` walks the statements with an environment that maps each local name to its current variable.
Expressions become one call each. Early exits disappear: what follows an `if` that returns moves
into the side that goes on; inside loops they become flags that guard the rest.
"""

from __future__ import annotations
import __future__

import ast
import builtins
import copy
from collections.abc import Callable, Iterable, Sequence
from types import FunctionType, ModuleType

from flux.errors import NotDifferentiable, source_line
from flux.ir import prims
from flux.ir.analyse import prune, take_keywords
from flux.ir.handlers import Handlers, Trial
from flux.ir.patterns import Patterns
from flux.ir.pins import settle
from flux.ir.program import (
    UNDEFINED,
    Block,
    Call,
    Const,
    For,
    Function,
    Global,
    If,
    Move,
    Operand,
    Prim,
    Program,
    Raise,
    Var,
    Where,
    While,
)
from flux.ir.scope import (
    always_exits,
    assigned_names,
    deleted_names,
    free_names,
    has_exit,
    item_owners,
    parameter_names,
    scope_of,
    tried_names,
)
from flux.ir.sharing import guard_writes
from flux.ir.source import Source, find_source

__all__ = ["parse"]

PyCF_MASK = sum({getattr(__future__, name).compiler_flag for name in __future__.all_feature_names})
RESULT, RETURNED = "result", "returned"
UNBOUND = Const(prims.UNSET, "unset")
"""The value of a name without one, where a read of it is to be caught by a `try`."""
REDUCERS = frozenset("sum list tuple set frozenset dict max min sorted zip enumerate".split())


def parse(fn: FunctionType) -> Program:
    """The program of the Python function `fn`.

    Raises: `SourceError` without source; `NotDifferentiable` for a generator, a coroutine, or a
    construct that is not covered and that every call of `fn` would run.
    """
    source = find_source(fn)
    return Parser(fn, source).program()


class Parser(Handlers, Patterns):
    """Turns one function into a program; a new one is made for every function."""

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

    # -- the whole function ----------------------------------------------------------------

    def program(self) -> Program:
        node = self.node
        where = Where.of(node)
        if isinstance(node, ast.AsyncFunctionDef) or self.fn.__code__.co_flags & 0x20:
            kind = "an async function" if isinstance(node, ast.AsyncFunctionDef) else "a generator"
            self.refuse(node, f"`{self.fn.__name__}` is {kind}", "Return a list instead.")
        names = parameter_names(node.args)
        params = tuple(self.define(name) for name in names)
        for name in names:
            if name in self.scope.shared:
                args = (Global(f"_cell_{name}"), self.env[name])
                self.emit(Call((), prims.init_cell, args, where))
        self.env[self.returned_base] = Const(False)
        self.env[self.result_base] = Const(None)
        if isinstance(node, ast.Lambda):
            result = self.expression(node.body)
        else:
            self.statements(node.body)
            result = self.env[self.result_base]
        result = settle(self.block, params, result, self.pins, self.fresh)
        program = Program(
            name=self.fn.__name__,
            filename=self.source.file.name,
            args=plain_arguments(node.args),
            params=params,
            block=self.block,
            result=result,
            where=where,
            cells=tuple(sorted(self.scope.shared)),
            freevars=self.freevars,
            modules=self.modules,
            builtins=tuple(self.builtins),
            names=frozenset(self.taken),
            flags=self.fn.__code__.co_flags & PyCF_MASK,
        )
        take_keywords(program)
        prune(program)
        guard_writes(program, self.scope.bound)
        return program

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

    # -- names -----------------------------------------------------------------------------

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

    def define(self, name: str, inert: bool = False) -> Var:
        self.env[name] = var = self.version(name, inert)
        return var

    def mangled(self, name: str) -> str:
        owner = self.source.owner
        if owner and name.startswith("__") and not name.endswith("__"):
            return f"_{owner.lstrip('_')}{name}"
        return name

    def is_cell(self, name: str) -> bool:
        return name in self.scope.shared or name in self.freevars

    def is_special(self, name: str) -> bool:
        """Does `name` live in a cell or in the globals?"""
        return self.is_cell(self.mangled(name)) or name in self.scope.written

    def read(self, name: str, where: Where) -> Operand:
        name = self.mangled(self.renamed.get(name, name))
        if self.is_cell(name):
            return self.read_cell(name, where)
        if name in self.scope.bound or name in self.env:
            value = self.env.get(name, UNDEFINED)
            if value is UNDEFINED:
                return self.undefined(name)
            return self.read_local(name, value, where)
        if self.is_written(name) or (self.trials and not self.is_known(name)):
            target = self.temp()
            args = (Global("_globals"), Const(name))
            self.emit(Call((target,), prims.load_global, args, where))
            return target
        self.note_module(name)
        return Global(name)

    def read_cell(self, name: str, where: Where) -> Operand:
        target, cell = self.temp(), Global(f"_cell_{name}")
        if self.trials and name in self.scope.shared and name not in self.filled:
            self.emit(Call((target,), prims.read_cell, (cell, Const(name)), where))
        else:
            self.emit(Call((target,), prims.load_cell, (cell, Global(name)), where))
        return target

    def read_local(self, name: str, value: Operand, where: Where) -> Operand:
        if not isinstance(value, Var):
            return value
        pin = self.pin(value, where)
        return self.call(prims.bound, (pin, Const(name)), where) if value in self.doubtful else pin

    def pin(self, value: Var, where: Where) -> Var:
        """`value` as it is read here; `settle` drops the pins of names that keep their value."""
        pin = Var("", "", value.inert)
        self.pins[pin] = value
        self.block.body.append(Move(pin, value, where))
        return pin

    def undefined(self, name: str) -> Operand:
        """A read before any assignment: Python itself raises when it gets here."""
        if self.trials:
            return self.call(prims.unbound, (Const(name),), self.trials[-1].where)
        return Var(f"{name}.undefined", name, inert=True)

    def is_written(self, name: str) -> bool:
        """Does a function of this file assign the global `name`?"""
        return name in self.scope.written or name in self.source.file.written_globals

    def is_known(self, name: str) -> bool:
        """Is `name` a global or built-in now?"""
        return name in self.fn.__globals__ or hasattr(builtins, name)

    def note_module(self, name: str) -> bool:
        value = self.fn.__globals__.get(name)
        if isinstance(value, ModuleType):
            self.modules[name] = value
            return True
        return False

    def is_builtin(self, name: str) -> bool:
        """Is `name` a built-in that neither the function nor its module shadows?"""
        shadowed = name in self.scope.bound or self.is_cell(name) or name in self.scope.written
        if shadowed or name in self.fn.__globals__ or not hasattr(builtins, name):
            return False
        self.builtins[name] = None
        return True

    def assign(self, name: str, value: Operand, where: Where) -> None:
        name = self.mangled(self.renamed.get(name, name))
        if self.is_cell(name):
            self.store_cell(name, value, where)
        elif name in self.scope.written:
            args = (Global("_globals"), Const(name), value)
            self.emit(Call((), prims.store_global, args, where))
        else:
            inert = not isinstance(value, Var) or value.inert
            self.name_result(value, self.define(name, inert), where)

    def name_result(self, value: Operand, target: Var, where: Where) -> None:
        """Let the call that made the temporary `value` assign `target`; else move it there."""
        last = self.block.body[-1] if self.block.body else None
        made = isinstance(last, Call) and not last.unpack and last.targets == (value,)
        if made and value in self.unnamed:
            last.targets = (target,)  # type: ignore[union-attr]
            self.unnamed.discard(value)
        else:
            self.emit(Move(target, value, where))

    def store_cell(self, name: str, value: Operand, where: Where) -> None:
        if name in self.scope.shared and name not in parameter_names(self.node.args):
            # Assigned as Python too, so that the name is the function's own.
            self.emit(Move(self.version(name), value, where))
        self.emit(Call((), prims.store_cell, (Global(f"_cell_{name}"), value), where))
        if self.depth == 0 and not self.trials:
            self.filled.add(name)

    # -- blocks and exits --------------------------------------------------------------------

    def statements(self, body: list[ast.stmt]) -> None:
        for index, node in enumerate(body):
            rest = body[index + 1 :]
            method = getattr(self, f"on_{type(node).__name__}", None)
            if method is None:
                self.refuse(
                    node, f"`{type(node).__name__.lower()}` stands here", "Write it another way."
                )
            if isinstance(node, ast.If) and has_exit([node]):
                self.exiting_if(node, rest)
                return
            method(node)  # type: ignore[misc]
            if isinstance(node, ast.Return | ast.Raise | ast.Break | ast.Continue):
                return
            flags = self.left_by(node)
            if flags:
                self.guarded(flags, rest, Where.of(node))
                return

    def left_by(self, node: ast.stmt) -> list[str]:
        """The flags that say, after a statement, that what follows it is not to run."""
        flags = []
        if isinstance(node, ast.For | ast.While):
            if has_exit([node], loop_level=False):
                flags.append(self.returned_base)
        elif isinstance(node, ast.Try | ast.With | ast.Match) and has_exit([node]):
            flags.append(self.returned_base)
            if self.loops:
                flags += [self.loops[-1].stop, self.loops[-1].skip]
        if self.trials:
            flags.append(self.trials[-1].raised)
        return [f for f in flags if self.env.get(f) not in (None, UNDEFINED, Const(False))]

    def exiting_if(self, node: ast.If, rest: list[ast.stmt]) -> None:
        """An `if` that returns or leaves the loop on some paths, with what follows it."""
        if always_exits(node.body):
            self.branch(node, lambda: self.statements(node.body),
                        lambda: self.statements([*node.orelse, *rest]))  # fmt: skip
        elif always_exits(node.orelse):
            self.branch(node, lambda: self.statements([*node.body, *rest]),
                        lambda: self.statements(node.orelse))  # fmt: skip
        else:
            self.on_If(node)
            flags = [self.returned_base]
            if self.loops:
                flags += [self.loops[-1].stop, self.loops[-1].skip]
            if self.trials:
                flags.append(self.trials[-1].raised)
            self.guarded(flags, rest, Where.of(node))

    def guarded(self, flags: list[str], rest: list[ast.stmt], where: Where) -> None:
        """Run `rest` unless one of the flags is set."""
        if not rest:
            return
        flags = [f for f in flags if self.env.get(f) not in (None, UNDEFINED, Const(False))]
        if not flags:
            self.statements(rest)
            return
        test = self.env[flags[0]]
        self.choose(test, lambda: None, lambda: self.guarded(flags[1:], rest, where), where)

    def branch(self, node: ast.If, then: Callable, orelse: Callable) -> None:
        test, where = self.expression(node.test), Where.of(node)
        self.unless_raised(lambda: self.choose(test, then, orelse, where), where)

    def choose(self, test: Operand, then: Callable, orelse: Callable, where: Where) -> None:
        """An `If` whose two sides are parsed by `then` and `orelse`; their environments merge."""
        before, outer = self.env, self.block
        sides: list[tuple[Block, dict[str, Operand]]] = []
        for side in (then, orelse):
            self.block, self.env = Block(), dict(before)
            self.depth += 1
            try:
                side()
            except Refused as refused:
                self.block = Block()
                self.emit_refusal(refused.error, where)
            self.depth -= 1
            sides.append((self.block, self.env))
        self.block, self.env = outer, before
        (then_block, then_env), (else_block, else_env) = sides
        names = [n for n in {**then_env, **else_env}
                 if then_env.get(n, UNDEFINED) is not else_env.get(n, UNDEFINED)
                 or then_env.get(n, UNDEFINED) is not before.get(n, UNDEFINED)]  # fmt: skip
        targets, yields = [], ([], [])
        for name in names:
            values = then_env.get(name, UNDEFINED), else_env.get(name, UNDEFINED)
            if then_block.raises:
                values = (UNDEFINED, values[1])
            if else_block.raises:
                values = (values[0], UNDEFINED)
            if values == (UNDEFINED, UNDEFINED):
                continue
            inert = all(not isinstance(v, Var) or v.inert for v in values)
            if not (then_block.raises or else_block.raises):
                values = tuple([self.left_as(name, v) for v in values])
            targets.append(self.define(name, inert))
            self.doubt(targets[-1], values)
            yields[0].append(values[0])
            yields[1].append(values[1])
        then_block.yields, else_block.yields = tuple(yields[0]), tuple(yields[1])
        self.emit(If(test, then_block, else_block, tuple(targets), where))
        self.block.raises = then_block.raises and else_block.raises

    def left_as(self, name: str, value: Operand) -> Operand:
        """What a branch or loop leaves in `name`: a mark if it is nothing, and may be read."""
        return UNBOUND if value is UNDEFINED and name in self.tried else value

    def doubt(self, target: Var, values: Iterable[Operand]) -> None:
        """`target` may have no value if one of `values` may have none."""
        if any(value is UNBOUND or value in self.doubtful for value in values):
            self.doubtful.add(target)

    def emit_refusal(self, error: NotDifferentiable, where: Where) -> None:
        self.emit(Raise(Const(error, "refused"), None, where))
        self.block.raises = True

    # -- statements --------------------------------------------------------------------------

    def on_Return(self, node: ast.Return) -> None:
        value = self.expression(node.value) if node.value else Const(None)

        def leave() -> None:
            self.env[self.result_base] = value
            self.env[self.returned_base] = Const(True)
            if self.loops:
                self.env[self.loops[-1].stop] = Const(True)

        self.unless_raised(leave, Where.of(node))

    def on_Break(self, node: ast.Break) -> None:
        self.env[self.loops[-1].stop] = Const(True)
        self.env[self.loops[-1].broken] = Const(True)

    def on_Continue(self, node: ast.Continue) -> None:
        self.env[self.loops[-1].skip] = Const(True)

    def on_If(self, node: ast.If) -> None:
        self.branch(node, lambda: self.statements(node.body), lambda: self.statements(node.orelse))

    def on_For(self, node: ast.For) -> None:
        self.for_each(node, self.expression(node.iter))

    def for_each(self, node: ast.For, iterable: Operand) -> None:
        where = Where.of(node.iter)
        inert = isinstance(iterable, Var) and iterable.inert

        def body(item: Var) -> None:
            self.statements(node.body)

        names = self.assigned_in([node.target, *node.body])

        def loop() -> None:
            self.loop_over(iterable, names, node.target, body, where, inert)
            self.loop_else(node)

        self.unless_raised(loop, where)

    def loop_over(
        self,
        iterable: Operand,
        names: Iterable[str],
        target: ast.expr,
        body: Callable,
        where: Where,
        inert: bool,
    ) -> None:
        """A `For` statement; `body(item)` parses an iteration, `names` are what it may assign."""
        loop = self.open_loop()
        carried, params, inits = self.carry(names, loop)
        outer, self.block = self.block, Block()
        self.depth += 1
        item = self.item(target, inert)
        try:
            if item in self.unnamed:
                self.target(target, item, Where.of(target))
            body(item)
            self.stop_if_raised(loop, where)
        except Refused as refused:
            self.block = Block()
            self.emit_refusal(refused.error, where)
        self.depth -= 1
        self.left = self.loops.pop()
        inner, self.block = self.block, outer
        inner.yields = self.left_in(carried)
        stop = self.env[loop.stop]
        targets = self.after_loop(carried, params, inits, inner.yields)
        self.emit(For(item, iterable, params, inits, inner, targets, where,
                      None if stop == Const(False) else stop))  # fmt: skip

    def item(self, target: ast.expr, inert: bool) -> Var:
        """The variable of an iteration: the loop's target itself where that is a local name."""
        name = target.id if isinstance(target, ast.Name) else None
        name = name and self.mangled(self.renamed.get(name, name))
        if name is None or self.is_cell(name) or name in self.scope.written:
            return self.temp(inert)
        return self.define(name, inert)

    def open_loop(self) -> Loop:
        loop = Loop(self.fresh("stop"), self.fresh("skip"), self.fresh("broken"))
        self.loops.append(loop)
        return loop

    def carry(self, names: Iterable[str], loop: Loop):
        """Start the body of a loop: every name that it may assign gets a parameter."""
        self.env[loop.broken] = Const(False)
        carried = [n for n in sorted({self.renamed.get(n, n) for n in names} | {
            self.result_base, self.returned_base, loop.broken, *self.trial_names()})
            if not self.is_cell(n) and n not in self.scope.written]  # fmt: skip
        inits = self.left_in(carried)
        params = tuple(
            self.define(name, inert=name in (self.returned_base, loop.broken, *self.trial_names()))
            for name in carried
        )
        for name, param, init in zip(carried, params, inits, strict=True):
            self.doubt(param, (init, UNBOUND) if name in self.tried & self.deleted else (init,))
        for flag in (loop.stop, loop.skip, loop.broken, self.returned_base):
            self.env[flag] = Const(False)
        if self.trials:
            self.env[self.trials[-1].raised] = Const(False)
        return carried, params, inits

    def left_in(self, names: Iterable[str]) -> tuple[Operand, ...]:
        return tuple([self.left_as(name, self.env.get(name, UNDEFINED)) for name in names])

    def trial_names(self) -> tuple[str, ...]:
        """The names of the exception of the innermost `try`, and of its flag."""
        return (self.trials[-1].exception, self.trials[-1].raised) if self.trials else ()

    def stop_if_raised(self, loop: Loop, where: Where) -> None:
        """At the end of an iteration: an exception on its way ends the loop."""
        raised = self.env[self.trials[-1].raised] if self.trials else Const(False)
        if raised != Const(False) and self.env[loop.stop] != Const(True):

            def stop() -> None:
                self.env[loop.stop] = Const(True)

            self.choose(raised, stop, lambda: None, where)

    def after_loop(self, carried, params, inits, yields) -> tuple[Var, ...]:
        """The carried variables after the loop; a flag that no iteration sets keeps its value."""
        targets = tuple(self.define(name, p.inert) for name, p in zip(carried, params, strict=True))
        for name, param, init, value in zip(carried, params, inits, yields, strict=True):
            self.doubt(self.env[name], (param, value))  # type: ignore[arg-type]
            if value is param or value == init == Const(False):
                self.env[name] = UNDEFINED if init is UNBOUND else init
        if self.loops and self.env[self.returned_base] != Const(False):
            self.env[self.loops[-1].stop] = self.env[self.returned_base]
        return targets

    def loop_else(self, node: ast.For | ast.While) -> None:
        """The `else` of a loop runs unless the loop was left by `break` or `return`."""
        if node.orelse:
            self.guarded([self.returned_base, self.left.broken], node.orelse, Where.of(node))

    def on_While(self, node: ast.While) -> None:
        where = Where.of(node.test)
        go = self.fresh("go")
        self.env[go] = self.as_variable(self.expression(node.test), go, where)
        loop = self.open_loop()
        names = self.assigned_in([node.test, *node.body])
        carried, params, inits = self.carry(names, loop)
        go_init, go_param = self.env[go], self.version(go, inert=True)
        outer, self.block = self.block, Block()
        self.depth += 1
        try:
            self.statements(node.body)
            self.stop_if_raised(loop, where)
            self.test_again(node, loop, go, where)
        except Refused as refused:
            self.block = Block()
            self.env[go] = Const(False)
            self.emit_refusal(refused.error, where)
        self.depth -= 1
        self.left = self.loops.pop()
        inner, self.block = self.block, outer
        inner.yields = (self.env[go], *self.left_in(carried))
        targets = self.after_loop(carried, params, inits, inner.yields[1:])
        self.emit(While((go_param, *params), (go_init, *inits), inner,
                        (self.version(go, inert=True), *targets), where))  # fmt: skip
        self.loop_else(node)

    def test_again(self, node: ast.While, loop: Loop, go: str, where: Where) -> None:
        """The test of the next iteration, unless this one left the loop."""

        def test() -> None:
            self.env[go] = self.as_variable(self.expression(node.test), go, where)

        def leave() -> None:
            self.env[go] = Const(False)

        stop = self.env[loop.stop]
        if stop == Const(True):
            leave()
        elif stop == Const(False):
            test()
        else:
            self.choose(stop, leave, test, where)

    def temporary(self, value: Operand, where: Where) -> Operand:
        """A variable of our own with this value, which no later assignment changes."""
        return self.as_variable(value, self.fresh("subject"), where, inert=False)

    def as_variable(self, value: Operand, base: str, where: Where, inert: bool = True) -> Var:
        var = self.version(base, inert)
        self.emit(Move(var, value, where))
        return var

    def on_Assign(self, node: ast.Assign) -> None:
        first = node.targets[0]
        paired = len(node.targets) == 1 and isinstance(first, ast.Tuple | ast.List)
        values = node.value
        if paired and isinstance(values, ast.Tuple) and _plain_pair(first, values):
            self.assign_each(first.elts, values.elts)  # type: ignore[union-attr]
            return
        value = self.expression(node.value)
        if len(node.targets) > 1:
            self.unnamed.discard(value)
        for target in node.targets:
            self.target(target, value, Where.of(node))

    def assign_each(self, targets: list[ast.expr], values: list[ast.expr]) -> None:
        """`a, b = x, y` without the tuple: all values are read before the first is assigned."""
        for target, value in zip(targets, self.operands(values), strict=True):
            self.target(target, value, Where.of(target))

    def target(self, node: ast.expr, value: Operand, where: Where) -> None:
        """Assign `value` to an assignment target, if no exception is on its way."""
        self.unless_raised(lambda: self.assign_to(node, value, where), where)

    def assign_to(self, node: ast.expr, value: Operand, where: Where) -> None:
        match node:
            case ast.Name(id=name):
                self.assign(name, value, where)
            case ast.Attribute(value=owner, attr=attr):
                args = (self.expression(owner), Const(self.mangled(attr)), value)
                self.emit(Call((), prims.setattr_, args, where))
            case ast.Subscript(value=owner, slice=index):
                place = self.place(owner)
                self.put_item(place, self.index(index), value, where)
            case ast.Tuple(elts=elts) | ast.List(elts=elts):
                self.unpack(elts, value, where)
            case _:
                self.refuse(node, f"assignment to `{ast.unparse(node)}`", "Assign to a name.")

    def unpack(self, elts: list[ast.expr], value: Operand, where: Where) -> None:
        stars = [i for i, elt in enumerate(elts) if isinstance(elt, ast.Starred)]
        items = tuple(self.temp() for _ in elts)
        names = [elt.id for elt in elts if isinstance(elt, ast.Name)]
        named = len({*names}) == len(elts) and not self.trials
        if named and not any(self.is_special(name) for name in names):
            items = tuple(self.define(self.mangled(self.renamed.get(n, n))) for n in names)
            elts = []
        if stars:
            after = len(elts) - stars[0] - 1
            args: tuple[Operand, ...] = (value, Const(stars[0]), Const(after))
            self.emit(Call(items, prims.unpack_star, args, where, unpack=True))
        else:
            args = (value, Const(len(items)))
            self.emit(Call(items, prims.unpack, args, where, unpack=True))
        for elt, item in zip(elts, items, strict=False):
            self.target(elt.value if isinstance(elt, ast.Starred) else elt, item, where)

    def on_AugAssign(self, node: ast.AugAssign) -> None:
        where, prim = Where.of(node), prims.INPLACE[type(node.op)]
        match node.target:
            case ast.Name(id=name):
                old = self.read(name, where)
                new = self.call(prim, (old, self.expression(node.value)), where)
                self.unless_raised(lambda: self.assign(name, new, where), where)
            case ast.Attribute(value=owner, attr=attr):
                owner_value, name = self.expression(owner), Const(self.mangled(attr))
                old = self.call(prims.getattr_, (owner_value, name), where)
                new = self.call(prim, (old, self.expression(node.value)), where)
                self.emit(Call((), prims.setattr_, (owner_value, name, new), where))
            case ast.Subscript(value=owner, slice=index):
                place, at = self.place(owner), self.index(index)
                old = self.call(prims.getitem, (place[-1][0], at), where)
                new = self.call(prim, (old, self.expression(node.value)), where)
                self.put_item(place, at, new, where)

    def place(self, node: ast.expr) -> list[tuple[Operand, Callable[[Operand], None] | None]]:
        """What an item is to be assigned in, and how it is put back where it came from.

        For `a.b[i][j] = v`: `a.b`, then `a.b[i]`. An array that cannot change is replaced by the
        changed one, outwards, up to the name or attribute that holds it.
        """
        where = Where.of(node)
        match node:
            case ast.Subscript(value=owner, slice=index):
                before = self.place(owner)
                holder, at = before[-1][0], self.index(index)
                value = self.call(prims.getitem, (holder, at), where)
                return [*before, (value, lambda new: self.put_array(before, at, new, where))]
            case ast.Attribute(value=owner, attr=attr):
                holder, name = self.expression(owner), Const(self.mangled(attr))
                value = self.call(prims.getattr_, (holder, name), where)
                put = lambda new: Call((), prims.put_attribute, (holder, name, new), where)  # noqa: E731
                return [(value, lambda new: self.emit(put(new)))]
            case ast.Name(id=name) if self.is_local(name):
                owner = self.expression(node)
                return [(owner, lambda new: self.put_name(name, owner, new, where))]
        return [(self.expression(node), None)]

    def put_name(self, name: str, owner: Operand, new: Operand, where: Where) -> None:
        """Let a local name hold what its value `owner` became, if it still holds `owner`."""

        def put() -> None:
            self.assign(name, new, where)

        def put_if_held() -> None:
            own = self.mangled(self.renamed.get(name, name))
            if isinstance(owner, Var) and self.env.get(own) is self.pins.get(owner):
                put()
                return
            held = (self.read(name, where), owner)
            self.choose(self.call(prims.COMPARE[ast.Is], held, where), put, lambda: None, where)

        self.unless_raised(put_if_held, where)

    def assigned_in(self, nodes: list) -> set[str]:
        """The names that statements assign, or whose arrays they change and so assign anew."""
        return assigned_names(nodes) | (item_owners(nodes) & self.scope.bound)

    def is_local(self, name: str) -> bool:
        """Is `name` a variable of this function that no nested function shares?"""
        name = self.mangled(self.renamed.get(name, name))
        return name in self.env and not self.is_cell(name) and name not in self.scope.written

    def put_item(self, place, index: Operand, value: Operand, where: Where) -> None:
        """`owner[index] = value` for the innermost owner of a place."""
        owner, put_back = place[-1]
        if put_back is None:
            self.emit(Call((), prims.setitem, (owner, index, value), where))
        else:
            put_back(self.call(prims.update_item, (owner, index, value), where))

    def put_array(self, place, index: Operand, value: Operand, where: Where) -> None:
        """The same if `value` is an array; what changes in place is where it belongs already."""
        owner, put_back = place[-1]
        prim = prims.put_item
        if put_back is None:
            self.emit(Call((), prim, (owner, index, value), where))
        else:
            put_back(self.call(prim, (owner, index, value), where))

    def on_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self.target(node.target, self.expression(node.value), Where.of(node))

    def on_Expr(self, node: ast.Expr) -> None:
        if not isinstance(node.value, ast.Constant):
            self.expression(node.value)

    def on_Pass(self, node: ast.stmt) -> None:
        pass

    on_Global = on_Nonlocal = on_Pass

    def on_Assert(self, node: ast.Assert) -> None:
        where = Where.of(node)

        def fail() -> None:
            args = (self.expression(node.msg),) if node.msg else ()
            error = self.call(Global("AssertionError"), args, where)
            self.unless_raised(lambda: self.throw(error, where), where)

        self.choose(self.expression(node.test), lambda: None, fail, where)

    def on_Delete(self, node: ast.Delete) -> None:
        for target in node.targets:
            where = Where.of(target)
            match target:
                case ast.Name(id=name) if not self.is_cell(name):
                    self.read(name, where)
                    self.unless_raised(lambda: self.delete(name, where), where)  # noqa: B023
                case ast.Attribute(value=owner, attr=attr):
                    args = (self.expression(owner), Const(self.mangled(attr)))
                    self.emit(Call((), prims.delattr_, args, where))
                case ast.Subscript(value=owner, slice=index):
                    args = (self.expression(owner), self.index(index))
                    self.emit(Call((), prims.delitem, args, where))
                case _:
                    self.refuse(node, f"`{ast.unparse(node)}`", "Delete a name, attribute or item.")

    def delete(self, name: str, where: Where) -> None:
        self.emit(Move(self.version(name, inert=True), UNDEFINED, where))
        self.env[name] = UNDEFINED

    def on_FunctionDef(self, node: ast.FunctionDef) -> None:
        where = Where.of(node)
        decorators = self.operands(node.decorator_list)
        value = self.nested(node)
        for decorator, at in zip(reversed(decorators), reversed(node.decorator_list), strict=True):
            value = self.call(decorator, (value,), Where.of(at))
        self.unless_raised(lambda: self.assign(node.name, value, where), where)

    def on_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            name = alias.name if alias.asname else alias.name.partition(".")[0]
            self.import_name(alias.name, None, None, alias.asname or name, node)
            if not alias.asname and "." in alias.name:
                self.import_name(name, None, None, name, node)

    def on_ImportFrom(self, node: ast.ImportFrom) -> None:
        package = self.fn.__globals__.get("__package__")
        for alias in node.names:
            module = "." * node.level + (node.module or "")
            self.import_name(module, package, alias.name, alias.asname or alias.name, node)

    def import_name(self, module, package, attribute, name: str, node: ast.stmt) -> None:
        args = (Const(module), Const(package), Const(attribute))
        where = Where.of(node)
        value = self.call(prims.import_, args, where)
        self.unless_raised(lambda: self.assign(name, value, where), where)

    # -- expressions -------------------------------------------------------------------------

    def expression(self, node: ast.expr) -> Operand:
        """Emit what `node` computes; return where its value is found."""
        method = getattr(self, f"on_{type(node).__name__}", None)
        if method is None:
            self.refuse(node, f"`{ast.unparse(node)}`", "Write it another way.")
        return method(node)  # type: ignore[misc]

    def operands(self, nodes: list[ast.expr]) -> tuple[Operand, ...]:
        """Several expressions, left to right."""
        return tuple([self.expression(node) for node in nodes])

    def call(self, fn: Prim | Operand, args, where: Where, keywords=()) -> Var:
        target = self.temp(inert=isinstance(fn, Prim) and fn.inert)
        self.emit(Call((target,), fn, tuple(args), where, tuple(keywords)))
        return target

    def on_Constant(self, node: ast.Constant) -> Operand:
        return Const(node.value)

    def on_Name(self, node: ast.Name) -> Operand:
        return self.read(node.id, Where.of(node))

    def on_BinOp(self, node: ast.BinOp) -> Operand:
        return self.call(
            prims.BINARY[type(node.op)], self.operands([node.left, node.right]), Where.of(node)
        )

    def on_UnaryOp(self, node: ast.UnaryOp) -> Operand:
        value = self.expression(node.operand)
        if isinstance(node.op, ast.USub) and isinstance(value, Const) and value.name is None:
            return Const(-value.value)
        prim = prims.not_ if isinstance(node.op, ast.Not) else prims.UNARY[type(node.op)]
        return self.call(prim, (value,), Where.of(node))

    def on_Compare(self, node: ast.Compare) -> Operand:
        where = Where.of(node)
        if len(node.ops) == 1:
            operands = self.operands([node.left, node.comparators[0]])
            return self.call(prims.COMPARE[type(node.ops[0])], operands, where)
        return self.chain(self.expression(node.left), list(node.ops), list(node.comparators), where)

    def chain(self, left: Operand, ops: list, rights: list[ast.expr], where: Where) -> Operand:
        """`a < b < c`: the middle is evaluated once, the last only if the first holds."""
        right = self.expression(rights[0])
        test = self.call(prims.COMPARE[type(ops[0])], (left, right), where)
        if len(ops) == 1:
            return test
        return self.either(
            test, lambda: self.chain(right, ops[1:], rights[1:], where), lambda: test, where
        )

    def either(self, test: Operand, then: Callable, orelse: Callable, where: Where) -> Operand:
        """A conditional value: `then()` or `orelse()`, only one of which is evaluated."""
        base = self.fresh(f"t{self.versions.get('', 0) + 1}")
        self.versions[""] = self.versions.get("", 0) + 1

        def side(value: Callable) -> Callable:
            def run() -> None:
                self.env[base] = value()

            return run

        self.choose(test, side(then), side(orelse), where)
        return self.env.pop(base)

    def on_BoolOp(self, node: ast.BoolOp) -> Operand:
        return self.bool_op(isinstance(node.op, ast.And), node.values, Where.of(node))

    def bool_op(self, conjunction: bool, values: list[ast.expr], where: Where) -> Operand:
        first = self.expression(values[0])
        if len(values) == 1:
            return first

        def rest() -> Operand:
            return self.bool_op(conjunction, values[1:], where)

        def stay() -> Operand:
            return first

        sides = (rest, stay) if conjunction else (stay, rest)
        return self.either(first, *sides, where)

    def on_IfExp(self, node: ast.IfExp) -> Operand:
        return self.either(
            self.expression(node.test),
            lambda: self.expression(node.body),
            lambda: self.expression(node.orelse),
            Where.of(node),
        )

    def on_NamedExpr(self, node: ast.NamedExpr) -> Operand:
        value = self.expression(node.value)
        if self.trials or self.is_special(node.target.id):
            self.unnamed.discard(value)
            self.target(node.target, value, Where.of(node))
            return value
        self.assign(node.target.id, value, Where.of(node))
        return self.read(node.target.id, Where.of(node))

    def on_Attribute(self, node: ast.Attribute) -> Operand:
        path = self.module_path(node)
        if path:
            return Global(path)
        args = (self.expression(node.value), Const(self.mangled(node.attr)))
        return self.call(prims.getattr_, args, Where.of(node))

    def module_path(self, node: ast.Attribute) -> str | None:
        """The spelling of `np.linalg.norm`, if `np` is a global that is bound to a module."""
        parts = []
        current: ast.expr = node
        while isinstance(current, ast.Attribute):
            parts.append(current.attr)
            current = current.value
        if not isinstance(current, ast.Name) or not isinstance(self.peek(current.id), ModuleType):
            return None
        value: object = self.peek(current.id)
        for attr in reversed(parts[1:]):
            value = getattr(value, attr, None)
            if not isinstance(value, ModuleType):
                return None
        self.note_module(current.id)
        return ".".join([current.id, *reversed(parts)])

    def peek(self, name: str) -> object:
        """What a global name is bound to now; `None` for local names."""
        if name in self.scope.bound or self.is_cell(name) or name in self.env:
            return None
        if self.is_written(name):
            return None
        return self.fn.__globals__.get(name)

    def on_Subscript(self, node: ast.Subscript) -> Operand:
        args = (self.expression(node.value), self.index(node.slice))
        return self.call(prims.getitem, args, Where.of(node))

    def index(self, node: ast.expr) -> Operand:
        return self.expression(node)

    def on_Slice(self, node: ast.Slice) -> Operand:
        parts = [
            self.expression(p) if p else Const(None) for p in (node.lower, node.upper, node.step)
        ]
        return self.call(prims.slice_, parts, Where.of(node))

    def on_Tuple(self, node: ast.Tuple) -> Operand:
        return self.sequence(node, node.elts, prims.tuple_, prims.merge_tuple)

    def on_List(self, node: ast.List) -> Operand:
        return self.sequence(node, node.elts, prims.list_, prims.merge_list)

    def on_Set(self, node: ast.Set) -> Operand:
        return self.sequence(node, node.elts, prims.set_, None)

    def sequence(self, node: ast.expr, elts: list[ast.expr], build: Prim, merge: Prim | None):
        where = Where.of(node)
        stars = [isinstance(elt, ast.Starred) for elt in elts]
        if not any(stars):
            return self.call(build, self.operands(elts), where)
        if merge is None:
            self.refuse(node, "a set display with `*`", "Use `set().union(...)`.")
        values = []
        for index, elt in enumerate(elts):
            value = self.expression(elt.value if isinstance(elt, ast.Starred) else elt)
            if stars[index] and _acts(elts[index + 1 :]):
                flag = self.call(prims.tuple_, [Const(True)], where)
                value = self.call(prims.merge_tuple, (flag, value), where)
            values.append(value)
        flags = self.call(prims.tuple_, [Const(s) for s in stars], where)
        return self.call(merge, (flags, *values), where)  # type: ignore[arg-type]

    def on_Dict(self, node: ast.Dict) -> Operand:
        if any(key is None for key in node.keys):
            return self.merged(node.keys, node.values, Where.of(node))
        pairs: list[Operand] = []
        for key, value in zip(node.keys, node.values, strict=True):
            pairs += self.operands([key, value])  # type: ignore[list-item]
        return self.call(prims.dict_, pairs, Where.of(node))

    def merged(
        self, keys: Sequence[ast.expr | None], values: list[ast.expr], where: Where
    ) -> Operand:
        """A dictionary of keys and values; a mapping without a key is merged as it is then."""
        pairs: list[Operand] = []
        for index, (key, node) in enumerate(zip(keys, values, strict=True)):
            pairs.append(self.expression(key) if key else Const(None))
            value = self.expression(node)
            later = [n for n in (*keys[index + 1 :], *values[index + 1 :]) if n]
            if key is None and _acts(later):
                value = self.call(prims.merge_dict, (Const(None), value), where)
            pairs.append(value)
        return self.call(prims.merge_dict, pairs, where)

    def on_JoinedStr(self, node: ast.JoinedStr) -> Operand:
        parts: list[Operand] = []
        where = Where.of(node)
        for index, part in enumerate(node.values):
            if not isinstance(part, ast.FormattedValue):
                parts += [self.expression(part), Const(None), Const("")]
                continue
            value = self.expression(part.value)
            spec = self.expression(part.format_spec) if part.format_spec else Const("")
            triple = [value, Const(part.conversion), spec]
            if _acts(node.values[index + 1 :]):  # Python has the text before it goes on.
                triple = [self.call(prims.fstring, triple, where), Const(-1), Const("")]
            parts += triple
        return self.call(prims.fstring, parts, where)

    def on_Lambda(self, node: ast.Lambda) -> Operand:
        return self.nested(node)

    def nested(self, node: ast.FunctionDef | ast.Lambda) -> Operand:
        """A nested function stays as it is; its cells carry what it captured."""
        captured = {self.renamed[n] for n in free_names(node) if n in self.renamed}
        if captured:
            self.refuse(
                node, "a function that captures the variable of a comprehension",
                "Hand the variable over as a default: `lambda x, k=k: ...`.",
            )  # fmt: skip
        args = node.args
        defaults = [self.expression(d) for d in args.defaults]
        defaults += [self.expression(d) for d in args.kw_defaults if d]
        target = self.temp()
        self.emit(Function(target, node, tuple(defaults), Where.of(node)))
        return target

    # -- calls -------------------------------------------------------------------------------

    def on_Call(self, node: ast.Call) -> Operand:
        where = Where.of(node)
        name = node.func.id if isinstance(node.func, ast.Name) else None
        if name == "super" and not node.args and self.is_builtin("super"):
            return self.zero_argument_super(node)
        if name in ("any", "all") and _is_generator(node) and self.is_builtin(name):
            return self.any_all(node, name == "any")
        if name in ("locals", "eval", "exec", "vars") and self.is_builtin(name) and not node.args:
            self.refuse(node, f"`{name}()`", "Name the variables.")
        if any(isinstance(a, ast.GeneratorExp) for a in node.args):
            node = self.without_generators(node, name)
        starred = any(isinstance(a, ast.Starred) for a in node.args)
        if starred or any(k.arg is None for k in node.keywords):
            return self.starred_call(node, where)
        if name in prims.INERT_BUILTINS and self.is_builtin(name):
            return self.arguments(node, prims.INERT_BUILTINS[name], (), where)
        if isinstance(node.func, ast.Attribute) and not self.module_path(node.func):
            owner = self.expression(node.func.value)
            attr = Const(self.mangled(node.func.attr))
            return self.arguments(node, prims.call_method, (owner, attr), where)
        return self.arguments(node, self.expression(node.func), (), where)

    def arguments(self, node: ast.Call, fn: Prim | Operand, first: tuple, where: Where) -> Operand:
        values = self.operands([*node.args, *(k.value for k in node.keywords)])
        names = [k.arg for k in node.keywords]
        keywords = zip(names, values[len(node.args) :], strict=True)
        return self.call(fn, (*first, *values[: len(node.args)]), where, keywords)

    def starred_call(self, node: ast.Call, where: Where) -> Operand:
        fn = self.expression(node.func)
        args = self.sequence(node, node.args, prims.tuple_, prims.merge_tuple)
        names = [ast.Constant(k.arg) if k.arg else None for k in node.keywords]
        keywords = self.merged(names, [k.value for k in node.keywords], where)
        return self.call(prims.call_star, (fn, args, keywords), where)

    def zero_argument_super(self, node: ast.Call) -> Operand:
        where = Where.of(node)
        cls = self.read("__class__", where)
        first = parameter_names(self.node.args)[0]
        target = self.temp(inert=True)
        own = self.read(first, where)
        self.emit(Call((target,), Prim("super", super, None, inert=True), (cls, own), where))
        return target

    def without_generators(self, node: ast.Call, name: str | None) -> ast.Call:
        """A generator expression that is consumed at once is a list comprehension."""
        joins = isinstance(node.func, ast.Attribute) and node.func.attr in ("join", "extend")
        known = joins or (name in REDUCERS and self.is_builtin(name or ""))
        node = copy.copy(node)
        args = []
        for arg in node.args:
            if isinstance(arg, ast.GeneratorExp):
                if not known:
                    self.refuse(arg, "a generator expression", "Make it a list: `[...]`.")
                arg = ast.copy_location(ast.ListComp(arg.elt, arg.generators), arg)
            args.append(arg)
        node.args = args
        return node

    def any_all(self, node: ast.Call, is_any: bool) -> Operand:
        """`any(...)` and `all(...)` of a generator expression stop at the first answer."""
        generator = node.args[0]
        assert isinstance(generator, ast.GeneratorExp)
        found = self.fresh("found")
        self.scope.bound.add(found)
        test = generator.elt if is_any else ast.UnaryOp(ast.Not(), generator.elt)
        leaf: ast.stmt = ast.If(test, [_set(found, is_any), ast.Break()], [])
        if len(generator.generators) > 1:
            self.refuse(generator, "a nested generator expression", "Make it a list: `[...]`.")
        clause = generator.generators[0]
        for condition in reversed(clause.ifs):
            leaf = ast.If(condition, [leaf], [])
        start = _set(found, not is_any)
        loop = ast.For(clause.target, clause.iter, [leaf], [])
        for statement in (start, loop):
            _locate(ast.fix_missing_locations(ast.copy_location(statement, node)), node)
        self.on_Assign(start)
        iterable = self.expression(clause.iter)
        rename = self.comprehension_names(generator.generators)
        self.for_each(loop, iterable)
        self.renamed = rename
        return self.env[found]

    # -- comprehensions ----------------------------------------------------------------------

    def on_ListComp(self, node: ast.ListComp) -> Operand:
        return self.comprehension(node, prims.list_, lambda: ("append", [node.elt]))

    def on_SetComp(self, node: ast.SetComp) -> Operand:
        return self.comprehension(node, prims.set_, lambda: ("add", [node.elt]))

    def on_DictComp(self, node: ast.DictComp) -> Operand:
        return self.comprehension(node, prims.dict_, lambda: (None, [node.key, node.value]))

    def on_GeneratorExp(self, node: ast.GeneratorExp) -> Operand:
        self.refuse(node, "a generator expression", "Make it a list: `[...]`.")
        raise AssertionError

    def comprehension_names(self, clauses: list[ast.comprehension]) -> dict[str, str]:
        """Give the targets names of their own; returns the renaming that was in force."""
        before = self.renamed
        self.renamed = dict(before)
        for clause in clauses:
            for name in assigned_names([clause.target]):
                self.renamed[name] = own = self.fresh(name)
                self.scope.bound.add(own)
        return before

    def comprehension(self, node, build: Prim, parts: Callable) -> Operand:
        """Build an empty container and fill it in nested loops."""
        where = Where.of(node)
        method, values = parts()
        result = (
            self.call(build, (), where)
            if build is not prims.set_
            else self.call(Global("set"), (), where)
        )
        first = self.expression(node.generators[0].iter)
        walrus = {n.target.id for n in ast.walk(node) if isinstance(n, ast.NamedExpr)}
        before = self.comprehension_names(node.generators)

        def add() -> None:
            operands = self.operands(values)
            if method is None:
                self.emit(Call((), prims.setitem, (result, *operands), where))
            else:
                self.call(prims.call_method, (result, Const(method), *operands), where)

        def clause(index: int) -> None:
            if index == len(node.generators):
                add()
                return
            generator = node.generators[index]
            iterable = first if index == 0 else self.expression(generator.iter)
            names = assigned_names([g.target for g in node.generators[index:]]) | walrus

            def body(item: Var) -> None:
                conditions(list(generator.ifs), index)

            inert = isinstance(iterable, Var) and iterable.inert
            self.unless_raised(
                lambda: self.loop_over(iterable, names, generator.target, body, where, inert), where
            )

        def conditions(tests: list[ast.expr], index: int) -> None:
            if not tests:
                clause(index + 1)
                return
            self.choose(
                self.expression(tests[0]), lambda: conditions(tests[1:], index), lambda: None, where
            )

        clause(0)
        self.renamed = before
        return result


class Loop:
    """The flags of a loop that is being parsed, by name.

    Attributes:
        stop: the loop ends after this iteration.
        skip: the rest of this iteration is skipped.
        broken: a `break` ended the loop (its `else` does not run).
    """

    def __init__(self, stop: str, skip: str, broken: str):
        self.stop, self.skip, self.broken = stop, skip, broken


class Refused(Exception):
    """A construct in a branch is refused when the branch is reached, not before."""

    def __init__(self, error: NotDifferentiable):
        super().__init__(error)
        self.error = error


def plain_arguments(args: ast.arguments) -> ast.arguments:
    """The signature without annotations; defaults become placeholders."""
    plain = copy.deepcopy(args)
    for arg in [*plain.posonlyargs, *plain.args, *plain.kwonlyargs, plain.vararg, plain.kwarg]:
        if arg:
            arg.annotation = None
    plain.defaults = [ast.copy_location(ast.Constant(None), d) for d in plain.defaults]
    plain.kw_defaults = [d and ast.copy_location(ast.Constant(None), d) for d in plain.kw_defaults]
    return plain


def identifiers(node: ast.AST) -> set[str]:
    """Every name that occurs in the syntax: names made by us keep clear of them."""
    found = {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}
    return found | {n.arg for n in ast.walk(node) if isinstance(n, ast.arg)}


def _plain_pair(target: ast.expr, value: ast.Tuple) -> bool:
    stars = [*target.elts, *value.elts]  # type: ignore[attr-defined]
    return len(target.elts) == len(value.elts) and not any(  # type: ignore[attr-defined]
        isinstance(e, ast.Starred) for e in stars
    )


def _acts(nodes: list[ast.expr]) -> bool:
    """May evaluating the expressions change something that was read before?"""
    acting = ast.Call | ast.NamedExpr | ast.Attribute | ast.Subscript | ast.BinOp
    return any(isinstance(n, acting) for node in nodes for n in ast.walk(node))


def _is_generator(node: ast.Call) -> bool:
    return len(node.args) == 1 and isinstance(node.args[0], ast.GeneratorExp)


def _set(name: str, value: bool) -> ast.Assign:
    return ast.Assign([ast.Name(name, ast.Store())], ast.Constant(value))


def _locate(tree: ast.AST, node: ast.AST) -> None:
    for child in ast.walk(tree):
        if not hasattr(child, "end_lineno"):
            ast.copy_location(child, node)
