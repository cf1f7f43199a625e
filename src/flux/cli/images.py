"""Images from files, as the models of the zoo want them, and images as text."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from flux.errors import FluxError, ShapeError

__all__ = ["as_text", "read_images"]

SHADES, PLAIN_SHADES = " ░▒▓█", " .:*#"


def as_text(image: np.ndarray, encoding: str = "utf-8") -> str:
    """An image with values between 0 and 1 as lines of characters, two a point; colours as grey.

    >>> print(as_text(np.array([[0.0, 0.5], [0.7, 1.0]])))
      ▒▒
    ▓▓██
    """
    shades = SHADES if encoding.lower().replace("-", "").startswith("utf") else PLAIN_SHADES
    image = image if image.ndim == 2 else image.mean(axis=-1)
    levels = np.rint(np.clip(image, 0, 1) * (len(shades) - 1)).astype(int)
    return "\n".join("".join(2 * shades[level] for level in row) for row in levels)


def read_images(path: Path, shape: tuple[int, ...]) -> np.ndarray:
    """The images of a .npy, .csv or .png file, bright on dark, with values between 0 and 1.

    Numbers may run to 1, 16 or 255. A picture is brought to `shape`, ``(H, W)`` or ``(H, W, 3)``;
    without colours it is made grey, and turned to bright on dark if its border is bright.

    Raises: ``FluxError`` naming the file and what is wrong with it.
    """
    readers = {".npy": _read_npy, ".csv": _read_csv, ".png": _read_png}
    if path.suffix.lower() not in readers:
        raise FluxError(f"{path}: expected a file that ends in .npy, .csv or .png.")
    try:
        values = readers[path.suffix.lower()](path, shape)
    except FileNotFoundError:
        raise FluxError(f"{path} does not exist.") from None
    except (OSError, ValueError) as problem:
        raise FluxError(f"{path} cannot be read: {problem}") from problem
    return _scaled(path, _shaped(path, np.asarray(values, np.float32), shape))


def _read_npy(path: Path, shape) -> np.ndarray:
    return np.load(path, allow_pickle=False)


def _read_csv(path: Path, shape) -> np.ndarray:
    return np.loadtxt(path, delimiter=",", ndmin=2)


def _read_png(path: Path, shape) -> np.ndarray:
    try:
        from PIL import Image
    except ImportError:
        raise FluxError(
            f"{path}: reading pictures needs Pillow.",
            hint="Install it with: pip install 'fluxml[plot]'",
        ) from None
    with Image.open(path) as picture:
        kind = "L" if len(shape) == 2 else "RGB"
        small = picture.convert(kind).resize(shape[1::-1], Image.Resampling.BOX)
    values = np.asarray(small, np.float32) / 255
    if len(shape) == 3:
        return values
    border = np.concatenate([values[0], values[-1], values[:, 0], values[:, -1]])
    return 1 - values if np.median(border) > 0.5 else values


def _shaped(path: Path, values: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    points = math.prod(shape)
    if values.shape[-len(shape) :] == shape or values.shape[-1:] == (points,):
        return values.reshape(-1, *shape)
    raise ShapeError(
        f"{path} holds an array of shape {values.shape}; expected images of shape {shape}, or rows "
        f"of {points} numbers."
    )


def _scaled(path: Path, values: np.ndarray) -> np.ndarray:
    if not (np.isfinite(values).all() and values.size and values.min() >= 0):
        raise FluxError(f"{path}: expected numbers between 0 and 1, 16 or 255.")
    for top in (1, 16, 255):
        if values.max() <= top:
            return values / np.float32(top)
    raise FluxError(f"{path}: expected numbers up to 1, 16 or 255, got {values.max():g}.")
