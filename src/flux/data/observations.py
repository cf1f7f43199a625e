"""How many examples data hold, and how to pick some: arrays, tuples and dicts of arrays, sequences.

An array's examples lie along its first axis. The entries of a tuple or dict go in step. Anything
else with a length and an index is a sequence of single examples; its method `__getitems__`, if it
has one, gets a list of places and returns the examples there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from flux.errors import ShapeError, user_line

__all__ = ["chooser", "collater", "getobs", "is_array", "mapobs", "numobs", "stack"]


def is_array(data) -> bool:
    """Is `data` an array of any library, with a first axis to pick from?"""
    return hasattr(data, "shape") and hasattr(data, "dtype") and hasattr(data, "__getitem__")


def numobs(data) -> int:
    """The number of examples.

    Raises: ``ShapeError`` if the entries of a tuple or dict do not agree, or have no length.

    >>> numobs((np.zeros((5, 2)), np.zeros(5)))
    5
    """
    parts = parts_of(data)
    if parts is None:
        return _length(data)
    if not parts:
        raise ShapeError(f"data are an empty {type(data).__name__}: there is nothing to count.")
    counts = {name: numobs(part) for name, part in parts.items()}
    if len(set(counts.values())) > 1:
        listed = ", ".join(f"entry {name!r} has {count}" for name, count in counts.items())
        raise ShapeError(
            f"the entries of the data go in step and must hold equally many examples: {listed}.",
            where=user_line(),
            hint="Examples lie along the first axis of an array.",
        )
    return next(iter(counts.values()))


def getobs(data, where: slice | np.ndarray) -> Any:
    """The examples at the places `where`, in the form of `data`; a list of a plain sequence's.

    >>> getobs({"x": np.arange(5), "names": list("abcde")}, np.array([3, 0]))
    {'x': array([3, 0]), 'names': ['d', 'a']}
    """
    parts = parts_of(data)
    if parts is not None:
        return rebuilt(data, [getobs(part, where) for part in parts.values()])
    if is_array(data):
        return data[where]
    return _listed(data, where)


class mapobs:
    """Examples that go through a function when they are asked for.

    Args:
        f: of one example; what it returns should depend on nothing else, as examples are made ahead
            of time, and made again when a training is resumed.
        data: as for `DataLoader`.

    >>> doubled = mapobs(lambda pair: (2 * pair[0], pair[1]), (np.arange(3), np.arange(3)))
    >>> len(doubled), getobs(doubled, np.array([2, 1]))
    (3, [(np.int64(4), np.int64(2)), (np.int64(2), np.int64(1))])
    """

    def __init__(self, f: Callable, data: Any):
        self.f, self.data = f, data
        self.size = numobs(data)

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, i: int) -> Any:
        if not -self.size <= i < self.size:
            raise IndexError(f"example {i} of {self.size}")
        return self.f(_single(self.data, i))

    def __repr__(self):
        return f"mapobs({getattr(self.f, '__name__', self.f)}, {self.size} examples)"


def stack(examples: list) -> Any:
    """One batch of single examples: numbers and arrays along a new first axis, entry by entry.

    >>> x, label = stack([(np.zeros(3), 1), (np.ones(3), 2)])
    >>> x.shape, label
    ((2, 3), array([1, 2]))
    """
    first = examples[0]
    if parts_of(first) is not None:
        columns = zip(*((parts_of(example) or {}).values() for example in examples), strict=True)
        return rebuilt(first, [stack(list(column)) for column in columns])
    if not (is_array(first) or isinstance(first, bool | int | float | complex)):
        return examples
    _same_shape(examples)
    if is_array(first):
        return np.stack([np.asarray(example) for example in examples])
    return np.asarray(examples, np.float32 if isinstance(first, float) else None)


def chooser(collate: Callable | bool | None, data) -> Callable[[Any], Any]:
    """The function from places to a batch that `collate` asks for."""
    if collate is None:
        in_batches = is_array(data) or parts_of(data) is not None
        collate = None if in_batches else stack
    if collate is None:
        return lambda where: getobs(data, where)
    collate = collater(collate)
    return lambda where: collate(_examples(data, where))


def collater(collate: Callable | bool | None) -> Callable[[list], Any]:
    """The function from a list of examples to a batch that `collate` asks for."""
    if collate is None or collate is True:
        return stack
    return list if collate is False else collate


def _examples(data, where) -> list:
    if parts_of(data) is None and not is_array(data):
        return _listed(data, where)
    return [_single(data, int(i)) for i in np.arange(numobs(data))[where]]


def _listed(data, where) -> list:
    """Examples of a sequence, all at once where it can, as PyTorch's data sets say it."""
    places = np.arange(len(data))[where].tolist()
    if hasattr(data, "__getitems__"):
        return list(data.__getitems__(places))
    return [_at(data, i) for i in places]


def _single(data, i: int):
    parts = parts_of(data)
    if parts is None:
        return _at(data, i)
    return rebuilt(data, [_single(part, i) for part in parts.values()])


def _at(data, i: int):
    try:
        return data[i]
    except Exception as problem:
        problem.add_note(f"This happened at example {i} of the data, from 0.")
        raise


def parts_of(data) -> dict | None:
    if isinstance(data, Mapping):
        return dict(data)
    if isinstance(data, tuple):
        return dict(enumerate(data))
    return None


def rebuilt(data, values: list):
    if isinstance(data, Mapping):
        return dict(zip(data, values, strict=True))
    return type(data)(*values) if hasattr(data, "_fields") else tuple(values)


def _length(data) -> int:
    if is_array(data):
        if not data.shape:
            raise ShapeError(
                "data are a single number: their first axis should count examples.",
                where=user_line(),
            )
        return int(data.shape[0])
    try:
        return len(data)
    except TypeError:
        raise ShapeError(
            f"{type(data).__name__} has no length: data must be arrays, tuples or dicts of arrays, "
            "or a sequence of examples.",
            where=user_line(),
        ) from None


def _same_shape(examples: list) -> None:
    shapes = {np.shape(example) for example in examples}
    if len(shapes) > 1:
        listed = " and ".join(str(shape) for shape in sorted(shapes)[:3])
        raise ShapeError(
            f"examples of one batch must have one shape, got {listed}.",
            hint="Pass collate= a function that makes a batch of a list of examples, padding them.",
        )
