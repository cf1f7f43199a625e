"""Training and testing behaviour of whole models."""

import pytest

from flux.ad import gradient
from flux.layers import BatchNorm, Chain, Dense, Dropout, testmode, trainmode
from flux.layers.modes import training


def model():
    return Chain(Dense(2, 2), Dropout(0.5), Chain(BatchNorm(2), inner=Dropout(0.1)))


def modes(chain):
    return [chain[1].active, chain[2][0].active, chain[2].inner.active]


@pytest.mark.parametrize(("change", "expected"), [(trainmode, True), (testmode, False)])
def test_a_mode_reaches_every_layer_and_can_be_taken_back(change, expected):
    chain = model()
    assert modes(chain) == [None] * 3
    assert change(chain) is chain
    assert modes(chain) == [expected] * 3
    change(chain, False)
    assert modes(chain) == [not expected] * 3
    change(chain, None)
    assert modes(chain) == [None] * 3


def test_two_models_can_be_in_different_modes():
    a, b = trainmode(model()), testmode(model())
    assert (modes(a)[0], modes(b)[0]) == (True, False)


def test_automatic_means_training_exactly_inside_a_gradient():
    part, seen = Dropout(0.5), []

    def f(x):
        seen.append(training(part))
        return x

    f(1.0)
    gradient(f, 1.0)
    assert seen == [False, True]
