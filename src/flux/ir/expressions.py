"""Expressions: each becomes one call, its operands evaluated left to right."""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence

from flux.ir import prims
from flux.ir.program import Call, Const, Global, Move, Operand, Prim, Var, Where
from flux.ir.state import State

__all__ = ["Expressions"]


class Expressions(State):
    """The part of the parser that knows expressions."""

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

    def as_variable(self, value: Operand, base: str, where: Where, inert: bool = True) -> Var:
        var = self.version(base, inert)
        self.emit(Move(var, value, where))
        return var

    def on_Constant(self, node: ast.Constant) -> Operand:
        return Const(node.value)

    def on_Name(self, node: ast.Name) -> Operand:
        return self.read(node.id, Where.of(node))

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

    # -- conditions --------------------------------------------------------------------------

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

    # -- displays ----------------------------------------------------------------------------

    def on_Tuple(self, node: ast.Tuple) -> Operand:
        return self.sequence(node, node.elts, prims.tuple_, prims.merge_tuple)

    def on_List(self, node: ast.List) -> Operand:
        return self.sequence(node, node.elts, prims.list_, prims.merge_list)

    def on_Set(self, node: ast.Set) -> Operand:
        return self.sequence(node, node.elts, prims.set_, None)

    def sequence(
        self, node: ast.expr, elts: list[ast.expr], build: Prim, merge: Prim | None
    ) -> Operand:
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
        self, keys: Sequence[ast.expr | None], values: list[ast.expr], where: Where,
        merge: Prim = prims.merge_dict,
    ) -> Operand:  # fmt: skip
        """A dictionary of keys and values; a mapping without a key is merged as it is then."""
        pairs: list[Operand] = []
        for index, (key, node) in enumerate(zip(keys, values, strict=True)):
            pairs.append(self.expression(key) if key else Const(None))
            value = self.expression(node)
            later = [n for n in (*keys[index + 1 :], *values[index + 1 :]) if n]
            if key is None and _acts(later):
                value = self.call(prims.merge_dict, (Const(None), value), where)
            pairs.append(value)
        return self.call(merge, pairs, where)

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


def _acts(nodes: list[ast.expr]) -> bool:
    """May evaluating the expressions change something that was read before?"""
    acting = ast.Call | ast.Attribute | ast.Subscript
    return any(isinstance(n, acting) for node in nodes for n in ast.walk(node))
