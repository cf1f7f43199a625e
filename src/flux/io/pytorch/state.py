"""What a PyTorch model remembers, module by module; nothing of PyTorch is imported or executed."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from flux.errors import ArgumentError, brief, user_line
from flux.io import files

__all__ = ["Entry", "Part", "dotted", "parts_of", "read_state"]

RECURRENT = re.compile(r"(weight_ih|weight_hh|bias_ih|bias_hh)_l(\d+)(_reverse)?")
WRAPPERS = ("module.", "_orig_mod.")  # of DataParallel and torch.compile
MAPS = {"query": "q_proj_weight", "key": "k_proj_weight", "value": "v_proj_weight"}


@dataclass(eq=False)
class Entry:
    """One array of the state, or a piece of one.

    Attributes:
        label: its name in the state, for messages.
        array: its numbers.
        memory: equal for arrays that are one in PyTorch.
    """

    label: str
    array: np.ndarray
    memory: Any


@dataclass(eq=False)
class Part:
    """The arrays that one module of PyTorch holds itself, by their names in it.

    Attributes:
        path: where the module is; numbers are positions.
        entries: its arrays.
    """

    path: tuple[str | int, ...]
    entries: dict[str, Entry]

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {name: entry.array.shape for name, entry in self.entries.items()}

    @property
    def name(self) -> str:
        return dotted(self.path)


def dotted(path: tuple) -> str:
    """A path as PyTorch spells it.

    >>> dotted(("features", 0))
    'features.0'
    """
    return ".".join(str(key) for key in path)


def read_state(source) -> tuple[dict[str, Entry], bool]:
    """The arrays of a safetensors file, a dict or a live module, and whether their order counts.

    A safetensors file is in the order of the alphabet, not in that of the modules.
    """
    if isinstance(source, str | os.PathLike):
        arrays, same = files.read_foreign(Path(source))
        found = {name: Entry(_unwrapped(name), a, name) for name, a in arrays.items()}
        copies = {n: Entry(_unwrapped(n), arrays[kept], kept) for n, kept in same.items()}
        return {**copies, **found}, False
    if callable(getattr(source, "state_dict", None)):
        source = source.state_dict()
    if not isinstance(source, Mapping) or not all(isinstance(name, str) for name in source):
        raise ArgumentError(
            "load_torch expected the path of a safetensors file or a state_dict, and got "
            f"{brief(source)}.",
            where=user_line(),
            hint="The order is flux.load_torch(model, state).",
        )
    entries = {n: Entry(_unwrapped(n), *_host(n, value)) for n, value in source.items()}
    return entries, hasattr(source, "_metadata") or not _alphabetical(entries)


def _alphabetical(entries: dict[str, Entry]) -> bool:
    """Is it the order of a file, in which names are sorted within each dtype?"""
    by_dtype: dict[Any, list[str]] = {}
    for name, entry in entries.items():
        by_dtype.setdefault(entry.array.dtype, []).append(name)
    return all(names == sorted(names) for names in by_dtype.values())


def _host(name: str, value) -> tuple[np.ndarray, Any]:
    """The numbers of an array or a tensor, and what tells whether two are one."""
    if hasattr(value, "detach"):
        value = value.detach().cpu()
        memory = (value.data_ptr(), tuple(value.shape), tuple(value.stride()))
        if "bfloat16" in str(value.dtype):
            value = value.float()  # every bfloat16 is a float32
        return np.array(value.numpy()), memory if 0 not in value.shape else name
    if not hasattr(value, "shape") or not hasattr(value, "dtype"):
        raise ArgumentError(
            f"load_torch expected arrays in the state, and got {brief(value)} as {name!r}.",
            where=user_line(),
            hint="Of a checkpoint of a whole training take the state_dict of the model.",
        )
    host = np.array(value)
    if isinstance(value, np.ndarray) and value.size:
        return host, (value.ctypes.data, value.shape, value.strides)
    return host, id(value)


def parts_of(entries: dict[str, Entry]) -> list[Part]:
    """The modules with their arrays, named as modules of ours are where these hold less or more.

    Each layer and direction of a recurrent module is a part of its own, with the names that a cell
    has; so is each of the four linear maps of attention. Weight normalisation has its older names.

    >>> found = parts_of({n: Entry(n, np.ones(1), n) for n in ("0.weight", "rnn.bias_ih_l1")})
    >>> [(part.path, list(part.entries)) for part in found]
    [((0,), ['weight']), (('rnn', 1), ['bias_ih'])]
    """
    both = {key.rpartition(".")[0] for key in entries if key.endswith("_reverse")}
    found: dict[tuple, dict[str, Entry]] = {}
    for key, entry in entries.items():
        prefix, _, name = _unwrapped(key).rpartition(".")
        path = _path(prefix)
        if path[-2:-1] == ("parametrizations",) and name in ("original0", "original1"):
            name = f"{path[-1]}_{'g' if name == 'original0' else 'v'}"
            path = path[:-2]
        if match := RECURRENT.fullmatch(name):
            name, layer, back = match.groups()
            turn = ("backward" if back else "forward",) if key.rpartition(".")[0] in both else ()
            path = (*path, int(layer), *turn)
        found.setdefault(path, {})[name] = entry
    for path in [p for p, own in found.items() if {"in_proj_weight", "q_proj_weight"} & set(own)]:
        _split_attention(found, path)
    return [Part(path, own) for path, own in found.items() if own]


def _path(prefix: str) -> tuple[str | int, ...]:
    return tuple(int(k) if k.isdigit() else k for k in prefix.split(".")) if prefix else ()


def _unwrapped(key: str) -> str:
    while key.startswith(WRAPPERS):
        key = key.partition(".")[2]
    return key


def _split_attention(found: dict[tuple, dict[str, Entry]], path: tuple) -> None:
    """Put linear maps in the place of the arrays of `torch.nn.MultiheadAttention`."""
    own = found[path]
    whole, bias = own.pop("in_proj_weight", None), own.pop("in_proj_bias", None)
    for place, (role, key) in enumerate(MAPS.items()):
        piece = _third(whole, place) if whole else own.pop(key, None)
        given = {"weight": piece, "bias": _third(bias, place) if bias else None}
        found[*path, role] = {name: entry for name, entry in given.items() if entry}
    if (*path, "out_proj") in found:
        found[*path, "out"] = found.pop((*path, "out_proj"))


def _third(entry: Entry, place: int) -> Entry:
    n = len(entry.array) // 3
    label = f"{entry.label}[{place * n}:{(place + 1) * n}]"
    return Entry(label, entry.array[place * n : (place + 1) * n], (entry.memory, place))
