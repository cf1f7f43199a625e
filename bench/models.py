"""What does a step of training cost for whole models, next to other frameworks?

A step is forward, backward and Adam, as one call that is waited for. The models are written as a
user of each framework writes them (`nets/`), with the same shapes, the same number of parameters,
float32, and each framework's use of all cores: an MLP on 784 pixels, LeNet, a residual network of
seven 3x3 convolutions on 32x32 images, an LSTM over 50 steps as a layer and as a `for` loop around
a cell, a GRU over 64 letters, a GPT of two blocks over 64 letters, and a variational autoencoder.
Equinox has no layer over time: both of its LSTMs are a `lax.scan` of its cell. Keras runs on JAX,
and its loop around a cell is `keras.layers.RNN`, which is faster than a `for` loop of one's own.

The last row of a model says how much of the speed of a product of two large matrices it reaches;
its operations are those that XLA counts.
"""

from __future__ import annotations

import os
import shutil
from importlib.util import find_spec

import jax
import jax.numpy as jnp
from measure import Row, alternate, compared, script
from nets import batches, in_equinox, in_flux

import flux

SIDE = 1024  # of the matrices whose product is the peak


def contestants(name: str) -> tuple[dict, dict[str, str]]:
    """Functions that make a step, by framework; and the frameworks left out, with the reason."""
    sizes = {"flux": in_flux.parameters(name), "Equinox": in_equinox.parameters(name)}
    steps = {"flux": in_flux.step(name), "Equinox": in_equinox.step(name)}
    missing = {}
    if find_spec("torch"):
        from nets import in_torch

        sizes["PyTorch eager"] = in_torch.parameters(name)
        steps["PyTorch eager"] = in_torch.step(name)
        if shutil.which(os.environ.get("CXX", "g++")):
            steps["torch.compile"] = in_torch.step(name, compiled=True)
        else:
            missing["torch.compile"] = "there is no C++ compiler"
    else:
        missing |= dict.fromkeys(("PyTorch eager", "torch.compile"), "PyTorch is not installed")
    if find_spec("keras"):
        from nets import in_keras

        sizes["Keras (JAX)"], steps["Keras (JAX)"] = in_keras.parameters(name), in_keras.step(name)
    else:
        missing["Keras (JAX)"] = "Keras is not installed"
    assert len(set(sizes.values())) == 1, f"{name}: not the same number of parameters: {sizes}"
    return steps, missing


def product():
    """The product of two large matrices, waited for."""
    a = jnp.ones((SIDE, SIDE))
    multiply = jax.jit(jnp.matmul)
    return lambda: multiply(a, a).block_until_ready()


def model(name: str, rounds: int) -> list[Row]:
    """Rows of one model."""
    flux.seed(0)
    steps, missing = contestants(name)
    works = {who: lambda step=step: float(step()) for who, step in steps.items()}
    for who, work in works.items():
        first, last = work(), [work() for _ in range(20)][-1]
        assert last < first, f"{name}: {who} does not learn: {first} to {last}"
    times = alternate(works | {"product": product()}, rounds, seconds=0.05)
    rows = [compared(name, times, "flux", who) for who in list(steps)[1:]]
    best = min(rows, key=lambda row: row.theirs or 0)
    best.note += "; the best peer"
    rows += [Row(name, rows[0].ours, who, note=note) for who, note in missing.items()]
    return [*rows, of_the_peak(name, times)]


def of_the_peak(name: str, times: dict[str, list[float]]) -> Row:
    """How much of the speed of a matrix product Flux's steps reach."""
    work, most = in_flux.operations(name), 2 * SIDE**3
    speeds = {
        "ours": [work / seconds for seconds in times["flux"]],
        "peak": [most / seconds for seconds in times["product"]],
    }
    row = compared(f"{name}, of the peak", speeds, "ours", "peak", unit="FLOP/s")
    row.note += f"; {work / 1e6:.3g} million operations"
    return row


def main(quick: bool = False) -> list[Row]:
    return [row for name in batches.NAMES for row in model(name, 5 if quick else 20)]


if __name__ == "__main__":
    script(main, __doc__)
