"""Comprehensions and consumed generator expressions: containers that loops fill."""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable

from flux.ir import prims
from flux.ir.program import Call, Const, Global, Operand, Prim, Var, Where
from flux.ir.scope import assigned_names
from flux.ir.state import State

__all__ = ["Comprehensions"]

REDUCERS = frozenset("sum list tuple set frozenset dict max min sorted zip enumerate".split())


class Comprehensions(State):
    """The part of the parser that knows comprehensions."""

    def on_ListComp(self, node: ast.ListComp) -> Operand:
        return self.comprehension(node, prims.list_, lambda: ("append", [node.elt]))

    def on_SetComp(self, node: ast.SetComp) -> Operand:
        return self.comprehension(node, prims.set_, lambda: ("add", [node.elt]))

    def on_DictComp(self, node: ast.DictComp) -> Operand:
        return self.comprehension(node, prims.dict_, lambda: (None, [node.key, node.value]))

    def on_GeneratorExp(self, node: ast.GeneratorExp) -> Operand:
        self.refuse(node, "a generator expression", "Make it a list: `[...]`.")
        raise AssertionError

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

    def comprehension_names(self, clauses: list[ast.comprehension]) -> dict[str, str]:
        """Give the targets names of their own; returns the renaming that was in force."""
        before = self.renamed
        self.renamed = dict(before)
        for clause in clauses:
            for name in assigned_names([clause.target]):
                self.renamed[name] = own = self.fresh(name)
                self.scope.bound.add(own)
        return before

    # -- generator expressions ---------------------------------------------------------------

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


def _set(name: str, value: bool) -> ast.Assign:
    return ast.Assign([ast.Name(name, ast.Store())], ast.Constant(value))


def _locate(tree: ast.AST, node: ast.AST) -> None:
    for child in ast.walk(tree):
        if not hasattr(child, "end_lineno"):
            ast.copy_location(child, node)
