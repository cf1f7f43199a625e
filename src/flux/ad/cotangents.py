"""Cotangents as values: their sum, and their way between structures and the store.

`None` is zero. A tuple's cotangent is a tuple; numbers and arrays have cotangents of their kind;
everything mutable has its cotangent in the store and `None` here.
"""

from __future__ import annotations

from functools import partial
from types import BuiltinFunctionType, CellType, FunctionType, MethodType, ModuleType
from typing import Any

from flux.ad.indexed import LAZY
from flux.ad.registry import inert
from flux.ad.spaces import IDENTITIES, MEMORIES, SPACES, project, space_of, zero_of
from flux.errors import NotDifferentiable, user_line
from flux.tree.objects import blank, fields, is_object, set_field

__all__ = [
    "accumulate",
    "dense",
    "deposit",
    "gradient_of",
    "own_memory",
    "snapshot",
    "whole_of_partial",
]


def accumulate(a, b):
    """The sum of two cotangents of one value."""
    if a is None:
        return b
    if b is None:
        return a
    kind = type(a)
    if kind is tuple:
        return tuple([accumulate(x, y) for x, y in zip(a, b, strict=True)])
    if kind in LAZY:
        return a.plus(b)
    return b.plus(a) if type(b) in LAZY else a + b


def dense(ct):
    """`ct` with ordinary arrays where it is a sum not yet carried out, inside tuples too."""
    kind = type(ct)
    if kind in LAZY:
        return ct.dense()
    return tuple([dense(part) for part in ct]) if kind is tuple else ct


def deposit(value, ct, store):
    """Put the structural cotangent `ct` of `value` into the store where `value` is mutable.

    Returns the part that travels by value: `ct` itself for numbers and arrays, a tuple for a
    tuple, `None` for lists, dicts and objects.
    """
    if ct is None:
        return None
    if isinstance(value, tuple):
        return tuple([deposit(v, c, store) for v, c in zip(value, ct, strict=True)])
    if isinstance(value, list):
        for index, item in enumerate(value):
            store.add(value, index, deposit(item, ct[index], store))
        return None
    if isinstance(value, dict):
        for key, item in value.items():
            store.add(value, key, deposit(item, ct.get(key), store))
        return None
    if space_of(type(value)) is None and is_object(value):
        parts = ct if isinstance(ct, dict) else fields(ct)
        for name, item in fields(value).items():
            store.add(value, name, deposit(item, parts.get(name), store))
        return None
    return ct


def whole_of_partial(value: partial, ct, slot) -> tuple:
    """The cotangents of a partial's function, arguments and keywords.

    Those by value are in `ct`; a callee that looked inside the partial left others in the store,
    at the partial and the dict of its keywords; `slot(owner, key)` reads them.
    """
    keywords = value.keywords
    own, given, named = ct or (None, (None,) * len(value.args), (None,) * len(keywords))
    return (
        accumulate(own, slot(value, None)),
        tuple([accumulate(c, slot(value, i)) for i, c in enumerate(given)]),
        tuple([accumulate(c, slot(keywords, k)) for k, c in zip(keywords, named, strict=True)]),
    )


STATELESS = (BuiltinFunctionType, ModuleType, type, str, bytes, bool, int, type(None), type(...))


def snapshot(value, memo: dict[int, Any]):
    """Remember the structure of `value` as it is before a function may change it.

    `memo` maps the `id` of each mutable container to `(container, its items or fields)`.
    """
    kind = type(value)
    if kind in SPACES or isinstance(value, STATELESS) or id(value) in memo:
        return
    if isinstance(value, tuple):
        for item in value:
            snapshot(item, memo)
        return
    parts: Any
    if isinstance(value, list):
        parts = list(value)
        inner = parts
    elif isinstance(value, dict):
        parts = dict(value)
        inner = parts.values()
    elif isinstance(value, FunctionType):
        parts = _captured(value)
        inner = parts.values()
    elif isinstance(value, MethodType):
        snapshot(value.__self__, memo)
        return
    elif isinstance(value, partial):
        snapshot((value.func, value.args, value.keywords), memo)
        return
    elif space_of(kind) is None and is_object(value):
        parts = fields(value)
        inner = parts.values()
    else:
        return
    memo[id(value)] = (value, parts)
    for item in inner:
        snapshot(item, memo)


