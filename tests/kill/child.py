"""The program that is killed: it prints each step, and writes all that it ends with.

`python -m kill.child FOLDER SEED`. The seed is another one after each kill, so that whatever is not
in the checkpoint comes out differently.
"""

import sys
from pathlib import Path

import numpy as np

import flux
from flux.io.structure import structure_of
from flux.random import generator

EPOCHS = 8


class Model:
    """Running statistics, dropout, a counter, float64 parameters, a shared array."""

    def __init__(self):
        self.layers = flux.Chain(
            flux.Dense(4, 16, flux.relu), flux.BatchNorm(16), flux.Dropout(0.5), flux.Dense(16, 16)
        )
        self.tied = self.layers[3].weight
        self.scale = generator().normal(size=3)
        self.calls = 0

    def __call__(self, x):
        self.calls += 1
        hidden = self.layers(x) @ self.tied
        return hidden[:, :3] * self.scale / (1 + 0.01 * self.calls)


class Jitter:
    """Changes the rate at random after some steps: the run depends on the state of `flux.seed`."""

    def step(self, run):
        print(run.step, flush=True)
        if run.step % 5 == 0:
            flux.adjust(run.opt, beta=(generator().uniform(0.8, 0.95), 0.999))

    def __call__(self, run):
        pass


def loss(model, x, y):
    scores = model(x)
    return flux.losses.logit_crossentropy(scores, y), {"accuracy": flux.metrics.accuracy(scores, y)}


def main(folder: Path, seed: int) -> None:
    rng = np.random.default_rng(0)
    data = (rng.normal(size=(54, 4)).astype(np.float32), rng.integers(0, 3, 54))
    flux.seed(seed)
    model = Model()
    opt = flux.setup(flux.optim.AdamW(flux.schedules.cosine(0.02, 120)), model)
    loader = flux.DataLoader(data, 4, shuffle=True)
    path = folder / "{step}.safetensors"
    plateau = flux.callbacks.plateau(opt, "accuracy", 2, mode="max", factor=0.7)
    best = flux.callbacks.early_stopping("accuracy", 9, mode="max", restore_best=True)
    every = flux.callbacks.checkpoint_every(path, steps=3, keep=2)
    history = flux.train(
        loss, model, loader, opt, epochs=EPOCHS, callbacks=[every, Jitter(), plateau, best],
        progress=False, resume=path,
    )  # fmt: skip
    found = {**structure_of(model).arrays, **structure_of(opt.state).arrays}
    ended = {name: np.asarray(array) for name, array in found.items()}
    ended.update(
        loss=history.loss, epoch_loss=history.epoch_loss, accuracy=history.metrics["accuracy"],
        next=generator().integers(2**60), order=next(iter(loader))[0],
    )  # fmt: skip
    np.savez(folder / "end.npz", **ended)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
