"""Methods and attributes of arrays, and which callees belong to a library of the standard.

Arrays of the standard have few methods; those of CuPy have NumPy's, which take the rules of the
functions of the same names.
"""

from __future__ import annotations

import functools
import sys
from types import ModuleType

from flux.ad import registry
from flux.ad.api import BEFORE_USE
from flux.ad.inert import no_back, nothing
from flux.ad.registry import AUGMENTED, inert
from flux.ad.spaces import project, space_of
from flux.ir import prims, sharing
from flux.rules.arrayapi import elementwise, fourier, indexing, linalg, products, reductions, shapes
from flux.rules.arrayapi.forms import MAKERS, NO_DERIVATIVE, by_formulas, unruled
from flux.rules.arrayapi.libraries import (
    ELSEWHERE,
    arrays_of,
    library,
    library_of_kind,
)
from flux.rules.arrayapi.space import FOR_KIND, refused
from flux.rules.arrayapi.writes import know_functions, refuse_shared

__all__ = ["elementwise", "fourier", "indexing", "linalg", "products", "reductions", "shapes"]

# -- functions -------------------------------------------------------------------------------------


def function_of(xp: ModuleType, name: str):
    """The function of the standard `name` (`linalg.inv`) in a library; `None` if it has none."""
    found = xp
    for part in name.split("."):
        found = getattr(found, part, None)
    return found


@functools.cache
def know(xp: ModuleType) -> None:
    """Register the functions of a library that is met for the first time."""
    for name in (*MAKERS, *NO_DERIVATIVE):
        f = function_of(xp, name)
        if f is None or f in AUGMENTED or root_of(f) in ELSEWHERE:
            continue
        AUGMENTED[f] = MAKERS[name](xp, f) if name in MAKERS else no_back(f)
    know_functions(xp)


def know_kind(kind: type, xp: ModuleType) -> None:
    know(xp)
    sharing.watch(kind, refuse_shared)


FOR_KIND["know"] = know_kind
COMMON = ("array_api_strict", "cupy")


def meet() -> None:
    """Common libraries are known as soon as they are imported, others at their first function."""
    for name in COMMON:
        xp = sys.modules.get(name)
        if xp is not None and (kind := arrays_of(xp)) is not None:
            space_of(kind)


BEFORE_USE.append(meet)


def root_of(f) -> str:
    module = getattr(f, "__module__", None)
    return module.partition(".")[0] if isinstance(module, str) else ""


def finder(f):
    """Functions of the libraries: by name, or refused where it matters."""
    module = getattr(f, "__module__", None) or type(f).__module__
    xp = library(module) if isinstance(module, str) else None
    kind = None if xp is None else arrays_of(xp)
    if kind is None or space_of(kind) is None:  # which makes the library known
        return None
    return AUGMENTED.get(f) or unruled(f)


# -- methods ---------------------------------------------------------------------------------------

INERT_METHODS = frozenset("""
    __array_namespace__ __len__ __bool__ __int__ __index__ __contains__ __dlpack_device__ __repr__
    __str__ __format__ __hash__ __eq__ __ne__ __lt__ __le__ __gt__ __ge__ argmax argmin argsort any
    all nonzero tobytes
    """.split())  # fmt: skip
AS_FUNCTION = frozenset("""
    sum mean prod max min var std clip take repeat round squeeze conj astype
    """.split())  # fmt: skip
NUMBERS = frozenset("item __float__ __complex__".split())
COPIES = frozenset("copy flatten ravel".split())
OPERATORS = {f"__{prim.name}__": prim for prim in prims.BINARY.values()}
REFLECTED = {f"__r{prim.name}__": prim for prim in prims.BINARY.values()}
UNARY = {f"__{prim.name}__": prim for prim in prims.UNARY.values()} | {"__abs__": abs}


def number(f):
    """`x.item()` and its like: a Python number."""

    def augmented(x):
        def back(ct, store):
            return (None if ct is None else project(ct, x),)

        return f(x), back

    return augmented


def swapped(prim):
    """`b.__radd__(a)` is `a + b`."""

    def augmented(b, a):
        y, inner = AUGMENTED[prim](a, b)

        def back(ct, store):
            first, second = inner(ct, store)
            return second, first

        return y, back

    return augmented


def reshape_or_transpose(name: str, xp):
    """Methods that take their numbers as a tuple or one by one."""

    def augmented(x, *numbers, **options):
        given = numbers[0] if len(numbers) == 1 and not isinstance(numbers[0], int) else numbers
        if options:
            raise refused(f"`x.{name}` with options", f"Use xp.{name}(x, ...).")
        f = function_of(xp, "reshape" if name == "reshape" else "permute_dims")
        shape = given if given or name == "reshape" else tuple(range(x.ndim))[::-1]
        y, inner = AUGMENTED[f](x, shape)

        def back(ct, store):
            return (inner(ct, store)[0], *[None for _ in numbers])

        return y, back

    return augmented


def to_device(xp, ct, y, x, device, stream=None):
    return ct.to_device(x.device)


def find_method(kind: type, name: str):
    xp = library_of_kind(kind)
    f = getattr(kind, name, None)
    if xp is None or f is None:
        return None
    known = AUGMENTED.get(f)
    if known is None:
        known = rule_of_method(f, name, xp)
        if f is not getattr(object, name, None):
            AUGMENTED[f] = known
    return known


def rule_of_method(f, name: str, xp: ModuleType):
    if name in INERT_METHODS:
        return no_back(f)
    if name in AS_FUNCTION:
        return MAKERS[name](xp, f)
    if name in COPIES:
        return by_formulas(xp, f, ["x"], {"x": shapes.undo_reshape})
    if name == "to_device":
        return by_formulas(xp, f, ["x", "device", "stream"], {"x": to_device})
    if name in ("reshape", "transpose"):
        return reshape_or_transpose(name, xp)
    if name in OPERATORS:
        return AUGMENTED[OPERATORS[name]]
    if name in REFLECTED:
        return swapped(REFLECTED[name])
    if name in UNARY:
        return AUGMENTED[UNARY[name]]
    if name == "__getitem__":
        return indexing.read_again
    return number(f) if name in NUMBERS else unruled(f)


registry.METHOD_FINDERS.append(find_method)


# -- attributes ------------------------------------------------------------------------------------

INERT_ATTRIBUTES = frozenset("shape ndim size dtype device nbytes itemsize strides flags".split())


def inert_attribute(name: str):
    return lambda x: (getattr(x, name), nothing(1))


@functools.cache
def find_attribute(kind: type, name: str):
    xp = library_of_kind(kind)
    if xp is None or not hasattr(kind, name):
        return None
    if name in INERT_ATTRIBUTES:
        return inert_attribute(name)
    if name == "T":
        return by_formulas(xp, lambda x: x.T, ["x"], {"x": shapes.undo_permutation})
    if name == "mT":
        return by_formulas(
            xp, lambda x: x.mT, ["x"], {"x": lambda xp, ct, y, x: xp.matrix_transpose(ct)}
        )
    if name in ("real", "imag"):
        return MAKERS[name](xp, lambda x: getattr(x, name))
    return None if callable(getattr(kind, name)) else unruled(hidden(name))


def hidden(name: str):
    """The attribute `name`, as a function."""

    def read(x):
        return getattr(x, name)

    read.__name__ = f"x.{name}"
    return read


registry.ATTRIBUTE_FINDERS.append(find_attribute)
registry.FINDERS.append(finder)
inert(finder, find_method, find_attribute, function_of)
