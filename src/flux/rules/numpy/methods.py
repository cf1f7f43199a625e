"""Methods and attributes of NumPy's arrays, what has no derivative, and what writes in place."""

from __future__ import annotations

import numpy as np
from numpy import ndarray

from flux.ad import registry
from flux.ad.inert import no_back, nothing
from flux.ad.registry import AUGMENTED, inert
from flux.ad.spaces import project
from flux.rules.numpy import indexing, products, reductions, shapes, ufuncs  # noqa: F401
from flux.rules.numpy.forms import no_rule, refused
from flux.rules.numpy.space import INEXACT, differs, is_opaque, lost

# -- attributes ----------------------------------------------------------------------------------


def attribute(name, formula):
    """Register the array attribute `name`; `formula(ct, x)` is the cotangent of the array."""

    def read(x):
        y = getattr(x, name)

        def back(ct, store):
            return (None if ct is None or not differs(x) else project(formula(ct, x), x),)

        return y, back

    for kind in (ndarray, *INEXACT):
        registry.ATTRIBUTES[kind, name] = read


def inert_attribute(name):
    def read(x):
        return getattr(x, name), nothing(1)

    for kind in (ndarray, *INEXACT):
        registry.ATTRIBUTES[kind, name] = read


attribute("T", lambda ct, x: ct.T)
attribute("mT", lambda ct, x: np.swapaxes(ct, -1, -2))
attribute("real", lambda ct, x: ct)
attribute("imag", lambda ct, x: ct * -1j if np.iscomplexobj(x) else ct * 0)
for name in ("shape", "ndim", "size", "dtype", "nbytes", "itemsize", "strides", "flags", "device"):
    inert_attribute(name)


def refuse_attribute(name, hint):
    def read(x):
        raise refused(f"`x.{name}` of an array", hint)

    for kind in (ndarray, *INEXACT):
        registry.ATTRIBUTES[kind, name] = read


refuse_attribute("flat", "Use x.ravel(), or x.reshape(-1).")
refuse_attribute("data", "Work with the array itself.")
refuse_attribute("base", "Work with the array itself.")


# -- methods -------------------------------------------------------------------------------------


def item(x, *places):
    """`x.item()`, a Python number."""
    y = x.item(*places)
    index = places if len(places) != 1 or isinstance(places[0], tuple) else np.unravel_index(
        places[0], x.shape)  # fmt: skip
    index = index[0] if len(index) == 1 and isinstance(index[0], tuple) else index

    def back(ct, store):
        nones = [None for _ in places]
        if ct is None or not differs(x):
            return (None, *nones)
        if is_opaque(x):
            return (lost(x), *nones)
        if not places:
            return (project(np.reshape(ct, x.shape), x), *nones)
        return (item_back(ct, x, index), *nones)

    return y, back


def item_back(ct, x, index):
    made = np.zeros(x.shape, x.dtype)
    made[index] = ct
    return made


def item_back_again(ct, x, index):
    def back(again, store):
        return None if again is None else again[index], None, None

    return item_back(ct, x, index), back


def view(x, *kinds, **options):
    """`x.view()` is `x`; as another dtype it is other numbers made of the same bits."""
    if kinds or options:
        raise refused("`x.view` as another type", "Use x.astype.")
    y, inner = AUGMENTED[ndarray.copy](x)
    return x.view(), inner


def tolist(x):
    """Nested lists of Python numbers; their cotangents come from the store."""
    made = x.tolist()

    def back(ct, store):
        if not isinstance(made, list):
            return (None if ct is None else project(ct, x),)
        parts = collected(made, store)
        whole = zeros_for(made, parts)
        return (project(np.array(whole), x) if differs(x) else None,)

    return made, back


def collected(made, store):
    """The cotangents of nested lists, as nested tuples."""
    if not isinstance(made, list):
        return None
    return tuple([
        collected(value, store) if isinstance(value, list) else store.take(made, i)
        for i, value in enumerate(made)
    ])  # fmt: skip


def zeros_for(made, parts):
    if isinstance(made, list):
        return [zeros_for(value, part) for value, part in zip(made, parts, strict=True)]
    return 0.0 if parts is None else parts


AUGMENTED[item_back] = item_back_again
AUGMENTED[ndarray.item] = item
AUGMENTED[ndarray.view] = view
AUGMENTED[ndarray.tolist] = tolist
AUGMENTED[ndarray.__len__] = no_back(len)
NO_DERIVATIVE = ("any", "all", "argmax", "argmin", "argsort", "argpartition", "nonzero", "tobytes",
                 "searchsorted", "dump", "dumps", "tofile", "__len__", "__contains__",
                 "__array_namespace__")  # fmt: skip
for name in NO_DERIVATIVE:
    AUGMENTED[getattr(ndarray, name)] = no_back(getattr(ndarray, name))
AS_FUNCTION = """max min prod std var cumsum cumprod round take repeat swapaxes trace diagonal
conj"""
for name in AS_FUNCTION.split():
    AUGMENTED[getattr(ndarray, name)] = AUGMENTED[getattr(np, name)]
AUGMENTED[ndarray.conjugate] = AUGMENTED[np.conjugate]
OF_SCALARS = {"copy": np.copy, "flatten": np.ravel, "reshape": None, "astype": None}


