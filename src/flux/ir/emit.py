"""Write a program back as Python: a syntax tree with the user's positions, and readable text."""

from __future__ import annotations

import ast
import copy
import linecache
from collections.abc import Callable
from types import CodeType, FunctionType
from typing import Any

from flux.ir.apart import names_apart
from flux.ir.program import (
    UNDEFINED,
    Block,
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
    Raise,
    Statement,
    Var,
    Where,
    While,
)

__all__ = ["Emitted", "Writer", "bind", "emit", "place"]

LITERALS = (int, float, complex, str, bytes, bool, type(None), type(Ellipsis))


class Emitted:
    """A program as Python.

    Args:
        program: what to write.
        make: makes the writer; another than `Writer` for staged programs.

    Attributes:
        program: what was written; its syntax tree, large, is made again where it is shown.
        names: what the generated names of our own run time stand for.
        code: the compiled function; its free variables are the user's, `names`, `_globals` and
            `_cell_x` for each captured `x`.
    """

    def __init__(self, program: Program, make: Callable[[Program], Writer] | None = None):
        self.program, self.make = program, make or Writer
        writer = self.make(program)
        node = writer.function()
        self.names = writer.names
        self.code = _compile(node, program, set(writer.names) | writer.specials)

    def text(self, pullback: bool = False) -> str:
        """The function as readable Python, with the user's lines as comments."""
        node = self.make(self.program).function()
        return _annotated(node, self.program.filename, "_pullback" * pullback)


def emit(program: Program, make: Callable[[Program], Writer] | None = None) -> Emitted:
    """Write `program` as a Python function and compile it."""
    return Emitted(program, make)


