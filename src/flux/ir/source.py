"""Find the syntax tree of a function from its code object.

The whole file is parsed once. The node is found by the positions that CPython keeps for every
instruction, so two lambdas on one line are told apart and nothing is dedented or guessed.
"""

from __future__ import annotations

import ast
import linecache
import os
import time
from dataclasses import dataclass
from functools import cached_property, lru_cache
from types import CodeType, FunctionType
from typing import TypeGuard

from flux.errors import SourceError, source_line

__all__ = ["File", "FunctionNode", "Source", "find_source"]

FunctionNode = ast.FunctionDef | ast.Lambda | ast.AsyncFunctionDef


@dataclass(frozen=True, eq=False)
class File:
    """One parsed file: its name, its functions and the names that it declares `global`."""

    name: str
    functions: tuple[tuple[FunctionNode, str | None], ...]
    written_globals: frozenset[str]

    @cached_property
    def written_attributes(self) -> frozenset[str]:
        """The attributes that its functions assign, constructors left out."""
        names: set[str] = set()
        for node, _ in self.functions:
            if not isinstance(node, ast.Lambda) and node.name != "__init__":
                names.update(n.attr for n in ast.walk(node) if _is_written(n))
        return frozenset(names)


@dataclass(frozen=True, eq=False)
class Source:
    """A function's syntax tree, the file it stands in and the class whose body holds it."""

    node: FunctionNode
    file: File
    owner: str | None


def _is_written(node: ast.AST) -> TypeGuard[ast.Attribute]:
    return isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)


def find_source(fn: FunctionType) -> Source:
    """The syntax tree of `fn`.

    Raises: `SourceError` if the source is not to be had (`exec`, a compiled module), or is not the
    source that `fn` was made from.
    """
    code = fn.__code__
    linecache.checkcache(code.co_filename)
    lines = linecache.getlines(code.co_filename, fn.__globals__)
    if not lines:
        raise SourceError(
            f"the source of `{fn.__qualname__}` cannot be found: expected the file "
            f"{code.co_filename}, which does not exist or is empty.",
            hint="Python keeps no source of what is typed at its prompt or given to `python -c`: "
            "define the function in a file or a notebook cell, or give it a derivative with "
            f"@flux.rule({fn.__name__}).",
        )
    file = _parse(code.co_filename, "".join(lines))
    matching = [entry for entry in file.functions if _could_be(entry[0], code)]
    node, owner = _innermost(matching, code) or _stale(fn)
    if not code.co_qualname.startswith(INSIDE_OURS) and _is_newer(code.co_filename):
        if _trait(code) not in _traits(file.name, "".join(lines)):
            _stale(fn)
    return Source(node, file, owner)


@lru_cache(maxsize=256)
def _parse(filename: str, text: str) -> File:
    try:
        tree = ast.parse(text, filename)
    except SyntaxError as error:
        raise SourceError(
            f"{filename} cannot be parsed: {error.msg} in line {error.lineno}.",
            hint="The file was changed after it was imported; import it again.",
        ) from None
    functions: list[tuple[FunctionNode, str | None]] = []
    written: set[str] = set()

    def visit(node: ast.AST, owner: str | None) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef | ast.Lambda | ast.AsyncFunctionDef):
                functions.append((child, owner))
                visit(child, owner)
            elif isinstance(child, ast.ClassDef):
                visit(child, child.name)
            else:
                if isinstance(child, ast.Global):
                    written.update(child.names)
                visit(child, owner)

    visit(tree, None)
    return File(filename, tuple(functions), frozenset(written))


STARTED = time.time()
INSIDE_OURS = "factory.<locals>."
"""How the qualified name of a function begins that stands in one that we compiled: that one was
compared with its source already."""


def _is_newer(filename: str) -> bool:
    """Was the file written since this process started? Only then can it differ from the code."""
    try:
        return os.stat(filename).st_mtime > STARTED
    except OSError:
        return False


@lru_cache(maxsize=16)
def _traits(filename: str, text: str) -> frozenset[tuple]:
    """The traits of all functions of a file as it is now."""
    found, waiting = set(), [compile(text, filename, "exec", dont_inherit=True)]
    while waiting:
        code = waiting.pop()
        found.add(_trait(code))
        waiting += [const for const in code.co_consts if isinstance(const, CodeType)]
    return frozenset(found)


def _trait(code: CodeType) -> tuple:
    """What a function does."""
    consts = tuple(repr(const) for const in code.co_consts if not isinstance(const, CodeType))
    return code.co_name, code.co_firstlineno, code.co_code, consts, code.co_names


def _could_be(node: FunctionNode, code: CodeType) -> bool:
    name = "<lambda>" if isinstance(node, ast.Lambda) else node.name
    return name == code.co_name and _parameters(node.args) == _code_parameters(code)


def _parameters(args: ast.arguments) -> list[str]:
    names = [a.arg for a in (*args.posonlyargs, *args.args, *args.kwonlyargs)]
    names += [a.arg for a in (args.vararg, args.kwarg) if a]
    return [_unmangled(name) for name in names]


def _code_parameters(code: CodeType) -> list[str]:
    count = code.co_argcount + code.co_kwonlyargcount
    count += bool(code.co_flags & 0x04) + bool(code.co_flags & 0x08)
    return [_unmangled(name) for name in code.co_varnames[:count]]


def _unmangled(name: str) -> str:
    """Parameters named `__x` inside a class are mangled in the code: compare their tails."""
    return "__" + name.split("__", 1)[1] if "__" in name and not name.endswith("__") else name


def _innermost(candidates, code: CodeType):
    """The smallest candidate whose body holds every position of the code."""
    positions = [
        (line, column, end_line, end_column)
        for line, end_line, column, end_column in code.co_positions()
        if None not in (line, column, end_line, end_column)
        and not (column == end_column == 0)
        and line is not None
    ]
    first_line = code.co_firstlineno
    if positions:
        start = min((line, column) for line, column, _, _ in positions)
        end = max((line, column) for _, _, line, column in positions)
        inside = []
        for node, owner in candidates:
            low, high = _body_span(node)
            if low <= start and end <= high and first_line in _first_lines(node):
                inside.append(((high[0] - low[0], high[1] - low[1]), node, owner))
        if inside:
            _, node, owner = min(inside, key=lambda entry: entry[0])
            return node, owner
    exact = [entry for entry in candidates if first_line in _first_lines(entry[0])]
    return exact[0] if len(exact) == 1 else None


def _body_span(node: FunctionNode):
    body = node.body if isinstance(node.body, list) else [node.body]
    low = (node.lineno, node.col_offset)
    if isinstance(node, ast.Lambda):
        low = (body[0].lineno, body[0].col_offset)
    last = body[-1]
    assert last.end_lineno is not None and last.end_col_offset is not None
    return low, (last.end_lineno, last.end_col_offset)


def _first_lines(node: FunctionNode) -> tuple[int, int]:
    """The line of the first decorator, and of the function itself (ours drop decorators)."""
    decorators = getattr(node, "decorator_list", [])
    return min([node.lineno, *(d.lineno for d in decorators)]), node.lineno


def _stale(fn: FunctionType):
    code = fn.__code__
    raise SourceError(
        f"the source of `{fn.__qualname__}` is not what was imported: expected it in "
        f"{source_line(code.co_filename, code.co_firstlineno)}",
        hint="The file was changed after it was imported; import it again.",
    )
