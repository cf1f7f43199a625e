"""Arguments of `train` and of layers in the wrong place."""

import numpy as np
import pytest

import flux


def loss(model, x):
    return flux.losses.mse(model(x), x)


def test_a_rule_is_no_optimiser():
    with pytest.raises(flux.FluxError, match="flux.setup"):
        flux.train(loss, flux.Dense(2, 2), [np.ones((1, 2))], flux.optim.Adam())


def test_model_and_loss_in_the_wrong_order_are_noticed():
    model = {"w": np.ones(2, np.float32)}
    opt = flux.setup(flux.optim.Adam(), model)
    with pytest.raises(flux.FluxError, match="loss, model, data, opt"):
        flux.train(model, loss, [np.ones(2)], opt)


def test_an_activation_is_a_function():
    with pytest.raises(flux.FluxError, match="Dense expected a function as activation, and got"):
        flux.Dense(2, 3, "relu")


def test_a_gradient_that_is_not_finite_changes_nothing():
    model = {"w": np.zeros(3, np.float32)}
    opt = flux.setup(flux.optim.Descent(0.1), model)

    def norm(model, x):
        return ((model["w"] ** 2).sum() + 0 * x.sum()) ** 0.5

    with pytest.raises(flux.NonFiniteLoss, match="a gradient is not finite at batch 1"):
        flux.train(norm, model, [np.ones(3, np.float32)] * 3, opt, progress=False)
    assert model["w"].tolist() == [0.0, 0.0, 0.0]


def test_a_label_out_of_range_is_named_after_the_step_was_refused():
    model = flux.Dense(4, 3)
    batch = np.ones((8, 4), np.float32), np.array([0, 1, 2, 0, 1, 7, 2, 0])
    with pytest.raises(flux.LabelError, match="label 7 at position 5"):
        flux.train(
            lambda m, x, y: flux.losses.logit_crossentropy(m(x), y),
            model, [batch], flux.setup(flux.optim.Adam(), model), progress=False,
        )  # fmt: skip


def test_a_number_that_changes_from_step_to_step_is_no_parameter():
    class Cooled:
        def __init__(self):
            self.layer, self.heat = flux.Dense(4, 1), 1.0

        def __call__(self, x):
            return self.layer(x) * self.heat

    model = Cooled()
    opt = flux.setup(flux.optim.Adam(), model)
    for step in range(4):
        model.heat = 1 / (step + 1)
        flux.trainstep(lambda m, x: (m(x) ** 2).mean(), model, np.ones((2, 4), np.float32), opt)
    assert type(model.heat) is float
