"""Is a formula of logic true? Answered by a network that has the shape of the formula.

A formula is a nested tuple, `("and", True, ("not", False))`. Its network is the recursion as it is
written: a vector for each constant, and for each word a layer that makes one vector of those of its
parts. The gradient is taken of just this recursion, as it runs, without compiling anything; so
every formula may have a shape of its own.
Data: random formulas, made anew for every step, of at most 4 levels; judged by 1000 of 5 or 6
levels, half of which are true.
Result: at least 97 % of these after half a minute on one core (two seeds gave 99.6 and 99.9 %).
Source: Socher et al. (2011), Parsing natural scenes and natural language with recursive networks.
"""

from __future__ import annotations

import operator
from typing import Any

import jax
import numpy as np

import flux
from flux.train.progress import Progress
from flux.zoo import Settings

SETTINGS = Settings(epochs=10, batch=16, lr=2e-2)
EXPECTED = 0.97
STEPS = 50  # in an epoch

PARTS = {"not": 1, "and": 2, "or": 2, "xor": 2}
MEANINGS = {
    "not": operator.not_, "and": operator.and_, "or": operator.or_, "xor": operator.xor,
}  # fmt: skip
DIM = 16


def build():
    """A network for formulas."""
    return Formula()


@flux.layer
class Formula:
    """From a formula to a score, above 0 if it is true."""

    def __init__(self):
        self.constants = flux.Embedding(2, DIM)
        self.words = {
            word: flux.Dense(parts * DIM, DIM, flux.tanh) for word, parts in PARTS.items()
        }
        self.score: Any = flux.Dense(DIM, 1)

    def __call__(self, formula):
        return self.score(self.encode(formula))[0]

    def encode(self, formula) -> Any:
        """The vector of a formula."""
        if isinstance(formula, bool):
            return self.constants(int(formula))
        word, *parts = formula
        vectors = [self.encode(part) for part in parts]
        return self.words[word](np.concatenate(vectors))


def truth(formula) -> bool:
    """What the network is to find out.

    >>> truth(("and", True, ("not", False)))
    True
    """
    if isinstance(formula, bool):
        return formula
    word, *parts = formula
    return MEANINGS[word](*[truth(part) for part in parts])


def random_formula(rng, levels: int):
    """A formula of at most so many levels of words."""
    if levels == 0 or rng.random() < 0.1:
        return bool(rng.integers(2))
    word = list(PARTS)[rng.integers(len(PARTS))]
    return word, *[random_formula(rng, levels - 1) for _ in range(PARTS[word])]


def random_formulas(rng, count: int, fewest: int, most: int) -> list:
    """Formulas of so many levels, every other one of them true."""
    found = []
    while len(found) < count:
        formula = random_formula(rng, rng.integers(fewest, most + 1))
        if truth(formula) == len(found) % 2:
            found.append(formula)
    return found


def loss(model, batch):
    """The mean crossentropy of the formulas of a batch, each gone through by itself."""
    losses = [
        flux.losses.logit_binary_crossentropy(model(formula), float(truth(formula)))
        for formula in batch
    ]
    return sum(losses) / len(losses)


def train(model, settings: Settings, *, progress: bool = True) -> list[float]:
    """Train in place; returns the mean loss of each epoch.

    The gradient is taken of a model of NumPy's arrays: for vectors this small they cost a tenth.
    """
    rng, steps = np.random.default_rng(settings.seed), settings.epochs * STEPS
    rate: Any = flux.schedules.cosine(settings.lr, steps)
    opt = flux.setup(flux.optim.Adam(rate), model)
    losses = []
    with Progress(steps, enabled=progress) as bar:
        for step in range(steps):
            batch = random_formulas(rng, settings.batch, 1, 4)
            value, (grads, _) = flux.withgradient(loss, in_numpy(model), batch)
            flux.update(opt, model, grads)
            losses.append(float(value))
            bar.update(1 + step // STEPS, step + 1, value)
    return [float(part.mean()) for part in np.split(np.array(losses), settings.epochs)]


def in_numpy(model):
    """The model with NumPy's arrays in the place of JAX's."""
    return jax.tree.map(np.asarray, model)


def evaluate(model, count: int = 1000) -> float:
    """The share of new, deeper formulas of which the model knows whether they are true."""
    model, new = in_numpy(model), random_formulas(np.random.default_rng(1), count, 5, 6)
    return float(np.mean([(model(formula) > 0) == truth(formula) for formula in new]))


def report(model) -> dict[str, str]:
    """What the model is good for."""
    return {
        "accuracy": f"{evaluate(model):.1%}, of 1000 deeper formulas".replace("%", " %"),
        "expected": f"{EXPECTED:.0%} or more".replace("%", " %"),
    }
