"""What an exported program takes and returns, as plain data that a file can hold.

A *pattern* is one of these:

    {"array": 3}                        the input or output number 3
    {"value": 0.5}                      this number, text, truth value or None
    {"tuple": [...]}, {"list": [...]}   patterns of the items
    {"dict": [[key, pattern], ...]}
    {"object": "Dense", "fields": {"weight": pattern, ...}}
    {"fixed": "function"}               part of an object that was built into the program
"""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from typing import Any

import numpy as np

from flux.compiler.containers import ARRAYS, ListOf, ObjectOf, container_of
from flux.errors import FluxError, user_line
from flux.tree.objects import fields, is_namedtuple

__all__ = ["Pattern", "array_of", "arrays_in", "pattern_of", "put_in", "with_arrays"]

Pattern = dict[str, Any]
STATIC = (type(None), bool, int, float, str)
DICTS = (dict, OrderedDict, defaultdict)


def pattern_of(value, path: str, arrays: list, objects: tuple = ()) -> Pattern:
    """The pattern of `value`; its arrays are appended to `arrays`, as `(array, path, held)`.

    `objects` are those that `value` is part of; `held` says whether there are any. Everything that
    stands in an object and has no pattern is fixed.

    Raises: `FluxError` naming what a file cannot hold.
    """
    if isinstance(value, ARRAYS):
        arrays.append((value, path, bool(objects)))
        return {"array": len(arrays) - 1}
    if type(value) in STATIC:
        return {"value": value}
    inner: Any = [pattern_of, path, arrays, objects]
    if type(value) in (tuple, list):
        items = [part(inner, item, f"[{i}]") for i, item in enumerate(value)]
        return {type(value).__name__: items}
    if type(value) in DICTS and all(type(key) in (str, int, bool) for key in value):
        return {"dict": [[k, part(inner, item, f"[{k!r}]")] for k, item in value.items()]}
    if is_namedtuple(value) or isinstance(container_of(value), ObjectOf):
        if any(value is known for known in objects):
            raise refused(path, "an object that contains itself")
        inner[-1] = (*objects, value)
        items = value._asdict() if is_namedtuple(value) else fields(value)
        parts = {name: part(inner, item, f".{name}") for name, item in items.items()}
        return {"object": type(value).__name__, "fields": parts}
    if objects:
        return {"fixed": type(value).__name__}
    raise refused(path, f"a {type(value).__name__}")


def part(inner, value, name: str) -> Pattern:
    function, path, *rest = inner
    return function(value, path + name, *rest)


def refused(path: str, what: str) -> FluxError:
    return FluxError(
        f"{path} is {what}, which an exported program can neither take nor return.",
        where=user_line(),
        hint="Take and return arrays, numbers and texts in tuples, lists and dicts; anything else "
        "is part of the function: flux.export(lambda x: f(other, x), x).",
    )


def with_arrays(value, arrays) -> Any:
    """A copy of `value` with the items of the iterator `arrays` in place of its arrays."""
    if isinstance(value, ARRAYS):
        return next(arrays)
    if type(value) in STATIC:
        return value
    shape = container_of(value)
    if not (isinstance(shape, ListOf | ObjectOf) or isinstance(value, tuple | dict)):
        return value
    assert shape is not None
    parts = [with_arrays(item, arrays) for _, item, _ in shape.parts(value)]
    if not shape.mutable:
        return shape.build(parts)
    new = shape.empty()
    shape.fill(new, parts)
    return new


# -- at a call ---------------------------------------------------------------------------------


def array_of(value) -> Any:
    """`value` where a program takes an array: an array, or a number; `None` for anything else."""
    if isinstance(value, ARRAYS):
        return value
    return np.asarray(value) if type(value) in (bool, int, float, complex) else None


def arrays_in(pattern: Pattern, value, path: str, found: dict[int, tuple[Any, str]]) -> None:
    """Find the arrays of `value`, by their number.

    Raises: `FluxError` naming the first place where `value` is not as the pattern says.
    """
    if "fixed" in pattern:
        return
    if "array" in pattern:
        if array_of(value) is None:
            raise unlike(path, "an array", given(value))
        found[pattern["array"]] = value, path
    elif "value" in pattern:
        expected = pattern["value"]
        if type(value) is not type(expected) or repr(value) != repr(expected):
            raise unlike(path, f"{expected!r}, which was built into the program", given(value))
    elif "object" in pattern:
        for name, inner in pattern["fields"].items():
            if not hasattr(value, name):
                expected = f"an object as {pattern['object']}, with the attribute {name!r}"
                raise unlike(path, expected, given(value))
            arrays_in(inner, getattr(value, name), f"{path}.{name}", found)
    elif "dict" in pattern:
        keys = [key for key, _ in pattern["dict"]]
        if not isinstance(value, dict) or set(value) != set(keys):
            raise unlike(path, f"a dict with the keys {keys}", given(value))
        for key, inner in pattern["dict"]:
            arrays_in(inner, value[key], f"{path}[{key!r}]", found)
    else:
        ((kind, items),) = pattern.items()
        if not isinstance(value, {"tuple": tuple, "list": list}[kind]) or len(value) != len(items):
            raise unlike(path, f"a {kind} of {len(items)}", given(value))
        for i, inner in enumerate(items):
            arrays_in(inner, value[i], f"{path}[{i}]", found)


def given(value) -> str:
    if isinstance(value, ARRAYS):
        return f"an array of shape {value.shape}"
    if isinstance(value, dict):
        return f"a dict with the keys {list(value)}"
    if isinstance(value, tuple | list):
        return f"a {type(value).__name__} of {len(value)}"
    return repr(value) if type(value) in STATIC else f"a {type(value).__name__}"


def unlike(path: str, expected: str, found: str) -> FluxError:
    return FluxError(
        f"{path} of an exported program: expected {expected}, and got {found}.",
        where=user_line(),
        hint="It takes arguments of the structure that it was exported with; export it again for "
        "another.",
    )


def put_in(pattern: Pattern, outputs: list) -> Any:
    """The result of a program, of its outputs."""
    if "array" in pattern:
        return outputs[pattern["array"]]
    if "value" in pattern:
        return pattern["value"]
    if "dict" in pattern:
        return {key: put_in(inner, outputs) for key, inner in pattern["dict"]}
    ((kind, items),) = pattern.items()
    parts = [put_in(inner, outputs) for inner in items]
    return tuple(parts) if kind == "tuple" else parts
