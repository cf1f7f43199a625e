"""The adjoint of a function that only computes with Python numbers, without a call per operation.

If all arguments are Python floats and ints, and the function's statements are arithmetic,
comparisons, `math`, branches and loops over ranges, then the types of all its variables are known
before it runs. Its adjoint can then compute every cotangent in line, as a Python float: the forward
function is the user's own statements plus the values that the reverse will need.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Callable
from typing import TypeGuard

from flux.ad.adjoint import Adjoint
from flux.ad.plan import NONE, Plan, RunTime, Step
from flux.ad.reverse import Env
from flux.ir import prims
from flux.ir.analyse import walk
from flux.ir.program import (
    UNDEFINED,
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
    Var,
    Where,
    While,
    blocks_of,
    targets_of,
)
from flux.ir.sharing import guard

__all__ = [
    "SLOPES", "ScalarAdjoint", "hoist_numbers", "is_candidate", "numbers_of", "scalar_types",
]  # fmt: skip

B = {prim.name: prim for prim in prims.BINARY.values()}
ADD, SUB, MUL, DIV = B["add"], B["sub"], B["mul"], B["truediv"]
NEG, POS = prims.UNARY[ast.USub], prims.UNARY[ast.UAdd]
PLAIN = {prims.INPLACE[kind]: prims.BINARY[kind] for kind in prims.BINARY}
ARITHMETIC = {ADD, SUB, MUL, DIV, B["floordiv"], B["mod"], B["pow"], NEG, POS}

SLOPES: dict[str, Callable[[float, float], float]] = {}
"""By the name of a function of `math`: its slope, from the argument and the value."""

FLOAT, INT, NUMBER, OTHER = "float", "int", "number", "other"
ZERO = Const(0.0)


def is_candidate(program: Program) -> bool:
    """Could the program be one of Python numbers only? A quick look, without types."""
    if program.cells or program.args.vararg or program.args.kwarg or not program.params:
        return False
    arithmetic = False
    for statement in walk(program.block):
        if isinstance(statement, Function):
            return False
        if isinstance(statement, Call):
            fn = PLAIN.get(statement.fn, statement.fn)  # type: ignore[arg-type]
            if fn in ARITHMETIC:
                arithmetic = True
            elif not (_is_inert(fn) or _slope_name(fn, program)):
                return False
    return arithmetic


def _is_inert(fn) -> bool:
    return isinstance(fn, Prim) and fn.inert and fn is not prims.import_


def _slope_name(fn, program: Program) -> str | None:
    """The name of a function of `math`, if `fn` is one."""
    if not isinstance(fn, Global) or fn.path.count(".") != 1:
        return None
    module, name = fn.path.split(".")
    return name if program.modules.get(module) is math and name in SLOPES else None


def hoist_numbers(program: Program, namespace: dict) -> None:
    """Let a program of numbers read the global numbers that it uses at its start. In place."""
    found: dict[Global, Var] = {}

    def local(operand: Operand) -> Operand:
        if not isinstance(operand, Global) or type(namespace.get(operand.path)) not in (int, float):
            return operand
        name = operand.path
        while name in program.names:
            name += "_"
        return found.setdefault(operand, Var(name, name))

    for statement in walk(program.block):
        match statement:
            case Call():
                statement.args = tuple(map(local, statement.args))
            case Move():
                statement.value = local(statement.value)
            case If():
                statement.test = local(statement.test)
        for name in ("inits", "yields"):
            if hasattr(statement, name):
                setattr(statement, name, tuple(map(local, getattr(statement, name))))
        for block in blocks_of(statement):
            block.yields = tuple(map(local, block.yields))
    program.result = local(program.result)
    program.block.body[:0] = [Move(var, at, program.where) for at, var in found.items()]
    program.names |= {var.name for var in found.values()}


def numbers_of(program: Program) -> tuple[str, ...]:
    """The global numbers that a program reads at its start."""
    names = []
    for statement in program.block.body:
        if not isinstance(statement, Move) or not isinstance(statement.value, Global):
            break
        names.append(statement.value.path)
    return tuple(names)


def scalar_types(program: Program, kinds: tuple[type, ...]) -> dict[Operand, str] | None:
    """The type of every variable if the parameters, then the global numbers, have types `kinds`.

    `None` if one of the operations is not known to stay within Python numbers.
    """
    types: dict[Operand, str] = {}
    given = {**dict.fromkeys(program.params), **dict.fromkeys(map(Global, numbers_of(program)))}
    for operand, kind in zip(given, kinds, strict=True):
        if kind is not float and kind is not int:
            return None
        types[operand] = FLOAT if kind is float else INT

    def of(operand: Operand) -> str | None:
        if isinstance(operand, Global):
            return types.get(operand, OTHER)
        if isinstance(operand, Var):
            return INT if operand.inert and operand not in types else types.get(operand)
        if operand is UNDEFINED:
            return None
        if isinstance(operand, Const) and operand.name is None:
            value = operand.value
            return {float: FLOAT, int: INT, bool: INT}.get(type(value), OTHER)
        return OTHER

    def put(var: Var, kind: str | None) -> None:
        joined = _join(types.get(var), kind)
        if joined is not None:
            types[var] = joined

    while True:
        before = dict(types)
        for statement in walk(program.block):
            match statement:
                case Call():
                    for target in targets_of(statement):
                        put(target, _result(statement, of, program))
                case Move():
                    put(statement.target, of(statement.value))
                case If():
                    for target, a, b in zip(
                        statement.targets, statement.then.yields, statement.orelse.yields,
                        strict=True,
                    ):  # fmt: skip
                        put(target, _join(of(a), of(b)))
                case For() | While():
                    if isinstance(statement, For):
                        put(statement.item, INT if of(statement.iterable) == "range" else OTHER)
                    for param, init, out, target in zip(
                        statement.params, statement.inits, statement.body.yields,
                        statement.targets, strict=True,
                    ):  # fmt: skip
                        kind = _join(of(init), of(out))
                        put(param, kind)
                        put(target, kind)
        if types == before:
            break
    known = all(_fits(s, of) for s in walk(program.block))
    return types if known and of(program.result) in (FLOAT, NUMBER) else None


def _join(a: str | None, b: str | None) -> str | None:
    if a is None or a == b:
        return b
    if b is None:
        return a
    return NUMBER if {a, b} <= {FLOAT, INT, NUMBER} else OTHER


def _result(call: Call, of: Callable, program: Program) -> str | None:
    fn = PLAIN.get(call.fn, call.fn)  # type: ignore[arg-type]
    kinds = [of(a) for a in call.args]
    if _is_inert(fn):
        return "range" if fn.name == "range" else INT if _is_test(fn) else OTHER
    if any(k is None for k in kinds):
        return None
    if not set(kinds) <= {FLOAT, INT, NUMBER}:
        return OTHER
    if _slope_name(fn, program) or fn is DIV:
        return FLOAT
    if fn is B["pow"]:
        exponent = call.args[1]
        whole = isinstance(exponent, Const) and type(exponent.value) is int and exponent.value > 0
        return kinds[0] if whole else OTHER
    if fn not in ARITHMETIC:
        return OTHER
    return FLOAT if FLOAT in kinds else INT if set(kinds) == {INT} else NUMBER


def _is_test(fn: Prim) -> bool:
    return fn is prims.not_ or fn in prims.COMPARE.values()


def _fits(statement, of: Callable) -> bool:
    """Is what the statement computes known to be a number, a test or a range?"""
    if isinstance(statement, Call):
        if _is_inert(statement.fn):
            return True
        return all(of(t) in (FLOAT, INT, NUMBER) for t in targets_of(statement))
    if isinstance(statement, For):
        return of(statement.item) == INT
    return True


class ScalarAdjoint(Adjoint):
    """The adjoint of a program whose variables are Python numbers of known type."""

    def __init__(self, program: Program, runtime: RunTime, types: dict[Operand, str]):
        self.types = types
        count = len(numbers_of(program))
        numbers = [m.target for m in program.block.body[:count] if isinstance(m, Move)]
        self.constants = {*program.params, *numbers}
        self.versions: dict[str, int] = {}
        for var in _all_variables(program):
            self.versions[var.base] = self.versions.get(var.base, 0) + 1
        super().__init__(program, runtime)

    def is_active(self, operand: Operand) -> TypeGuard[Var]:
        return super().is_active(operand) and self.types.get(operand) in (FLOAT, NUMBER)

    def summation(self) -> Prim | Operand:
        return ADD

    def zero_of(self, var: Var) -> Operand:
        return ZERO if self.is_active(var) else NONE

    def received(self, ct: Var, where: Where) -> Operand:
        """The cotangent as a float; `None`, which a caller may hand over, is zero."""
        if not self.is_active(self.program.result):
            return NONE
        own = self.cotangent(self.program.result)
        self.out.append(Call((own,), Const(as_number, "as_number"), (ct,), where))
        return own

    # -- forward: the statement itself, and the values that its reverse needs ----------------------

    def augment_call(self, call: Call, out: list, plan: Plan) -> None:
        if call.fn is guard:
            return  # numbers do not change in place
        if not any(map(self.is_active, call.args)):
            out.append(call)
            return
        fn = PLAIN.get(call.fn, call.fn)  # type: ignore[arg-type]
        saved = [
            self.keep(o, out, plan) if self.is_needed(fn, place, call) else NONE
            for place, o in enumerate(call.args)
        ]
        out.append(call)
        if not isinstance(fn, Prim) or (fn is DIV and self.is_active(call.args[1])):
            saved.append(self.keep(call.targets[0], out, plan))  # type: ignore[arg-type]
        plan.steps.append(Step(call, saved=tuple(saved)))

    def is_needed(self, fn, place: int, call: Call) -> bool:
        """Does the reverse of the call need the value of its argument at `place`?"""
        if fn is MUL:
            return self.is_active(call.args[1 - place])
        if fn is DIV:
            return place == 1
        return fn not in LINEAR

    def keep(self, operand: Operand, out: list, plan: Plan) -> Operand:
        """Record the value that `operand` has now; where it is found in the reverse."""
        if not isinstance(operand, Var):
            return operand
        unchanging = self.versions[operand.base] == 1
        home = self.plan if unchanging and operand in self.constants else plan
        if operand not in home.kept:
            made_here = home is self.plan or (
                unchanging and bool(out) and operand in targets_of(out[-1])
            )
            copy = operand if made_here else self.fresh("kept")
            if not made_here:
                out.append(Move(copy, operand, self.program.where))
            home.kept[operand] = copy
            home.records.append(copy)
        return home.kept[operand]

    # -- reverse: the cotangents in line -----------------------------------------------------------

    def reverse_call(self, step: Step, env: Env) -> None:
        call = step.statement
        assert isinstance(call, Call)
        ct = env.pop(call.targets[0], NONE)  # type: ignore[arg-type]
        if ct == NONE:
            return
        fn = PLAIN.get(call.fn, call.fn)  # type: ignore[arg-type]
        active = [i for i, operand in enumerate(call.args) if self.is_active(operand)]
        parts = [(call.args[i], *self.part(fn, i, ct, step.saved, call)) for i in active]
        # Every part is computed before the first cotangent is set: it may be `ct` by another name.
        computed = [(operand, self.do(call, prim, *args)) for operand, prim, args in parts[:-1]]
        operand, prim, args = parts[-1]
        taken = any(operand is other or part is ct for other, part in computed)
        if prim is POS or operand in env or taken:
            computed.append((operand, self.do(call, prim, *args)))
        else:
            env[operand] = new = self.cotangent(operand)  # type: ignore[index,arg-type]
            self.out.append(Call((new,), prim, args, call.where))
        for operand, part in computed:
            self.contribute(operand, part, env, call.where)

    def do(self, call: Call, prim: Prim | Operand, *args: Operand) -> Operand:
        """Emit one operation of the reverse; where its value is found."""
        if prim is POS:
            return args[0]
        target = self.fresh("d")
        self.out.append(Call((target,), prim, args, call.where))
        return target

    def part(self, fn, place: int, ct: Operand, saved: tuple, call: Call) -> tuple:
        """The cotangent of the argument at `place`, as an operation and its operands."""
        if fn is NEG or (fn is SUB and place):
            return NEG, (ct,)
        if fn in LINEAR:
            return POS, (ct,)
        if fn is MUL:
            return MUL, (ct, saved[1 - place])
        if fn is DIV and place:
            return NEG, (self.do(call, DIV, self.do(call, MUL, ct, saved[2]), saved[1]),)
        if fn is DIV:
            return DIV, (ct, saved[1])
        if fn is B["pow"]:
            return self.power_part(call, ct, saved[0], saved[1].value)
        if fn is B["mod"]:
            steps = self.do(call, B["floordiv"], *saved)
            return (MUL, (self.do(call, NEG, ct), steps)) if place else (POS, (ct,))
        if fn is B["floordiv"]:
            return MUL, (ct, ZERO)
        name = fn.path.split(".")[1]
        return MUL, (ct, self.do(call, Const(SLOPES[name], f"slope_of_{name}"), *saved))

    def power_part(self, call: Call, ct: Operand, base: Operand, exponent: int) -> tuple:
        """`ct * exponent * base ** (exponent - 1)`."""
        if exponent == 1:
            return POS, (ct,)
        if exponent > 2:
            base = self.do(call, B["pow"], base, Const(exponent - 1))
        return MUL, (ct, self.do(call, MUL, base, Const(exponent)))


LINEAR = {ADD, SUB, NEG, POS}


def as_number(ct) -> float:
    """The cotangent of a number as a float."""
    if type(ct) is float:
        return ct
    return 0.0 if ct is None else float(ct)


def _all_variables(program: Program):
    yield from program.params
    for statement in walk(program.block):
        yield from targets_of(statement)
        if isinstance(statement, For | While):
            yield from statement.params
        if isinstance(statement, For):
            yield statement.item
