"""`for` and `while`: carried variables, and flags in the place of exits."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable

from flux.ir.program import UNDEFINED, Block, Const, For, Operand, Var, Where, While
from flux.ir.scope import assigned_names, item_owners
from flux.ir.state import UNBOUND, Loop, Refused, State

__all__ = ["Loops"]


class Loops(State):
    """The part of the parser that knows loops."""

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

    def assigned_in(self, nodes: list) -> set[str]:
        """The names that statements assign, or whose arrays they change and so assign anew."""
        return assigned_names(nodes) | (item_owners(nodes) & self.scope.bound)

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
            kept = value is param and not isinstance(init, Var)
            if kept or value == init == Const(False):
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
