"""Blocks, branches and early exits; statements that assign nothing.

Early exits disappear: what follows an `if` that returns moves into the side that goes on; elsewhere
they become flags that guard the rest.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable

from flux.errors import NotDifferentiable
from flux.ir.program import UNDEFINED, Block, Const, Global, If, Operand, Raise, Var, Where
from flux.ir.scope import always_exits, has_exit
from flux.ir.state import UNBOUND, Refused, State

__all__ = ["Blocks"]


class Blocks(State):
    """The part of the parser that knows blocks and branches."""

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
            if self.loops and has_exit(node.orelse):
                flags += [self.loops[-1].stop, self.loops[-1].skip]
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

    def on_If(self, node: ast.If) -> None:
        self.branch(node, lambda: self.statements(node.body), lambda: self.statements(node.orelse))

    def on_Return(self, node: ast.Return) -> None:
        value = self.expression(node.value) if node.value else Const(None)
        if value in self.pins:
            self.returns[self.pins[value].base] = Where.of(node)  # type: ignore[index]

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
