"""Attention as layers, and what it remembers while a sequence is generated."""

from __future__ import annotations

import jax.numpy as jnp

from flux.ad import nograd
from flux.errors import ArgumentError, ShapeError, user_line
from flux.functional import dot_product_attention, rotary
from flux.functional.arrays import convert, is_traced, namespace, reshape
from flux.functional.gather import put
from flux.init import glorot_uniform
from flux.layers.check import check_sizes, check_width, refuse
from flux.layers.dense import Dense
from flux.layers.dropout import check_probability
from flux.layers.layer import layer
from flux.layers.modes import training
from flux.layers.show import call_repr
from flux.random import RandomState, generator

__all__ = ["KeyValueCache", "MultiHeadAttention", "RotaryEmbedding"]


@layer
class MultiHeadAttention:
    """Let each token take from others what its query asks for, in several heads side by side.

    Queries, keys and values are three linear maps of the inputs, cut into heads; each head mixes
    values by `flux.functional.dot_product_attention`; a fourth map mixes the heads.

    Args:
        dim: features of the inputs and of the result.
        heads: how many heads; they divide `dim`.
        kv_heads: heads of keys and values, a divisor of `heads`; as many as `heads` if not given.
        dropout: the probability with which a weight of the attention is omitted in training.
        bias: whether the four maps add a bias.
        rotary: turns queries and keys by their positions: a `RotaryEmbedding`, or any function
            `(x, positions)`; `None` for none.
        init: initialiser of the weights.
        rng: seed or generator for the initialiser and for the choices of dropout.

    Called as `(q, k=None, v=None, *, mask=None, causal=False, cache=None)`: `k` is `q` and `v` is
    `k` if not given. The mask holds booleans that broadcast to ``(B, heads, T, S)``, true where a
    query may see a key; with `causal` token ``t`` sees ``0 .. t`` only. A query that may see no key
    gets zeros. With a `cache`, made by `layer.cache(batch, length)`, the new keys and values are
    put behind those of earlier calls, all of which the queries see; the mask then has one entry for
    each place of the cache.

    Shapes: ``(B, T, dim), (B, S, dim), (B, S, dim) -> (B, T, dim)``.
    Dtypes: the inputs are brought to the dtype of the weights.
    Raises: ``ShapeError`` for inputs of another width, and for more tokens than a cache has places
        (in a compiled program the result is NaN); ``ValueError`` for heads that do not divide.
    Source: Vaswani et al. (2017), Attention is all you need, section 3.2.2.

    >>> import numpy as np
    >>> layer = MultiHeadAttention(16, 4, kv_heads=2)
    >>> layer(np.ones((2, 5, 16)), causal=True).shape, layer
    ((2, 5, 16), MultiHeadAttention(16, 4, kv_heads=2))
    """

    def __init__(
        self,
        dim,
        heads=8,
        *,
        kv_heads=None,
        dropout=0.0,
        bias=False,
        rotary=None,
        init=glorot_uniform,
        rng=None,
    ):
        kv_heads = heads if kv_heads is None else kv_heads
        check_sizes("MultiHeadAttention", least=1, dim=dim, heads=heads, kv_heads=kv_heads)
        if dim % heads or heads % kv_heads:
            raise ArgumentError(
                f"MultiHeadAttention got dim={dim}, {heads} heads and {kv_heads} heads of keys and "
                "values: each must be divided by the next.",
                where=user_line(),
            )
        rng = generator(rng)
        options = {"bias": bias, "init": init, "rng": rng}
        self.heads, self.kv_heads = heads, kv_heads
        self.query = Dense(dim, dim, **options)
        self.key = Dense(dim, dim // heads * kv_heads, **options)
        self.value = Dense(dim, dim // heads * kv_heads, **options)
        self.out = Dense(dim, dim, **options)
        self.rotary = rotary
        self.dropout = check_probability(dropout)
        self.active = None
        self.rng = RandomState(rng)

    def __call__(self, q, k=None, v=None, *, mask=None, causal=False, cache=None):
        q = convert(q, self.query.weight)
        k = q if k is None else convert(k, self.key.weight)
        v = k if v is None else convert(v, self.value.weight)
        _check_inputs(self, q, k, v)
        queries = _split(self.query(q), self.heads)
        keys, values = _split(self.key(k), self.kv_heads), _split(self.value(v), self.kv_heads)
        start = 0 if cache is None else cache.position
        if self.rotary is not None:
            queries = self.rotary(queries, start + _places(queries))
            keys = self.rotary(keys, start + _places(keys))
        if cache is not None:
            mask = _among(mask, cache.visible(queries, keys, causal))
            keys, values = cache.add(keys, values)
            queries = cache.within(queries)
        mixed = dot_product_attention(
            queries,
            keys,
            values,
            mask=mask,
            causal=causal and cache is None,
            dropout=self.dropout if training(self) else 0.0,
            rng=self.rng,
        )
        return self.out(reshape(mixed, q.shape))

    def cache(self, batch, length) -> KeyValueCache:
        """An empty cache for `batch` sequences of at most `length` tokens."""
        weight = self.key.weight
        return KeyValueCache(batch, length, self.kv_heads, weight.shape[1] // self.kv_heads, weight)

    def __repr__(self):
        return call_repr(
            self,
            self.query.weight.shape[0],
            self.heads,
            kv_heads=None if self.kv_heads == self.heads else self.kv_heads,
            dropout=self.dropout,
            bias=self.query.bias is not None,
            rotary=self.rotary,
        )


@layer
class RotaryEmbedding:
    """Turn the features of queries and keys by their positions; see `flux.functional.rotary`.

    Args:
        base: sets the slowest turn, about ``1/base`` radian per token.
        halves: features ``i`` and ``i + D/2`` form a pair, as in LLaMA; otherwise neighbours do.

    Called as `(x, positions=None)`; positions are ``0 .. T-1`` if not given.

    Shapes: ``(B, T, H, D) -> (B, T, H, D)``; ``positions`` is ``(T,)`` or ``(B, T)``.
    Raises: ``ShapeError`` if D is odd.
    Source: Su et al. (2021), RoFormer, section 3.4.2.

    >>> import numpy as np
    >>> layer = MultiHeadAttention(8, 2, rotary=RotaryEmbedding())
    >>> layer(np.ones((1, 3, 8))).shape, layer
    ((1, 3, 8), MultiHeadAttention(8, 2, rotary=RotaryEmbedding()))
    """

    def __init__(self, *, base=10_000.0, halves=False):
        self.base, self.halves = base, halves

    def __call__(self, x, positions=None):
        return rotary(x, positions, base=self.base, halves=self.halves)

    def __repr__(self):
        return call_repr(self, base=self.base, halves=self.halves)


class KeyValueCache:
    """The keys and values of the tokens so far, in arrays of fixed length; changed by each call.

    Args:
        batch: how many sequences.
        length: how many tokens each may have.
        heads: heads of keys and values.
        dim: features of a head.
        like: an array whose library and dtype the cache takes on.

    Attributes:
        position: how many tokens are in it. Set it to 0 to begin anew, or back to try another
            continuation.

    >>> import numpy as np
    >>> layer = MultiHeadAttention(8, 2)
    >>> cache = layer.cache(1, length=10)
    >>> x = np.random.default_rng(0).normal(size=(1, 3, 8))
    >>> parts = [layer(x[:, t : t + 1], cache=cache) for t in range(3)]
    >>> whole = layer(x, causal=True)
    >>> bool(abs(np.concatenate(parts, axis=1) - whole).max() < 1e-5), cache
    (True, KeyValueCache(1, 10, 2, 4, position=3))
    """

    def __init__(self, batch, length, heads, dim, like=None):
        like = jnp.zeros(()) if like is None else like
        xp = namespace(like)
        self.keys = xp.zeros((batch, length, heads, dim), like.dtype)
        self.values = xp.zeros((batch, length, heads, dim), like.dtype)
        self.position = _count(0, like)

    def add(self, keys, values):
        """Put new tokens behind the others; returns all places, filled or not."""
        end = self.position + keys.shape[1]
        _check_tokens(self, keys, end)
        self.keys = put(self.keys, keys, self.position)
        self.values = put(self.values, values, self.position)
        self.position = _count(end, self.keys)
        return self.keys, self.values

    def within(self, x):
        """`x`; in a compiled program NaN if more tokens were put in than there are places."""
        if not is_traced(self.position):
            return x
        return jnp.where(self.position <= self.keys.shape[1], x, jnp.nan)

    @nograd
    def visible(self, queries, keys, causal):
        """Which places the queries see when `keys` have been added, ``(T, length)``."""
        xp = namespace(self.keys, self.position)
        places = xp.arange(self.keys.shape[1])
        last = self.position + keys.shape[1] - 1
        if causal:
            last = self.position + xp.arange(queries.shape[1])[:, None]
        return places[None] <= last

    def __repr__(self):
        sizes = ", ".join(map(str, self.keys.shape))
        return f"KeyValueCache({sizes}, position={self.position})"


@nograd
def _check_inputs(layer, q, k, v):
    for x in (q, k, v):
        check_width(layer, x, layer.query.weight.shape[0])
        if len(x.shape) < 2:
            refuse(layer, x, "it must have tokens before features, (B, T, dim)")
    if k.shape[:-1] != v.shape[:-1] or q.shape[:-2] != k.shape[:-2]:
        refuse(layer, v, f"that does not fit queries of {q.shape[:-1]} and keys of {k.shape[:-1]}")


@nograd
def _check_tokens(cache, keys, end):
    batch, length, *rest = cache.keys.shape
    if len(keys.shape) != 4 or (keys.shape[0], *keys.shape[2:]) != (batch, *rest):
        raise ShapeError(
            f"{cache!r} got keys of shape {tuple(keys.shape)}: they must be "
            f"{(batch, 'T', *rest)}.".replace("'", ""),
            where=user_line(),
        )
    if not is_traced(end) and end > length:
        raise ShapeError(
            f"{cache!r} got {keys.shape[1]} more tokens: it has {length} places.",
            where=user_line(),
            hint="Make a longer one, or set its `position` back.",
        )


def _split(x, heads):
    """``(B, T, heads * D) -> (B, T, heads, D)``."""
    return reshape(x, (*x.shape[:-1], heads, x.shape[-1] // heads))


def _among(mask, places):
    return places if mask is None else mask & places


@nograd
def _count(n, like):
    """An integer as an array, so that another one is no reason to compile again."""
    return namespace(n, like).asarray(n, "int32")


@nograd
def _places(x):
    return namespace(x).arange(x.shape[-3])
