"""From a program to its adjoint: two programs.

The *augmented* program does what the program does and keeps, of every call, its pullback; of every
branch, which side ran; of every loop, one record per iteration. The *back* program takes these
records and the cotangent of the result, walks the statements in reverse and returns the cotangents
of the parameters:

    y = f(x, w)      y, back_1 = call(f, x, w)     ct_x, ct_w = back_1(ct_y, store)

Both are structured SSA programs again, so the transformation applies to its own output.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeGuard

from flux.ad.unknown import text_only
from flux.ir import prims
from flux.ir.analyse import PURE, active_variables, outer_variables, walk
from flux.ir.program import (
    UNDEFINED,
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
    Raise,
    Statement,
    Var,
    Where,
    While,
)

__all__ = ["REVERSED", "Adjoint", "RunTime"]

NONE = Const(None)


@dataclass(frozen=True)
class RunTime:
    """What the generated programs call.

    Attributes:
        augmented: the augmented form of a primitive, for the given mask of active arguments.
        call: `call(f, *args, **kwargs) -> (y, back)` for a callee whose own cotangent is dropped.
        call_value: the same for a callee that may carry a cotangent; `back` returns it first.
        accumulate: the sum of two cotangents, `None` being zero.
        items: iterates over pairs of an item and its pullback.
        pullback: makes the pullback of a generated function from its back program and residuals.
        take_default: takes the cotangent of a function's default value out of the store.
        dense: a cotangent that is kept lazy (rows of an array) as an ordinary array.
    """

    augmented: Callable[[Prim, tuple[bool, ...]], Any]
    call: Callable
    call_value: Callable
    accumulate: Callable
    items: Callable
    pullback: Callable
    take_default: Callable
    dense: Callable


@dataclass
class Step:
    """How to reverse one statement.

    Attributes:
        statement: of the original program.
        record: the variable of the augmented program that holds what the reverse needs.
        inner: the plans of the statement's blocks.
        item_back: of a loop, the variable that holds the pullback of the item.
        saved: of a call whose reverse is in line, the recorded values that it needs.
    """

    statement: Statement
    record: Var | None = None
    inner: tuple[Plan, ...] = ()
    took: Var | None = None
    item_back: Var | None = None
    saved: tuple[Operand, ...] = ()


@dataclass
class Plan:
    """How to reverse a block: its steps, and the variables that they need recorded."""

    steps: list[Step] = field(default_factory=list)
    records: list[Var] = field(default_factory=list)
    kept: dict[Var, Var] = field(default_factory=dict)


def sided_variables(program: Program) -> set[Var]:
    """The variables that hold something else for each side of a branch: the records of sides."""
    found: set[Var] = set()
    for statement in walk(program.block):
        if isinstance(statement, If):
            found.update(statement.records)
        elif isinstance(statement, Call) and any([statement.fn is side for side in SIDES]):
            found.update([v for v in statement.args[:1] if isinstance(v, Var)])
    return found


SIDES = (*prims.TAKE_SIDE.values(), *prims.UNPACK_SIDE.values())


class Adjoint:
    """The adjoint of one program.

    Attributes:
        augmented, back: the two programs. `augmented` lacks its result: `finish(back_function)`
            sets it when the back program has been compiled.
    """

    def __init__(self, program: Program, runtime: RunTime):
        self.program, self.rt = program, runtime
        self.active = active_variables(program)
        self.sum = self.summation()
        self.counts: dict[str, int] = {}
        self.bases: dict[str, str] = {}
        self.lazy: set[Operand] = set()
        self.sided = sided_variables(program)
        self.names = set(program.names)
        self.plan = Plan()
        block, plan = self.augment(program.block)
        plan.records[:0] = self.plan.records
        self.plan = plan
        self.augmented = self.program_like(program.name, program.args, program.params, block)
        self.back = self.reverse()

    def summation(self) -> Prim | Operand:
        """What adds two cotangents."""
        return Const(self.rt.accumulate, "accumulate")

    def program_like(
        self, name: str, args, params, block: Block, result: Operand = NONE
    ) -> Program:
        source = self.program
        own = params is source.params
        return Program(
            name=name,
            filename=source.filename,
            args=args,
            params=params,
            block=block,
            result=result,
            where=source.where,
            cells=source.cells if own else (),
            freevars=source.freevars if own else (),
            names=frozenset(self.names),
            flags=source.flags,
            returned=source.returned if own else None,
            cotangents=source.cotangents or not own,
            returns=source.returns if own else {},
        )

    def finish(self, back_function: Callable) -> Program:
        """Let the augmented program return its result and its pullback."""
        where = self.program.where
        residuals, pullback, pair = (
            self.fresh("residuals"), self.fresh("pullback"), self.fresh("pair"),
        )  # fmt: skip
        args = (Const(back_function, "back_program"), residuals)
        body = self.augmented.block.body
        if not self.augmented.block.raises:
            body.append(Call((residuals,), prims.tuple_, tuple(self.plan.records), where))
            body.append(Call((pullback,), Const(self.rt.pullback, "Pullback"), args, where))
            result = self.program.result
            where = self.program.returns.get(getattr(result, "base", ""), where)
            body.append(Call((pair,), prims.tuple_, (result, pullback), where))
            self.augmented.result = pair
        return self.augmented

    def fresh(self, base: str) -> Var:
        """A new variable under a new name, numbered where needed."""
        while True:
            count = self.counts.get(base, 0)
            self.counts[base] = count + 1
            name = f"{base}_{count + 1}" if count or base in ("back", "steps", "side") else base
            if name not in self.names:
                self.names.add(name)
                return Var(name, name)

    def is_active(self, operand: Operand) -> TypeGuard[Var]:
        return isinstance(operand, Var) and operand in self.active

    # -- the augmented program -----------------------------------------------------------------

    def augment(self, block: Block) -> tuple[Block, Plan]:
        out, plan = Block(raises=block.raises, yields=block.yields), Plan()
        for statement in block.body:
            method = getattr(self, f"augment_{type(statement).__name__.lower()}")
            method(statement, out.body, plan)
        return out, plan

    def augment_call(self, call: Call, out: list, plan: Plan) -> None:
        fn, where = call.fn, call.where
        if isinstance(fn, Prim):
            mask = tuple(self.is_active(a) for a in call.args)
            if fn.inert or (fn in PURE and not any(mask)):
                out.append(call)
                if fn in prims.TEXTS and any(var in self.active for var in call.targets):
                    plan.steps.append(Step(call))
                return
            if fn in prims.FOLLOW_SIDE.values():
                out.append(Call((), prims.FOLLOW_AGAIN, call.args, where))
                return
            callee: Operand = Const(self.rt.augmented(fn, mask), fn.name.strip("*"))
            args = call.args
        else:
            own = self.rt.call_value if self.is_active(fn) else self.rt.call
            callee = Const(own, own.__name__)
            args = (fn, *call.args)
        back = self.fresh("back")
        target: Any = tuple(call.targets)
        if not call.unpack:
            target = target[0] if target else self.fresh("_")
        out.append(Call((target, back), callee, args, where, call.keywords, unpack=True))
        plan.records.append(back)
        plan.steps.append(Step(call, back))

    def augment_move(self, move: Move, out: list, plan: Plan) -> None:
        out.append(move)
        if self.is_active(move.value):
            plan.steps.append(Step(move))

    def augment_function(self, function: Function, out: list, plan: Plan) -> None:
        out.append(function)
        if any(map(self.is_active, function.defaults)):
            plan.records.append(function.target)
            plan.steps.append(Step(function, function.target))

    def augment_raise(self, statement: Raise, out: list, plan: Plan) -> None:
        out.append(statement)

    def augment_if(self, node: If, out: list, plan: Plan) -> None:
        sides = [self.augment(block) for block in (node.then, node.orelse)]
        plans = tuple(side for _, side in sides)
        moved = any(self.is_active(target) for target in node.targets)
        targets: tuple[Var, ...] = node.targets
        step = Step(node, inner=plans)
        extra: list[list[Operand]] = [[], []]
        if moved or any(p.steps for p in plans):
            step.took = took = self.fresh("took")
            targets = (*targets, took)
            extra = [[Const(True)], [Const(False)]]
            plan.records.append(took)
            if any(p.records for p in plans):
                step.record = side = self.fresh("side")
                targets = (*targets, side)
                plan.records.append(side)
                for (block, inner), more in zip(sides, extra, strict=True):
                    if block.raises:
                        more.append(UNDEFINED)
                    else:
                        more.append(self.packed(inner.records, block.body, node.where, side))
            plan.steps.append(step)
        blocks = [
            Block(block.body, (*block.yields, *more), block.raises)
            for (block, _), more in zip(sides, extra, strict=True)
        ]
        new = [var for var in (step.took, step.record) if var is not None]
        records = (*node.records, *new)
        out.append(If(node.test, blocks[0], blocks[1], targets, node.where, records))

    def packed(self, records: list[Var], body: list, where: Where, into: Var) -> Operand:
        """The records of a block as one value, under the name of `into`."""
        if not records:
            return NONE
        if len(records) == 1:
            return records[0]
        pack = Var(self.fresh(into.base).name, into.base)
        body.append(Call((pack,), prims.tuple_, tuple(records), where))
        return pack

    def unpacked(self, records: list[Var], value: Operand, where: Where) -> list[Statement]:
        """The inverse of `packed`, for the back program."""
        if not records:
            return []
        if len(records) == 1:
            return [Move(records[0], value, where)]
        return [Call(tuple(records), prims.unpack, (value, Const(len(records))), where,
                     unpack=True)]  # fmt: skip

    def take_side(self, records: list[Var], value: Operand, side: bool, where: Where) -> None:
        """The inverse of `packed` for a branch, in the block that reverses one of its sides."""
        if len(records) == 1:
            args = (value, self.store)
            self.out.append(Call((records[0],), prims.TAKE_SIDE[side], args, where))
        elif records:
            args = (value, Const(len(records)), self.store)
            unpack = prims.UNPACK_SIDE[side]
            self.out.append(Call(tuple(records), unpack, args, where, unpack=True))

    def augment_for(self, node: For, out: list, plan: Plan) -> None:
        body, inner = self.augment(node.body)
        step = Step(node, inner=(inner,))
        item, iterable = node.item, node.iterable
        if self.is_active(node.iterable) or not self.is_plain_range(node):
            step.item_back = self.fresh("back")
            inner.records.append(step.item_back)
            pair, iterable = self.fresh("pair"), self.fresh("pairs")
            out.append(Call((iterable,), Const(self.rt.items, "items"), (node.iterable,),
                            node.where))  # fmt: skip
            taken = Call((item, step.item_back), prims.unpack, (pair, Const(2)), node.where,
                         unpack=True)  # fmt: skip
            body.body.insert(0, taken)
            item = pair
        collected, collect = self.recorded(step, inner, node, body, plan)
        out.append(For(item, iterable, node.params, node.inits, body, node.targets, node.where,
                       node.stop, collected, collect))  # fmt: skip

    def is_plain_range(self, node: For) -> bool:
        return isinstance(node.iterable, Var) and node.iterable.inert

    def recorded(self, step: Step, inner: Plan, node: For | While, body: Block, plan: Plan):
        """Let the loop collect a record of every iteration, if its reverse needs any."""
        moved = any(self.is_active(t) for t in node.targets)
        if body.raises or not (inner.steps or inner.records or moved):
            return node.collected, node.collect
        step.record = steps = self.fresh("steps")
        record = self.packed(inner.records, body.body, node.where, self.fresh("step"))
        plan.records.append(steps)
        plan.steps.append(step)
        return (*node.collected, steps), (*node.collect, record)

    def augment_while(self, node: While, out: list, plan: Plan) -> None:
        body, inner = self.augment(node.body)
        step = Step(node, inner=(inner,))
        collected, collect = self.recorded(step, inner, node, body, plan)
        out.append(While(node.params, node.inits, body, node.targets, node.where,
                         collected, collect))  # fmt: skip

    # -- the back program ------------------------------------------------------------------------

    def reverse(self) -> Program:
        program, where = self.program, self.program.where
        residuals, ct, store = (self.fresh(n) for n in ("residuals", "ct", "store"))
        self.store = store
        env: Env = {}
        self.out: list[Statement] = self.unpacked_residuals(residuals, where)
        self.contribute(program.result, self.received(ct, where), env, where)
        self.reverse_block(self.plan, env)
        result = self.fresh("cts")
        cts = tuple(env.get(param, self.zero_of(param)) for param in program.params)
        self.out.append(Call((result,), prims.tuple_, cts, where))
        names = [ast.arg(v.base) for v in (residuals, ct, store)]
        args = ast.arguments([], names, None, [], [], None, [])
        return self.program_like(
            program.name, args, (residuals, ct, store), Block(self.out), result
        )

    def received(self, ct: Var, where: Where) -> Operand:
        """The cotangent that the pullback is given, as an ordinary array."""
        if not self.is_active(self.program.result):
            return NONE
        whole = self.cotangent(self.program.result)
        self.out.append(Call((whole,), Const(self.rt.dense, "dense"), (ct,), where))
        return whole

    def unpacked_residuals(self, residuals: Var, where: Where) -> list[Statement]:
        records = self.plan.records
        if not records:
            return []
        count = Const(len(records))
        return [Call(tuple(records), prims.unpack, (residuals, count), where, unpack=True)]

    def reverse_block(self, plan: Plan, env: Env) -> None:
        for step in reversed(plan.steps):
            getattr(self, f"reverse_{type(step.statement).__name__.lower()}")(step, env)

    def cotangent(self, var: Var) -> Var:
        """A new version of the cotangent of `var`; its versions share one Python name."""
        key = f"ct of {var.base}"
        if key not in self.counts:
            base = f"ct_{var.base}"
            while base in self.names:
                base += "_"
            self.names.add(base)
            self.counts[key] = 0
            self.bases[var.base] = base
        self.counts[key] += 1
        base = self.bases[var.base]
        return Var(f"{base}.{self.counts[key]}", base)

    def zero_of(self, var: Var) -> Operand:
        """The cotangent of a variable to which nothing was contributed."""
        return NONE

    def contribute(self, operand: Operand, ct: Operand, env: Env, where: Where) -> None:
        """Add `ct` to the cotangent of `operand`."""
        if not isinstance(operand, Var) or operand not in self.active or ct == NONE:
            return
        new = self.cotangent(operand)
        if operand in env:
            self.out.append(Call((new,), self.sum, (env[operand], ct), where))
            lazy = ct in self.lazy or env[operand] in self.lazy
        else:
            if isinstance(ct, Var) and ct.base == new.base:
                new = ct
            else:
                self.out.append(Move(new, ct, where))
            lazy = ct in self.lazy
        if lazy:
            self.lazy.add(new)
        env[operand] = new

    def receive(self, operands: list[Operand], env: Env, lazy: bool):
        """Targets for the cotangents of `operands`, and what is left to do once they are set."""
        targets: list[Var] = []
        later: list[tuple[Operand, Var]] = []
        fresh: set[Var] = set()
        for operand in operands:
            if not self.is_active(operand):
                targets.append(Var("_", "_"))
            elif operand in env or operand in fresh:
                part = self.fresh("part")
                targets.append(part)
                later.append((operand, part))
            else:
                assert isinstance(operand, Var)
                fresh.add(operand)
                new = self.cotangent(operand)
                targets.append(new)
                env[operand] = new
        if lazy:
            self.lazy.update(targets)
        return tuple(targets), later

    def reverse_call(self, step: Step, env: Env) -> None:
        call = step.statement
        assert isinstance(call, Call)
        ct = self.result_cotangent(call, env)
        if ct == NONE and call.fn is prims.tuple_:
            return
        operands: list[Operand] = [*call.args, *(value for _, value in call.keywords)]
        if not isinstance(call.fn, Prim) and self.is_active(call.fn):
            operands.insert(0, call.fn)
        if call.fn in prims.TEXTS:
            self.reverse_text(call, ct, operands, env)
            return
        assert step.record is not None
        args = (ct, self.store)
        if not any(map(self.is_active, operands)):
            self.out.append(Call((), step.record, args, call.where))
            return
        lazy = call.fn not in PURE or call.fn in MAY_BE_LAZY
        targets, later = self.receive(operands, env, lazy)
        self.out.append(Call(targets, step.record, args, call.where, unpack=True))
        for operand, part in later:
            self.contribute(operand, part, env, call.where)

    def reverse_text(self, call: Call, ct: Operand, operands: list[Operand], env: Env) -> None:
        """The numbers in a text get no cotangent, or that which says that theirs is lost."""
        if ct == NONE:
            return
        part = self.fresh("part")
        self.out.append(Call((part,), Const(text_only, "text_only"), (ct,), call.where))
        for operand in operands:
            self.contribute(operand, part, env, call.where)

    def result_cotangent(self, call: Call, env: Env) -> Operand:
        if not call.unpack:
            ct = env.pop(call.targets[0], NONE) if call.targets else NONE  # type: ignore[arg-type]
            return ct if call.fn is prims.update_item else self.whole(ct, call.where)
        return self.tuple_of(call.targets, env, call)

    def whole(self, ct: Operand, where: Where) -> Operand:
        """`ct`, or the ordinary array for it where it may be kept lazy."""
        if ct not in self.lazy:
            return ct
        whole = self.fresh("whole")
        self.out.append(Call((whole,), Const(self.rt.dense, "dense"), (ct,), where))
        return whole

    def tuple_of(self, targets, env: Env, call: Call) -> Operand:
        """The cotangents of targets as a tuple; those of a tuple of targets are one inside it."""
        parts = [
            self.tuple_of(t, env, call)
            if isinstance(t, tuple)
            else self.whole(env.pop(t, NONE), call.where)
            for t in targets
        ]
        return self.tuple_or_none(parts, call)

    def tuple_or_none(self, parts: list[Operand], call: Call) -> Operand:
        if all(p == NONE for p in parts):
            return NONE
        ct = self.fresh("ct_items")
        self.out.append(Call((ct,), prims.tuple_, tuple(parts), call.where))
        return ct

    def reverse_move(self, step: Step, env: Env) -> None:
        move = step.statement
        assert isinstance(move, Move)
        ct = env.pop(move.target, NONE)
        self.contribute(move.value, ct, env, move.where)

    def reverse_function(self, step: Step, env: Env) -> None:
        function = step.statement
        assert isinstance(function, Function) and step.record is not None
        for index, default in enumerate(function.defaults):
            if self.is_active(default):
                ct = self.fresh("ct_default")
                take = Const(self.rt.take_default, "take_default")
                args = (self.store, step.record, Const(index))
                self.out.append(Call((ct,), take, args, function.where))
                self.contribute(default, ct, env, function.where)

    def reverse_if(self, step: Step, env: Env) -> None:
        node = step.statement
        assert isinstance(node, If) and step.took is not None
        incoming = [env.pop(target, NONE) for target in node.targets]
        outer_out = self.out
        results: list[tuple[Block, Env]] = []
        for block, plan in zip((node.then, node.orelse), step.inner, strict=True):
            own: Env = dict(env)
            self.out = []
            if not block.raises:
                follow = prims.FOLLOW_SIDE[block is node.then]
                self.out.append(Call((), follow, (step.took, self.store), node.where))
                if step.record is not None:
                    self.take_side(plan.records, step.record, block is node.then, node.where)
                for target, operand, ct in zip(node.targets, block.yields, incoming, strict=True):
                    part = self.of_side(target, ct, block is node.then, node.where)
                    self.contribute(operand, part, own, node.where)
                self.reverse_block(plan, own)
            results.append((Block(self.out), own))
        self.out = outer_out
        outside = self.defined_outside(node)
        changed = [
            var
            for var in {**results[0][1], **results[1][1]}
            if var in outside
            and any(own.get(var) is not env.get(var) for _, own in results)
        ]  # fmt: skip
        targets = []
        for var in changed:
            new = self.cotangent(var)
            targets.append(new)
        for block, own in results:
            block.yields = tuple(own.get(var, self.zero_of(var)) for var in changed)
        for var, new in zip(changed, targets, strict=True):
            if any(own.get(var) in self.lazy for _, own in results):
                self.lazy.add(new)
            env[var] = new
        sided = tuple([new for var, new in zip(changed, targets, strict=True) if var in self.sided])
        blocks = results[0][0], results[1][0]
        self.out.append(If(step.took, *blocks, tuple(targets), node.where, sided))

    def of_side(self, target: Var, ct: Operand, side: bool, where: Where) -> Operand:
        """The cotangent of what a side of a branch handed over."""
        if target not in self.sided or ct == NONE:
            return ct
        part = self.fresh("part")
        self.out.append(Call((part,), prims.TAKE_SIDE[side], (ct, self.store), where))
        return part

    def defined_outside(self, node: If) -> set[Var]:
        """The variables that the branches read and that live outside them."""
        return {*outer_variables(node.then, set()), *outer_variables(node.orelse, set())}

    def reverse_for(self, step: Step, env: Env) -> None:
        self.reverse_loop(step, env)

    def reverse_while(self, step: Step, env: Env) -> None:
        self.reverse_loop(step, env)

    def reverse_loop(self, step: Step, env: Env) -> None:
        node = step.statement
        assert isinstance(node, For | While) and step.record is not None
        where = node.where
        own = set(node.params) | ({node.item} if isinstance(node, For) else set())
        outer = [v for v in outer_variables(node.body, own) if v in self.active]
        if step.item_back is not None:
            assert isinstance(node, For)
            if self.is_active(node.iterable) and node.iterable not in outer:
                outer += [node.iterable]
        carried = [
            (param, init, out, target)
            for param, init, out, target in zip(
                node.params, node.inits, node.body.yields, node.targets, strict=True
            )
            if param in self.active or self.is_active(out)
        ]
        inits: list[Operand] = [
            env.pop(target, self.zero_of(target)) for _, _, _, target in carried
        ]
        inits += [env.pop(var, self.zero_of(var)) for var in outer]
        variables = [param for param, *_ in carried] + outer
        lazy = {v for v, ct in zip(variables, inits, strict=True) if ct in self.lazy}
        while True:
            record, params, block = self.loop_body(step, carried, outer, lazy)
            out_of = zip(variables, block.yields, strict=True)
            more = {v for v, ct in out_of if ct in self.lazy} - lazy
            if not more:
                break
            lazy |= more
        backwards = self.fresh("backwards")
        self.out.append(Call((backwards,), REVERSED, (step.record, self.store), where))
        targets = [self.cotangent(var) for var in variables]
        self.lazy.update(t for v, t in zip(variables, targets, strict=True) if v in lazy)
        self.out.append(For(record, backwards, tuple(params), tuple(inits), block,
                            tuple(targets), where))  # fmt: skip
        env.update(zip(outer, targets[len(carried) :], strict=True))
        for (_, init, _, _), ct in zip(carried, targets, strict=False):
            self.contribute(init, ct, env, where)

    def loop_body(self, step: Step, carried: list, outer: list[Var], lazy: set[Var]):
        """One iteration in reverse; `lazy` are the variables whose cotangents may be lazy."""
        node, (plan,) = step.statement, step.inner
        where = node.where
        variables = [param for param, *_ in carried] + outer
        params = [self.cotangent(var) for var in variables]
        self.lazy.update(p for v, p in zip(variables, params, strict=True) if v in lazy)
        inner: Env = dict(zip(outer, params[len(carried) :], strict=True))
        outer_out, self.out = self.out, []
        record = plan.records[0] if len(plan.records) == 1 else self.fresh("step")
        if len(plan.records) > 1:
            self.out += self.unpacked(plan.records, record, where)
        for (_, _, out, _), ct in zip(carried, params, strict=False):
            self.contribute(out, ct, inner, where)
        self.reverse_block(plan, inner)
        self.reverse_item(step, inner)
        yields = [inner.pop(param, self.zero_of(param)) for param, *_ in carried]
        yields += [inner[var] for var in outer]
        block = Block(self.out, tuple(yields))
        self.out = outer_out
        return record, params, block

    def reverse_item(self, step: Step, env: Env) -> None:
        node = step.statement
        if step.item_back is None:
            return
        assert isinstance(node, For)
        args = (env.pop(node.item, NONE), self.store)
        if self.is_active(node.iterable):
            targets, later = self.receive([node.iterable], env, lazy=True)
            self.out.append(Call(targets, step.item_back, args, node.where, unpack=True))
            for operand, part in later:
                self.contribute(operand, part, env, node.where)
        else:
            self.out.append(Call((), step.item_back, args, node.where))


MAY_BE_LAZY = {prims.tuple_, prims.BINARY[ast.MatMult], prims.INPLACE[ast.MatMult]}
"""The pure operations whose cotangents may be sums that are not yet carried out."""

REVERSED = Prim(
    "reversed",
    lambda records, store: reversed(records),
    lambda records, store: ast.Call(ast.Name("reversed", ast.Load()), [records], []),
)
"""The records of a loop, last first."""

Env = dict[Var, Operand]
"""The cotangent of each variable, where it has any, at the current place of the reverse walk."""
