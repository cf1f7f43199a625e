"""Derivatives of changing a NumPy array in place: `y[i] = v`, `y += v`.

A write happens in place while nobody else holds the array. What the reverse pass kept of it must
stay as it was: then the write goes to a copy, which is as good where no other name sees the array
(`flux.ir.sharing` makes sure of it).
"""

from __future__ import annotations

import ast
from sys import getrefcount

import numpy as np
from numpy import ndarray

from flux.ad.carries import carries
from flux.ad.cotangents import dense
from flux.ad.indexed import Form, form_of
from flux.ad.registry import AUGMENTED, inert
from flux.ad.runtime import call
from flux.ad.spaces import SPACES, Space, project
from flux.errors import NotDifferentiable, user_line
from flux.ir import prims
from flux.ir.sharing import FRESH, VIEWS, is_kept, watch
from flux.rules.copies import copied, hand_on
from flux.rules.numpy.forms import as_array, refused
from flux.rules.numpy.indexing import as_it_is, has_arrays, whole
from flux.rules.numpy.space import apart, differs, of_items, project_array

LOCAL = 3
"""References to an array that one variable of the caller holds, counted in a function that was
given it: the variable, the parameter, and the argument of `getrefcount`."""


FRESH.update(vars(np)[name] for name in vars(np) if isinstance(vars(np)[name], np.ufunc))
FRESH.update(getattr(np, name) for name in """
    array zeros ones empty full zeros_like ones_like empty_like full_like arange linspace eye
    identity copy tri tril triu diagflat tile repeat stack concatenate vstack hstack dstack
    column_stack sum mean prod max min cumsum cumprod dot matmul outer inner kron tensordot where
    clip round sort roll pad interp cross convolve var std""".split())  # fmt: skip
VIEWS.update(getattr(np, name) for name in """
    asarray ascontiguousarray atleast_1d atleast_2d atleast_3d broadcast_to diag diagonal
    expand_dims flip fliplr flipud moveaxis ravel real imag reshape rollaxis rot90 squeeze
    swapaxes transpose""".split())  # fmt: skip


def refuse_shared(x, text: str, holders: int) -> None:
    """Refuse a write to `x` if somebody else holds it, or the memory that it is a view of.

    Args:
        x: the array.
        text: who may hold it.
        holders: how many are known to hold it, besides the variable of the program.
    """
    extra = getrefcount(x) - LOCAL - 1 - holders  # this function was given it by the guard
    base = x.base
    if extra <= 0 and (base is None or (isinstance(base, ndarray) and getrefcount(base) <= LOCAL)):
        return
    if x.dtype.kind not in "fc" and text.startswith("the caller"):
        return
    raise shared(f"{text}, or the reverse pass has kept it" if holders else text)


def shared(text: str) -> NotDifferentiable:
    return NotDifferentiable(
        "a NumPy array is changed in place here that others may see"
        + (f": {text}." if text else "."),
        where=user_line(),
        hint="Change a copy (`y = x.copy()`), or make a new array: `y = y + v`, np.where, "
        "np.concatenate.",
    )


def refuse_kept(x) -> None:
    """Refuse a write to an array that an object of the user may hold."""
    if is_kept(x):
        raise shared("an object of yours may hold it")


inert(refuse_kept)
watch(ndarray, refuse_shared)


def update_item(y, index, value):
    """`y[index] = value`, in place unless the reverse pass holds `y`."""
    if is_foreign(value):
        return AUGMENTED[prims.update_item, type(value)](y, index, value)
    refuse_kept(y)
    refuse_in_objects(y, value)
    pairs: list = []
    value, index = copied(value, pairs), as_it_is(index)
    if getrefcount(y) > LOCAL + 1 or shares_base(y):
        y = y.copy()
    y[index] = value
    active = y.dtype.kind in "fc"
    gives = active and differs(value)
    last = written_last(y, index) if gives and has_arrays(index) else None
    value = value if gives else None
    form = as_array(value)

    def back(ct, store):
        if ct is None or not active:
            return ct, None, None
        ct, own = whole(ct, getrefcount(ct) <= LOCAL)
        part = None
        if gives:
            part = ct[index] if last is None else ct[index] * last
            part = given(value, pairs, project(np.array(part), form), store)
        return zeroed(ct, index, own), None, part

    return y, back


