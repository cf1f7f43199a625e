"""Attention: mix values by how well their keys fit a query; and positions as angles.

Tokens are before heads: queries are `(B, T, H, D)`, keys `(B, S, G, D)`, values `(B, S, G, E)`;
any number of axes may stand in the place of `B`, none too. `G` divides `H`: with fewer heads of
keys and values than of queries, `H / G` neighbouring heads of queries share one.
"""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np

from flux.ad import nograd, rule, stop_gradient
from flux.errors import FluxError, ShapeError, user_line
from flux.functional.arrays import (
    convert,
    kind_of,
    namespace,
    narrow,
    reshape,
    shape_of,
    swapaxes,
    widen,
)
from flux.functional.dropout import dropout as omit

__all__ = ["attention_weights", "dot_product_attention", "masked_softmax", "rotary"]


def dot_product_attention(
    q, k, v, *, mask=None, bias=None, causal=False, scale=None, dropout=0.0, rng=None
):
    """Mix values with the weights ``softmax(scale * q @ k.T + bias)`` over the keys.

    A query for which every key is masked gets zeros, and its gradients are zeros.

    Args:
        q: queries.
        k: keys, one for each value.
        v: values.
        mask: booleans that broadcast to ``(B, H, T, S)``, true where a query may see a key.
        bias: numbers that broadcast to ``(B, H, T, S)`` and are added to the scores.
        causal: query ``t`` sees the keys ``0 .. t`` only.
        scale: multiplies the scores; ``1 / sqrt(D)`` if not given.
        dropout: the probability with which a weight is omitted.
        rng: where that is drawn from, as for `dropout`.

    Shapes: ``(B, T, H, D), (B, S, G, D), (B, S, G, E) -> (B, T, H, E)``.
    Dtypes: as ``q``; scores and weights are float32 where the inputs are in half precision.
    Raises: ``ShapeError`` if the shapes do not fit; ``FluxError`` for a mask that is no booleans.
    Source: Vaswani et al. (2017), Attention is all you need, section 3.2.1; grouped heads: Ainslie
        et al. (2023), GQA.

    >>> q, k, v = np.ones((1, 3, 2, 4)), np.ones((1, 3, 1, 4)), np.arange(3.0).reshape(1, 3, 1, 1)
    >>> dot_product_attention(q, k, v, causal=True)[0, :, 0, 0].tolist()
    [0.0, 0.5, 1.0]
    """
    _check_values(q, k, v)
    weights = attention_weights(q, k, mask=mask, bias=bias, causal=causal, scale=scale)
    if dropout:
        weights = omit(weights, dropout, rng=rng)
    heads, groups = q.shape[-2], v.shape[-2]
    mixed = _product(_gather_groups(narrow(weights, q), groups), _heads_first(v))
    return narrow(_heads_last(_split_groups(mixed, heads)), q)


def attention_weights(q, k, *, mask=None, bias=None, causal=False, scale=None):
    """How much each query takes of each key: ``softmax(scale * q @ k.T + bias)``, masked.

    Args: as `dot_product_attention`.

    Shapes: ``(B, T, H, D), (B, S, G, D) -> (B, H, T, S)``; a row sums to 1, or to 0 if its query
        sees no key.
    Dtypes: as ``q``, or float32 where that is in half precision.

    >>> attention_weights(np.zeros((2, 1, 4)), np.zeros((2, 1, 4)), causal=True).tolist()
    [[[1.0, 0.0], [0.5, 0.5]]]
    """
    _check_keys(q, k)
    _check_mask(mask, q, k)
    heads, groups, width = q.shape[-2], k.shape[-2], q.shape[-1]
    queries = _gather_groups(_heads_first(q), groups)
    scores = _split_groups(_product(queries, swapaxes(_heads_first(k), -1, -2)), heads)
    scores = scores * (width**-0.5 if scale is None else scale)
    if bias is not None:
        scores = scores + bias
    return masked_softmax(scores, _visible(mask, causal, scores))


def masked_softmax(x, keep=None, /):
    """The softmax over the last axis of the entries that are kept; zeros where there are none.

    Args:
        x: scores.
        keep: booleans that broadcast to the scores, or `None` to keep all.

    Shapes: as ``x``.

    >>> masked_softmax(np.zeros((2, 2)), np.array([[True, True], [False, False]])).tolist()
    [[0.5, 0.5], [0.0, 0.0]]
    """
    xp = namespace(x, keep)
    wide = widen(x) if keep is None else xp.where(keep, widen(x), -xp.inf)
    top = xp.max(wide, axis=-1, keepdims=True)
    e = xp.exp(wide - stop_gradient(xp.where(xp.isfinite(top), top, 0)))
    total = xp.sum(e, axis=-1, keepdims=True)
    return narrow(e / xp.where(total == 0, 1, total), x)


@rule(masked_softmax)
def _masked_softmax_rule(x, *keep):
    y = masked_softmax(x, *keep)

    def back(ct):
        weighted = widen(ct) * widen(y)
        total = namespace(ct).sum(weighted, axis=-1, keepdims=True)
        return narrow(weighted - widen(y) * total, x), *[None for _ in keep]

    return y, back


