"""Text as numbers: a file of characters and the characters that occur in it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from flux.errors import DataFileError

__all__ = ["read_text", "text"]


def text(
    path: str | os.PathLike, vocabulary: Sequence[str] | None = None, *, encoding: str = "utf-8"
) -> tuple[np.ndarray, list[str]]:
    """The characters of a text as integers, and which character each integer stands for.

    Args:
        path: the file.
        vocabulary: the characters in their order, as this function returned them for another text;
            otherwise those that occur, sorted.
        encoding: of the file.

    Shapes: ``(T,)``, the number of characters. Dtypes: int32.
    Raises: ``DataFileError`` naming the file and the offset or line, if it is missing or empty, is
        not of that encoding, or holds a character that is not in `vocabulary`.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "corpus.txt")
    ...     _ = path.write_text("to be or not")
    ...     codes, vocabulary = text(path)
    >>> "".join(vocabulary), codes[:5]
    (' benort', array([6, 4, 0, 1, 2], dtype=int32))
    >>> "".join(vocabulary[code] for code in codes)
    'to be or not'
    """
    written = read_text(path, encoding)
    points = np.frombuffer(written.encode("utf-32-le"), "<u4")
    if vocabulary is None:
        found, codes = np.unique(points, return_inverse=True)
        return codes.astype(np.int32), [chr(point) for point in found]
    if not vocabulary:
        raise ValueError("the vocabulary is empty; leave it out to take that of the text.")
    known = np.array([ord(character) for character in vocabulary], np.uint32)
    order = np.argsort(known)
    places = np.minimum(np.searchsorted(known[order], points), len(known) - 1)
    codes = order[places]
    strange = np.flatnonzero(known[codes] != points)
    if len(strange):
        at = int(strange[0])
        raise DataFileError(
            f"{path} line {line_of(written, at)}: {written[at]!r} is not in the vocabulary of "
            f"{len(known)} characters; {len(strange)} in the file are not."
        )
    return codes.astype(np.int32), list(vocabulary)


def read_text(path: str | os.PathLike, encoding: str = "utf-8") -> str:
    """What a text file holds, without a byte order mark.

    Raises: ``DataFileError`` naming the file and the offset.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as problem:
        raise DataFileError(f"{path} cannot be read: {problem.strerror}.") from None
    try:
        written = data.decode(encoding).removeprefix("\ufeff")
    except UnicodeDecodeError as problem:
        line = 1 + data.count(b"\n", 0, problem.start)
        raise DataFileError(
            f"{path} is not {encoding} at offset {problem.start}, in line {line} "
            f"({problem.reason}).",
            hint='Pass the encoding that it was written in, for example encoding="latin-1".',
        ) from None
    if not written:
        raise DataFileError(f"{path} is empty.")
    return written


def line_of(written: str, at: int) -> int:
    """The line, from 1, of a character."""
    return 1 + written.count("\n", 0, at)
