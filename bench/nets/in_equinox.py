"""The models in Equinox and optax, under `jax.jit`. Its layers take one example each."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import optax

from . import batches
from .batches import CLASSES, CONTEXT, DIM, HEADS, HIDDEN, LATENT, LETTERS, PIXELS


def keys(count: int):
    return iter(jax.random.split(jax.random.key(0), count))


def mlp(key):
    first, second, third, last = batches.MLP
    sizes = (first, second), (second, third), (third, last)
    dense = [eqx.nn.Linear(*size, key=next(key)) for size in sizes]
    relu = eqx.nn.Lambda(jax.nn.relu)
    return eqx.nn.Sequential([dense[0], relu, dense[1], relu, dense[2]])


def lenet(key):
    relu, pool = eqx.nn.Lambda(jax.nn.relu), eqx.nn.MaxPool2d(2, 2)
    sizes = (400, 120), (120, 84), (84, CLASSES)
    dense = [eqx.nn.Linear(*size, key=next(key)) for size in sizes]
    return eqx.nn.Sequential(
        [
            eqx.nn.Conv2d(1, 6, 5, padding=2, key=next(key)),
            relu,
            pool,
            eqx.nn.Conv2d(6, 16, 5, key=next(key)),
            relu,
            pool,
            eqx.nn.Lambda(jnp.ravel),
            *(dense[0], relu, dense[1], relu, dense[2]),
        ]
    )


class Convolved(eqx.Module):
    conv: eqx.nn.Conv2d
    norm: eqx.nn.BatchNorm

    def __init__(self, c_in, c_out, key, stride=1, size=3):
        pad = size // 2
        self.conv = eqx.nn.Conv2d(c_in, c_out, size, stride, pad, use_bias=False, key=next(key))
        self.norm = eqx.nn.BatchNorm(c_out, "batch", momentum=0.9, mode="batch")

    def __call__(self, x, state):
        return self.norm(self.conv(x), state)


class Block(eqx.Module):
    first: Convolved
    second: Convolved
    outer: Convolved | None

    def __init__(self, c_in, c_out, stride, key):
        self.first, self.second = Convolved(c_in, c_out, key, stride), Convolved(c_out, c_out, key)
        self.outer = None if c_in == c_out else Convolved(c_in, c_out, key, stride, 1)

    def __call__(self, x, state):
        y, state = self.first(x, state)
        y, state = self.second(jax.nn.relu(y), state)
        if self.outer is not None:
            x, state = self.outer(x, state)
        return jax.nn.relu(x + y), state


class ResNet(eqx.Module):
    first: Convolved
    blocks: list
    scores: eqx.nn.Linear

    def __init__(self, key):
        self.first = Convolved(3, 16, key)
        self.blocks = [Block(*sizes, key) for sizes in batches.RESNET]
        self.scores = eqx.nn.Linear(64, CLASSES, key=next(key))

    def __call__(self, x, state):
        x, state = self.first(x, state)
        x = jax.nn.relu(x)
        for block in self.blocks:
            x, state = block(x, state)
        return self.scores(x.mean(axis=(1, 2))), state


class Recurrent(eqx.Module):
    cell: eqx.nn.LSTMCell
    scores: eqx.nn.Linear

    def __init__(self, key):
        self.cell = eqx.nn.LSTMCell(*batches.LSTM, key=next(key))
        self.scores = eqx.nn.Linear(batches.LSTM[1], CLASSES, key=next(key))

    def __call__(self, xs):
        zero = jnp.zeros(batches.LSTM[1])
        (h, _), _ = jax.lax.scan(lambda state, x: (self.cell(x, state), None), (zero, zero), xs)
        return self.scores(h)


class Letters(eqx.Module):
    embedding: eqx.nn.Embedding
    cell: eqx.nn.GRUCell
    scores: eqx.nn.Linear

    def __init__(self, key):
        dim, units = batches.GRU
        self.embedding = eqx.nn.Embedding(LETTERS, dim, key=next(key))
        self.cell = eqx.nn.GRUCell(dim, units, use_bias=False, key=next(key))
        self.scores = eqx.nn.Linear(units, LETTERS, key=next(key))

    def __call__(self, letters):
        def after(h, x):
            h = self.cell(x, h)
            return h, h

        xs = jax.vmap(self.embedding)(letters)
        _, hs = jax.lax.scan(after, jnp.zeros(batches.GRU[1]), xs)
        return jax.vmap(self.scores)(hs)


class Mixing(eqx.Module):
    norm: eqx.nn.LayerNorm
    attention: eqx.nn.MultiheadAttention
    before: eqx.nn.LayerNorm
    wide: eqx.nn.Linear
    narrow: eqx.nn.Linear

    def __init__(self, key):
        self.norm, self.before = eqx.nn.LayerNorm(DIM), eqx.nn.LayerNorm(DIM)
        self.attention = eqx.nn.MultiheadAttention(HEADS, DIM, key=next(key))
        self.wide = eqx.nn.Linear(DIM, 4 * DIM, key=next(key))
        self.narrow = eqx.nn.Linear(4 * DIM, DIM, key=next(key))

    def __call__(self, x, mask):
        y = jax.vmap(self.norm)(x)
        x = x + self.attention(y, y, y, mask)
        y = jax.vmap(self.wide)(jax.vmap(self.before)(x))
        return x + jax.vmap(self.narrow)(jax.nn.gelu(y))


class GPT(eqx.Module):
    letters: eqx.nn.Embedding
    places: eqx.nn.Embedding
    blocks: list
    norm: eqx.nn.LayerNorm
    scores: eqx.nn.Linear

    def __init__(self, key):
        self.letters = eqx.nn.Embedding(LETTERS, DIM, key=next(key))
        self.places = eqx.nn.Embedding(CONTEXT, DIM, key=next(key))
        self.blocks = [Mixing(key) for _ in range(batches.DEPTH)]
        self.norm = eqx.nn.LayerNorm(DIM)
        self.scores = eqx.nn.Linear(DIM, LETTERS, key=next(key))

    def __call__(self, letters):
        x = jax.vmap(self.letters)(letters) + self.places.weight
        mask = jnp.tril(jnp.ones((CONTEXT, CONTEXT), bool))
        for block in self.blocks:
            x = block(x, mask)
        return jax.vmap(lambda x: self.scores(self.norm(x)))(x)


class VAE(eqx.Module):
    encode: eqx.nn.Linear
    mean: eqx.nn.Linear
    spread: eqx.nn.Linear
    widen: eqx.nn.Linear
    decode: eqx.nn.Linear

    def __init__(self, key):
        self.encode = eqx.nn.Linear(PIXELS, HIDDEN, key=next(key))
        self.mean = eqx.nn.Linear(HIDDEN, LATENT, key=next(key))
        self.spread = eqx.nn.Linear(HIDDEN, LATENT, key=next(key))
        self.widen = eqx.nn.Linear(LATENT, HIDDEN, key=next(key))
        self.decode = eqx.nn.Linear(HIDDEN, PIXELS, key=next(key))

    def __call__(self, x, noise):
        h = jax.nn.relu(self.encode(x))
        mean, spread = self.mean(h), self.spread(h)
        z = mean + jnp.exp(spread / 2) * noise
        return self.decode(jax.nn.relu(self.widen(z))), mean, spread


# -- losses: (model, state, key, *batch) -> loss, state --------------------------------------------


def entropy(scores, labels):
    return optax.softmax_cross_entropy_with_integer_labels(scores, labels).mean()


def classified(model, state, key, x, labels):
    return entropy(jax.vmap(model)(x), labels), state


def seen(model, state, key, x, labels):
    """Of images, whose channels are the first axis here."""
    return entropy(jax.vmap(model)(jnp.moveaxis(x, -1, 1)), labels), state


def normalised(model, state, key, x, labels):
    """Of images, with running statistics."""
    over_batch = jax.vmap(model, axis_name="batch", in_axes=(0, None), out_axes=(0, None))
    scores, state = over_batch(jnp.moveaxis(x, -1, 1), state)
    return entropy(scores, labels), state


def foretold(model, state, key, letters):
    return entropy(jax.vmap(model)(letters[:, :-1]), letters[:, 1:]), state


def encoded(model, state, key, x):
    noise = jax.random.normal(key, (len(x), LATENT))
    pixels, mean, spread = jax.vmap(model)(x, noise)
    distance = 0.5 * (jnp.exp(spread) + mean * mean - 1 - spread).sum(axis=-1).mean()
    return PIXELS * optax.sigmoid_binary_cross_entropy(pixels, x).mean() + distance, state


MODELS = {
    "MLP": (mlp, classified),
    "LeNet": (lenet, seen),
    "ResNet": (ResNet, normalised),
    "LSTM": (Recurrent, classified),
    "LSTM, own loop": (Recurrent, classified),
    "GRU": (Letters, foretold),
    "GPT": (GPT, foretold),
    "VAE": (VAE, encoded),
}


def parameters(name: str) -> int:
    model, _ = eqx.nn.make_with_state(MODELS[name][0])(keys(40))
    return sum(array.size for array in jax.tree.leaves(eqx.filter(model, eqx.is_inexact_array)))


def step(name: str):
    """Steps of training, as a function that makes the next one and returns the loss."""
    build, loss = MODELS[name]
    model, state = eqx.nn.make_with_state(build)(keys(40))
    rule, batch = optax.adam(batches.RATE), batches.batch(name)
    graded = eqx.filter_value_and_grad(loss, has_aux=True)

    @eqx.filter_jit
    def after(model, state, opt, key):
        key, now = jax.random.split(key) if name == "VAE" else (key, key)
        (value, state), grads = graded(model, state, now, *batch)
        updates, opt = rule.update(grads, opt)
        return value, eqx.apply_updates(model, updates), state, opt, key

    opt = rule.init(eqx.filter(model, eqx.is_inexact_array))
    held = [model, state, opt, jax.random.key(1)]

    def run():
        value, *held[:] = after(*held)
        return value

    return run
