"""What a model is made of: its layers with their sizes, found without running it on numbers."""

from __future__ import annotations

import copy
import dataclasses
import io
import sys
from collections import defaultdict
from types import FunctionType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from flux.layers.parts import children, is_parameter, modules, parameters
from flux.layers.show import label

__all__ = ["Summary", "outputsize", "summary"]


def outputsize(model, inputsize, *, padbatch=False, dtype="float32"):
    """The shape of a model's output, found from shapes alone; nothing is computed or changed.

    Args:
        model: any callable.
        inputsize: the shape of the input, or a list of shapes for several inputs. An array stands
            for its shape and dtype.
        padbatch: add a batch axis of length 1 to the input and take it off the output.
        dtype: of the inputs that are shapes; integers for a model that begins with an `Embedding`.

    Returns:
        A tuple of ints; for a model with several outputs, their shapes in the same structure.

    Raises: ``ShapeError`` if the input does not fit the model.

    >>> from flux.layers import Chain, Dense
    >>> outputsize(Chain(Dense(3, 4), Dense(4, 2)), (5, 3))
    (5, 2)
    """
    inputs = _inputs(inputsize, dtype)
    if padbatch:
        inputs = [jax.ShapeDtypeStruct((1, *x.shape), x.dtype) for x in inputs]
    sizes = _run(_copy(model), inputs)
    return jax.tree.map(lambda y: y.shape[1:] if padbatch else y.shape, sizes)


@dataclasses.dataclass
class Row:
    """A line of a summary: one layer."""

    name: str
    depth: int
    layer: str
    output: str
    parameters: int | None
    bytes: int


@dataclasses.dataclass(repr=False)
class Summary:
    """A table of a model's layers; `print` it, or let a notebook show it.

    Attributes:
        rows: a line a layer, in the order in which the model holds them.
        parameters: how many numbers the model learns.
        fixed: how many it holds besides, such as running statistics.
        bytes: the memory of both.

    >>> from flux.layers import BatchNorm
    >>> found = summary(BatchNorm(3))
    >>> found.parameters, found.fixed, found.bytes
    (6, 6, 48)
    """

    rows: list[Row]
    parameters: int
    fixed: int
    bytes: int

    def __rich__(self):
        from rich.table import Table
        from rich.text import Text

        fixed = f" and {self.fixed:,} fixed" if self.fixed else ""
        total = f"{self.parameters:,} parameters{fixed}, {_size(self.bytes)}"
        table = Table(caption=Text(total), caption_justify="left")
        table.add_column("layer", no_wrap=True)
        shapes = any(row.output for row in self.rows)
        if shapes:
            table.add_column("output shape", no_wrap=True)
        table.add_column("parameters", justify="right", no_wrap=True)
        table.add_column("size", justify="right", no_wrap=True)
        for row in self.rows:
            name = f"{row.name}: " if row.name else ""
            first = Text("  " * row.depth + name + row.layer)
            count = "shared" if row.parameters is None else f"{row.parameters:,}"
            cells = [count, _size(row.bytes)] if row.parameters != 0 else ["", ""]
            table.add_row(first, *([row.output] if shapes else []), *cells)
        return table

    def _console(self):
        from rich.console import Console

        console = Console(file=io.StringIO(), width=120, record=True)
        console.print(self)
        return console

    def __repr__(self):
        lines = self._console().export_text().rstrip().splitlines()
        return "\n".join(line.rstrip() for line in lines)

    def _repr_html_(self):
        form = '<pre style="line-height:normal">{code}</pre>'
        return self._console().export_html(inline_styles=True, code_format=form)


def summary(model, inputsize=None, *, dtype="float32") -> Summary:
    """Tabulate a model: its layers, their output shapes, parameters and bytes.

    Args:
        model: any callable object.
        inputsize: the shape of the input, or a list of shapes for several inputs; without it, the
            column of output shapes is missing. An array stands for its shape and dtype.
        dtype: of the inputs that are shapes.

    Raises: ``ShapeError`` if the input does not fit the model.

    >>> from flux.layers import Chain, Dense
    >>> table = summary(Chain(Dense(3, 4), Dense(4, 2)), (5, 3))
    >>> [(row.layer, row.output, row.parameters) for row in table.rows[1:]]
    [('Dense(3, 4)', '(5, 4)', 16), ('Dense(4, 2)', '(5, 2)', 10)]
    >>> print(table.parameters, table.bytes)
    26 104
    """
    model = _copy(model)
    seen: set[int] = set()
    rows = _rows(model, "", 0, seen)
    outputs: dict[Any, list[str]] = defaultdict(list)
    if inputsize is not None:
        outputs = _outputs(model, [part for _, part, _ in rows], _inputs(inputsize, dtype))
    for row, part, owner in rows:
        shapes = outputs[_key(part, owner)]
        row.output = shapes.pop(0) if len(shapes) > 1 else "".join(shapes)
    learnt, every = parameters(model), _arrays(model)
    count = sum(array.size for array in learnt)
    return Summary(
        [row for row, *_ in rows],
        count,
        sum(array.size for array in every) - count,
        sum(array.nbytes for array in every),
    )


