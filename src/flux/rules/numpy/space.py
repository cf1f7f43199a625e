"""NumPy's arrays and scalars as values that carry derivatives."""

from __future__ import annotations

from typing import Any

import numpy as np

from flux.ad.carries import carries
from flux.ad.registry import AUGMENTED, inert
from flux.ad.spaces import LOOKUPS, MEMORIES, SPACES, VALUE, Space, project, space_of
from flux.ad.unknown import Unknown, of_text
from flux.errors import NotDifferentiable, user_line

__all__ = ["INEXACT", "NOT_ARRAYS", "apart", "differs", "is_opaque", "lost",
           "of_items", "summed_to"]  # fmt: skip

INEXACT = (np.float16, np.float32, np.float64, np.longdouble, np.complex64, np.complex128,
           np.clongdouble)  # fmt: skip
OWN: tuple[Any, ...] = (np.ndarray, np.generic, float, complex, int)


def zero_array(x):
    return np.zeros_like(x) if x.dtype.kind in "fc" else None


def project_array(ct: Any, x):
    """Sum over broadcast axes, take the real part for a real primal, cast to its dtype."""
    if x.dtype.kind not in "fc":
        return lost(x)
    if not isinstance(ct, OWN):
        ct = numbers(ct)
        if not isinstance(ct, np.ndarray):  # traced: by the rules of its own kind
            space = space_of(type(ct))
            return ct if space is None else space.project(ct, x)
    ct = np.asarray(ct)
    if ct.dtype != x.dtype and ct.dtype.kind == "O":
        return Lost(ct.dtype)
    if ct.shape != x.shape:
        ct = summed_to(ct, x.shape)
    if ct.dtype.kind == "c" and x.dtype.kind == "f":
        ct = ct.real
    return ct if ct.dtype == x.dtype else ct.astype(x.dtype)


def numbers(ct):
    """A cotangent of another library as a NumPy array; one that is being traced stays as it is."""
    try:
        return np.asarray(ct)
    except TypeError:
        return ct


inert(numbers)


def summed_to(ct, shape):
    """`ct` with the axes summed along which an array of `shape` was broadcast.

    Where `ct` is shorter than `shape`, the cotangent is the same all along that axis.
    """
    extra = ct.ndim - len(shape)
    if extra < 0:
        ct = ct.reshape((1,) * -extra + ct.shape)
        extra = 0
    axes = tuple(
        [i for i, n in enumerate(ct.shape) if i < extra or (shape[i - extra] == 1 and n != 1)]
    )
    if axes:
        ct = ct.sum(axis=axes, keepdims=True)
    ct = ct.reshape(ct.shape[extra:])
    return ct if ct.shape == shape else np.array(np.broadcast_to(ct, shape))


# -- arrays of dtype object, and of fields -------------------------------------------------------


FLOAT = np.dtype(float)


def items_of(x) -> list:
    """The objects that an array of dtype object holds, or the arrays of its fields."""
    if x.dtype.kind == "O":
        return x.ravel().tolist()
    return [x[name] for name in x.dtype.names or ()]


def is_opaque(x) -> bool:
    """Is `x` an array of dtype object, or of fields, that holds something with a derivative?"""
    if getattr(x, "dtype", FLOAT).kind not in "OV":
        return False
    return not isinstance(x, np.ndarray) or carries(items_of(x))  # of a `Form`, nothing is known


class Lost(Unknown):
    """The cotangent of an array of objects: what it holds has derivatives, and it has none.

    Functions of NumPy leave it as it is; whatever asks for its numbers raises the error.
    """

    def __init__(self, dtype):
        kind = "an array of dtype object" if dtype.kind == "O" else "an array of fields"
        super().__init__(
            NotDifferentiable(
                f"the derivative of a number that goes through {kind} is not known.",
                where=user_line(),
                hint="Use a list, or an array of floats.",
            )
        )

    def __array_ufunc__(self, *_, **__):
        return self

    __array_function__ = __array_ufunc__
    __iter__ = __len__ = Unknown.asked

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return self.asked()


def lost(x) -> Lost | None:
    """The cotangent of an array that is not one of floats."""
    return Lost(x.dtype) if is_opaque(x) else None


inert(items_of, is_opaque, lost)


def zero_scalar(x):
    return type(x)(0)


def project_scalar(ct: Any, x):
    if not isinstance(ct, OWN):
        ct = numbers(ct)
        if not isinstance(ct, np.ndarray):
            return ct
    if getattr(ct, "ndim", 0):
        ct = ct.sum()
    kind = type(x)
    return kind(ct.real if issubclass(kind, np.floating) else ct)


def own(array, seen: dict):
    """The array, or a copy where its memory was seen before or cannot be written to."""
    root = array
    while isinstance(root.base, np.ndarray):
        root = root.base
    if id(root) in seen or not array.flags.writeable:
        root = array = array.copy()
    seen[id(root)] = root
    return array


MEMORIES[np.ndarray] = own
ARRAY = SPACES[np.ndarray] = Space(zero_array, project_array, items_of)
for kind in INEXACT:
    SPACES[kind] = Space(zero_scalar, project_scalar)
VALUE.update([np.ndarray, np.bool_, *INEXACT, *[np.dtype(c).type for c in "bBhHiIlLqQ"]])


def lookup(kind: type) -> Space | None:
    """Subclasses of `np.ndarray` that compute as it does (a memory map) are arrays too."""
    if not issubclass(kind, np.ndarray):
        return None
    if issubclass(kind, np.matrix | np.ma.MaskedArray):
        raise NotDifferentiable(
            f"arrays of type {kind.__name__} are not covered by the automatic differentiation.",
            where=user_line(),
            hint="Use a plain array: np.asarray(x), and np.where for a mask.",
        )
    return ARRAY


LOOKUPS.append(lookup)


def differs(x) -> bool:
    """Does `x` carry a derivative? A list or tuple does if one of its items does."""
    kind = type(x)
    if kind is np.ndarray:
        return x.dtype.kind in "fc" or (x.dtype.kind in "OV" and is_opaque(x))
    if kind is int or kind is bool:
        return False
    if kind is list or kind is tuple:
        return any([differs(item) for item in x])
    if kind in NOT_ARRAYS:
        raise NotDifferentiable(
            f"a function of NumPy that is given a {kind.__name__} has no derivative rule.",
            where=user_line(),
            hint="Use its own methods, or make a NumPy array of it.",
        )
    return space_of(kind) is not None


NOT_ARRAYS: set[type] = set()
"""Types of other libraries that carry derivatives and that NumPy's rules do not know."""
inert(differs)


def apart(value, ct, store):
    """The cotangent of an array as that of what it was made from: numbers, arrays, nested lists."""
    if isinstance(value, tuple):
        return tuple([apart(item, ct[i], store) for i, item in enumerate(value)])
    if isinstance(value, list):
        for i, item in enumerate(value):
            store.add(value, i, apart(item, ct[i], store))
        return None
    if is_text(value):
        return of_text(ct)
    return project(ct, value) if differs(value) else None


def is_text(value) -> bool:
    """Is `value` a text, or an array of texts, that numbers may be read from?"""
    return isinstance(value, str | bytes) or getattr(value, "dtype", FLOAT).kind in "SU"


def of_items(value) -> bool:
    """Is `value` a list or tuple in the place of an array?"""
    return type(value) is list or type(value) is tuple


inert(of_items, is_text)
AUGMENTED[summed_to] = lambda ct, shape: (
    summed_to(ct, shape),
    lambda again, store: (None if again is None else np.broadcast_to(again, ct.shape), None),
)
