"""The operations of the language itself, each with its meaning and its spelling as Python."""

from __future__ import annotations

import ast
import importlib
import operator
from typing import Any

from flux.ir.program import Prim

__all__ = [
    "BINARY",
    "COMPARE",
    "FOLLOW_AGAIN",
    "FOLLOW_SIDE",
    "INERT_BUILTINS",
    "INPLACE",
    "TAKE_SIDE",
    "TEXTS",
    "UNARY",
    "UNPACK_SIDE",
    "as_exception",
    "ATTEMPTS",
    "attempt",
    "attempt_through",
    "bound",
    "call_method",
    "catches",
    "call_star",
    "delattr_",
    "delitem",
    "dict_",
    "enter",
    "exit_",
    "fstring",
    "getattr_",
    "getitem",
    "holds",
    "holds_item",
    "import_",
    "init_cell",
    "list_",
    "load_cell",
    "load_global",
    "merge_dict",
    "merge_keywords",
    "merge_list",
    "merge_tuple",
    "not_",
    "set_",
    "setattr_",
    "setitem",
    "slice_",
    "store_cell",
    "store_global",
    "tuple_",
    "unpack",
    "unbound",
    "unpack_attempt",
    "unpack_star",
    "put_attribute",
    "put_item",
    "read_cell",
    "update_item",
    "UNSET",
    "var_keywords",
]


def _binary(name: str, fn, op: type[ast.operator]) -> Prim:
    return Prim(name, fn, lambda a, b: ast.BinOp(a, op(), b))


_OPERATORS: dict[type[ast.operator], tuple[str, Any, Any]] = {
    ast.Add: ("add", operator.add, operator.iadd),
    ast.Sub: ("sub", operator.sub, operator.isub),
    ast.Mult: ("mul", operator.mul, operator.imul),
    ast.Div: ("truediv", operator.truediv, operator.itruediv),
    ast.FloorDiv: ("floordiv", operator.floordiv, operator.ifloordiv),
    ast.Mod: ("mod", operator.mod, operator.imod),
    ast.Pow: ("pow", operator.pow, operator.ipow),
    ast.MatMult: ("matmul", operator.matmul, operator.imatmul),
    ast.LShift: ("lshift", operator.lshift, operator.ilshift),
    ast.RShift: ("rshift", operator.rshift, operator.irshift),
    ast.BitAnd: ("and", operator.and_, operator.iand),
    ast.BitOr: ("or", operator.or_, operator.ior),
    ast.BitXor: ("xor", operator.xor, operator.ixor),
}
BINARY = {kind: _binary(name, fn, kind) for kind, (name, fn, _) in _OPERATORS.items()}
INPLACE = {kind: Prim("i" + name, fn) for kind, (name, _, fn) in _OPERATORS.items()}

UNARY = {
    ast.USub: Prim("neg", operator.neg, lambda a: ast.UnaryOp(ast.USub(), a)),
    ast.UAdd: Prim("pos", operator.pos, lambda a: ast.UnaryOp(ast.UAdd(), a)),
    ast.Invert: Prim("invert", operator.invert, lambda a: ast.UnaryOp(ast.Invert(), a)),
}
not_ = Prim("not", operator.not_, lambda a: ast.UnaryOp(ast.Not(), a), inert=True)


def _compare(name: str, fn, op: type[ast.cmpop]) -> Prim:
    return Prim(name, fn, lambda a, b: ast.Compare(a, [op()], [b]), inert=True)


COMPARE = {
    ast.Eq: _compare("eq", operator.eq, ast.Eq),
    ast.NotEq: _compare("ne", operator.ne, ast.NotEq),
    ast.Lt: _compare("lt", operator.lt, ast.Lt),
    ast.LtE: _compare("le", operator.le, ast.LtE),
    ast.Gt: _compare("gt", operator.gt, ast.Gt),
    ast.GtE: _compare("ge", operator.ge, ast.GtE),
    ast.Is: _compare("is", operator.is_, ast.Is),
    ast.IsNot: _compare("is not", operator.is_not, ast.IsNot),
    ast.In: _compare("in", lambda a, b: a in b, ast.In),
    ast.NotIn: _compare("not in", lambda a, b: a not in b, ast.NotIn),
}


def _name(expression: ast.expr) -> str:
    assert isinstance(expression, ast.Constant)
    return expression.value  # type: ignore[return-value]


def _write_method(owner, name, *args, **keywords):
    pairs = [ast.keyword(key, value) for key, value in keywords.items()]
    return ast.Call(ast.Attribute(owner, _name(name), ast.Load()), list(args), pairs)


def _call_method(owner, name, /, *args, **keywords):
    return getattr(owner, name)(*args, **keywords)


def _load(kind, *parts):
    return kind(list(parts), ast.Load())


getattr_ = Prim("getattr", getattr, lambda a, n: ast.Attribute(a, _name(n), ast.Load()))
setattr_ = Prim("setattr", setattr)
delattr_ = Prim("delattr", delattr)
getitem = Prim("getitem", operator.getitem, lambda a, i: ast.Subscript(a, i, ast.Load()))
setitem = Prim("setitem", operator.setitem)


