"""The models in Keras on JAX.

The step is that of Keras' guide "Writing a training loop from scratch in JAX". It was faster than
`Model.train_on_batch` for every model, by 2 % (GPT) to 47 % (MLP); to donate the memory of the
variables, as `Model.fit` does, changed nothing that could be told from noise.
"""

from __future__ import annotations

import os

os.environ["KERAS_BACKEND"] = "jax"  # read when Keras is imported

import jax
import keras
from keras import layers, ops

from . import batches
from .batches import CLASSES, CONTEXT, DIM, HEADS, HIDDEN, LATENT, LETTERS, PIXELS

keras.config.set_floatx("float32")  # whatever the user's own settings say


def mlp():
    first, second, third, last = batches.MLP
    dense = layers.Dense(second, "relu"), layers.Dense(third, "relu"), layers.Dense(last)
    return keras.Sequential([layers.Input((first,)), *dense])


def lenet():
    return keras.Sequential(
        [
            layers.Input((28, 28, 1)),
            layers.Conv2D(6, 5, padding="same", activation="relu"),
            layers.MaxPooling2D(2),
            layers.Conv2D(16, 5, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dense(120, "relu"),
            layers.Dense(84, "relu"),
            layers.Dense(CLASSES),
        ]
    )


def convolved(x, c_out, stride=1, size=3):
    x = layers.Conv2D(c_out, size, stride, padding="same", use_bias=False)(x)
    return layers.BatchNormalization(momentum=0.9)(x)


def block(x, c_in, c_out, stride):
    """Two convolutions, added to what they were given."""
    y = layers.ReLU()(convolved(x, c_out, stride))
    outer = x if c_in == c_out else convolved(x, c_out, stride, 1)
    return layers.ReLU()(layers.add([convolved(y, c_out), outer]))


def resnet():
    images = layers.Input((32, 32, 3))
    x = layers.ReLU()(convolved(images, 16))
    for sizes in batches.RESNET:
        x = block(x, *sizes)
    return keras.Model(images, layers.Dense(CLASSES)(layers.GlobalAveragePooling2D()(x)))


def recurrent():
    features, units = batches.LSTM
    parts = layers.Input((50, features)), layers.LSTM(units), layers.Dense(CLASSES)
    return keras.Sequential(parts)


def own_loop():
    """The loop that Keras has around any cell. A `for` in `call` is compiled turn by turn, as is
    `unroll=True`: the first step then took 20 s and a later one 3.5 times this one's time."""
    features, units = batches.LSTM
    parts = layers.Input((50, features)), layers.RNN(layers.LSTMCell(units)), layers.Dense(CLASSES)
    return keras.Sequential(parts)


def gru():
    dim, units = batches.GRU
    layer = layers.GRU(units, use_bias=False, return_sequences=True)
    letters = layers.Input((64,)), layers.Embedding(LETTERS, dim)
    return keras.Sequential([*letters, layer, layers.Dense(LETTERS)])


class Placed(layers.Layer):
    """Letters, and their places."""

    def __init__(self):
        super().__init__()
        self.letters, self.places = layers.Embedding(LETTERS, DIM), layers.Embedding(CONTEXT, DIM)

    def call(self, letters):
        return self.letters(letters) + self.places(ops.arange(CONTEXT))


class Mixing(layers.Layer):
    """Attention and two dense layers, each added to what it was given."""

    def __init__(self):
        super().__init__()
        self.norm, self.before = layers.LayerNormalization(), layers.LayerNormalization()
        self.attention = layers.MultiHeadAttention(HEADS, DIM // HEADS, use_bias=False)
        self.wide, self.narrow = layers.Dense(4 * DIM), layers.Dense(DIM)

    def call(self, x):
        y = self.norm(x)
        x = x + self.attention(y, y, use_causal_mask=True)
        y = self.wide(self.before(x))
        return x + self.narrow(keras.activations.gelu(y, approximate=True))


def gpt():
    blocks = [Mixing() for _ in range(batches.DEPTH)]
    ends = layers.LayerNormalization(), layers.Dense(LETTERS)
    return keras.Sequential([layers.Input((CONTEXT,)), Placed(), *blocks, *ends])


class Sampled(layers.Layer):
    """A place near the mean."""

    def __init__(self):
        super().__init__()
        self.noise = keras.random.SeedGenerator(0)

    def call(self, mean, spread):
        return mean + ops.exp(spread / 2) * keras.random.normal(ops.shape(mean), seed=self.noise)


def vae():
    """Gives likely pixels as logits, and where the images are in between."""
    images = layers.Input((PIXELS,))
    h = layers.Dense(HIDDEN, "relu")(images)
    mean, spread = layers.Dense(LATENT)(h), layers.Dense(LATENT)(h)
    h = layers.Dense(HIDDEN, "relu")(Sampled()(mean, spread))
    return keras.Model(images, [layers.Dense(PIXELS)(h), mean, spread])


# -- losses ----------------------------------------------------------------------------------------

entropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
binary_entropy = keras.losses.BinaryCrossentropy(from_logits=True)


def encoded(x, found):
    pixels, mean, spread = found
    distance = 0.5 * ops.mean(ops.sum(ops.exp(spread) + mean * mean - 1 - spread, axis=-1))
    return PIXELS * binary_entropy(x, pixels) + distance


MODELS = {
    "MLP": (mlp, entropy),
    "LeNet": (lenet, entropy),
    "ResNet": (resnet, entropy),
    "LSTM": (recurrent, entropy),
    "LSTM, own loop": (own_loop, entropy),
    "GRU": (gru, entropy),
    "GPT": (gpt, entropy),
    "VAE": (vae, encoded),
}


def pair(name: str):
    """Inputs and targets: letters are to foretell the next ones, images themselves."""
    batch = batches.batch(name)
    if name in ("GRU", "GPT"):
        return batch[0][:, :-1], batch[0][:, 1:]
    return batch if len(batch) == 2 else batch * 2


def parameters(name: str) -> int:
    return sum(array.value.size for array in MODELS[name][0]().trainable_variables)


def step(name: str):
    """Steps of training, as a function that makes the next one and returns the loss."""
    build, loss = MODELS[name]
    model, batch = build(), pair(name)
    rule = keras.optimizers.Adam(batches.RATE)
    rule.build(model.trainable_variables)

    def cost(weights, rest, x, y):
        found, rest = model.stateless_call(weights, rest, x, training=True)
        return loss(y, found), rest

    graded = jax.value_and_grad(cost, has_aux=True)

    @jax.jit
    def after(weights, rest, opt, x, y):
        (value, rest), grads = graded(weights, rest, x, y)
        weights, opt = rule.stateless_apply(opt, grads, weights)
        return value, weights, rest, opt

    variables = model.trainable_variables, model.non_trainable_variables, rule.variables
    held = [[variable.value for variable in part] for part in variables]

    def run():
        value, *held[:] = after(*held, *batch)
        return value

    return run
