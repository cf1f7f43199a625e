"""The loop of `flux.train`: steps as plain Python."""

import numpy as np
import pytest

import flux


def depth(tree):
    return 1 + depth(tree[0]) if tree else 1


def loss(model, trees, x):
    """A power of the weight for each tree; whether arrays are traced is kept."""
    model["seen"].append(type(model["w"]).__name__)
    total = sum([(model["w"] ** depth(tree) * x).sum() for tree in trees.tolist()])
    return total, {"weight": model["w"].sum()}


def trained(**options):
    trees = np.empty(2, object)
    trees[:] = [((),), ()]
    model = {"w": np.full(2, 0.5, np.float32), "seen": []}
    opt = flux.setup(flux.optim.Adam(0.1), model)
    data = [(trees, np.ones(2, np.float32)), (trees[1:], np.ones(2, np.float32))]
    history = flux.train(loss, model, data, opt, epochs=3, progress=False, **options)
    return model, opt, history


def test_steps_may_run_as_plain_python_on_data_of_any_structure():
    model, opt, history = trained(compiled=False)
    assert len(history.loss) == 6
    assert not any("Tracer" in name for name in model["seen"])
    w, m, v = np.full(2, 0.5), 0.0, 0.0
    for t in range(1, 7):
        g = 2 * w + 1 if t % 2 else np.ones(2)
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
        w = w - 0.1 * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
    np.testing.assert_allclose(model["w"], w, rtol=1e-5)


def test_plain_steps_refuse_what_is_not_finite_too():
    model = {"w": np.ones(2, np.float32)}
    opt = flux.setup(flux.optim.Descent(0.1), model)
    data = [np.ones(2, np.float32), np.full(2, np.inf, np.float32)]

    def loss(model, x):
        return (model["w"] * x).sum()

    with pytest.raises(flux.NonFiniteLoss, match="batch 2"):
        flux.train(loss, model, data, opt, progress=False, compiled=False)
    np.testing.assert_allclose(model["w"], 0.9)
