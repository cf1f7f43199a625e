"""Does a compiled training step of an object cost what a hand-written JAX step costs?

The step is that of `flux train mlp`: its model, batch of 64 digits, dropout, accuracy and Adam.
The hand-written one is `jax.jit` of `jax.value_and_grad` and `optax.adam` on a dict of arrays.
Nobody donates memory. Only Flux's step refuses a loss that is not finite.
Equinox's layers take one example each, and so draw from a key for each example.

Bound: at most 1.1 times the hand-written step.
"""

from __future__ import annotations

from importlib.util import find_spec

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from measure import Row, alternate, compared, script

import flux
from flux.zoo import mlp

RATE = mlp.SETTINGS.lr
SIZES = ((64, 256), (256, 128), (128, 10))


def flux_step(batch):
    """`flux.trainstep` on the model of the zoo."""
    model = mlp.build()
    opt = flux.setup(flux.optim.Adam(RATE), model)
    return lambda: flux.trainstep(mlp.loss, model, batch, opt)[0]


def jax_step(batch):
    """The same step as a person writes it with jax and optax."""
    starts = jax.nn.initializers.glorot_uniform()
    keys = jax.random.split(jax.random.key(0), 4)
    params = {f"w{i}": starts(keys[i], size) for i, size in enumerate(SIZES)}
    params |= {f"b{i}": jnp.zeros(size[1]) for i, size in enumerate(SIZES)}
    rule = optax.adam(RATE)

    def dropped(x, key):
        return jnp.where(jax.random.bernoulli(key, 0.7, x.shape), x / 0.7, 0)

    def loss(params, images, labels, key):
        first, second = jax.random.split(key)
        x = images.reshape(images.shape[0], -1)
        x = dropped(jax.nn.relu(x @ params["w0"] + params["b0"]), first)
        x = dropped(jax.nn.relu(x @ params["w1"] + params["b1"]), second)
        return scored(x @ params["w2"] + params["b2"], labels)

    @jax.jit
    def step(params, state, key, images, labels):
        key, now = jax.random.split(key)
        (value, seen), grads = jax.value_and_grad(loss, has_aux=True)(params, images, labels, now)
        updates, state = rule.update(grads, state)
        return value, seen, optax.apply_updates(params, updates), state, key

    return repeated(step, [params, rule.init(params), keys[3]], batch)


def waited(step, many):
    """`many` steps, and the wait for the last loss."""
    return lambda: float([step() for _ in range(many)][-1])


def repeated(step, held, batch):
    """A function that makes the next step and keeps its outcome."""

    def run():
        value, _, *held[:] = step(*held, *batch)
        return value

    return run


def scored(scores, labels):
    """The cross-entropy of scores, and their accuracy."""
    losses = optax.softmax_cross_entropy_with_integer_labels(scores, labels)
    return losses.mean(), (scores.argmax(-1) == labels).mean()


def equinox_step(batch):
    """The same step with an Equinox model."""
    keys = jax.random.split(jax.random.key(0), 4)
    lines = [eqx.nn.Linear(*size, key=key) for size, key in zip(SIZES, keys, strict=False)]
    between, rule = [eqx.nn.Lambda(jax.nn.relu), eqx.nn.Dropout(0.3)], optax.adam(RATE)
    model = eqx.nn.Sequential([lines[0], *between, lines[1], *between, lines[2]])

    def loss(model, images, labels, key):
        flat = images.reshape(images.shape[0], -1)
        scores = jax.vmap(lambda x, key: model(x, key=key))(flat, jax.random.split(key, len(flat)))
        return scored(scores, labels)

    @eqx.filter_jit
    def step(model, state, key, images, labels):
        key, now = jax.random.split(key)
        graded = eqx.filter_value_and_grad(loss, has_aux=True)
        (value, seen), grads = graded(model, images, labels, now)
        updates, state = rule.update(grads, state)
        return value, seen, eqx.apply_updates(model, updates), state, key

    return repeated(step, [model, rule.init(eqx.filter(model, eqx.is_array)), keys[3]], batch)


def torch_step(batch):
    """The same step in eager PyTorch, with its own number of threads."""
    import torch
    from torch import nn

    relu, drop = nn.ReLU(), nn.Dropout(0.3)
    lines = [nn.Linear(*size) for size in SIZES]
    model = nn.Sequential(nn.Flatten(), lines[0], relu, drop, lines[1], relu, drop, lines[2])
    opt = torch.optim.Adam(model.parameters(), RATE)
    images, labels = torch.tensor(batch[0]), torch.tensor(batch[1]).long()

    def run():
        opt.zero_grad()
        scores = model(images)
        (scores.argmax(-1) == labels).float().mean()
        value = nn.functional.cross_entropy(scores, labels)
        value.backward()
        opt.step()
        return value.detach()

    return run


def main(quick: bool = False) -> list[Row]:
    flux.seed(0)
    batch = tuple(part[: mlp.SETTINGS.batch].copy() for part in mlp.data("train"))
    steps = {"flux": flux_step, "jax + optax": jax_step, "Equinox": equinox_step}
    steps |= {"PyTorch eager": torch_step} if find_spec("torch") else {}
    steps = {name: make(batch) for name, make in steps.items()}
    assert all(waited(step, 200)() < 0.2 for step in steps.values())  # all learn the batch
    rows, bounds = [], {"jax + optax": 1.1}
    for what, many in (("step, waited for", 1), ("step, 20 queued", 20)):
        works = {name: waited(step, many) for name, step in steps.items()}
        times = alternate(works, 10 if quick else 40, seconds=0.05)
        times = {name: [t / many for t in taken] for name, taken in times.items()}
        rows += [compared(what, times, "flux", p, bound=bounds.get(p)) for p in list(steps)[1:]]
        if "PyTorch eager" not in steps:
            rows.append(Row(what, rows[-1].ours, "PyTorch eager", note="it is not installed"))
    return rows


if __name__ == "__main__":
    script(main, __doc__)
