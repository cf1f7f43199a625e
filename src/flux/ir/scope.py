"""Which names a function binds, reads from outside and shares with the functions inside it."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from flux.ir.source import FunctionNode

__all__ = ["Scope", "assigned_names", "free_names", "item_owners", "scope_of"]

LEAVES = ast.Name, ast.Constant, ast.expr_context, ast.operator, ast.cmpop
COMPREHENSIONS = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp
NESTED = ast.FunctionDef | ast.Lambda | ast.AsyncFunctionDef


class Scope:
    """The names of one function.

    Attributes:
        bound: parameters and every name that the body assigns.
        shared: those of `bound` that a nested function reads or writes: they live in cells.
        written: global names that the function declares with `global`.
        nonlocals: names that it declares with `nonlocal`.
    """

    def __init__(self, node: FunctionNode):
        body = node.body if isinstance(node.body, list) else [node.body]
        self.written: set[str] = set()
        self.nonlocals: set[str] = set()
        for statement in _own_nodes(body):
            if isinstance(statement, ast.Global):
                self.written.update(statement.names)
            elif isinstance(statement, ast.Nonlocal):
                self.nonlocals.update(statement.names)
        self.bound = (set(parameter_names(node.args)) | assigned_names(body)) - (
            self.written | self.nonlocals
        )
        inner: set[str] = set()
        for child in _nested_functions(body):
            inner |= free_names(child)
        self.shared = self.bound & inner


def scope_of(node: FunctionNode) -> Scope:
    """The names of the function `node`."""
    return Scope(node)


def parameter_names(args: ast.arguments) -> list[str]:
    """The names of all parameters, in the order in which code objects keep them."""
    names = [a.arg for a in (*args.posonlyargs, *args.args, *args.kwonlyargs)]
    return names + [a.arg for a in (args.vararg, args.kwarg) if a]


def assigned_names(body: list) -> set[str]:
    """Names that statements (not the functions inside them) assign."""
    names: set[str] = set()
    for node in _own_nodes(body):
        match node:
            case ast.Name(id=name, ctx=ast.Store() | ast.Del()):
                names.add(name)
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                names.add(name)
            case ast.ClassDef(name=name):
                names.add(name)
            case ast.ExceptHandler(name=str(name)):
                names.add(name)
            case ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
                names.add(name)
            case ast.MatchMapping(rest=str(name)):
                names.add(name)
            case ast.Import(names=aliases) | ast.ImportFrom(names=aliases):
                names.update(a.asname or a.name.partition(".")[0] for a in aliases)
    return names


def item_owners(body: list) -> set[str]:
    """Names in whose items statements assign: `x` in `x[i] = v` and `x[i][j] += v`."""
    names: set[str] = set()
    for node in _own_nodes(body):
        if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store):
            owner = node.value
            while isinstance(owner, ast.Subscript):
                owner = owner.value
            if isinstance(owner, ast.Name):
                names.add(owner.id)
    return names


def tried_names(node: FunctionNode) -> set[str]:
    """Names that are read inside a `try` or `with`, where reading one without a value is caught."""
    tries = [n for n in ast.walk(node) if isinstance(n, ast.Try | ast.With)]
    inside = [n for outer in tries for n in ast.walk(outer) if isinstance(n, ast.Name)]
    return {n.id for n in inside if not isinstance(n.ctx, ast.Store)}


def deleted_names(node: FunctionNode) -> set[str]:
    """Names that `del` or the end of an `except E as name` leaves without a value."""
    names = {n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Del)}
    return names | {n.name for n in ast.walk(node) if isinstance(n, ast.ExceptHandler) and n.name}


def free_names(node: FunctionNode) -> set[str]:
    """Names that a function takes from the functions around it (or from the globals)."""
    body = node.body if isinstance(node.body, list) else [node.body]
    scope = Scope(node)
    used = set(scope.nonlocals)
    for child in _own_nodes(body, skip_comprehension_targets=False):
        if isinstance(child, ast.Name):
            used.add(child.id)
        elif isinstance(child, ast.Call) and _is_bare_super(child):
            used.add("__class__")
    for child in _nested_functions(body):
        used |= free_names(child)
    return used - scope.bound - scope.written


def _is_bare_super(call: ast.Call) -> bool:
    return isinstance(call.func, ast.Name) and call.func.id == "super" and not call.args


def _own_nodes(body: list, skip_comprehension_targets: bool = True) -> list[ast.AST]:
    """All nodes of the statements, except those inside nested functions and classes.

    The targets of a comprehension belong to the comprehension; a walrus inside belongs here.
    """
    found: list[ast.AST] = []
    waiting = body[::-1]
    while waiting:
        node = waiting.pop()
        found.append(node)
        if isinstance(node, LEAVES):
            continue
        if isinstance(node, NESTED):
            found += _own_nodes(getattr(node, "decorator_list", []))
            parts = [*node.args.defaults, *(d for d in node.args.kw_defaults if d)]
        elif isinstance(node, COMPREHENSIONS):
            parts = [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]
            for generator in node.generators:
                parts += [generator.iter, *generator.ifs]
                if not skip_comprehension_targets:
                    parts.append(generator.target)
        elif isinstance(node, ast.ClassDef):
            found += _own_nodes([*node.bases, *node.decorator_list])
            continue
        else:
            parts = list(ast.iter_child_nodes(node))
        waiting += parts[::-1]
    return found


def _nested_functions(body: list) -> Iterator[FunctionNode]:
    for node in _own_nodes(body):
        if isinstance(node, NESTED):
            yield node


def has_exit(statements: list, *, loop_level: bool = True) -> bool:
    """Does one of the statements leave its block early: a `return`, or a `break` of this loop?"""
    for node in statements:
        if isinstance(node, ast.Return):
            return True
        if isinstance(node, ast.Break | ast.Continue) and loop_level:
            return True
        if isinstance(node, NESTED | ast.ClassDef):
            continue
        inner_level = loop_level and not isinstance(node, ast.For | ast.While)
        parts = [getattr(node, name, []) for name in ("body", "handlers", "finalbody", "cases")]
        if any(has_exit(part, loop_level=inner_level) for part in parts if isinstance(part, list)):
            return True
        if has_exit(getattr(node, "orelse", []) or [], loop_level=loop_level):
            return True
    return False


def always_exits(statements) -> bool:
    """Does control never reach the end of the statements?"""
    for node in statements if isinstance(statements, list) else ():
        if isinstance(node, ast.Return | ast.Break | ast.Continue | ast.Raise):
            return True
        if isinstance(node, ast.If) and always_exits(node.body) and always_exits(node.orelse):
            return True
    return False
