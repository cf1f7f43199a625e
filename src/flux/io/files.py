"""The file itself: arrays and a text header in the safetensors format, read without trust.

Writing replaces the old file in one step, so that a program which is stopped while it writes leaves
the old file whole. Reading recognises what the file is instead, if it is not a file of ours.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import jax.numpy as jnp
import numpy as np
import safetensors
import safetensors.numpy

from flux.errors import ModelFileError

__all__ = ["read", "read_foreign", "write"]

FORMAT = 1
DTYPES = {
    "F64": np.float64, "F32": np.float32, "F16": np.float16, "BF16": jnp.bfloat16,
    "I64": np.int64, "I32": np.int32, "I16": np.int16, "I8": np.int8,
    "U64": np.uint64, "U32": np.uint32, "U16": np.uint16, "U8": np.uint8, "BOOL": np.bool_,
    "F8_E4M3": jnp.float8_e4m3fn, "F8_E5M2": jnp.float8_e5m2,
}  # fmt: skip
FOREIGN = {
    b"PK\x03\x04": "a zip archive, as PyTorch, Keras and numpy.savez write it",
    b"\x89HDF": "an HDF5 file, as Keras writes it",
    b"\x93NUMPY": "a single NumPy array",
    b"\x1f\x8b": "a gzip file",
}


def write(path: Path, arrays: dict[str, np.ndarray], structure: dict[str, Any]) -> None:
    """Write arrays and the JSON-able `structure` to `path`, in place of what is there."""
    stored = {name: array.copy(order="C") for name, array in arrays.items()}
    sums = {name: _checksum(array) for name, array in stored.items()}
    text = json.dumps({"format": FORMAT, "sums": sums, **structure})
    # One entry, because safetensors writes several in an order that changes from run to run.
    guarded = f"{zlib.crc32(text.encode()):08x} {text}"
    data = safetensors.numpy.save(stored, metadata={"flux": guarded})
    try:
        _replace(path, data)
    except OSError as problem:
        raise ModelFileError(
            f"{path} cannot be written: {problem.strerror}.",
            hint="The folder must exist, be writable and have room; what was there before is kept.",
        ) from problem


def _replace(path: Path, data: bytes) -> None:
    """Write beside the file, make sure that it is on the disk, then take the file's place."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with open(beside, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)


def read(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """The arrays of a file and its structure.

    Raises: ``ModelFileError`` if it is missing, damaged, or not written by `flux.save`.
    """
    data = _bytes(path)
    header = _header(path, data)
    if "flux" not in header.get("__metadata__", {}):
        names = [name for name in header if name != "__metadata__"]
        _refuse(
            path,
            f"is a safetensors file that flux.save did not write ({len(names)} arrays, without the "
            "structure of a model)",
            "Call flux.load_torch(model, path) if PyTorch wrote it; otherwise read its arrays with "
            "safetensors.numpy.load_file.",
        )
    checksum, _, text = header["__metadata__"]["flux"].partition(" ")
    if f"{zlib.crc32(text.encode()):08x}" != checksum:
        _refuse_damaged(path, "holds another description of the model than was written")
    structure = json.loads(text)
    if structure["format"] > FORMAT:
        _refuse(path, "was written by a newer version of Flux", "Update Flux to read it.")
    return _arrays(path, data, structure["sums"]), structure


def read_foreign(path: Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """The arrays of a safetensors file of another library, and which names mean the same array.

    Raises: ``ModelFileError`` if it is missing, damaged, or of another kind.
    """
    data = _bytes(path)
    if data[8:9] != b"{" and (data.startswith(b"PK\x03\x04") or data[:1] == b"\x80"):
        _refuse(
            path,
            "is a Python pickle, as torch.save writes it; reading one can run any program, so Flux "
            "never does",
            "In PyTorch: safetensors.torch.save_model(model, 'model.safetensors').",
        )
    metadata = _header(path, data).get("__metadata__", {})
    if "flux" in metadata:
        _refuse(path, "was written by flux.save", "Call flux.restore(path, model).")
    arrays = dict(_entries(path, data))
    return arrays, {name: kept for name, kept in metadata.items() if kept in arrays}


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        _refuse(path, "does not exist", f"Looked in {path.absolute().parent}.")
    except OSError as problem:
        _refuse(path, f"cannot be read: {problem.strerror}", "Pass the path of a model file.")


def _header(path: Path, data: bytes) -> dict[str, Any]:
    """The JSON text with which a safetensors file starts, after its length in eight bytes."""
    _recognise(path, data)
    length = int.from_bytes(data[:8], "little")
    if len(data) < 8 + length:
        _refuse_damaged(path, f"holds {len(data)} of at least {8 + length} bytes")
    try:
        header = json.loads(data[8 : 8 + length])
        entries = [entry for name, entry in header.items() if name != "__metadata__"]
        end = max((int(entry["data_offsets"][1]) for entry in entries), default=0)
        header.get("__metadata__", {}).items()
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        _refuse_damaged(path, "has an unreadable header")
    if len(data) != 8 + length + end:
        _refuse_damaged(path, f"holds {len(data)} of {8 + length + end} bytes")
    return header


def _recognise(path: Path, data: bytes) -> None:
    """Refuse a file of another kind by its first bytes; nothing in it is ever executed."""
    if data[8:9] == b"{":
        return
    if not data:
        _refuse_damaged(path, "is empty")
    if data[:1] == b"\x80" and data[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        _refuse(
            path,
            "is a Python pickle; reading one can run any program, so Flux never does",
            "Where you trust it, load it there and write its arrays with flux.save.",
        )
    for start, kind in FOREIGN.items():
        if data.startswith(start):
            _refuse(path, f"is {kind}, not a model written by flux.save", "Convert it first.")
    _refuse(path, "is not a model written by flux.save", "Pass the file that flux.save wrote.")


def _arrays(path: Path, data: bytes, sums: dict[str, int]) -> dict[str, np.ndarray]:
    arrays = dict(_entries(path, data))
    for name, array in arrays.items():
        if _checksum(array) != sums.get(name):
            _refuse_damaged(path, f"holds another array {name!r} than was written")
    return arrays


def _entries(path: Path, data: bytes) -> Iterator[tuple[str, np.ndarray]]:
    try:
        entries = safetensors.deserialize(data)
    except safetensors.SafetensorError as problem:
        _refuse_damaged(path, f"is inconsistent ({problem})")
    for name, entry in entries:
        if entry["dtype"] not in DTYPES:
            _refuse(path, f"holds {name!r} of type {entry['dtype']}", "Convert it to F32 first.")
        flat = np.frombuffer(bytes(entry["data"]), DTYPES[entry["dtype"]])
        yield name, flat.reshape(entry["shape"]).copy()


def _checksum(array: np.ndarray) -> int:
    return zlib.crc32(array.tobytes(), zlib.crc32(f"{array.dtype}{array.shape}".encode()))


def _refuse_damaged(path: Path, what: str) -> NoReturn:
    _refuse(path, f"is damaged: it {what}", "Copy it again, or go back to an earlier checkpoint.")


def _refuse(path: Path, what: str, hint: str) -> NoReturn:
    raise ModelFileError(f"{path} {what}.", hint=hint) from None