def given(value, pairs, ct, store):
    """The cotangent of what was written: an array or number, or a list or tuple of such.

    `value` is a copy with copies of the lists in it; `pairs` has each, with the original.
    """
    part = apart(value, ct, store) if of_items(value) else ct
    for copy, original in pairs:
        hand_on(copy, original, store)
    return part


def refuse_in_objects(y, value) -> None:
    """Refuse a number that has a derivative as an item of an array of objects or fields."""
    if y.dtype.kind in "OV" and carries(value):
        raise refused(f"an item of an array of dtype {y.dtype}", "Use a list or a dict.")


def is_foreign(value) -> bool:
    """Is `value` an array that NumPy cannot hold, as one that is being traced?"""
    if type(value) is ndarray or (prims.update_item, type(value)) not in AUGMENTED:
        return False
    try:
        np.asarray(value)
    except TypeError:
        return True
    return False


def shares_base(y) -> bool:
    base = y.base
    return base is not None and (not isinstance(base, ndarray) or getrefcount(base) > LOCAL)


def written_last(y, index):
    """Of places that an index names more than once, the last one written counts: 1, others 0."""
    order = np.zeros(y.shape, np.intp)
    count = np.arange(1, order[index].size + 1).reshape(order[index].shape)
    order[index] = count
    return order[index] == count


def zeroed(ct, index, own: bool):
    """`ct` with zeros at `index`, in place if it is nobody else's."""
    if not own:
        ct = ct.copy()
    ct[index] = 0
    return ct


def zeroed_again(ct, index, own):
    def back(again, store):
        return (None if again is None else zeroed(dense(again), index, False)), None, None

    return zeroed(ct, index, False), back


def whole_again(ct, own):
    total, inner = call(dense, ct)

    def back(again, store):
        return (None, None) if again is None else (*inner(again[0], store), None)

    return (total, False), back


AUGMENTED[whole] = whole_again
AUGMENTED[prims.update_item, ndarray] = update_item
AUGMENTED[zeroed] = zeroed_again
inert(is_foreign, refuse_in_objects, shares_base, written_last, getrefcount, form_of)


def setitem(x, index, value):
    """An item of an array that a global or captured name holds."""
    if x.dtype.kind in "fc":
        raise NotDifferentiable(
            "an item of a NumPy array is assigned that this function did not make.",
            where=user_line(),
            hint="Make the array in the function, under a local name: `y = x.copy()`; or compute "
            "it as a whole with np.where or np.concatenate.",
        )
    refuse_in_objects(x, value)
    x[index] = value
    return None, lambda ct, store: (None, None, None)


AUGMENTED[prims.setitem, ndarray] = setitem


def in_place(prim, base):
    """`y op= v`: the result in the dtype and shape of `y`; its errors are NumPy's.

    The pullback keeps a copy of `y`, so that a later write to the same array is free.
    """

    def augmented(y, value):
        refuse_kept(y)
        total, back = AUGMENTED[base](y.copy(), value)
        return fitted(prim, total, y, value), back

    return augmented


def added_in_place(prim, sign):
    """`y += v` and `y -= v`: nothing is kept but shapes."""

    def augmented(y, value):
        refuse_kept(y)
        total = fitted(prim, np.asarray(y + value if sign > 0 else y - value), y, value)
        active = differs(value)
        pairs: list = []
        value = copied(value, pairs)
        value = form_of(value) if isinstance(value, ndarray) else value
        form = as_array(value)

        def back(ct, store):
            if ct is None or not active:
                return ct, None
            return ct, given(value, pairs, project(ct if sign > 0 else -ct, form), store)

        return total, back

    return augmented


def fitted(prim, total, y, value):
    """`total`, if it has the shape and dtype of `y`; otherwise what NumPy makes of it, or says."""
    if type(total) is ndarray and total.dtype == y.dtype and total.shape == y.shape:
        return total
    return prim.fn(y.copy(), value)


def fitted_again(prim, total, y, value):
    def back(ct, store):
        return None, None if ct is None else project(ct, total), None, None

    return fitted(prim, total, y, value), back


AUGMENTED[fitted] = fitted_again
SPACES[Form] = Space(lambda form: np.zeros(form.shape, form.dtype), project_array)
for kind, prim in prims.INPLACE.items():
    AUGMENTED["inplace", prims.BINARY[kind], ndarray] = in_place(prim, prims.BINARY[kind])
for kind, sign in ((ast.Add, 1), (ast.Sub, -1)):
    rule = added_in_place(prims.INPLACE[kind], sign)
    AUGMENTED["inplace", prims.BINARY[kind], ndarray] = rule
