"""What do loops that are written as plain Python cost once they are compiled?

A recurrent network over 50 steps (an LSTM of 128 units, batch of 32) as a `for` loop over an array,
with its gradient, next to `jax.lax.scan` of the same cell and PyTorch's built-in layer. A `while`
whose length only the data decide, in reverse, next to the forward loop and to Equinox's
checkpointed loop. The time to compile a loop of 1,000 iterations next to one of 10.

Bounds: the reverse takes at most 6 times the forward loop; 1,000 iterations compile in at most 1.5
times the time of 10.
"""

from __future__ import annotations

import os
from importlib.util import find_spec
from time import perf_counter

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from measure import Row, alternate, compared, script

import flux

BATCH, STEPS, UNITS = 32, 50, 128


# -- a recurrent network -------------------------------------------------------------------------


def cell(p, h, c, x):
    gates = x @ p["wi"] + h @ p["wh"] + p["b"]
    i, f, g, o = jnp.split(gates, 4, axis=-1)
    c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
    return jax.nn.sigmoid(o) * jnp.tanh(c), c


def written_as_a_loop(p, xs):
    h = c = jnp.zeros((xs.shape[0], UNITS))
    for x in jnp.swapaxes(xs, 0, 1):
        h, c = cell(p, h, c, x)
    return (h * h).sum()


def written_as_a_scan(p, xs):
    zero = jnp.zeros((xs.shape[0], UNITS))

    def step(state, x):
        return cell(p, *state, x), None

    (h, _), _ = jax.lax.scan(step, (zero, zero), jnp.swapaxes(xs, 0, 1))
    return (h * h).sum()


def recurrent(rounds: int) -> list[Row]:
    rng = np.random.default_rng(0)
    xs = jnp.asarray(rng.normal(size=(BATCH, STEPS, UNITS)), jnp.float32)
    shapes = {"wi": (UNITS, 4 * UNITS), "wh": (UNITS, 4 * UNITS), "b": (4 * UNITS,)}
    p = {k: jnp.asarray(rng.normal(size=s) * 0.05, jnp.float32) for k, s in shapes.items()}
    ours = flux.jit(lambda p, xs: flux.gradient(written_as_a_loop, p, xs)[0])
    theirs = jax.jit(jax.grad(written_as_a_scan))
    for name, slope in ours(p, xs).items():
        np.testing.assert_allclose(slope, theirs(p, xs)[name], rtol=1e-3, atol=1e-4)
    works = {
        "flux": lambda: jax.block_until_ready(ours(p, xs)),
        "jax.lax.scan": lambda: jax.block_until_ready(theirs(p, xs)),
    }
    if find_spec("torch"):
        works["PyTorch LSTM"] = torch_layer(xs)
    times = alternate(works, rounds)
    what = f"LSTM as a for loop, {STEPS} steps"
    return [compared(what, times, "flux", peer) for peer in works if peer != "flux"]


def torch_layer(xs):
    import torch

    torch.set_num_threads(os.cpu_count() or 1)
    layer = torch.nn.LSTM(UNITS, UNITS, batch_first=True)
    xs = torch.from_numpy(np.asarray(xs).copy())

    def step():
        layer.zero_grad()
        h = layer(xs)[1][0]
        (h * h).sum().backward()

    return step


# -- loops of unknown length ---------------------------------------------------------------------


def converging(x, limit):
    steps = 0
    while steps < limit:
        x = jnp.sin(x) + 0.5 * x
        steps = steps + 1
    return x.sum()


def checkpointed(x, limit):
    def step(state):
        return jnp.sin(state[0]) + 0.5 * state[0], state[1] + 1

    def go(state):
        return state[1] < limit

    end = eqx.internal.while_loop(go, step, (x, 0), kind="checkpointed", checkpoints=64)
    return end[0].sum()


def in_reverse(rounds: int, most: int) -> list[Row]:
    x = jnp.linspace(0.1, 1.0, 64)
    forward = flux.jit(converging)
    slope = flux.jit(lambda x, n: flux.gradient(converging, x, n)[0])
    theirs = jax.jit(jax.grad(checkpointed))
    rows = []
    for count in (10, 1_000, most):
        n = jnp.int32(count)
        np.testing.assert_allclose(slope(x, n), theirs(x, n), rtol=1e-2, atol=1e-5)
        works = {
            "flux": lambda n=n: slope(x, n).block_until_ready(),
            "forward": lambda n=n: forward(x, n).block_until_ready(),
            "Equinox": lambda n=n: theirs(x, n).block_until_ready(),
        }
        times = alternate(works, rounds)
        what = f"reverse of a while of {count:,} steps"
        rows.append(compared(what, times, "flux", "forward", bound=6 if count > 10 else None))
        rows.append(compared(what, times, "flux", "Equinox"))
    return rows


# -- compiling -----------------------------------------------------------------------------------


def compiling(rounds: int) -> Row:
    times = {"1,000": [], "10": []}
    for _ in range(rounds):
        for name, count in (("1,000", 1_000), ("10", 10)):
            rows = jnp.ones((count, 8))
            started = perf_counter()
            flux.lower(lambda rows: flux.gradient(summed, rows)[0], rows).lowered.compile()
            times[name].append(perf_counter() - started)
    return compared("compile a loop of 1,000 rows", times, "1,000", "10", bound=1.5)


def summed(rows):
    total = jnp.zeros(8)
    for row in rows:
        total = jnp.tanh(total + row)
    return total.sum()


def main(quick: bool = False) -> list[Row]:
    rounds = 8 if quick else 40
    reverse = in_reverse(rounds, 10_000 if quick else 100_000)
    return [*recurrent(rounds), *reverse, compiling(3 if quick else 8)]


if __name__ == "__main__":
    script(main, __doc__)