def _update_item(owner, index, value):
    owner[index] = value
    return owner


update_item = Prim("update_item", _update_item)
"""`owner[index] = value`; the result is the owner afterwards, a new array where it is immutable."""
put_item = Prim("put_item", _update_item)
"""Put an array back into the container or array that it was read from; nothing for other values."""
put_attribute = Prim("put_attribute", setattr)
"""Put an array back into the attribute that it was read from; nothing for other values."""


def _holds(owner, name, value):
    return getattr(owner, "__dict__", {}).get(name, value) is value


def _holds_item(owner, index, value):
    return not isinstance(owner, list | dict) or owner[index] is value


holds = Prim("holds", _holds, inert=True)
"""Is the attribute still `value`? Where the owner computes it, nobody can tell: yes."""
holds_item = Prim("holds_item", _holds_item, inert=True)
"""The same for the item of a list or dictionary; an array computes its items."""
delitem = Prim("delitem", operator.delitem)
call_method = Prim("method", _call_method, _write_method)
slice_ = Prim("slice", slice, inert=True)
tuple_ = Prim("tuple", lambda *items: items, lambda *items: _load(ast.Tuple, *items))
list_ = Prim("list", lambda *items: list(items), lambda *items: _load(ast.List, *items))
set_ = Prim("set", lambda *items: set(items), lambda *items: ast.Set(list(items)))


def _dict(*pairs):
    return dict(zip(pairs[::2], pairs[1::2], strict=True))


dict_ = Prim("dict", _dict, lambda *pairs: ast.Dict(list(pairs[::2]), list(pairs[1::2])))


def _fstring(*parts):
    raise NotImplementedError


def _write_fstring(*parts):
    """Parts come in triples: value, conversion, format (text stands with conversion None)."""
    values: list[ast.expr] = []
    for value, conversion, spec in zip(parts[::3], parts[1::3], parts[2::3], strict=True):
        if conversion.value is None:
            values.append(value)
            continue
        empty = isinstance(spec, ast.Constant) and spec.value == ""
        text = None if empty else ast.JoinedStr([_formatted(spec)])
        values.append(ast.FormattedValue(value, conversion.value, text))
    return ast.JoinedStr(values)


def _formatted(spec: ast.expr) -> ast.expr:
    return spec if isinstance(spec, ast.Constant) else ast.FormattedValue(spec, -1, None)


fstring = Prim("fstring", _fstring, _write_fstring, inert=True)


def _unpack(value, count):
    items = tuple(value)
    if len(items) != count:
        few = len(items) < count
        raise ValueError(
            f"not enough values to unpack (expected {count}, got {len(items)})"
            if few
            else f"too many values to unpack (expected {count})"
        )
    return items


UNSET = object()


def _unpack_star(value, before, after):
    items = tuple(value)
    if len(items) < before + after:
        raise ValueError(
            f"not enough values to unpack (expected at least {before + after}, got {len(items)})"
        )
    end = len(items) - after
    return (*items[:before], list(items[before:end]), *items[end:])


def _write_unpack(value, count):
    return value


unpack = Prim("unpack", _unpack, _write_unpack)


def _first(value, store=None):
    return value


def _nothing(took, store):
    return None


def _unpack_side(value, count, store):
    return _unpack(value, count)


def _write_unpack_side(value, count, store):
    return value


UNPACK_SIDE = {side: Prim("unpack", _unpack_side, _write_unpack_side) for side in (True, False)}
"""The records of the side of a branch that ran, of which there are several."""
TAKE_SIDE = {side: Prim("record", _first, _first) for side in (True, False)}
"""The only record of the side of a branch that ran."""
FOLLOW_SIDE = {side: Prim("follow", _nothing, _nothing) for side in (True, False)}
"""The reverse of a side of a branch begins: cotangents of objects after it belong to those in it.

In plain Python these are the same objects, and nothing is to be done.
"""
FOLLOW_AGAIN = Prim("follow again", _nothing, _nothing, inert=True)
"""The same in a reverse that is differentiated itself."""
unpack_star = Prim("unpack*", _unpack_star)


def _merge_tuple(stars, *items):
    merged: list = []
    for star, item in zip(stars, items, strict=True):
        merged.extend(item) if star else merged.append(item)
    return tuple(merged)


def _merge_list(stars, *items):
    return list(_merge_tuple(stars, *items))


def _merge_dict(*pairs):
    """Keys and values in turn; a key `None` merges the mapping that follows it."""
    merged: dict = {}
    for key, value in zip(pairs[::2], pairs[1::2], strict=True):
        merged.update(value) if key is None else merged.__setitem__(key, value)
    return merged