def rotary(x, positions=None, *, base=10_000.0, halves=False):
    """Turn each pair of features by an angle that grows with the token's position.

    Pair ``i`` at position ``p`` turns by ``p * base**(-2*i/D)``; the product of a query and a key
    then depends on the distance between their tokens and not on where they stand.

    Args:
        x: queries or keys; features ``2*i`` and ``2*i + 1`` form pair ``i``.
        positions: place of each token, in tokens; ``0 .. T-1`` if not given.
        base: sets the slowest turn, about ``1/base`` radian per token.
        halves: features ``i`` and ``i + D/2`` form pair ``i`` instead, as in the weights of
            GPT-NeoX and LLaMA.

    Shapes: ``(B, T, H, D) -> (B, T, H, D)``; ``positions`` is ``(T,)`` or ``(B, T)``.
    Dtypes: as ``x``; angles are in radians, float32 where ``x`` is not wider.
    Raises: ``ShapeError`` if D is odd.
    Source: Su et al. (2021), RoFormer, section 3.4.2.

    >>> y = rotary(np.ones((1, 3, 1, 2)))
    >>> y.shape, round(float(y[0, 1, 0, 0]), 4)         # cos 1 - sin 1
    ((1, 3, 1, 2), -0.3012)
    """
    _check_pairs(x)
    wide = widen(x)
    xp = namespace(x, positions)
    angles = _angles(positions, wide, base)
    cos, sin = xp.cos(angles), xp.sin(angles)
    width = x.shape[-1]
    if halves:
        first, second = wide[..., : width // 2], wide[..., width // 2 :]
    else:
        pairs = reshape(wide, (*x.shape[:-1], width // 2, 2))
        first, second = pairs[..., 0], pairs[..., 1]
    turned = [first * cos - second * sin, first * sin + second * cos]
    if halves:
        return narrow(xp.concatenate(turned, axis=-1), x)
    return narrow(reshape(xp.stack(turned, axis=-1), x.shape), x)


def _angles(positions, x, base):
    """``(T, 1, D/2)`` or ``(B, T, 1, D/2)``: by how much each pair turns, the same in each head."""
    if positions is None:
        positions = _places(x)
    return convert(positions, x)[..., None, None] * _speeds(x, base)


@nograd
def _places(x):
    return np.arange(x.shape[-3])


@nograd
def _speeds(x, base):
    width = x.shape[-1]
    speeds = float(base) ** (-np.arange(0, width, 2) / width)
    return convert(speeds, x)


def _heads_first(x):
    """``(B, T, H, D) -> (B, H, T, D)``."""
    return swapaxes(x, -2, -3)


_heads_last = _heads_first  # its own inverse


def _gather_groups(x, groups):
    """``(B, H, T, D) -> (B, G, H/G * T, D)``: the rows of heads that share keys, one after another.

    One matrix product then serves them all.
    """
    *batch, heads, tokens, width = x.shape
    return reshape(x, (*batch, groups, heads // groups * tokens, width))


def _split_groups(x, heads):
    """``(B, G, H/G * T, D) -> (B, H, T, D)``."""
    *batch, groups, rows, width = x.shape
    return reshape(x, (*batch, heads, rows * groups // heads, width))


def _product(a, b):
    """``a @ b``, summed in float32 where the operands are in half precision."""
    if namespace(a, b) is not jnp:
        return widen(a) @ widen(b)
    if widen(a).dtype != a.dtype:
        return jnp.matmul(a, b, preferred_element_type=jnp.float32)
    return a @ b


@nograd
def _visible(mask, causal, scores):
    """Which keys each query sees, or `None` for all."""
    if not causal:
        return mask
    before = np.tri(*scores.shape[-2:], dtype=bool)
    if mask is None:
        return before
    xp = namespace(mask, scores)
    return xp.asarray(mask) & xp.asarray(before)


@nograd
def _check_keys(q, k):
    fits = len(q.shape) == len(k.shape) >= 3 and q.shape[-1] == k.shape[-1]
    if fits and q.shape[:-3] == k.shape[:-3] and q.shape[-2] % k.shape[-2] == 0:
        return
    raise ShapeError(
        f"dot_product_attention got queries of shape {tuple(q.shape)} and keys of shape "
        f"{tuple(k.shape)}: they must be (B, T, H, D) and (B, S, G, D), where G divides H.",
        where=user_line(),
    )


@nograd
def _check_values(q, k, v):
    if shape_of(k)[:-1] != shape_of(v)[:-1]:
        raise ShapeError(
            f"dot_product_attention got keys of shape {tuple(k.shape)} and values of shape "
            f"{tuple(v.shape)}: all axes but the last must agree.",
            where=user_line(),
        )


@nograd
def _check_mask(mask, q, k):
    if hasattr(mask, "dtype") and kind_of(mask) != "b":
        raise FluxError(
            f"dot_product_attention got a mask of dtype {mask.dtype}: it must be booleans, true "
            "where a query may see a key.",
            where=user_line(),
            hint="Numbers that are to be added to the scores are the argument `bias`.",
        )
    if mask is None:
        return
    scores = (*q.shape[:-3], q.shape[-2], q.shape[-3], k.shape[-3])
    given = shape_of(mask)
    axes = zip(given[::-1], scores[::-1], strict=False)
    if len(given) > len(scores) or any(n not in (1, m) for n, m in axes):
        raise ShapeError(
            f"dot_product_attention got a mask of shape {given}: it must broadcast to {scores}, "
            "examples, heads, queries and keys.",
            where=user_line(),
        )


@nograd
def _check_pairs(x):
    if len(x.shape) < 3 or x.shape[-1] % 2:
        raise ShapeError(
            f"rotary got an array of shape {tuple(x.shape)}: it must be (B, T, H, D) with an even "
            "D, since features turn in pairs.",
            where=user_line(),
        )
