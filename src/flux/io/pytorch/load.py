"""Fill a model with the weights of a PyTorch model of the same architecture."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import jax.numpy as jnp
import numpy as np

from flux.errors import ArgumentError, FluxError, ShapeError, did_you_mean, user_line
from flux.io.convert import from_host, to_host
from flux.io.pytorch.images import Images, reorder
from flux.io.pytorch.layers import Field, Unit, units_of
from flux.io.pytorch.match import Pairs, pair
from flux.io.pytorch.state import Part, dotted, parts_of, read_state
from flux.io.structure import replace_arrays

__all__ = ["load_torch"]


def load_torch(
    model: Any,
    state: str | os.PathLike | Mapping[str, Any],
    *,
    names: Mapping[str, str | None] | None = None,
    flatten: Mapping[str, int] | None = None,
    unflatten: Mapping[str, int] | None = None,
) -> None:
    """Fill `model`, in place, with the weights of a PyTorch model of the same architecture.

    A module of PyTorch's and a layer belong together if they have the same arrays; among several of
    one form the names in the two models decide if they agree, then numbers (`conv1`, `layers.3`),
    then, for the layers of a `Chain`, the order in which a live model registered its modules. Where
    nothing decides, the message asks for `names`. Weights are brought into the layout here:
    channels last, inputs before outputs, one bias in a recurrent cell.

    What an array does not tell is not compared: strides, padding, `eps`, activations. PyTorch's
    `LayerNorm` and the like must be built with the same `eps`.

    A layer that reads a flattened image finds other features at each place, since PyTorch flattens
    channels first. Its weight is reordered; in a `Chain` with `Flatten` that is seen, elsewhere
    `flatten` says it. The same holds for a layer whose result becomes an image, with `unflatten`.

    Args:
        model: what is filled.
        state: the path of a safetensors file, a `state_dict` (with arrays of any library), or a
            live PyTorch module. Files of `torch.save` are pickles, which are never read.
        names: by the name of a module or an array in PyTorch, the place of its counterpart here
            (`"layers[0]"`), or `None` for what shall be left out.
        flatten: by the place of a `Dense` layer, how many channels the image had that was
            flattened into its input; all such layers, `{}` if there are none.
        unflatten: likewise, how many channels the image has that its result becomes.

    Raises: `ShapeError` naming PyTorch's array, the layer and both shapes; `FluxError` for arrays
        without a layer, layers without arrays, and where two could be exchanged; `ModelFileError`
        for another file. Nothing is changed then.

    >>> import numpy as np
    >>> from flux.layers import Chain, Dense
    >>> model = Chain(Dense(2, 3), Dense(3, 1, bias=False))
    >>> weights = {"0.weight": np.ones((3, 2)), "0.bias": np.ones(3), "2.weight": np.ones((1, 3))}
    >>> load_torch(model, weights)
    >>> model(np.ones((1, 2)))
    Array([[9.]], dtype=float32)
    >>> load_torch(model, {**weights, "2.weight": np.ones((2, 3))})
    Traceback (most recent call last):
    flux.errors.ShapeError: the state of PyTorch does not fit this model; nothing was changed.
      ...
      - 2.weight has the shape (2, 3); for Dense(3, 1, bias=False), `layers[1]` it must be (1, 3)
    """
    entries, ordered = read_state(state)
    parts, units = parts_of(entries), units_of(model)
    images = Images(model, units, flatten, unflatten)
    pairs, problems = _paired(parts, units, names or {}, ordered)
    new: dict[int, np.ndarray] = {}
    for part, unit in pairs:
        for field in unit.fields:
            array, problem = _made(part, unit, field)
            if problem is None:
                array = reorder(array, images.of(unit), field)
                problem = _fits(part, field, array) or _one(new, unit, field, array)
            if problem is None:
                new[id(field.array)] = array
            else:
                problems.append(problem)
    problems += images.doubts
    if problems:
        _refuse(problems)
    old = {id(field.array): field.array for unit in units for field in unit.fields}
    filled = {key: _as_like(array, old[key]) for key, array in new.items()}
    replace_arrays(model, filled)


def _refuse(problems: list[str]) -> None:
    kind = ShapeError if any("has the shape" in line for line in problems) else FluxError
    more = [f"and {len(problems) - 6} more"] if len(problems) > 6 else []
    raise kind(
        "the state of PyTorch does not fit this model; nothing was changed.",
        where=user_line(),
        hint="\n".join([f"- {line}" for line in [*problems[:6], *more]]),
    )


def _as_like(array: np.ndarray, old) -> Any:
    return from_host(to_host(np.array(array, dtype=old.dtype, order="C")), old)


# -- what is said by `names` -----------------------------------------------------------------------


def _paired(parts: list[Part], units: list[Unit], names, ordered) -> tuple[Pairs, list[str]]:
    """The pairs that `names` makes, and those among what is left."""
    pairs: Pairs = []
    problems: list[str] = []
    for name in sorted(names, key=lambda name: -name.count(".")):
        some, parts = _below(parts, name)
        others, units = ([], units) if names[name] is None else _inside(units, names[name])
        if names[name] is not None:
            found, wrong = _pair_named(name, names[name], some, others, ordered)
            pairs, problems = pairs + found, problems + wrong
    found, wrong = pair(parts, units, ordered)
    return pairs + found, problems + wrong


def _pair_named(name: str, place: str, parts, units, ordered) -> tuple[Pairs, list[str]]:
    """Pair what stands under two names; two arrays are one another's whatever they are called."""
    if len(parts) == len(units) == 1:
        (part,), (unit,) = parts, units
        if len(part.entries) == len(unit.fields) == len(unit.fields[0].names) == 1:
            own = replace(unit.fields[0], raw=False)
            (entry,) = part.entries.values()
            part = Part(part.path, {own.names[0]: entry})
            return pair([part], [replace(unit, fields=[own])], ordered)
    return pair(parts, units, ordered)


