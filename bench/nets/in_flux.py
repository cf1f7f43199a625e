"""The models as a user of Flux writes them."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np

import flux
from flux.losses import logit_binary_crossentropy, logit_crossentropy
from flux.random import RandomState

from . import batches
from .batches import CLASSES, CONTEXT, DIM, HIDDEN, LATENT, LETTERS, PIXELS


def mlp():
    first, second, third, last = batches.MLP
    dense = flux.Dense(first, second, flux.relu), flux.Dense(second, third, flux.relu)
    return flux.Chain(*dense, flux.Dense(third, last))


def lenet():
    return flux.Chain(
        flux.Conv((5, 5), 1, 6, flux.relu, pad=2),
        flux.MaxPool(2),
        flux.Conv((5, 5), 6, 16, flux.relu),
        flux.MaxPool(2),
        flux.Flatten(),
        flux.Dense(400, 120, flux.relu),
        flux.Dense(120, 84, flux.relu),
        flux.Dense(84, CLASSES),
    )


def convolved(c_in, c_out, activation=flux.functional.identity, stride=1, size=3):
    conv = flux.Conv((size, size), c_in, c_out, stride=stride, pad=size // 2, bias=False)
    return flux.Chain(conv, flux.BatchNorm(c_out, activation))


@flux.layer
class Block:
    """Two convolutions, added to what they were given."""

    def __init__(self, c_in, c_out, stride):
        self.inner = flux.Chain(convolved(c_in, c_out, flux.relu, stride), convolved(c_out, c_out))
        self.outer = None if c_in == c_out else convolved(c_in, c_out, stride=stride, size=1)

    def __call__(self, x):
        return flux.relu(self.inner(x) + (x if self.outer is None else self.outer(x)))


def resnet():
    blocks = [Block(*sizes) for sizes in batches.RESNET]
    ends = flux.GlobalMeanPool(), flux.Flatten(), flux.Dense(64, CLASSES)
    return flux.Chain(convolved(3, 16, flux.relu), *blocks, *ends)


@flux.layer
class Recurrent:
    """A recurrent layer, whose last output is classified."""

    def __init__(self):
        self.lstm = flux.LSTM(*batches.LSTM)
        self.scores = flux.Dense(batches.LSTM[1], CLASSES)

    def __call__(self, xs):
        return self.scores(self.lstm(xs)[:, -1])


@flux.layer
class OwnLoop:
    """The same with a loop of one's own over time."""

    def __init__(self):
        self.cell = flux.LSTMCell(*batches.LSTM)
        self.scores = flux.Dense(batches.LSTM[1], CLASSES)

    def __call__(self, xs):
        state = flux.initialstates(self.cell, xs.shape[0])
        y = state[0]
        for x in jnp.swapaxes(xs, 0, 1):
            y, state = self.cell(x, state)
        return self.scores(y)


def gru():
    dim, units = batches.GRU
    letters, layer = flux.Embedding(LETTERS, dim), flux.GRU(dim, units, bias=False)
    return flux.Chain(letters, layer, flux.Dense(units, LETTERS))


@flux.layer
class Mixing:
    """Attention and two dense layers, each added to what it was given."""

    def __init__(self):
        self.norm = flux.LayerNorm(DIM)
        self.attention = flux.MultiHeadAttention(DIM, batches.HEADS)
        wide = flux.Dense(DIM, 4 * DIM, flux.gelu), flux.Dense(4 * DIM, DIM)
        self.dense = flux.Chain(flux.LayerNorm(DIM), *wide)

    def __call__(self, x):
        x = x + self.attention(self.norm(x), causal=True)
        return x + self.dense(x)


@flux.layer
class GPT:
    """Letters, their places, blocks of attention, scores."""

    def __init__(self):
        self.letters, self.places = flux.Embedding(LETTERS, DIM), flux.Embedding(CONTEXT, DIM)
        blocks = [Mixing() for _ in range(batches.DEPTH)]
        self.rest = flux.Chain(*blocks, flux.LayerNorm(DIM), flux.Dense(DIM, LETTERS))

    def __call__(self, letters):
        return self.rest(self.letters(letters) + self.places(np.arange(CONTEXT)))


@flux.layer
class VAE:
    """Called with images; returns their likely pixels as logits, and where they are in between."""

    def __init__(self):
        self.encode = flux.Dense(PIXELS, HIDDEN, flux.relu)
        self.mean, self.spread = flux.Dense(HIDDEN, LATENT), flux.Dense(HIDDEN, LATENT)
        self.decode = flux.Chain(flux.Dense(LATENT, HIDDEN, flux.relu), flux.Dense(HIDDEN, PIXELS))
        self.rng = RandomState()

    def __call__(self, x):
        h = self.encode(x)
        mean, spread = self.mean(h), self.spread(h)  # the logarithm of the variance
        z = mean + jnp.exp(spread / 2) * self.rng.normal(mean.shape)
        return self.decode(z), mean, spread


# -- losses ----------------------------------------------------------------------------------------


def classified(model, x, labels):
    return logit_crossentropy(model(x), labels)


def foretold(model, letters):
    return logit_crossentropy(model(letters[:, :-1]), letters[:, 1:])


def encoded(model, x):
    pixels, mean, spread = model(x)
    distance = 0.5 * (jnp.exp(spread) + mean * mean - 1 - spread).sum(axis=-1).mean()
    return PIXELS * logit_binary_crossentropy(pixels, x) + distance


MODELS = {
    "MLP": (mlp, classified),
    "LeNet": (lenet, classified),
    "ResNet": (resnet, classified),
    "LSTM": (Recurrent, classified),
    "LSTM, own loop": (OwnLoop, classified),
    "GRU": (gru, foretold),
    "GPT": (GPT, foretold),
    "VAE": (VAE, encoded),
}


def parameters(name: str) -> int:
    return sum(array.size for array in flux.trainables(MODELS[name][0]()))


def parts(name: str):
    """What a step is called with."""
    build, loss = MODELS[name]
    model = build()
    return loss, model, batches.batch(name), flux.setup(flux.optim.Adam(batches.RATE), model)


def step(name: str):
    """Steps of training, as a function that makes the next one and returns the loss."""
    given = parts(name)
    return lambda: flux.trainstep(*given)


def operations(name: str) -> float:
    """Floating point operations of a step, as XLA counts them."""
    return flux.lower(flux.trainstep, *parts(name)).cost()["flops"]
