"""From a program to its adjoint: two programs.

The *augmented* program does what the program does and keeps, of every call, its pullback; of every
branch, which side ran; of every loop, one record per iteration. The *back* program takes these
records and the cotangent of the result, walks the statements in reverse and returns the cotangents
of the parameters:

    y = f(x, w)      y, back_1 = call(f, x, w)     ct_x, ct_w = back_1(ct_y, store)

Both are structured SSA programs again, so the transformation applies to its own output.
"""

from __future__ import annotations

from collections.abc import Callable

from flux.ad.augment import Augment
from flux.ad.plan import RunTime
from flux.ad.reverse import Reverse
from flux.ir import prims
from flux.ir.program import Call, Const, Program

__all__ = ["Adjoint"]


class Adjoint(Augment, Reverse):
    """The adjoint of one program.

    Attributes:
        augmented, back: the two programs. `augmented` lacks its result: `finish(back_function)`
            sets it when the back program has been compiled.
    """

    def __init__(self, program: Program, runtime: RunTime):
        super().__init__(program, runtime)
        block, plan = self.augment(program.block)
        plan.records[:0] = self.plan.records
        self.plan = plan
        self.augmented = self.program_like(program.name, program.args, program.params, block)
        self.back = self.reverse()

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