def _inputs(inputsize, dtype) -> list[jax.ShapeDtypeStruct]:
    """What the model is called with: a shape, an array, or a list of such."""
    sizes = inputsize
    if _is_array(sizes) or isinstance(sizes, int) or all(isinstance(n, INTEGERS) for n in sizes):
        sizes = [sizes]
    return [_input(size, dtype) for size in sizes]


INTEGERS = (int, np.integer)


def _input(size, dtype) -> jax.ShapeDtypeStruct:
    if _is_array(size):
        return jax.ShapeDtypeStruct(size.shape, jax.dtypes.canonicalize_dtype(size.dtype))
    shape = (size,) if isinstance(size, int) else tuple(int(n) for n in size)
    return jax.ShapeDtypeStruct(shape, jnp.dtype(dtype))


def _is_array(value) -> bool:
    return hasattr(value, "shape") and hasattr(value, "dtype") and value.shape != ()


def _copy(model):
    """A copy whose state may change; its arrays are those of the model."""
    memo = {id(array): array for array in _arrays(model)}
    return copy.deepcopy(model, memo)


def _arrays(model) -> list[Any]:
    found = {}
    for owner in modules(model):
        for _, value in _leaves(owner):
            if is_parameter(value):
                found[id(value)] = value
    return list(found.values())


def _leaves(value):
    for name, part in children(value):
        yield name, part
        if isinstance(part, list | tuple | dict):
            yield from _leaves(part)


def _run(model, inputs):
    return jax.eval_shape(lambda *xs: model(*xs), *inputs)


def _outputs(model, parts, inputs) -> dict[Any, list[str]]:
    """What each of `parts` returned, in the order of its calls, while the model ran on shapes."""
    functions = {part.__code__: part for part in parts if isinstance(part, FunctionType)}
    layers = [type(part).__call__ for part in parts if not isinstance(part, FunctionType)]
    methods = {method.__code__ for method in layers if isinstance(method, FunctionType)}
    outputs: dict[Any, list[str]] = defaultdict(list)

    def watch(frame, event, result):
        if event != "return":
            return
        if frame.f_code in methods:
            outputs[_key(_first_local(frame), None)].append(_shape_text(result))
        elif frame.f_code in functions:
            part = functions[frame.f_code]
            outputs[_key(part, _first_local(frame.f_back))].append(_shape_text(result))

    before = sys.getprofile()
    sys.setprofile(watch)
    try:
        _run(model, inputs)
    finally:
        sys.setprofile(before)
    return outputs


def _key(part, owner):
    """A function is known by the layer that calls it too: an activation stands in many layers."""
    return (id(part), id(owner)) if isinstance(part, FunctionType) else id(part)


def _first_local(frame):
    names = frame.f_code.co_varnames
    return frame.f_locals.get(names[0]) if names else None


def _shape_text(result) -> str:
    if isinstance(result, tuple | list):
        return ", ".join(map(_shape_text, result))
    return str(tuple(result.shape)) if hasattr(result, "shape") else ""


def _rows(part, name, depth, seen, owner=None) -> list[tuple[Row, Any, Any]]:
    """The layer itself, then the layers that it holds; each with the one that holds it."""
    if isinstance(part, FunctionType):
        return [(Row(name, depth, part.__name__, "", 0, 0), part, owner)]
    if id(part) in seen:
        return [(Row(name, depth, label(part), "", None, 0), part, owner)]
    seen.add(id(part))
    arrays = parameters(part)
    counts = sum(a.size for a in arrays), sum(a.nbytes for a in arrays)
    rows = [(Row(name, depth, label(part), "", *counts), part, owner)]
    for inner, item in _layers(part):
        rows += _rows(item, inner, depth + 1, seen, part)
    return rows


def _layers(part):
    """The layers that a layer holds, in attributes or in lists there, by name."""
    names = getattr(part, "names", None) or ()
    for key, value in children(part):
        if isinstance(value, list | tuple | dict):
            for inner, item in children(value):
                if callable(item):
                    yield (key == "layers" and names and names[inner]) or str(inner), item
        elif callable(value) and children(value):
            yield str(key), value


def _size(count: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000 or unit == "GB":
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    raise AssertionError
