"""Data sets: those that travel with the package, and readers of the usual files.

`embedded/README.md` names the sources and licences of the first.
"""

from __future__ import annotations

from importlib.resources import files

import numpy as np

from flux.data.cifar import cifar10
from flux.data.idx import mnist
from flux.data.table import Table, csv
from flux.data.text import text
from flux.errors import ArgumentError, brief, suggests_names, user_line

__all__ = ["Table", "cifar10", "csv", "diabetes", "digits", "iris", "mnist", "text"]
suggests_names(__name__)


def digits(split: str | None = None) -> tuple[np.ndarray, np.ndarray]:
    """1,797 grey images of handwritten digits, and which digits they are.

    Args:
        split: `"train"` or `"test"` for the two parts of a fixed split, in which every fifth image
            of each digit is held out; `None` for all. A writer's digits occur in both parts.

    Shapes: images ``(N, 8, 8)``, labels ``(N,)``.
    Dtypes: float32 between 0 and 1; int32.
    Source: Alpaydin and Kaynak (1998), UCI Machine Learning Repository, CC BY 4.0.

    >>> images, labels = digits()
    >>> images.shape, labels[:5]
    ((1797, 8, 8), array([0, 1, 2, 3, 4], dtype=int32))
    >>> len(digits("train")[1]), len(digits("test")[1])
    (1442, 355)
    """
    with _open("digits") as arrays:
        images = arrays["images"].astype(np.float32) / 16
        labels = arrays["labels"].astype(np.int32)
    return _part(split, images, labels, strata=labels)


def iris(split: str | None = None) -> tuple[np.ndarray, np.ndarray]:
    """150 flowers of three species: setosa, versicolor, virginica.

    Args:
        split: as for `digits`.

    Shapes: features ``(N, 4)`` (length and width of sepal and petal, in cm), labels ``(N,)``.
    Dtypes: float32; int32.
    Source: Fisher (1936), UCI Machine Learning Repository, CC BY 4.0.

    >>> features, species = iris()
    >>> features[0], species[0]
    (array([5.1, 3.5, 1.4, 0.2], dtype=float32), np.int32(0))
    """
    with _open("iris") as arrays:
        features, labels = arrays["features"], arrays["labels"].astype(np.int32)
    return _part(split, features, labels, strata=labels)


def diabetes(split: str | None = None) -> tuple[np.ndarray, np.ndarray]:
    """442 patients: ten measurements, and how far their diabetes had progressed a year later.

    Args:
        split: `"train"` or `"test"`, every fifth patient being held out; `None` for all.

    Shapes: features ``(N, 10)`` (age, sex, body mass index, blood pressure, six of blood serum, in
    their own units), progression ``(N,)``. Dtypes: float32.
    Source: Efron, Hastie, Johnstone and Tibshirani (2004), Least angle regression.

    >>> features, progression = diabetes()
    >>> features.shape, float(progression[0])
    ((442, 10), 151.0)
    """
    with _open("diabetes") as arrays:
        features, target = arrays["features"], arrays["target"]
    return _part(split, features, target, strata=np.zeros(len(target)))


def _open(name: str):
    return np.load(str(files("flux.data") / "embedded" / f"{name}.npz"), allow_pickle=False)


def _part(split: str | None, *arrays: np.ndarray, strata: np.ndarray) -> tuple:
    if split is None:
        return arrays
    if split not in ("train", "test"):
        raise ArgumentError(
            f'split must be "train", "test" or None, got {brief(split)}.', where=user_line()
        )
    held_out = np.zeros(len(strata), bool)
    for stratum in np.unique(strata):
        held_out[np.flatnonzero(strata == stratum)[4::5]] = True
    return tuple(array[held_out == (split == "test")] for array in arrays)
