"""Digits out of noise: a diffusion model (DDPM), which is told which digit to draw.

Noise is added to images in a hundred steps, until nothing else is left; a network learns to tell
the noise in what is seen at any step. Drawing goes the other way: from nothing but noise, a part of
what the network takes for noise is removed at every step.
Data: the images of `flux.datasets.digits`, of which every fifth is held out.
Result: the noise in held-out images is told with a mean squared error of 0.17 at most, after three
quarters of a minute on two cores (two seeds gave 0.161 and 0.162); to say 0 costs 1. A network that
learned from real digits reads more than 99 % of the drawn ones as the digit that was asked for, and
98 % of the held-out ones; one that saw only drawn digits reads 94.6 to 94.9 % of the held-out ones.
Source: Ho, Jain and Abbeel (2020), Denoising diffusion probabilistic models, algorithms 1 and 2,
equations 7 and 14; Nichol and Dhariwal (2021), Improved denoising diffusion probabilistic models,
section 3.2 (how fast the noise grows).
"""

from __future__ import annotations

from pathlib import Path

import jax
import numpy as np

import flux
from flux.train.curves import empty_figure
from flux.zoo import Expected, Settings

SETTINGS = Settings(epochs=400, batch=128, lr=4e-3)
EXPECTED = Expected("held-out error of the noise", 0.17, "less")

STEPS = 100
RATES = np.geomspace(1, 0.01, 16, dtype=np.float32)  # radians a step


def build():
    """A network from images with noise, step and digit to the noise."""
    return Denoiser(n_hidden=192, depth=2)


@flux.layer
class Denoiser:
    """From images ``(B, 8, 8)``, steps ``(B,)`` and digits ``(B,)`` to noise ``(B, 8, 8)``."""

    def __init__(self, n_hidden, depth):
        self.image = flux.Dense(64, n_hidden)
        self.time = flux.Dense(2 * len(RATES), n_hidden)
        self.label = flux.Embedding(10, n_hidden)
        self.blocks = [block(n_hidden) for _ in range(depth)]
        self.noise = flux.Chain(flux.LayerNorm(n_hidden), flux.Dense(n_hidden, 64))
        self.rng = flux.random.RandomState()

    def __call__(self, images, times, labels):
        x = self.image(images.reshape(-1, 64)) + self.time(waves(times)) + self.label(labels)
        for block in self.blocks:
            x = x + block(x)
        return self.noise(x).reshape(images.shape)


def block(n_hidden):
    """Two dense layers."""
    hidden = flux.Dense(n_hidden, n_hidden, flux.silu)
    return flux.Chain(flux.LayerNorm(n_hidden), hidden, flux.Dense(n_hidden, n_hidden))


def waves(times):
    """Steps as sines and cosines of fast and slow turns, ``(B, 32)``."""
    angles = times[:, None] * RATES
    return np.concatenate([np.sin(angles), np.cos(angles)], axis=1)


def kept() -> np.ndarray:
    """What part of the variance is still the image's, after 0, 1 ... `STEPS` steps: a cosine."""
    angles = (np.arange(STEPS + 1) / STEPS + 0.008) / 1.008 * np.pi / 2
    falls = np.cos(angles[1:]) ** 2 / np.cos(angles[:-1]) ** 2
    return np.cumprod([1, *falls.clip(0.001)]).astype(np.float32)


KEPT = kept()


def data(split: str):
    """Images, with values from -1 to 1, and digits of a part of the data."""
    images, labels = flux.datasets.digits(split)
    return 2 * images - 1, labels


def loss(model, images, labels):
    """How well noise is told at steps taken at random, as the mean squared error."""
    times = jax.random.randint(model.rng.next(), labels.shape, 1, STEPS + 1)
    noise, keep = model.rng.normal(images.shape), KEPT[times][:, None, None]
    seen = keep**0.5 * images + (1 - keep) ** 0.5 * noise
    return flux.losses.mse(model(seen, times, labels), noise)


def rule(lr: float, steps: int):
    """Adam, with a rate that falls along a cosine."""
    return flux.optim.Adam(flux.schedules.cosine(lr, steps))


error = flux.jit(loss)


def measure(model, images, labels, draws: int = 20) -> float:
    """The mean squared error of the noise that is told in images."""
    return float(np.mean([error(model, images, labels) for _ in range(draws)]))


@flux.jit
def sample(model, labels):
    """Images of these digits, drawn out of noise; ``(B,) -> (B, 8, 8)``, from -1 to 1."""
    images = model.rng.normal((len(labels), 8, 8))
    for time in range(STEPS, 0, -1):
        keep, before = KEPT[time], KEPT[time - 1]
        noise = model(images, np.full(len(labels), time), labels)
        image = ((images - (1 - keep) ** 0.5 * noise) / keep**0.5).clip(-1, 1)
        step = keep / before
        images = before**0.5 * (1 - step) * image + step**0.5 * (1 - before) * images
        images = images / (1 - keep)
        if time > 1:
            spread = (1 - before) / (1 - keep) * (1 - step)
            images = images + spread**0.5 * model.rng.normal(images.shape)
    return images


def drawn(model, count: int):
    """So many images of each digit, and the digits."""
    labels = np.repeat(np.arange(10, dtype=np.int32), count)
    return np.asarray(sample(model, labels)), labels


def reads(learned, shown) -> float:
    """The share of images that a perceptron reads rightly after it has learned from others."""
    reader = flux.Chain(flux.Flatten(), flux.Dense(64, 128, flux.relu, rng=0), flux.Dropout(0.3))
    reader = flux.Chain(reader, flux.Dense(128, 10, rng=1))

    def wrong(reader, images, labels):
        return flux.losses.logit_crossentropy(reader(images), labels)

    opt = flux.setup(flux.optim.Adam(2e-3), reader)
    batches = flux.DataLoader(learned, 64, shuffle=True, rng=0)
    flux.train(wrong, reader, batches, opt, epochs=40, progress=False)
    return float(flux.metrics.accuracy(reader(shown[0]), shown[1]))


def draw(model, path: Path) -> None:
    """Write a picture: six images of each digit."""
    images, _ = drawn(model, 6)
    grid = empty_figure(6, 3.6).subplots(6, 10)
    for axes, image in zip(grid.T.flat, images, strict=True):
        axes.imshow(image, cmap="gray_r", vmin=-1, vmax=1)
        axes.set(xticks=[], yticks=[])
    grid[0, 0].figure.savefig(path, dpi=120)


def report(model) -> dict[str, str]:
    """How well others read what it draws."""
    made = drawn(model, 100)
    read, back = 100 * reads(data("train"), made), 100 * reads(made, data("test"))
    return {
        "read as asked for": f"{read:.1f} % of 1000, by a network that learned from real digits",
        "the other way": f"{back:.1f} % of held-out digits, by one that learned from drawn ones",
    }