merge_tuple = Prim("merge_tuple", _merge_tuple)
merge_list = Prim("merge_list", _merge_list)
merge_dict = Prim("merge_dict", _merge_dict)
call_star = Prim("call", lambda f, args, keywords: f(*args, **keywords))
var_keywords = Prim("keywords", lambda keywords: keywords)


def _merge_keywords(*pairs):
    """The same for the keyword arguments of a call, each of which may come once."""
    merged: dict = {}
    for key, value in zip(pairs[::2], pairs[1::2], strict=True):
        more = value if key is None else {key: value}
        for twice in merged.keys() & more.keys():
            raise TypeError(f"got multiple values for keyword argument {twice!r}")
        merged.update(more)
    return merged


merge_keywords = Prim("merge_keywords", _merge_keywords)


def _load_cell(cell, value):
    return value


def _store_cell(cell, value):
    cell.cell_contents = value


load_cell = Prim("load_cell", _load_cell, lambda cell, value: value)
store_cell = Prim("store_cell", _store_cell)
init_cell = Prim("init_cell", _store_cell)
"""The same for the value that a parameter has at first."""


def _load_global(module, name):
    if name not in module:
        raise NameError(f"name '{name}' is not defined")
    return module[name]


load_global = Prim("load_global", _load_global)
store_global = Prim("store_global", lambda module, name, value: module.__setitem__(name, value))


def _attempt(raised, error, fn, /, *args, **keywords):
    if raised:
        return None, error, True
    try:
        return (fn.fn if isinstance(fn, Prim) else fn)(*args, **keywords), None, False
    except BaseException as caught:
        return None, caught, True


attempt = Prim("attempt", _attempt)
"""`value, error, raised`: call `fn` unless an exception is on its way already."""
attempt_through = Prim("attempt_through", _attempt)
"""`attempt` where no `except` is around: an exception leaves the function, after some cleanup."""
ATTEMPTS = frozenset([attempt, attempt_through])
unpack_attempt = Prim("unpack", lambda value, count: (None,) * count if value is None else value)
"""The items of an attempted unpacking; nothing, so many times, where it raised."""


def _as_exception(value, cause: Any = UNSET):
    if isinstance(value, type) and issubclass(value, BaseException):
        value = value()
    if not isinstance(value, BaseException):
        raise TypeError("exceptions must derive from BaseException")
    if cause is not UNSET:
        value.__cause__ = cause() if isinstance(cause, type) else cause
    return value


def _unbound(name):
    raise UnboundLocalError(
        f"cannot access local variable '{name}' where it is not associated with a value"
    )


unbound = Prim("unbound", _unbound, inert=True)
"""A read of a name before any assignment, inside a `try`."""


def _bound(value, name):
    return _unbound(name) if value is UNSET else value


bound = Prim("bound", _bound)
"""A read of a name that a branch or loop may have left without a value, which is `UNSET` then."""


def _read_cell(cell, name):
    try:
        return cell.cell_contents
    except ValueError:
        return _unbound(name)


read_cell = Prim("read_cell", _read_cell)
"""`load_cell` inside a `try`, of a name that may have no value."""
as_exception = Prim("as_exception", _as_exception, inert=True)
"""What `raise value from cause` raises."""
catches = Prim("catches", lambda error, kinds: isinstance(error, kinds), inert=True)
"""Does `except kinds` catch the exception?"""


def _enter(manager):
    return type(manager).__enter__(manager)


def _exit(manager, error):
    if error is None:
        type(manager).__exit__(manager, None, None, None)
        return False
    return bool(type(manager).__exit__(manager, type(error), error, error.__traceback__))


enter = Prim("enter", _enter)
"""The value of `with manager`."""
exit_ = Prim("exit", _exit)
"""Leave `with manager`, by an exception or without; is the exception not to go on?"""


def _import(name, package, attribute):
    module = importlib.import_module(name, package)
    if attribute is None or hasattr(module, attribute):
        return getattr(module, attribute) if attribute else module
    try:
        return importlib.import_module(f"{module.__name__}.{attribute}")
    except ModuleNotFoundError:
        raise ImportError(f"cannot import name {attribute!r} from {module.__name__!r}") from None


import_ = Prim("import", _import, inert=True)


def _inert(name: str, fn) -> Prim:
    def write(*args, **keywords):
        pairs = [ast.keyword(key, value) for key, value in keywords.items()]
        return ast.Call(ast.Name(name, ast.Load()), list(args), pairs)

    return Prim(name, fn, write, inert=True)


INERT_BUILTINS = {
    fn.__name__: _inert(fn.__name__, fn)
    for fn in (
        bool, breakpoint, callable, chr, delattr, format, hasattr, hash, hex, id, int, isinstance,
        issubclass, len, oct, ord, print, range, repr, slice, str, type,
    )
}  # fmt: skip
del INERT_BUILTINS["delattr"]
TEXTS = frozenset([fstring, *[INERT_BUILTINS[name] for name in ("str", "repr", "format")]])
"""Operations that make a text of numbers."""
"""Built-in functions whose result never carries a derivative; they are called as they are."""