def choose(x, choices, *rest, **options):
    return AUGMENTED[np.choose](x, choices, *rest, **options)


def compress(x, condition, *rest, **options):
    y, inner = AUGMENTED[np.compress](condition, x, *rest, **options)

    def back(ct, store):
        first, second, *others = inner(ct, store)
        return (second, first, *others)

    return y, back


AUGMENTED[ndarray.choose] = choose
AUGMENTED[ndarray.compress] = compress


# -- what writes in place ------------------------------------------------------------------------

INSTEAD = {
    "sort": "np.sort, which returns a new array", "fill": "np.full", "put": "np.where",
    "resize": "np.reshape", "partition": "np.partition", "setfield": "np.where",
    "byteswap": "x.astype", "getfield": "x.astype",
}  # fmt: skip


def refuse_in_place(callee, name, instead):
    """Allowed where neither the array nor what is written carries a derivative."""

    def augmented(x, *rest, **options):
        if any([differs(value) for value in (x, *rest, *options.values())]):
            raise refused(f"`{name}`, which changes an array in place,", f"Use {instead}.")
        return callee(x, *rest, **options), nothing(1 + len(rest) + len(options))

    AUGMENTED[callee] = augmented


for name, instead in INSTEAD.items():
    refuse_in_place(getattr(ndarray, name), f"x.{name}", instead)
for f in (np.copyto, np.put, np.place, np.putmask, np.put_along_axis, np.fill_diagonal):
    refuse_in_place(f, f"np.{f.__name__}", "np.where, which returns a new array")
for ufunc in (np.add, np.subtract, np.multiply, np.divide, np.maximum, np.minimum):
    refuse_in_place(ufunc.at, f"np.{ufunc.__name__}.at", "an index read, or np.bincount")


def find_method(kind, name):
    """Methods of arrays, and of NumPy's scalars, which have the same names."""
    if kind is ndarray or issubclass(kind, ndarray):
        return AUGMENTED.get(getattr(ndarray, name, None))
    if issubclass(kind, np.generic):
        return scalar_method(name)
    return None


def scalar_method(name):
    """The rule of a scalar's method is that of NumPy's function of the same name."""
    if name in OF_SCALARS:
        return AUGMENTED[np.array] if name != "reshape" else AUGMENTED[np.reshape]
    if name in ("item", "tolist", *NO_DERIVATIVE):
        found = item if name in ("item", "tolist") else None
        return found or no_back(lambda x, *a, **k: getattr(x, name)(*a, **k))
    return AUGMENTED.get(getattr(np, name, None))


registry.METHOD_FINDERS.append(find_method)


# -- no derivative -------------------------------------------------------------------------------

FLAT = """
shape ndim size zeros ones empty zeros_like ones_like empty_like eye identity tri isnan
isfinite isinf isnat isneginf isposinf iscomplex isreal iscomplexobj isrealobj isscalar argmax
argmin nanargmax nanargmin argsort argpartition argwhere lexsort nonzero flatnonzero any all equal
not_equal less less_equal greater greater_equal logical_and logical_or logical_not logical_xor
bitwise_and bitwise_or bitwise_xor invert left_shift right_shift gcd lcm allclose isclose
array_equal array_equiv searchsorted result_type issubdtype dtype finfo iinfo can_cast
promote_types min_scalar_type common_type signbit count_nonzero digitize
in1d isin indices ravel_multi_index unravel_index
diag_indices diag_indices_from tril_indices triu_indices mask_indices ndindex ndenumerate
may_share_memory shares_memory broadcast_shapes array2string array_repr array_str errstate geterr
seterr printoptions set_printoptions save savez savetxt load bool_ int8 int16 int32 int64
uint8 uint16 uint32 uint64 intp packbits unpackbits base_repr binary_repr einsum_path
hanning hamming blackman bartlett
"""
inert(*[getattr(np, name) for name in FLAT.split() if hasattr(np, name)])
HANDING_ON = """
bincount histogram unique intersect1d union1d setdiff1d setxor1d ix_ kaiser
"""
for name in HANDING_ON.split():
    no_rule(getattr(np, name), f"`np.{name}` of values that carry a derivative",
            "Use indexing, np.sort or np.where, or flux.stop_gradient.")  # fmt: skip
for kind in (np.random.Generator, np.random.RandomState):
    for name in ("permutation", "permuted", "shuffle", "choice"):
        if hasattr(kind, name):
            no_rule(getattr(kind, name), f"`{name}` of values that carry a derivative",
                    "Draw places, and read by them: x[rng.permutation(len(x))].")  # fmt: skip
for name in ("permutation", "shuffle", "choice"):
    no_rule(getattr(np.random, name), f"`np.random.{name}` of values that carry a derivative",
            "Draw places, and read by them: x[np.random.permutation(len(x))].")  # fmt: skip
inert(np.linalg.matrix_rank, np.fft.fftfreq, np.fft.rfftfreq)
for name in dir(np.random):
    drawing = getattr(np.random, name)
    if callable(drawing) and not name.startswith("_") and drawing not in AUGMENTED:
        inert(drawing)
for kind in (np.random.Generator, np.random.RandomState):
    methods = [m for n, m in vars(kind).items() if callable(m) and not n.startswith("_")]
    inert(*[method for method in methods if method not in AUGMENTED])
