"""The models in PyTorch, eager or through `torch.compile`."""

from __future__ import annotations

import os

import torch
from torch import nn
from torch.nn import functional

from . import batches
from .batches import CLASSES, CONTEXT, DIM, HEADS, HIDDEN, LATENT, LETTERS, PIXELS

torch.set_num_threads(os.cpu_count() or 1)


def mlp():
    first, second, third, last = batches.MLP
    dense = nn.Linear(first, second), nn.Linear(second, third), nn.Linear(third, last)
    return nn.Sequential(dense[0], nn.ReLU(), dense[1], nn.ReLU(), dense[2])


def lenet():
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(400, 120),
        nn.ReLU(),
        nn.Linear(120, 84),
        nn.ReLU(),
        nn.Linear(84, CLASSES),
    )


def convolved(c_in, c_out, stride=1, size=3):
    conv = nn.Conv2d(c_in, c_out, size, stride, size // 2, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(c_out))


class Block(nn.Module):
    def __init__(self, c_in, c_out, stride):
        super().__init__()
        first, second = convolved(c_in, c_out, stride), convolved(c_out, c_out)
        self.inner = nn.Sequential(first, nn.ReLU(), second)
        self.outer = nn.Identity() if c_in == c_out else convolved(c_in, c_out, stride, 1)

    def forward(self, x):
        return functional.relu(self.inner(x) + self.outer(x))


def resnet():
    blocks = [Block(*sizes) for sizes in batches.RESNET]
    ends = nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, CLASSES)
    return nn.Sequential(convolved(3, 16), nn.ReLU(), *blocks, *ends)


def with_one_bias(recurrent):
    """PyTorch adds two biases to the same sum; one is left at zero here."""
    for name, array in recurrent.named_parameters():
        if name.startswith("bias_hh"):
            array.requires_grad_(False).zero_()
    return recurrent


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = with_one_bias(nn.LSTM(*batches.LSTM, batch_first=True))
        self.scores = nn.Linear(batches.LSTM[1], CLASSES)

    def forward(self, xs):
        return self.scores(self.lstm(xs)[0][:, -1])


class OwnLoop(nn.Module):
    def __init__(self):
        super().__init__()
        self.cell = with_one_bias(nn.LSTMCell(*batches.LSTM))
        self.scores = nn.Linear(batches.LSTM[1], CLASSES)

    def forward(self, xs):
        h = c = xs.new_zeros(len(xs), batches.LSTM[1])
        for x in xs.transpose(0, 1):
            h, c = self.cell(x, (h, c))
        return self.scores(h)


class Letters(nn.Module):
    def __init__(self):
        super().__init__()
        dim, units = batches.GRU
        self.embedding = nn.Embedding(LETTERS, dim)
        self.gru = nn.GRU(dim, units, bias=False, batch_first=True)
        self.scores = nn.Linear(units, LETTERS)

    def forward(self, letters):
        return self.scores(self.gru(self.embedding(letters))[0])


class Mixing(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = nn.LayerNorm(DIM)
        self.mixed = nn.Linear(DIM, 3 * DIM, bias=False)
        self.out = nn.Linear(DIM, DIM, bias=False)
        wide = nn.Linear(DIM, 4 * DIM), nn.GELU("tanh"), nn.Linear(4 * DIM, DIM)
        self.dense = nn.Sequential(nn.LayerNorm(DIM), *wide)

    def attended(self, x):
        parts = self.mixed(x).unflatten(-1, (3, HEADS, DIM // HEADS)).permute(2, 0, 3, 1, 4)
        y = functional.scaled_dot_product_attention(*parts, is_causal=True)
        return self.out(y.transpose(1, 2).flatten(2))

    def forward(self, x):
        x = x + self.attended(self.norm(x))
        return x + self.dense(x)


class GPT(nn.Module):
    def __init__(self):
        super().__init__()
        self.letters, self.places = nn.Embedding(LETTERS, DIM), nn.Embedding(CONTEXT, DIM)
        blocks = [Mixing() for _ in range(batches.DEPTH)]
        self.rest = nn.Sequential(*blocks, nn.LayerNorm(DIM), nn.Linear(DIM, LETTERS))

    def forward(self, letters):
        return self.rest(self.letters(letters) + self.places.weight)


class VAE(nn.Module):
    def __init__(self):
        super().__init__()
        self.encode = nn.Linear(PIXELS, HIDDEN)
        self.mean, self.spread = nn.Linear(HIDDEN, LATENT), nn.Linear(HIDDEN, LATENT)
        self.widen, self.decode = nn.Linear(LATENT, HIDDEN), nn.Linear(HIDDEN, PIXELS)

    def forward(self, x):
        h = functional.relu(self.encode(x))
        mean, spread = self.mean(h), self.spread(h)
        z = mean + torch.exp(spread / 2) * torch.randn_like(mean)
        return self.decode(functional.relu(self.widen(z))), mean, spread


# -- losses ----------------------------------------------------------------------------------------


def classified(model, x, labels):
    return functional.cross_entropy(model(x), labels)


def foretold(model, letters):
    scores = model(letters[:, :-1])
    return functional.cross_entropy(scores.flatten(0, 1), letters[:, 1:].flatten())


def encoded(model, x):
    pixels, mean, spread = model(x)
    distance = 0.5 * (torch.exp(spread) + mean * mean - 1 - spread).sum(-1).mean()
    return PIXELS * functional.binary_cross_entropy_with_logits(pixels, x) + distance


MODELS = {
    "MLP": (mlp, classified),
    "LeNet": (lenet, classified),
    "ResNet": (resnet, classified),
    "LSTM": (Recurrent, classified),
    "LSTM, own loop": (OwnLoop, classified),
    "GRU": (Letters, foretold),
    "GPT": (GPT, foretold),
    "VAE": (VAE, encoded),
}


def parameters(name: str) -> int:
    model = MODELS[name][0]()
    return sum(array.numel() for array in model.parameters() if array.requires_grad)


def tensors(name: str):
    """The batch; images with their channels first, indices as PyTorch wants them."""
    batch = [torch.from_numpy(part) for part in batches.batch(name)]
    batch = [part if part.is_floating_point() else part.long() for part in batch]
    return [part.movedim(-1, 1).contiguous() if part.ndim == 4 else part for part in batch]


def step(name: str, compiled: bool = False):
    """Steps of training, as a function that makes the next one and returns the loss."""
    build, loss = MODELS[name]
    model, batch = build(), tensors(name)
    opt = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], batches.RATE)
    loss = torch.compile(loss) if compiled else loss

    def run():
        opt.zero_grad()
        value = loss(model, *batch)
        value.backward()
        opt.step()
        return value.detach()

    return run