def _below(parts: list[Part], name: str) -> tuple[list[Part], list[Part]]:
    """The modules under a name of PyTorch's, or its array of that name; and the others."""
    inside, outside = [], []
    for part in parts:
        whole = _under(part.name, name)
        mine = {n: e for n, e in part.entries.items() if whole or _under(e.label, name)}
        rest = {n: e for n, e in part.entries.items() if n not in mine}
        inside += [Part(part.path, mine)] if mine else []
        outside += [Part(part.path, rest)] if rest else []
    if not inside:
        known = [dotted(part.path) for part in parts]
        known += [entry.label for part in parts for entry in part.entries.values()]
        _unknown(f"the state has nothing named {name!r}", did_you_mean(name, known))
    return inside, outside


def _under(path: str, name: str) -> bool:
    return f"{path}.".startswith(f"{name}.")


def _inside(units: list[Unit], place: str) -> tuple[list[Unit], list[Unit]]:
    """The layers at and in a place of the model, or the array there; and the others."""
    inside, outside = [], []
    for unit in units:
        at = [_place(unit, field) for field in unit.fields]
        mine = [f for f, where in zip(unit.fields, at, strict=True) if _starts(where, place)]
        rest = [field for field in unit.fields if field not in mine]
        inside += [replace(unit, fields=mine)] if mine else []
        outside += [replace(unit, fields=rest)] if rest else []
    if not inside:
        known = [unit.place for unit in units]
        _unknown(f"this model has no layer or array at {place!r}", did_you_mean(place, known))
    return inside, outside


def _place(unit: Unit, field: Field) -> str:
    held = unit.layer if isinstance(unit.layer, dict) else vars(unit.layer)
    attribute = next((name for name, value in held.items() if value is field.array), "")
    return f"{unit.place}.{attribute}" if unit.place else str(attribute)


def _starts(where: str, place: str) -> bool:
    return where.startswith(place) and (where[len(place) :] or ".")[0] in ".["


def _unknown(what: str, similar: str) -> None:
    raise ArgumentError(
        f"load_torch got names for another model: {what}{similar}.",
        where=user_line(),
        hint='names={"name in PyTorch": "place in the model"}, such as {"fc": "layers[2]"}.',
    )


# -- one array -------------------------------------------------------------------------------------


def _made(part: Part, unit: Unit, field: Field) -> tuple[Any, str | None]:
    """The new array in our layout, or why it cannot be made."""
    given = [part.entries[name] for name in field.names]
    label = " and ".join(entry.label for entry in given)
    if field.raw and _ambiguous(field.shape):
        return None, (
            f"{label} {field.shape}: its axes could be in another order in `{_place(unit, field)}`,"
            f" whose class this library does not know; if they are not, say names="
            f"{{{label!r}: {_place(unit, field)!r}}}"
        )
    try:
        return field.make(*[entry.array for entry in given]), None
    except ValueError as problem:
        return None, f"{label}, for {unit.text}: {problem}"


def _ambiguous(shape: tuple[int, ...]) -> bool:
    """Could the axes be exchanged without a change of the shape?"""
    sizes = [size for size in shape if size > 1]
    return len(set(sizes)) < len(sizes)


def _fits(part: Part, field: Field, array: np.ndarray) -> str | None:
    label = part.entries[field.names[0]].label
    if not jnp.issubdtype(array.dtype, np.floating) and array.dtype != field.array.dtype:
        return f"{label} is {array.dtype} in PyTorch and {field.array.dtype} here"
    return None


def _one(new: dict[int, np.ndarray], unit: Unit, field: Field, array: np.ndarray) -> str | None:
    known = new.get(id(field.array))
    if known is not None and known.tobytes() != array.tobytes():
        return f"`{_place(unit, field)}` is one array with another here, and two in the state"
    return None
