"""Pictures as PNG files, point by point, with the standard library alone."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np

__all__ = ["sheet", "write_png"]

GAP, LARGE = 1, 48  # points between two images; how large one of them becomes, at least


def sheet(images: np.ndarray) -> np.ndarray:
    """Rows and columns of images as one, magnified, with thin grey lines between them.

    Args:
        images: with values between 0 and 1; what is beyond is cut off.

    Shapes: ``(rows, columns, H, W) -> (H', W')``, or with an axis of three colours after them.
    Dtypes: to uint8.

    >>> sheet(np.zeros((2, 3, 8, 8))).shape
    (108, 162)
    """
    rows, columns, H, W, *colours = images.shape
    images = np.rint(255 * np.clip(images, 0, 1)).astype(np.uint8)
    edges = [(0, 0), (0, 0), (0, GAP), (0, GAP)] + [(0, 0)] * len(colours)
    framed = np.pad(images, edges, constant_values=128)
    whole = framed.swapaxes(1, 2).reshape(rows * (H + GAP), columns * (W + GAP), *colours)
    times = -(-LARGE // max(H, W))
    return whole.repeat(times, 0).repeat(times, 1)


def write_png(path: Path, image: np.ndarray) -> Path:
    """Write a picture; returns its path.

    Shapes: ``(H, W)``, or ``(H, W, 3)`` in colour. Dtypes: uint8.
    Source: PNG specification (W3C, 2003), without filters and interlacing.
    """
    H, W, *colours = image.shape
    header = struct.pack(">2I5B", W, H, 8, 2 if colours else 0, 0, 0, 0)
    lines = np.pad(image.reshape(H, -1), [(0, 0), (1, 0)])  # filter 0 before each line
    data = zlib.compress(lines.tobytes(), 9)
    chunks = [(b"IHDR", header), (b"IDAT", data), (b"IEND", b"")]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join([_chunk(*chunk) for chunk in chunks]))
    return path


def _chunk(kind: bytes, content: bytes) -> bytes:
    check = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", check)