def _captured(fn: FunctionType) -> dict[str, Any]:
    """What a function captured, by name."""
    found = {}
    for name, cell in zip(fn.__code__.co_freevars, fn.__closure__ or (), strict=True):
        try:
            found[name] = cell.cell_contents
        except ValueError:
            continue
    return found


def gradient_of(value, ct, store, memo: dict[int, Any], made: dict[int, Any]):
    """The gradient with respect to `value`, in the structure of `value` at the snapshot.

    Args:
        value: an argument of the differentiated function.
        ct: its cotangent by value.
        store: the store of the reverse pass.
        memo: what `snapshot` found.
        made: gradients of mutable things already made, by `id`: what occurs twice has one.
    """
    kind = type(value)
    space = SPACES.get(kind) or space_of(kind)
    if space is not None:
        ct = dense(ct)
        if hasattr(ct, "asked"):  # the cotangent that a library does not know: it raises
            ct.asked()  # pyright: ignore[reportAttributeAccessIssue]
        found = zero_of(value) if ct is None else own_memory(project(ct, value), made)
        if found is None and space.items is not None:
            refuse_items(space.items(value), store)
        return found if kind not in IDENTITIES else of_all_places(value, found, made)
    if isinstance(value, STATELESS):
        return None
    if isinstance(value, tuple):
        parts = ct or (None,) * len(value)
        items = [gradient_of(v, c, store, memo, made) for v, c in zip(value, parts, strict=True)]
        return kind(*items) if hasattr(kind, "_fields") else tuple(items)
    if isinstance(value, MethodType):
        return gradient_of(value.__self__, ct, store, memo, made)
    if isinstance(value, partial):
        parts = (value.func, value.args, tuple(value.keywords.values()))
        cts = whole_of_partial(value, ct, store.peek)
        func, args, named = gradient_of(parts, cts, store, memo, made)
        keywords = dict(zip(value.keywords, named, strict=True))
        return {"func": func, "args": args, "keywords": keywords}
    if id(value) not in memo:
        return None
    if id(value) in made:
        return made[id(value)]
    return _container_gradient(value, store, memo, made)


def refuse_items(items: list, store) -> None:
    """Refuse that objects have cotangents in the store which an array holds and hides."""
    memo: dict[int, Any] = {}
    snapshot(items, memo)
    owners = [owner for owner, _ in memo.values()]
    cells = [cell for f in owners if isinstance(f, FunctionType) for cell in f.__closure__ or ()]
    if any([store.of(owner) for owner in [*owners, *cells]]):
        raise NotDifferentiable(
            "the gradient of what an array of dtype object holds is not known.",
            where=user_line(),
            hint="Use a list.",
        )


inert(refuse_items)


def of_all_places(parameter, part, made: dict[int, Any]):
    """The gradient of a parameter that may have been met before: `part` is added, in place."""
    if id(parameter) in made:
        made[id(parameter)] += part
    return made.setdefault(id(parameter), part)


MEMORY = -1
"""Where `made` keeps the memory of the arrays that were handed out."""


def own_memory(ct, made: dict[int, Any]):
    """A gradient whose memory is nobody else's: the user may change it in place."""
    own = MEMORIES.get(type(ct))
    return ct if own is None else own(ct, made.setdefault(MEMORY, {}))


def _container_gradient(value, store, memo, made):
    _, parts = memo[id(value)]

    def slot(key, item, owner=value):
        ct = store.peek(owner, key)
        if hasattr(ct, "asked"):
            return ct.asked(owner)
        return gradient_of(item, ct, store, memo, made)

    if isinstance(value, list):
        made[id(value)] = result = []
        result.extend([slot(i, item) for i, item in enumerate(parts)])
        return result
    if isinstance(value, dict):
        made[id(value)] = result = {}
        result.update([(key, slot(key, item)) for key, item in parts.items()])
        return result
    if isinstance(value, FunctionType):
        made[id(value)] = result = {}
        cells: dict[str, CellType] = dict(
            zip(value.__code__.co_freevars, value.__closure__ or (), strict=True)
        )
        result.update(
            [(name, slot("cell_contents", item, cells[name])) for name, item in parts.items()]
        )
        if all([part is None for part in result.values()]):
            made[id(value)] = result = None
        return result
    made[id(value)] = result = blank(type(value))
    for name, item in parts.items():
        set_field(result, name, slot(name, item))
    for finish in ON_GRADIENT:
        finish(result)
    return result


ON_GRADIENT: list = []
"""Called with every gradient object that is made: the compiler's room registers its class."""
