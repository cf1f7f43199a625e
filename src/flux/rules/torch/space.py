"""PyTorch's tensors as values that carry derivatives; reading them by index.

A complex cotangent is that of JAX and of the rest of Flux: the conjugate of PyTorch's gradient.
"""

from __future__ import annotations

import torch
from torch import Tensor

from flux.ad import registry
from flux.ad.cotangents import dense
from flux.ad.indexed import SCATTER, Indexed
from flux.ad.inert import nothing
from flux.ad.registry import AUGMENTED, inert
from flux.ad.spaces import IDENTITIES, LOOKUPS, MEMORIES, Space, project
from flux.errors import NotDifferentiable, user_line
from flux.rules.operators import LOGARITHMS

__all__ = ["RULES", "is_inexact", "is_tensor", "refused"]

BASIC = (int, slice, type(None), type(...))
RULES: dict = {}
"""Rules of operations, for tensors and what is derived from them (parameters)."""


def is_inexact(x) -> bool:
    """Has the tensor `x` a dtype that carries derivatives?"""
    return x.dtype.is_floating_point or x.dtype.is_complex


def is_tensor(x) -> bool:
    return isinstance(x, Tensor)


def refused(what: str, hint: str) -> NotDifferentiable:
    """The error for what this room does not cover."""
    return NotDifferentiable(
        f"{what} is not covered by the automatic differentiation.", where=user_line(), hint=hint
    )


def zero(x):
    return torch.zeros_like(x, requires_grad=False) if is_inexact(x) else None


def project_tensor(ct, x):
    """Sum over broadcast axes, take the real part for a real primal, cast to its dtype."""
    if not is_inexact(x):
        return None
    if not isinstance(ct, Tensor):
        ct = torch.as_tensor(ct, device=x.device)
    if ct.shape != x.shape:
        ct = summed_to(ct, x.shape)
    if ct.is_complex() and not x.is_complex():
        ct = ct.real
    return ct.to(x.device, x.dtype)


def summed_to(ct, shape):
    """`ct` with the axes summed along which a tensor of `shape` was broadcast."""
    extra = ct.ndim - len(shape)
    axes = [i for i, n in enumerate(ct.shape) if i < extra or (shape[i - extra] == 1 and n != 1)]
    if axes:
        ct = ct.sum(axes, keepdim=True)
    if extra > 0:
        ct = ct.reshape(ct.shape[extra:])
    return ct if ct.shape == shape else ct.expand(shape).clone()


def own(x, seen: dict):
    """The tensor, or a copy where its memory was seen before or one number stands for several."""
    if x.layout is not torch.strided:
        return x
    repeated = any([n > 1 and step == 0 for n, step in zip(x.shape, x.stride(), strict=True)])
    if repeated or x.untyped_storage().data_ptr() in seen:
        x = x.clone(memory_format=torch.contiguous_format)
    seen[x.untyped_storage().data_ptr()] = x
    return x


TORCH = Space(zero, project_tensor)


def lookup(kind: type) -> Space | None:
    """Tensors and parameters are one space; met for the first time, they get their rules."""
    if not issubclass(kind, Tensor):
        return None
    registry.INDEXERS[kind] = getitem
    SCATTER[kind] = scatter
    MEMORIES[kind] = own
    if issubclass(kind, torch.nn.Parameter):
        IDENTITIES.add(kind)
    LOGARITHMS[kind] = safe_log
    for operation, rule in RULES.items():
        AUGMENTED[(*operation, kind) if type(operation) is tuple else (operation, kind)] = rule
    return TORCH


def safe_log(a):
    """`log a`, 0 where `a` is 0: the slope of `a ** b` in `b`, over `a ** b`."""
    return torch.log(torch.where(a == 0, 1, a))


LOOKUPS.append(lookup)


# -- x[index] -------------------------------------------------------------------------------------


def getitem(x, index):
    """`x[index]`: the cotangent is kept as a read until the whole is needed."""
    if not is_inexact(x):
        return x[index], nothing(2)
    if isinstance(index, Tensor):
        index = index.clone()

    def back(ct, store):
        if ct is None:
            return None, None
        return Indexed(x, index, dense(ct)), None

    return x[index], back


def scatter(like, reads):
    """Zeros of the shape of `like`, with all reads added at their places."""
    total = zero(like)
    assert total is not None
    rows = [read for read in reads if type(read[0]) is int]
    if len(rows) > 1:
        places = torch.tensor([index % like.shape[0] for index, _ in rows], device=like.device)
        total = total.index_put((places,), torch.stack([ct for _, ct in rows]), accumulate=True)
        reads = [read for read in reads if type(read[0]) is not int]
    for index, ct in reads:
        total = added(total, index, ct)
    return total


def added(total, index, ct):
    """`total` with `ct` added at `index`, once for every time that the index names a place."""
    if is_basic(index) and not ct.requires_grad:
        total[index] += ct
        return total
    with torch.enable_grad():
        place = torch.zeros_like(total).requires_grad_()
        (spread,) = torch.autograd.grad(
            place[index], place, ct.conj(), create_graph=ct.requires_grad
        )
    return total + spread.conj()


def is_basic(index) -> bool:
    parts = index if isinstance(index, tuple) else (index,)
    return all([type(part) in BASIC for part in parts])


def scatter_again(like, reads):
    """Scattering is linear: the cotangent of each read is read at its place."""

    def back(ct, store):
        if ct is not None:
            for i, (index, part) in enumerate(reads):
                store.add(reads, i, (None, project(ct[index], part)))
        return None, None

    return scatter(like, reads), back


AUGMENTED[scatter] = scatter_again
inert(is_inexact, is_tensor, is_basic)
