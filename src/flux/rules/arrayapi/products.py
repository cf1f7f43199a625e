"""Derivatives of products of arrays: matrices, contractions, outer and cross products."""

from __future__ import annotations

from flux.ad.registry import inert
from flux.ad.spaces import project
from flux.rules.arrayapi.elementwise import binary, conjugate
from flux.rules.arrayapi.forms import like, rule
from flux.rules.arrayapi.libraries import NAMESPACES
from flux.rules.arrayapi.reductions import places
from flux.rules.arrayapi.space import FOR_KIND


def left(ct, a, b):
    """The cotangent of `a` in `a @ b`."""
    xp = NAMESPACES[type(b)]
    if b.ndim == 1:
        return project(ct * b if a.ndim == 1 else ct[..., None] * b, a)
    if a.ndim == 1:
        return project(xp.matmul(b, ct[..., None])[..., 0], a)
    return project(xp.matmul(ct, xp.matrix_transpose(b)), a)


def right(ct, a, b):
    """The cotangent of `b` in `a @ b`; for a matrix `b` one product over all leading axes."""
    xp = NAMESPACES[type(a)]
    if a.ndim == 1:
        return project(ct * a if b.ndim == 1 else a[:, None] * ct[..., None, :], b)
    if b.ndim == 1:
        return project(xp.matmul(xp.matrix_transpose(a), ct[..., None])[..., 0], b)
    if b.ndim == 2 and a.ndim > 2:
        a, ct = xp.reshape(a, (-1, a.shape[-1])), xp.reshape(ct, (-1, ct.shape[-1]))
    return project(xp.matmul(xp.matrix_transpose(a), ct), b)


FOR_KIND["left"], FOR_KIND["right"] = left, right
binary("matmul linalg.matmul", lambda xp, ct, y, a, b: left(ct, a, b),
       lambda xp, ct, y, a, b: right(ct, a, b))  # fmt: skip


@like("vecdot linalg.vecdot")
def vecdot(xp, x1, x2, /, *, axis=-1):
    return xp.sum(conjugate(xp, x1) * x2, axis=axis)


# -- contractions: told by where the contracted axes are -------------------------------------------


def contracted(x1, x2, axes):
    """The pairs of axes that a product contracts, counted from the front."""
    if isinstance(axes, int):
        return list(range(x1.ndim - axes, x1.ndim)), list(range(axes))
    first, second = axes
    return [i % x1.ndim for i in first], [i % x2.ndim for i in second]


def free(x, used):
    return [i for i in range(x.ndim) if i not in used]


def to_first(xp, ct, y, x1, x2, axes=2):
    """Contract with the free axes of `x2`, and put the axes of `x1` in their order."""
    first, second = contracted(x1, x2, axes)
    own, other = free(x1, first), free(x2, second)
    part = xp.tensordot(ct, x2, axes=(tuple(range(len(own), ct.ndim)), tuple(other)))
    by_second = [first[i] for i in places(second)]
    return xp.permute_dims(part, places([*own, *by_second]))


def to_second(xp, ct, y, x1, x2, axes=2):
    first, second = contracted(x1, x2, axes)
    own, other = free(x2, second), free(x1, first)
    part = xp.tensordot(x1, ct, axes=(tuple(other), tuple(range(len(other)))))
    by_first = [second[i] for i in places(first)]
    return xp.permute_dims(part, places([*by_first, *own]))


inert(contracted, free)
rule("tensordot linalg.tensordot", "x1 x2 axes", x1=to_first, x2=to_second)
rule("linalg.outer", "x1 x2", x1=lambda xp, ct, y, x1, x2: xp.matmul(ct, x2),
     x2=lambda xp, ct, y, x1, x2: xp.matmul(x1, ct))  # fmt: skip


@like("linalg.cross")
def cross(xp, x1, x2, /, *, axis=-1):
    x1, x2 = xp.broadcast_arrays(x1, x2)
    a, b = xp.moveaxis(x1, axis, 0), xp.moveaxis(x2, axis, 0)
    y = [a[i - 2, ...] * b[i - 1, ...] - a[i - 1, ...] * b[i - 2, ...] for i in range(3)]
    return xp.moveaxis(xp.stack(y), 0, axis)
