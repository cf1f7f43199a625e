"""The models that are compared: their names, sizes, and one batch of random data for each."""

from __future__ import annotations

import numpy as np

RATE = 1e-3  # of Adam
CLASSES = 10
LETTERS = 128

MLP = (784, 256, 128, CLASSES)
RESNET = ((16, 16, 1), (16, 32, 2), (32, 64, 2))  # blocks: channels before and after, stride
LSTM = (32, 64)  # features, units
GRU = (128, 128)  # features of a letter, units
DIM, HEADS, DEPTH, CONTEXT = 128, 4, 2, 64  # of the GPT
PIXELS, HIDDEN, LATENT = 784, 400, 20  # of the variational autoencoder

NAMES = ("MLP", "LeNet", "ResNet", "LSTM", "LSTM, own loop", "GRU", "GPT", "VAE")


def batch(name: str) -> tuple[np.ndarray, ...]:
    """Inputs, and labels, if any; images are ``(B, H, W, C)``, letters ``(B, T + 1)``."""
    rng = np.random.default_rng(0)

    def normal(*shape):
        return rng.normal(size=shape).astype(np.float32)

    def labels(count):
        return rng.integers(0, CLASSES, count, dtype=np.int32)

    if name == "MLP":
        return normal(64, MLP[0]), labels(64)
    if name == "LeNet":
        return normal(64, 28, 28, 1), labels(64)
    if name == "ResNet":
        return normal(32, 32, 32, 3), labels(32)
    if name.startswith("LSTM"):
        return normal(32, 50, LSTM[0]), labels(32)
    if name == "GRU":
        return (rng.integers(0, LETTERS, (32, 65), dtype=np.int32),)
    if name == "GPT":
        return (rng.integers(0, LETTERS, (16, CONTEXT + 1), dtype=np.int32),)
    return (rng.random((64, PIXELS), dtype=np.float32),)
