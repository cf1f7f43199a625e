"""What does a call of a compiled function cost when the model is an object of many small arrays?

The function does next to nothing: it sums the products of the parameters with one input. The peer
is `jax.jit` of the same function on lists and dicts. Every call is waited for.

Bound: at most 2 times `jax.jit` for 20 arrays.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from measure import Row, alternate, compared, script

import flux

BOUNDS = {20: 2.0, 500: None}


class Affine:
    """A part with two parameters, as a layer has them."""

    def __init__(self):
        self.weight, self.bias = jnp.ones(2), jnp.zeros(2)


class Model:
    """Parts in a list."""

    def __init__(self, arrays):
        self.parts = [Affine() for _ in range(arrays // 2)]


def total(model, x):
    y = 0.0
    for part in model.parts:
        y = y + (part.weight * x).sum() + (part.bias * x).sum()
    return y


def total_of_tree(tree, x):
    y = 0.0
    for part in tree["parts"]:
        y = y + (part["weight"] * x).sum() + (part["bias"] * x).sum()
    return y


def main(quick: bool = False) -> list[Row]:
    rows = []
    for arrays, bound in BOUNDS.items():
        model, x = Model(arrays), jnp.ones(2)
        tree = {"parts": [dict(vars(part)) for part in model.parts]}
        ours, theirs = flux.jit(total), jax.jit(total_of_tree)
        assert float(ours(model, x)) == float(theirs(tree, x)) == arrays
        works = {
            "flux": lambda f=ours, m=model, x=x: f(m, x).block_until_ready(),
            "jax.jit": lambda f=theirs, t=tree, x=x: f(t, x).block_until_ready(),
        }
        times = alternate(works, 10 if quick else 60)
        rows.append(compared(f"call with {arrays} arrays", times, "flux", "jax.jit", bound=bound))
    return rows


if __name__ == "__main__":
    script(main, __doc__)
