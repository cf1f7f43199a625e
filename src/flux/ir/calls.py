"""Calls, and the functions that stand inside the function."""

from __future__ import annotations

import ast

from flux.ir import prims
from flux.ir.program import Call, Const, Function, Operand, Prim, Where
from flux.ir.scope import free_names, parameter_names
from flux.ir.state import State

__all__ = ["Calls"]


class Calls(State):
    """The part of the parser that knows calls and nested functions."""

    def on_Call(self, node: ast.Call) -> Operand:
        where = Where.of(node)
        name = node.func.id if isinstance(node.func, ast.Name) else None
        if name == "super" and not node.args and self.is_builtin("super"):
            return self.zero_argument_super(node)
        if name in ("any", "all") and _is_generator(node) and self.is_builtin(name):
            return self.any_all(node, name == "any")
        if name in ("locals", "eval", "exec", "vars") and self.is_builtin(name) and not node.args:
            self.refuse(node, f"`{name}()`", "Name the variables.")
        if any(isinstance(a, ast.GeneratorExp) for a in node.args):
            node = self.without_generators(node, name)
        starred = any(isinstance(a, ast.Starred) for a in node.args)
        if starred or any(k.arg is None for k in node.keywords):
            return self.starred_call(node, where)
        if name in prims.INERT_BUILTINS and self.is_builtin(name):
            return self.arguments(node, prims.INERT_BUILTINS[name], (), where)
        if isinstance(node.func, ast.Attribute) and not self.module_path(node.func):
            owner = self.expression(node.func.value)
            attr = Const(self.mangled(node.func.attr))
            if self.may_change(node):
                method = self.call(prims.getattr_, (owner, attr), where)
                return self.arguments(node, method, (), where)
            return self.arguments(node, prims.call_method, (owner, attr), where)
        return self.arguments(node, self.expression(node.func), (), where)

    def may_change(self, node: ast.Call) -> bool:
        """May the arguments of a method call put something else in the place of the method?"""
        if not any(isinstance(n, ast.Call) for n in ast.walk(node) if n is not node):
            return False
        assert isinstance(node.func, ast.Attribute)
        return node.func.attr in self.source.file.written_attributes

    def arguments(self, node: ast.Call, fn: Prim | Operand, first: tuple, where: Where) -> Operand:
        values = self.operands([*node.args, *(k.value for k in node.keywords)])
        names = [k.arg for k in node.keywords]
        keywords = zip(names, values[len(node.args) :], strict=True)
        return self.call(fn, (*first, *values[: len(node.args)]), where, keywords)

    def starred_call(self, node: ast.Call, where: Where) -> Operand:
        fn = self.expression(node.func)
        args = self.sequence(node, node.args, prims.tuple_, prims.merge_tuple)
        names = [ast.Constant(k.arg) if k.arg else None for k in node.keywords]
        values = [k.value for k in node.keywords]
        keywords = self.merged(names, values, where, prims.merge_keywords)
        return self.call(prims.call_star, (fn, args, keywords), where)

    def zero_argument_super(self, node: ast.Call) -> Operand:
        where = Where.of(node)
        cls = self.read("__class__", where)
        first = parameter_names(self.node.args)[0]
        target = self.temp(inert=True)
        own = self.read(first, where)
        self.emit(Call((target,), Prim("super", super, None, inert=True), (cls, own), where))
        return target

    # -- nested functions --------------------------------------------------------------------

    def on_Lambda(self, node: ast.Lambda) -> Operand:
        return self.nested(node)

    def on_FunctionDef(self, node: ast.FunctionDef) -> None:
        where = Where.of(node)
        decorators = self.operands(node.decorator_list)
        value = self.nested(node)
        for decorator, at in zip(reversed(decorators), reversed(node.decorator_list), strict=True):
            value = self.call(decorator, (value,), Where.of(at))
        self.unless_raised(lambda: self.assign(node.name, value, where), where)

    def nested(self, node: ast.FunctionDef | ast.Lambda) -> Operand:
        """A nested function stays as it is; its cells carry what it captured."""
        captured = {self.renamed[n] for n in free_names(node) if n in self.renamed}
        if captured:
            self.refuse(
                node, "a function that captures the variable of a comprehension",
                "Hand the variable over as a default: `lambda x, k=k: ...`.",
            )  # fmt: skip
        args = node.args
        defaults = [self.expression(d) for d in args.defaults]
        defaults += [self.expression(d) for d in args.kw_defaults if d]
        target = self.temp()
        self.emit(Function(target, node, tuple(defaults), Where.of(node)))
        return target


def _is_generator(node: ast.Call) -> bool:
    return len(node.args) == 1 and isinstance(node.args[0], ast.GeneratorExp)