class Writer:
    """Writes the statements of one program."""

    def __init__(self, program: Program):
        self.program = program
        self.names: dict[str, Any] = {}
        self.by_id: dict[int, str] = {}
        self.specials: set[str] = set()
        self.apart = names_apart(program)

    def function(self) -> ast.FunctionDef:
        program = self.program
        body = [node for name in program.cells for node in self.cell_of(name)]
        for node in body:
            place(node, program.where)
        body += self.block(program.block)
        if not program.block.raises:
            result = ast.Return(self.operand(program.result))
            last = _last_where(program)
            body.append(place(result, last))
        name = program.name if program.name.isidentifier() else "function"
        node = ast.FunctionDef(name, program.args, body or [ast.Pass()], [], None, None)
        node.type_params = []  # type: ignore[attr-defined]
        return place(node, program.where)

    def cell_of(self, name: str) -> list[ast.stmt]:
        """`_cell_x = (lambda: x).__closure__[0]`."""
        args = ast.arguments([], [], None, [], [], None, [])
        closure = ast.Attribute(
            ast.Lambda(args, ast.Name(name, ast.Load())), "__closure__", ast.Load()
        )
        cell = ast.Subscript(closure, ast.Constant(0), ast.Load())
        return [ast.Assign([ast.Name(f"_cell_{name}", ast.Store())], cell)]

    # -- operands ------------------------------------------------------------------------------

    def operand(self, operand: Operand) -> ast.expr:
        match operand:
            case Var():
                return ast.Name(self.name(operand), ast.Load())
            case Global(path=path):
                return self.path(path)
            case Const(value=value, name=None) if isinstance(value, LITERALS):
                return ast.Constant(value)
            case Const(value=value, name=name):
                return self.injected(value, name or "constant")
        raise TypeError(operand)

    def name(self, var: Var) -> str:
        """How a variable is called in Python."""
        return self.apart.get(var, var.base)

    def store(self, target: Var | tuple) -> ast.expr:
        """The targets of an assignment."""
        if isinstance(target, tuple):
            return ast.Tuple([self.store(t) for t in target], ast.Store())
        return ast.Name(self.name(target), ast.Store())

    def path(self, path: str) -> ast.expr:
        first, *rest = path.split(".")
        if first == "_globals":
            self.specials.add(first)
        elif first.startswith("_cell_") and first[6:] in self.program.freevars:
            self.specials.add(first)
        node: ast.expr = ast.Name(first, ast.Load())
        for attr in rest:
            node = ast.Attribute(node, attr, ast.Load())
        return node

    def injected(self, value: Any, name: str) -> ast.expr:
        """A run-time value under a name that the function does not use."""
        known = self.by_id.get(id(value))
        if known is None:
            known = name.rstrip("_")
            while known in self.program.names or known in self.names or not known.isidentifier():
                known = known + "_" if known.isidentifier() else f"op_{known.strip('*')}"
            self.names[known] = value
            self.by_id[id(value)] = known
        return ast.Name(known, ast.Load())

    # -- statements ----------------------------------------------------------------------------

    def block(self, block: Block) -> list[ast.stmt]:
        nodes: list[ast.stmt] = []
        for statement in block.body:
            for node in self.statement(statement):
                if not isinstance(node, ast.Pass):
                    nodes.append(place(node, statement.where))
        return nodes

    def statement(self, statement: Statement) -> list[ast.stmt]:
        match statement:
            case Call():
                return [self.call(statement)]
            case Move(target=target, value=value):
                if value is UNDEFINED:
                    return [ast.Delete([ast.Name(self.name(target), ast.Del())])]
                return self.copies([(target, value)])
            case If():
                return self.branch(statement)
            case For():
                return self.for_loop(statement)
            case While():
                return self.while_loop(statement)
            case Function():
                return self.nested(statement)
            case Raise(exception=exception, cause=cause):
                parts = [o and self.operand(o) for o in (exception, cause)]
                return [ast.Raise(*parts)]  # type: ignore[arg-type]
        raise TypeError(statement)

    def call(self, call: Call) -> ast.stmt:
        args = [self.operand(a) for a in call.args]
        pairs = [(key, self.operand(value)) for key, value in call.keywords]
        value: ast.expr | None
        if isinstance(call.fn, Prim) and call.fn.write:
            value = call.fn.write(*args, **dict(pairs))
            if value is None:
                return ast.Pass()  # nothing to be done
        else:
            if isinstance(call.fn, Prim):
                fn = self.injected(call.fn.fn, call.fn.name.strip("*"))
            else:
                fn = self.operand(call.fn)
            value = ast.Call(fn, args, [ast.keyword(k, v) for k, v in pairs])
        if not call.targets:
            return ast.Expr(value)
        if not call.unpack:
            (target,) = call.targets
            return ast.Assign([self.store(target)], value)
        return ast.Assign([self.store(call.targets)], value)

    def copies(self, pairs: list[tuple[Var, Operand]]) -> list[ast.stmt]:
        """Assign several variables at once; those that keep their name need nothing."""
        moves = [
            (target, value)
            for target, value in pairs
            if value is not UNDEFINED
            and not (isinstance(value, Var) and self.name(value) == self.name(target))
        ]
        written: set[str] = set()
        clash = False
        for target, value in moves:
            clash |= isinstance(value, Var) and self.name(value) in written
            written.add(self.name(target))
        if clash:
            targets = ast.Tuple([self.store(t) for t, _ in moves], ast.Store())
            values = ast.Tuple([self.operand(v) for _, v in moves], ast.Load())
            return [ast.Assign([targets], values)]
        return [ast.Assign([self.store(t)], self.operand(v)) for t, v in moves]

    def branch(self, node: If) -> list[ast.stmt]:
        sides = []
        for block in (node.then, node.orelse):
            body = self.block(block)
            if not block.raises:
                moves = self.copies(list(zip(node.targets, block.yields, strict=True)))
                body += [place(m, node.where) for m in moves]
            sides.append(body)
        then, orelse = sides
        test = self.operand(node.test)
        if not then and not orelse:
            return [ast.Expr(ast.Call(ast.Name("bool", ast.Load()), [test], []))]
        if not then:
            return [ast.If(ast.UnaryOp(ast.Not(), test), orelse, [])]
        return [ast.If(test, then, orelse)]

    def loop_start(self, node: For | While) -> list[ast.stmt]:
        empty = [ast.Assign([self.store(c)], ast.List([], ast.Load())) for c in node.collected]
        pairs = list(zip(node.params, node.inits, strict=True))
        return [*self.copies(pairs), *empty]

    def loop_end(self, node: For | While) -> list[ast.stmt]:
        if node.body.raises:
            return []
        ends: list[ast.stmt] = []
        for collected, operand in zip(node.collected, node.collect, strict=True):
            append = ast.Attribute(ast.Name(self.name(collected), ast.Load()), "append", ast.Load())
            ends.append(ast.Expr(ast.Call(append, [self.operand(operand)], [])))
        ends += self.copies(list(zip(node.params, node.body.yields, strict=True)))
        if isinstance(node, For) and node.stop is not None:
            ends.append(ast.If(self.operand(node.stop), [ast.Break()], []))
        return [place(n, node.where) for n in ends]

    def for_loop(self, node: For) -> list[ast.stmt]:
        start = self.loop_start(node)
        body = self.block(node.body) + self.loop_end(node)
        target: ast.expr = self.store(node.item)
        first = body[0] if body else None
        if _takes_apart(first, self.name(node.item)):
            target = first.targets[0]  # type: ignore[union-attr]
            body = body[1:]
        iterable = self.operand(node.iterable)
        return [*start, ast.For(target, iterable, body or [ast.Pass()], [])]

    def while_loop(self, node: While) -> list[ast.stmt]:
        start = self.loop_start(node)
        body = self.block(node.body) + self.loop_end(node)
        test = ast.Name(self.name(node.params[0]), ast.Load())
        return [*start, ast.While(test, body or [ast.Pass()], [])]

    def nested(self, node: Function) -> list[ast.stmt]:
        tree = copy.deepcopy(node.node)
        defaults = [self.operand(d) for d in node.defaults]
        for default in defaults:
            place(default, node.where)
        count = len(tree.args.defaults)
        tree.args.defaults = defaults[:count]
        rest = iter(defaults[count:])
        tree.args.kw_defaults = [d and next(rest) for d in tree.args.kw_defaults]
        if isinstance(tree, ast.Lambda):
            return [ast.Assign([self.store(node.target)], tree)]
        tree.decorator_list = []
        tree.returns = None
        for arg in ast.walk(tree.args):
            if isinstance(arg, ast.arg):
                arg.annotation = None
        holder = ast.Name(tree.name, ast.Load())
        return [tree, ast.Assign([self.store(node.target)], holder)]


