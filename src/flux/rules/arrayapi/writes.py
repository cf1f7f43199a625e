"""Derivatives of `y[i] = v` and `y += v`: a new array takes the name of the old one.

That is as good as changing the array in place where no other name sees it; `flux.ir.sharing` and
`refuse_shared` make sure of it. Where a library cannot change its arrays, its own error says so.
"""

from __future__ import annotations

from sys import getrefcount

from flux.ad.cotangents import dense
from flux.ad.registry import AUGMENTED, inert
from flux.ad.spaces import project
from flux.ir import prims, sharing
from flux.rules.arrayapi.indexing import has_repeats, kept_index, read
from flux.rules.arrayapi.libraries import NAMESPACES, is_array, is_inexact
from flux.rules.arrayapi.space import RULES, carries, is_owner, refused

LOCAL = 3
"""References to an array that one variable of the caller holds, counted in a function that was
given it: the variable, the parameter, and the argument of `getrefcount`."""
HINT = "Change a copy (`y = xp.asarray(x, copy=True)`), or make a new array: `y = y + v`, xp.where."
FRESH = """
    zeros ones empty full zeros_like ones_like empty_like full_like arange linspace eye tril triu
    tile repeat stack concat concatenate sum mean prod max min cumulative_sum matmul tensordot
    vecdot where clip sort roll var std add subtract multiply divide exp log log1p expm1 sqrt square
    abs negative sin cos tan asin acos atan sinh cosh tanh maximum minimum sign floor ceil round pow
    """.split()
VIEWS = """
    asarray astype broadcast_to expand_dims flip moveaxis real imag conj reshape squeeze transpose
    permute_dims matrix_transpose""".split()


def know_functions(xp) -> None:
    """Tell the search for shared arrays which functions of a library make new ones."""
    sharing.FRESH.update(getattr(xp, name) for name in FRESH if hasattr(xp, name))
    sharing.VIEWS.update(getattr(xp, name) for name in VIEWS if hasattr(xp, name))


def refuse_shared(x, text: str, holders: int) -> None:
    """Refuse a write to `x` if somebody else holds it, or may see its memory.

    Args:
        x: the array.
        text: who may hold it.
        holders: how many are known to hold it, besides the variable of the program.
    """
    extra = getrefcount(x) - LOCAL - 1 - holders  # this function was given it by the guard
    if extra <= 0 and is_owner(x):
        return
    who = f" ({text})" if text else ""
    raise refused(f"a change in place of an array that others may see{who}", HINT)


def copied(y):
    return NAMESPACES[type(y)].asarray(y, copy=True)


def with_item(y, index, value):
    """A copy of `y` with the item changed."""
    y = copied(y)
    y[index] = value
    return y


def update_item(y, index, value):
    """`y[index] = value`, in a copy."""
    total = with_item(y, index, value)
    active, gives = is_inexact(y), carries(value)
    if active and gives and has_repeats(y, index):
        raise refused("an assignment that names a place twice", "Assign to each place once.")
    index = kept_index(index)

    def back(ct, store):
        if ct is None or not active:
            return None, None, None
        ct = dense(ct)
        part = project(read(ct, index), value) if gives else None
        return with_item(ct, index, 0), None, part

    return total, back


def setitem(x, index, value):
    """An item of an array that a global or captured name holds."""
    if is_inexact(x):
        raise refused(
            "a change of an array that this function did not make",
            "Make it in the function, under a local name: `y = xp.asarray(x, copy=True)`.",
        )
    x[index] = value
    return None, lambda ct, store: (None, None, None)


def in_place(prim, base):
    """`y op= v`: the result in the dtype and shape of `y`; its errors are the library's."""

    def augmented(y, value):
        total, back = AUGMENTED[base](y, value)
        return fitted(prim, total, y, value), back

    return augmented


def fitted(prim, total, y, value):
    """`total` in the shape and dtype of `y`, or what the library says."""
    if is_array(total) and total.dtype == y.dtype and total.shape == y.shape:
        return total
    return prim.fn(copied(y), value)


def fitted_again(prim, total, y, value):
    def back(ct, store):
        return None, None if ct is None else project(ct, total), None, None

    return fitted(prim, total, y, value), back


AUGMENTED[with_item] = update_item
AUGMENTED[fitted] = fitted_again
RULES[prims.update_item] = update_item
RULES[prims.setitem] = setitem
for kind, prim in prims.INPLACE.items():
    RULES["inplace", prims.BINARY[kind]] = in_place(prim, prims.BINARY[kind])
inert(getrefcount, know_functions)
