"""The back program: the statements in reverse, from the records of the augmented program.

It takes the records, the cotangent of the result and the store, and returns the cotangents of the
parameters.
"""

from __future__ import annotations

import ast

from flux.ad.plan import NONE, Plan, State, Step
from flux.ad.unknown import text_only
from flux.ir import prims
from flux.ir.analyse import PURE, outer_variables
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
    Statement,
    Var,
    Where,
    While,
)

__all__ = ["REVERSED", "Env", "Reverse"]

Env = dict[Var, Operand]
"""The cotangent of each variable, where it has any, at the current place of the reverse walk."""

MAY_BE_LAZY = {prims.tuple_, prims.BINARY[ast.MatMult], prims.INPLACE[ast.MatMult]}
"""The pure operations whose cotangents may be sums that are not yet carried out."""

REVERSED = Prim(
    "reversed",
    lambda records, store: reversed(records),
    lambda records, store: ast.Call(ast.Name("reversed", ast.Load()), [records], []),
)
"""The records of a loop, last first."""


class Reverse(State):
    """The part of an adjoint that writes the back program, along the plan."""

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

    def unpacked(self, records: list[Var], value: Operand, where: Where) -> list[Statement]:
        """The inverse of `packed`, for the back program."""
        if not records:
            return []
        if len(records) == 1:
            return [Move(records[0], value, where)]
        return [Call(tuple(records), prims.unpack, (value, Const(len(records))), where,
                     unpack=True)]  # fmt: skip

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

    def take_side(self, records: list[Var], value: Operand, side: bool, where: Where) -> None:
        """The inverse of `packed` for a branch, in the block that reverses one of its sides."""
        if len(records) == 1:
            args = (value, self.store)
            self.out.append(Call((records[0],), prims.TAKE_SIDE[side], args, where))
        elif records:
            args = (value, Const(len(records)), self.store)
            unpack = prims.UNPACK_SIDE[side]
            self.out.append(Call(tuple(records), unpack, args, where, unpack=True))

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