def _takes_apart(node: ast.stmt | None, name: str) -> bool:
    return (
        isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Tuple)
        and isinstance(node.value, ast.Name)
        and node.value.id == name
    )


def place(node, where: Where):
    """Give every node without a position the range `where`; inside a node with one, all have."""
    line, column, end_line, end_column = (
        where.line, where.column, where.end_line, where.end_column,
    )  # fmt: skip
    todo = [node]
    while todo:
        current = todo.pop()
        if "lineno" in current._attributes:
            if hasattr(current, "lineno"):
                continue
            current.lineno, current.col_offset = line, column
            current.end_lineno, current.end_col_offset = end_line, end_column
        for name in current._fields:
            part = getattr(current, name, None)
            if type(part) is list:
                todo += [item for item in part if isinstance(item, ast.AST)]
            elif isinstance(part, ast.AST) and not isinstance(part, ast.expr_context):
                todo.append(part)
    return node


def _last_where(program: Program) -> Where:
    if isinstance(program.result, Var) and program.result.base in program.returns:
        return program.returns[program.result.base]
    return program.block.body[-1].where if program.block.body else program.where


def _compile(node: ast.FunctionDef, program: Program, own: set[str]) -> CodeType:
    """Compile the function inside a factory that binds its free variables."""
    name, node.name = node.name, "_generated_function"
    outer = ast.arguments(
        [], [ast.arg(n) for n in sorted({*own, *program.freevars})], None, [], [], None, []
    )
    factory = ast.FunctionDef("factory", outer, [node], [], None, None)
    factory.type_params = []  # type: ignore[attr-defined]
    module = ast.Module([place(factory, program.where)], [])
    code = compile(module, program.filename, "exec", dont_inherit=True, flags=program.flags)
    inner = _inner(_inner(code, "factory"), node.name)
    node.name = name
    return inner.replace(co_name=name, co_qualname=program.name)


def _inner(code: CodeType, name: str) -> CodeType:
    return next(c for c in code.co_consts if isinstance(c, CodeType) and c.co_name == name)


def _annotated(node: ast.FunctionDef, filename: str, suffix: str) -> str:
    """Unparse statement by statement; a comment shows each new line of the user's source."""
    lines: list[str] = []
    shown: set[int] = set()

    def comment(line: int) -> str:
        if line in shown:
            return ""
        shown.add(line)
        text = linecache.getline(filename, line).strip()
        return f"  # {text}" if text else ""

    def write(nodes: list[ast.stmt], indent: str) -> None:
        for n in nodes:
            if isinstance(n, ast.If | ast.For | ast.While):
                head = copy.copy(n)
                head.body, head.orelse = [ast.Pass()], []
                text = ast.unparse(head).splitlines()[0]
                lines.append(f"{indent}{text}{comment(n.lineno)}")
                write(n.body, indent + "    ")
                if n.orelse:
                    lines.append(f"{indent}else:")
                    write(n.orelse, indent + "    ")
            else:
                first, *rest = ast.unparse(n).splitlines()
                said = comment(n.lineno)
                if isinstance(n, ast.Return) and said == f"  # {first}":
                    said = ""  # it says the same
                lines.append(f"{indent}{first}{said}")
                lines.extend(indent + line for line in rest)

    shown.add(node.lineno)
    lines.append(f"def {node.name}{suffix}({ast.unparse(node.args)}):")
    write(node.body, "    ")
    return "\n".join(lines)


def bind(code: CodeType, namespace: dict, closure: dict[str, Any], like=None) -> FunctionType:
    """A function of `code` whose free variables are the cells of `closure`."""
    cells = tuple(closure[name] for name in code.co_freevars)
    defaults = like.__defaults__ if like else None
    fn = FunctionType(code, namespace, code.co_name, defaults, cells)
    if like and like.__kwdefaults__:
        fn.__kwdefaults__ = like.__kwdefaults__
    return fn
