"""Images and labels of MNIST and of the sets in its form, from IDX files."""

from __future__ import annotations

import gzip
import os
import zlib
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from flux.errors import DataFileError

__all__ = ["mnist", "read_idx"]

PREFIX = {"train": "train", "test": "t10k"}
DTYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
CHUNK = 2**20  # bytes that are asked for at once: a header can claim any size


def mnist(folder: str | os.PathLike, split: str | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Grey images of handwritten digits, and which digits they are.

    Args:
        folder: holds `train-images-idx3-ubyte`, `train-labels-idx1-ubyte`, `t10k-images-idx3-ubyte`
            and `t10k-labels-idx1-ubyte`, as they are or with `.gz`; those of a set of the same form
            (Fashion-MNIST, KMNIST) do as well.
        split: `"train"` or `"test"`, which need two of the files; `None` for all, in this order.

    Shapes: images ``(N, H, W)``, in MNIST 60,000 and 10,000 of 28 x 28; labels ``(N,)``.
    Dtypes: float32 between 0 and 1; int32.
    Raises: ``DataFileError`` naming the file, and the offset in what it unpacks to, if one is
        missing, truncated or damaged.
    Source: LeCun, Cortes and Burges, the MNIST database of handwritten digits.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     images = bytes([0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2, 0, 51, 255, 0])
    ...     labels = bytes([0, 0, 8, 1, 0, 0, 0, 2, 7, 1])
    ...     _ = Path(folder, "t10k-images-idx3-ubyte").write_bytes(images)
    ...     _ = Path(folder, "t10k-labels-idx1-ubyte.gz").write_bytes(gzip.compress(labels))
    ...     x, y = mnist(folder, "test")
    >>> x.tolist(), y
    ([[[0.0, 0.2...]], [[1.0, 0.0]]], array([7, 1], dtype=int32))
    """
    if split is not None and split not in PREFIX:
        raise ValueError(f'split must be "train", "test" or None, got {split!r}.')
    parts = [_part(Path(folder), name) for name in ([split] if split else PREFIX)]
    images, labels = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    return images.astype(np.float32) / 255, labels.astype(np.int32)


def _part(folder: Path, split: str) -> tuple[np.ndarray, np.ndarray]:
    images_at = _find(folder, f"{PREFIX[split]}-images-idx3-ubyte")
    labels_at = _find(folder, f"{PREFIX[split]}-labels-idx1-ubyte")
    images, labels = read_idx(images_at), read_idx(labels_at)
    for path, array, ndim in ((images_at, images, 3), (labels_at, labels, 1)):
        if array.ndim != ndim or array.dtype != np.uint8:
            raise DataFileError(
                f"{path} expected bytes with {ndim} axes, and holds {array.dtype} with "
                f"{array.ndim}."
            )
    if len(images) != len(labels):
        raise DataFileError(
            f"{labels_at} holds {len(labels)} labels for the {len(images)} images of {images_at}.",
            hint="The two files are not of one set, or not of one part of it.",
        )
    high = np.flatnonzero(labels > 9)
    if len(high):
        raise DataFileError(
            f"{labels_at} is damaged at offset {8 + high[0]}: label {labels[high[0]]} is none of 0 "
            "to 9."
        )
    return images, labels


def _find(folder: Path, name: str) -> Path:
    for path in (folder / name, folder / f"{name}.gz"):
        if path.is_file():
            return path
    raise DataFileError(
        f"{folder} holds neither {name} nor {name}.gz.",
        hint="Pass the folder that the files of the data set were saved in, under their own names.",
    )


def read_idx(path: Path) -> np.ndarray:
    """The array of an IDX file, compressed or not.

    Raises: ``DataFileError`` naming the file and the offset.
    """
    with open(path, "rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    with gzip.open(path) if packed else open(path, "rb") as file:
        start = _read(file, path, 0, 4)
        dtype, ndim = DTYPES.get(start[2]), start[3]
        if start[:2] != b"\0\0" or dtype is None or not ndim:
            raise DataFileError(f"{path} is not an IDX file: it starts with {start.hex(' ')}.")
        axes = _read(file, path, 4, 4 * ndim)
        shape = tuple(np.frombuffer(axes, ">u4").tolist())
        offset, size = 4 + 4 * ndim, prod(shape) * np.dtype(dtype).itemsize
        data = _read(file, path, offset, size, f", {' x '.join(map(str, shape))} values")
        if _chunk(file, path, offset + size, 1):
            raise DataFileError(
                f"{path} is damaged at offset {offset + size}: the {' x '.join(map(str, shape))} "
                "values end there, and the file goes on."
            )
    array = np.frombuffer(data, dtype).reshape(shape)
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def _read(file: Any, path: Path, offset: int, size: int, of: str = " of its header") -> bytes:
    """Exactly `size` bytes, of which the first is at `offset`."""
    parts, found = [], 0
    while found < size:
        part = _chunk(file, path, offset + found, min(CHUNK, size - found))
        if not part:
            raise DataFileError(
                f"{path} is truncated: it ends at offset {offset + found} and needs "
                f"{offset + size} bytes{of}.",
                hint="Copy it again.",
            )
        parts.append(part)
        found += len(part)
    return b"".join(parts)


def _chunk(file: Any, path: Path, offset: int, size: int) -> bytes:
    try:
        return file.read(size)
    except (EOFError, gzip.BadGzipFile, zlib.error) as problem:
        raise DataFileError(
            f"{path} is damaged: what it unpacks to ends at offset {offset} or soon after "
            f"({problem}).",
            hint="Copy it again.",
        ) from None
