"""Save a model with its optimiser, and restore both: the same numbers as if nothing had stopped."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from flux.errors import ArgumentError, FluxError, ModelFileError, brief, user_line
from flux.io import files
from flux.io.convert import from_host, to_host
from flux.io.structure import Structure, differences, is_array, replace_arrays, structure_of
from flux.tree.walk import places, spelled

__all__ = ["read_extra", "restore", "save"]

PREFIX = {"model": "", "opt": "opt:", "extra": "extra:"}  # of the names of arrays in the file


def save(path: str | os.PathLike, model: Any, opt: Any = None, **extra: Any) -> None:
    """Write a model to a safetensors file, in one step: the old file stays until the new is whole.

    All arrays and numbers are written (parameters, running statistics, random state, counters),
    with the paths, shapes, dtypes and class names that `restore` will check. No code is.

    `flux.callbacks.checkpoint_every` calls it for a run of `flux.train`, with all that is needed to
    go on. A loop of one's own does that with the place in the data and the random state:
    ``save(path, model, opt, data=loader.state_dict(), random=flux.random.getstate())``, later
    ``extra = restore(path, model, opt)``, ``loader.load_state_dict(extra["data"])`` and
    ``flux.random.setstate(extra["random"])``.

    Args:
        path: the file.
        model: any object.
        opt: the optimiser's state, from `flux.setup`, to continue the training.
        extra: what `restore` is to give back: arrays, numbers, strings, lists and dicts of them.

    Raises: ``ModelFileError`` if the file cannot be written.

    >>> import os, tempfile
    >>> from flux.layers import Dense
    >>> path = os.path.join(tempfile.mkdtemp(), "model.safetensors")
    >>> save(path, Dense(3, 2), epoch=3)
    >>> restore(path, Dense(3, 2))
    {'epoch': 3}
    """
    target = _path("save", path)
    arrays: dict[str, Any] = {}
    encoded = {name: _encode(value, name, arrays) for name, value in extra.items()}
    structure: dict[str, Any] = {"extra": encoded}
    for role, tree in _roles(model, opt).items():
        found = structure_of(tree)
        structure[role] = found.as_json()
        arrays.update({PREFIX[role] + place: to_host(a) for place, a in found.arrays.items()})
    if opt is not None:
        structure["frozen"] = list(getattr(opt, "frozen", ()))
    files.write(target, arrays, structure)


def restore(path: str | os.PathLike, model: Any, opt: Any = None) -> dict[str, Any]:
    """Fill a model of the same structure, in place, from a file that `save` wrote.

    Arrays that the model shares stay shared. If anything does not fit, nothing is changed.

    Args:
        path: the file.
        model: the model to fill, built as the saved one was.
        opt: the optimiser's state to fill; the file must hold one.

    Returns: the extra values that were saved.
    Raises: ``ModelFileError`` naming the file and what is wrong; for another model the paths that
        differ, with both shapes, dtypes or classes.

    >>> import os, tempfile
    >>> from flux.layers import Dense
    >>> path = os.path.join(tempfile.mkdtemp(), "model.safetensors")
    >>> model, other = Dense(3, 2), Dense(3, 2)
    >>> save(path, model)
    >>> restore(path, other)
    {}
    >>> bool((other.weight == model.weight).all())
    True
    """
    path = _path("restore", path)
    arrays, saved = files.read(path)
    fillings = []
    for role, tree in _roles(model, opt).items():
        if role not in saved:
            raise ModelFileError(
                f"{path} holds a model without the state of an optimiser.",
                hint="Call restore(path, model), or save with flux.save(path, model, opt).",
            )
        here = structure_of(tree)
        _check(path, role, saved[role], here)
        fillings.append((tree, here, _new_arrays(role, saved[role], here, arrays), saved[role]))
    for tree, here, new, of_role in fillings:
        replace_arrays(tree, new)
        if tree is model:
            _set_numbers(tree, here, of_role["numbers"], arrays)
    if opt is not None and hasattr(opt, "frozen"):
        opt.frozen = tuple(saved["frozen"])
    return _decode_all(saved["extra"], arrays)


def _path(who: str, path) -> Path:
    if isinstance(path, str | os.PathLike):
        return Path(path)
    raise ArgumentError(
        f"{who} expected the path of a file, and got {brief(path)}.",
        where=user_line(),
        hint=f"The order is flux.{who}(path, model).",
    )


def read_extra(path: str | os.PathLike) -> dict[str, Any]:
    """The extra values of a file that `save` wrote, without a model."""
    arrays, saved = files.read(Path(path))
    return _decode_all(saved["extra"], arrays)


def _roles(model, opt) -> dict[str, Any]:
    return {"model": model} if opt is None else {"model": model, "opt": opt}


def _check(path: Path, role: str, saved: dict[str, Any], here: Structure) -> None:
    found = differences(saved, here)
    if found:
        what = "another model" if role == "model" else "the state of another optimiser"
        listed = [f"- {line}" for line in found[:5]]
        listed += [f"- and {len(found) - 5} more"] if len(found) > 5 else []
        raise ModelFileError(
            f"{path} holds {what}; nothing was changed.",
            hint="\n".join([*listed, "Build it as it was when it was saved, then restore."]),
        )


def _new_arrays(role: str, saved: dict[str, Any], here: Structure, arrays) -> dict[int, Any]:
    """The new array for each of the model's, by the identity of the old."""
    new = {}
    for place, array in here.arrays.items():
        name = PREFIX[role] + saved["shared"].get(place, place)
        if name in arrays:
            new[id(array)] = from_host(arrays[name], array)
        else:
            new[id(array)] = jnp.asarray(saved["numbers"][place])
    return new


def _set_numbers(tree, here: Structure, numbers: dict[str, int | float], arrays) -> None:
    """Set the counters and rates; one that a compiled function has changed is an array by now."""
    for place in list(places([tree], lambda value: type(value) in (int, float))):
        name = spelled(place.path[1:])
        old, new = here.numbers.get(name), numbers.get(name)
        if old is not None and name in arrays:
            place.put(jnp.asarray(arrays[name].item()))
        elif old is not None and type(old) is type(new) and old != new:
            place.put(new)


def _encode(value, name: str, arrays: dict[str, Any]):
    """`value` as JSON; its arrays go into `arrays` and leave their names behind."""
    if is_array(value):
        arrays[PREFIX["extra"] + name] = to_host(value)
        return {"array": name, "complex": np.iscomplexobj(value)}
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return {"dict": {key: _encode(v, f"{name}.{key}", arrays) for key, v in value.items()}}
    if isinstance(value, list | tuple):
        return [_encode(v, f"{name}[{i}]", arrays) for i, v in enumerate(value)]
    if value is None or isinstance(value, str | bool | int | float):
        return value
    raise FluxError(
        f"{name} is a {type(value).__name__}, which flux.save cannot write.",
        hint="Extra values are arrays, numbers, strings, None, and lists and dicts of them.",
    )


def _decode_all(extra: dict[str, Any], arrays: dict[str, Any]) -> dict[str, Any]:
    return {name: _decode(value, arrays) for name, value in extra.items()}


def _decode(value, arrays: dict[str, Any]):
    if isinstance(value, list):
        return [_decode(v, arrays) for v in value]
    if isinstance(value, dict) and "dict" in value:
        return {key: _decode(v, arrays) for key, v in value["dict"].items()}
    if isinstance(value, dict):
        host = arrays[PREFIX["extra"] + value["array"]]
        return host[..., 0] + 1j * host[..., 1] if value["complex"] else host
    return value
