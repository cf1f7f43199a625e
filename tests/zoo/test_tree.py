"""A network with the shape of a formula."""

import jax
import numpy as np
import pytest

import flux
from flux.zoo import tree

FORMULAS = np.empty(2, object)
FORMULAS[:] = [("xor", ("not", True), ("and", ("or", False, True), True)), True]


def test_the_gradient_through_the_recursion_equals_finite_differences():
    model = jax.tree.map(lambda array: np.asarray(array, np.float64), tree.build())
    grad = flux.gradient(lambda m: tree.loss(m, FORMULAS), model)[0].constants.weight
    for place in [(0, 0), (1, 3)]:
        sides = []
        for step in (1e-5, -1e-5):
            model.constants.weight[place] += step
            sides.append(tree.loss(model, FORMULAS))
            model.constants.weight[place] -= step
        assert grad[place] == pytest.approx((sides[0] - sides[1]) / 2e-5, rel=1e-6)


def test_formulas_are_true_and_false_by_turns_and_mean_what_python_says():
    rng = np.random.default_rng(0)
    for i, formula in enumerate(tree.random_formulas(rng, 20, 1, 4)):
        assert eval(in_python(formula)) == tree.truth(formula) == bool(i % 2)


def in_python(formula) -> str:
    if isinstance(formula, bool):
        return str(formula)
    word, *parts = formula
    inner = [in_python(part) for part in parts]
    if word == "not":
        return f"(not {inner[0]})"
    return f"({inner[0]} {'!=' if word == 'xor' else word} {inner[1]})"


def test_the_network_learns():
    flux.seed(0)
    model, formulas = tree.build(), np.empty(160, object)
    formulas[:] = tree.random_formulas(np.random.default_rng(0), 160, 1, 2)
    opt = flux.setup(flux.optim.Adam(0.06), model)
    data = flux.DataLoader((formulas,), 4)
    history = flux.train(tree.loss, model, data, opt, compiled=False, progress=False)
    assert np.mean(history.loss[-10:]) < 0.55  # to know nothing costs log 2, about 0.69
