"""`try`, `with` and `raise`: exceptions as values.

Inside a `try`, every operation that may raise is *attempted*: it gives a value, the exception if
there was one, and whether there was one. After the first exception the operations that follow are
skipped, up to the handlers; these are branches on the type of the exception. What the `try` does
is then made of calls and branches only, and its adjoint needs nothing new: of what was attempted,
the part that succeeded is reversed.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any

from flux.ir import prims
from flux.ir.program import UNDEFINED, Call, Const, Move, Operand, Prim, Raise, Var, Where
from flux.ir.state import State, Trial

__all__ = ["Handlers"]

SURE = frozenset(
    [prims.tuple_, prims.list_, prims.slice_, prims.not_, prims.load_cell, *prims.ATTEMPTS,
     prims.COMPARE[ast.Is], prims.COMPARE[ast.IsNot]]
)  # fmt: skip
"""Operations that cannot raise; done after an exception they do no harm."""


class Handlers(State):
    """The part of the parser that knows exceptions."""

    # -- operations that may raise ----------------------------------------------------------

    def emit(self, statement) -> None:
        """Add a statement to the block; inside a `try`, a call is attempted."""
        if self.trials and isinstance(statement, Call) and statement.fn not in SURE:
            if statement.fn is prims.fstring:
                self.unless_raised(lambda: self.block.body.append(statement), statement.where)
            else:
                self.attempt(statement)
        else:
            self.block.body.append(statement)

    def attempt(self, call: Call) -> None:
        trial, where = self.trials[-1], call.where
        plain = not call.unpack and len(call.targets) == 1
        value: Any = call.targets[0] if plain else self.version(self.fresh("value"))
        fn = Const(call.fn, call.fn.name.strip("*")) if isinstance(call.fn, Prim) else call.fn
        args = (self.env[trial.raised], self.env[trial.exception], fn, *call.args)
        exception, raised = self.define(trial.exception, True), self.define(trial.raised, True)
        targets = (value, exception, raised)
        body = self.block.body
        caught = any(trial.catches for trial in self.trials)
        attempt = prims.attempt if caught else prims.attempt_through
        body.append(Call(targets, attempt, args, where, call.keywords, unpack=True))
        if call.unpack:
            args = (value, Const(len(call.targets)))
            body.append(Call(call.targets, prims.unpack_attempt, args, where, unpack=True))

    def unless_raised(self, action: Callable[[], None], where: Where) -> None:
        """Do `action` if no exception is on its way."""
        raised = self.env[self.trials[-1].raised] if self.trials else Const(False)
        if raised == Const(False):
            action()
        else:
            self.choose(raised, lambda: None, action, where)

    def throw(self, exception: Operand, where: Where) -> None:
        """Raise `exception`: to the handlers of the `try` around, or out of the function."""
        if self.trials:
            trial = self.trials[-1]
            self.env[trial.exception] = exception
            self.env[trial.raised] = Const(True)
            if len(self.loops) > trial.depth:
                self.env[self.loops[-1].stop] = Const(True)
        else:
            self.block.body.append(Raise(exception, None, where))
            self.block.raises = True

    def on_Raise(self, node: ast.Raise) -> None:
        where = Where.of(node)
        if not self.trials and not (self.handled and node.exc is None):
            exception = self.expression(node.exc) if node.exc else None
            cause = self.expression(node.cause) if node.cause else None
            self.block.body.append(Raise(exception, cause, where))
            self.block.raises = True
            return
        if node.exc is None and self.handled:
            self.throw(self.handled[-1], where)
            return
        value = self.expression(node.exc) if node.exc else Const(None)
        cause = (self.expression(node.cause),) if node.cause else ()
        made = self.call(prims.as_exception, (value, *cause), where)
        self.unless_raised(lambda: self.throw(made, where), where)

    # -- try ----------------------------------------------------------

    def trial(
        self, body: Callable[[], None], where: Where, catches: bool = False
    ) -> tuple[Operand, Operand]:
        """Parse `body`; returns the exception that it raised, and whether it raised one."""
        trial = Trial(self.fresh("error"), self.fresh("raised"), len(self.loops), where, catches)
        self.env[trial.exception], self.env[trial.raised] = Const(None), Const(False)
        self.trials.append(trial)
        body()
        self.trials.pop()
        return self.env.pop(trial.exception), self.env.pop(trial.raised)

    def on_Try(self, node: ast.Try) -> None:
        where = Where.of(node)
        if node.finalbody:
            self.with_cleanup(
                lambda: self.try_except(node, where),
                lambda raised, error: self.statements(node.finalbody),
                where,
            )
        else:
            self.try_except(node, where)

    def try_except(self, node: ast.Try, where: Where) -> None:
        if not node.handlers:
            self.statements(node.body)
            return
        error, raised = self.trial(lambda: self.statements(node.body), where, True)

        def succeed() -> None:
            self.unless_left(lambda: self.statements(node.orelse), where)

        if raised == Const(False):
            succeed()
        else:
            self.choose(raised, lambda: self.handle(node.handlers, error, where), succeed, where)

    def unless_left(self, action: Callable[[], None], where: Where) -> None:
        """Do `action` unless the function or loop was left."""
        flags = [self.returned_base]
        if self.loops:
            flags += [self.loops[-1].stop, self.loops[-1].skip]
        waiting = [f for f in flags if self.env.get(f) not in (None, UNDEFINED, Const(False))]

        def after(rest: list[str]) -> None:
            if not rest:
                action()
            elif self.env[rest[0]] != Const(True):
                self.choose(self.env[rest[0]], lambda: None, lambda: after(rest[1:]), where)

        after(waiting)

    def handle(self, handlers: list[ast.ExceptHandler], error: Operand, where: Where) -> None:
        """The first handler that fits; if none does, the exception goes on."""
        if not handlers:
            self.throw(error, where)
            return
        first, *rest = handlers
        at = Where.of(first)
        if first.type is None:
            self.handler(first, error, at)
            return
        kinds = self.expression(first.type)
        fits = self.call(prims.catches, (error, kinds), at)
        self.unless_raised(
            lambda: self.choose(
                fits,
                lambda: self.handler(first, error, at),
                lambda: self.handle(rest, error, where),
                where,
            ),
            at,
        )

    def handler(self, node: ast.ExceptHandler, error: Operand, where: Where) -> None:
        if node.name:
            self.assign(node.name, error, where)
        self.handled.append(error)
        self.statements(node.body)
        self.handled.pop()
        if node.name and self.env.get(node.name, UNDEFINED) is not UNDEFINED:
            if not self.block.raises:
                self.block.body.append(Move(self.version(node.name, inert=True), UNDEFINED, where))
            self.env[node.name] = UNDEFINED

    def with_cleanup(self, body: Callable, cleanup: Callable, where: Where) -> None:
        """Run `body`, then `cleanup(raised, error)` however the body was left, then go on leaving.

        What `cleanup` returns, if anything, is an operand that is true where the exception is
        not to go on.
        """
        error, raised = self.trial(body, where)
        names = [self.returned_base, self.result_base]
        if self.loops:
            loop = self.loops[-1]
            names += [loop.stop, loop.skip, loop.broken]
        left = {name: self.aside(self.env.get(name, UNDEFINED), where) for name in names}
        for name in names:
            if name != self.result_base:
                self.env[name] = Const(False)
        swallowed = cleanup(raised, error)

        def leave() -> None:
            def again() -> None:
                self.throw(error, where)

            def go_on() -> None:
                self.env.update(left)

            if raised == Const(False):
                go_on()
            elif swallowed is None:
                self.choose(raised, again, go_on, where)
            else:
                self.choose(
                    raised,
                    lambda: self.choose(swallowed, go_on, again, where),
                    go_on,
                    where,
                )

        if not self.block.raises:
            self.unless_left(leave, where)

    def aside(self, value: Operand, where: Where) -> Operand:
        """`value` under a name of its own: its name may be assigned before it is read."""
        if not isinstance(value, Var):
            return value
        kept = self.version(self.fresh(f"{value.base}_before"), value.inert)
        self.block.body.append(Move(kept, value, where))
        return kept

    # -- with ----------------------------------------------------------

    def on_With(self, node: ast.With) -> None:
        self.enter(node.items, node.body, Where.of(node))

    def enter(self, items: list[ast.withitem], body: list[ast.stmt], where: Where) -> None:
        """The managers one inside the other, then the body."""
        if not items:
            self.statements(body)
            return
        item, *rest = items
        manager = self.expression(item.context_expr)
        value = self.call(prims.enter, (manager,), where)

        def inside() -> None:
            if item.optional_vars is not None:
                self.target(item.optional_vars, value, where)
            self.enter(rest, body, where)

        def leave(raised: Operand, error: Operand) -> Operand:
            return self.call(prims.exit_, (manager, error), where)

        def all_of_it() -> None:
            self.with_cleanup(inside, leave, where)

        self.unless_raised(all_of_it, where)
