"""From a function's syntax tree to its structured SSA program.

`Parser` walks the statements with an environment that maps each local name to its current variable.
Its parts stand in files of their own: names, blocks, loops, targets, expressions, calls,
comprehensions, patterns and handlers of exceptions. They share the state in `flux.ir.state`.
"""

from __future__ import annotations
import __future__

import ast
import copy
from types import FunctionType

from flux.ir import prims
from flux.ir.analyse import prune, take_keywords
from flux.ir.blocks import Blocks
from flux.ir.calls import Calls
from flux.ir.comprehensions import Comprehensions
from flux.ir.expressions import Expressions
from flux.ir.handlers import Handlers
from flux.ir.loops import Loops
from flux.ir.names import Names
from flux.ir.patterns import Patterns
from flux.ir.pins import settle
from flux.ir.program import NO_RESULT, Call, Const, Global, Program, Where
from flux.ir.scope import always_exits, parameter_names
from flux.ir.sharing import guard_writes
from flux.ir.source import find_source
from flux.ir.targets import Targets

__all__ = ["parse"]

PyCF_MASK = sum({getattr(__future__, name).compiler_flag for name in __future__.all_feature_names})


def parse(fn: FunctionType) -> Program:
    """The program of the Python function `fn`.

    Raises: `SourceError` without source; `NotDifferentiable` for a generator, a coroutine, or a
    construct that is not covered and that every call of `fn` would run.
    """
    source = find_source(fn)
    return Parser(fn, source).program()


class Parser(Names, Blocks, Loops, Targets, Expressions, Calls, Comprehensions, Patterns, Handlers):
    """Turns one function into a program; a new one is made for every function."""

    def program(self) -> Program:
        node = self.node
        where = Where.of(node)
        if isinstance(node, ast.AsyncFunctionDef) or self.fn.__code__.co_flags & 0x20:
            kind = "an async function" if isinstance(node, ast.AsyncFunctionDef) else "a generator"
            self.refuse(node, f"`{self.fn.__name__}` is {kind}", "Return a list instead.")
        names = parameter_names(node.args)
        params = tuple(self.define(name) for name in names)
        for name in names:
            if name in self.scope.shared:
                args = (Global(f"_cell_{name}"), self.env[name])
                self.emit(Call((), prims.init_cell, args, where))
        self.env[self.returned_base] = Const(False)
        self.env[self.result_base] = NO_RESULT
        if isinstance(node, ast.Lambda):
            result = self.expression(node.body)
        else:
            self.statements(node.body)
            result = self.env[self.result_base]
        result = settle(self.block, params, result, self.pins, self.fresh)
        program = Program(
            name=self.fn.__name__,
            filename=self.source.file.name,
            args=plain_arguments(node.args),
            params=params,
            block=self.block,
            result=result,
            where=where,
            cells=tuple(sorted(self.scope.shared)),
            freevars=self.freevars,
            modules=self.modules,
            builtins=tuple(self.builtins),
            names=frozenset(self.taken),
            flags=self.fn.__code__.co_flags & PyCF_MASK,
            returns=self.returns,
            returned=self.result_base if always_exits(getattr(node, "body", ())) else None,
        )
        take_keywords(program)
        prune(program)
        guard_writes(program, self.scope.bound)
        return program


def plain_arguments(args: ast.arguments) -> ast.arguments:
    """The signature without annotations; defaults become placeholders."""
    plain = copy.deepcopy(args)
    for arg in [*plain.posonlyargs, *plain.args, *plain.kwonlyargs, plain.vararg, plain.kwarg]:
        if arg:
            arg.annotation = None
    plain.defaults = [ast.copy_location(ast.Constant(None), d) for d in plain.defaults]
    plain.kw_defaults = [d and ast.copy_location(ast.Constant(None), d) for d in plain.kw_defaults]
    return plain
