"""Images of CIFAR-10, from its binary version; its pickles are refused."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from flux.errors import DataFileError

__all__ = ["cifar10"]

FILES = {"train": [f"data_batch_{i}.bin" for i in range(1, 6)], "test": ["test_batch.bin"]}
RECORDS = 10_000  # of each file
BYTES = 1 + 3 * 32 * 32  # of each record: the label, then the red, green and blue plane


def cifar10(folder: str | os.PathLike, split: str | None = None) -> tuple[np.ndarray, np.ndarray]:
    """60,000 colour images of ten kinds of things, and which kind they are of.

    The kinds are airplane, automobile, bird, cat, deer, dog, frog, horse, ship, truck.

    Args:
        folder: holds `data_batch_1.bin` to `data_batch_5.bin` and `test_batch.bin`, or the folder
            `cifar-10-batches-bin` with them: the binary version of the data set. That for Python is
            made of pickles, which can run any program when they are read, and is refused.
        split: `"train"` for the 50,000 of the first five files, `"test"` for the 10,000 of the
            last; `None` for all, in this order.

    Shapes: images ``(N, 32, 32, 3)``, labels ``(N,)``.
    Dtypes: float32 between 0 and 1; int32.
    Raises: ``DataFileError`` naming the file, and the offset, if one is missing, truncated or
        damaged, or a pickle.
    Source: Krizhevsky (2009), Learning multiple layers of features from tiny images.

    >>> cifar10("no/such/folder", "test")
    Traceback (most recent call last):
    flux.errors.DataFileError: no/such/folder holds no test_batch.bin...
    """
    if split is not None and split not in FILES:
        raise ValueError(f'split must be "train", "test" or None, got {split!r}.')
    place = _place(Path(folder))
    names = [name for part in ([split] if split else FILES) for name in FILES[part]]
    records = np.concatenate([_records(place / name) for name in names])
    planes = records[:, 1:].reshape(-1, 3, 32, 32)
    images = np.ascontiguousarray(planes.transpose(0, 2, 3, 1), np.float32) / 255
    return images, records[:, 0].astype(np.int32)


def _place(folder: Path) -> Path:
    inner = folder / "cifar-10-batches-bin"
    return inner if inner.is_dir() else folder


def _records(path: Path) -> np.ndarray:
    if not path.is_file():
        raise _missing(path)
    data = path.read_bytes()
    if len(data) != RECORDS * BYTES:
        what = "is truncated: it ends" if len(data) < RECORDS * BYTES else "is damaged: it ends"
        raise DataFileError(
            f"{path} {what} at offset {len(data)}, in image {len(data) // BYTES}, and needs "
            f"{RECORDS * BYTES} bytes, {RECORDS} images.",
            hint="Unpack it again.",
        )
    records = np.frombuffer(data, np.uint8).reshape(RECORDS, BYTES)
    high = np.flatnonzero(records[:, 0] > 9)
    if len(high):
        raise DataFileError(
            f"{path} is damaged at offset {high[0] * BYTES}: label {records[high[0], 0]} is none "
            "of 0 to 9."
        )
    return records


def _missing(path: Path) -> DataFileError:
    folder = path.parent
    for pickle in (folder / path.stem, folder / "cifar-10-batches-py" / path.stem):
        if pickle.is_file():
            return DataFileError(
                f"{pickle} is of the version for Python, a pickle: reading one can run any "
                "program, so Flux never does.",
                hint="Take the binary version of the same data set, cifar-10-binary.tar.gz.",
            )
    packed = sorted(folder.glob("cifar-10-*.tar.gz"))
    return DataFileError(
        f"{folder} holds no {path.name}.",
        hint=f"Unpack {packed[0].name} first."
        if packed
        else "Pass the folder that cifar-10-binary.tar.gz was unpacked in.",
    )
