"""The augmented program: what the program does, and what its reverse needs recorded.

Of every call it keeps the pullback; of every branch, which side ran; of every loop, one record per
iteration.
"""

from __future__ import annotations

from typing import Any

from flux.ad.plan import NONE, Plan, State, Step
from flux.ir import prims
from flux.ir.analyse import PURE
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
    Raise,
    Var,
    Where,
    While,
)

__all__ = ["Augment"]


class Augment(State):
    """The part of an adjoint that writes the augmented program and plans the reverse."""

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
