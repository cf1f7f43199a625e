"""Derivatives of `y[i] = v` and `y += v`: a new tensor takes the name of the old one.

That is as good as changing the tensor in place where no other name sees it; `flux.ir.sharing` and
`refuse_shared` make sure of it.
"""

from __future__ import annotations

from sys import getrefcount

import torch
from torch import Tensor

from flux.ad.registry import AUGMENTED, inert
from flux.ad.spaces import project
from flux.ir import prims, sharing
from flux.rules.torch.leaf import Leaf
from flux.rules.torch.space import RULES, is_inexact, refused

LOCAL = 3
"""References to a tensor that one variable of the caller holds, counted in a function that was
given it: the variable, the parameter, and the argument of `getrefcount`."""
HINT = "Change a copy (`y = x.clone()`), or make a new tensor: `y = y + v`, torch.where, torch.cat."
USERS = getattr(torch._C, "_storage_Use_Count", None)

sharing.FRESH.update(getattr(torch, name) for name in """
    zeros ones empty full zeros_like ones_like empty_like full_like arange linspace eye tensor clone
    tril triu tile cat concat stack hstack vstack sum mean prod amax amin cumsum cumprod dot matmul
    mm mv bmm outer kron where clamp clip round roll add sub mul div pow exp log log1p expm1 sqrt
    rsqrt square abs neg sin cos tan asin acos atan sinh cosh tanh sigmoid relu softmax log_softmax
    maximum minimum sign floor ceil rand randn rand_like randn_like conj_physical
    """.split())  # fmt: skip
sharing.VIEWS.update(getattr(torch, name) for name in """
    as_tensor asarray from_numpy reshape ravel flatten squeeze unsqueeze transpose permute swapaxes
    movedim moveaxis narrow diagonal diag broadcast_to detach conj real imag view_as_real
    view_as_complex t""".split())  # fmt: skip
sharing.NEW_METHODS.update("""
    clone exp log log1p expm1 sqrt rsqrt square abs neg sin cos tan tanh sinh cosh sigmoid relu
    softmax log_softmax cumsum new_zeros new_ones new_full new_empty""".split())  # fmt: skip
sharing.VIEW_METHODS.update("""
    contiguous detach expand expand_as flatten unsqueeze permute narrow view_as reshape_as t
    movedim moveaxis numpy unflatten""".split())  # fmt: skip


def refuse_shared(x, text: str, holders: int) -> None:
    """Refuse a write to `x` if somebody else holds it, or the memory that it is a view of.

    Args:
        x: the tensor.
        text: who may hold it.
        holders: how many are known to hold it, besides the variable of the program.
    """
    extra = getrefcount(x) - LOCAL - 1 - holders  # this function was given it by the guard
    base = x._base
    if extra <= 0 and (base is None or getrefcount(base) <= LOCAL) and not shares_memory(x, base):
        return
    if not is_inexact(x) and text.startswith("the caller"):
        return
    who = f" ({text})" if text else ""
    raise refused(f"a change in place of a tensor that others may see{who}", HINT)


def shares_memory(x, base) -> bool:
    """Does anybody but `x` and its `base` use the memory, as NumPy may?"""
    storage = x.untyped_storage()
    users = 0 if USERS is None else USERS(storage._cdata)
    return users > 2 + (base is not None) or not storage.resizable()


sharing.watch(Tensor, refuse_shared)


def updated(y, index, value):
    """A copy of `y` with the item changed."""
    y = y.clone()
    y[index] = value
    return y


UPDATED = Leaf(updated, "y[index] = value")


def update_item(y, index, value):
    """`y[index] = value`, in a copy."""
    if y.is_conj() or y.is_neg():
        raise refused("a change of a conjugated view", "Use torch.conj_physical(x).")
    if type(value) is not float and type(value) is not complex:
        return UPDATED(y, index, value)
    total, inner = UPDATED(y, index, torch.tensor(value, dtype=y.dtype, device=y.device))

    def back(ct, store):
        whole, _, part = inner(ct, store)
        return whole, None, project(part, value)

    return total, back


def setitem(x, index, value):
    """An item of a tensor that a global or captured name holds."""
    if is_inexact(x):
        raise refused(
            "a change of a tensor that this function did not make",
            "Make it in the function, under a local name: `y = x.clone()`.",
        )
    x[index] = value
    return None, lambda ct, store: (None, None, None)


def in_place(prim, base):
    """`y op= v`: the result in the dtype and shape of `y`; its errors are PyTorch's."""

    def augmented(y, value):
        total, back = AUGMENTED[base](y, value)
        return fitted(prim, total, y, value), back

    return augmented


def fitted(prim, total, y, value):
    """`total` in the shape and dtype of `y`, or what PyTorch says."""
    if total.dtype == y.dtype and total.shape == y.shape:
        return total
    return prim.fn(y.detach().clone(), value)


def fitted_again(prim, total, y, value):
    def back(ct, store):
        return None, None if ct is None else project(ct, total), None, None

    return fitted(prim, total, y, value), back


AUGMENTED[fitted] = fitted_again
RULES[prims.update_item] = update_item
RULES[prims.setitem] = setitem
for kind, prim in prims.INPLACE.items():
    RULES["inplace", prims.BINARY[kind]] = in_place(prim, prims.BINARY[kind])
inert(getrefcount)
