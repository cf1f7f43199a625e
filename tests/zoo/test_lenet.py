"""The convolutional network: that it learns, its shifts, its sizes."""

import numpy as np
import pytest

import flux
from flux.random import RandomState
from flux.zoo import lenet
from tests.zoo.short import trained


@pytest.fixture(scope="module")
def training():
    return trained("lenet", 6)


def test_it_learns_to_read_digits_in_a_few_epochs(training):
    assert training.measures[-1] > 0.95
    assert training.losses[-1] < 0.4 < 1.5 < training.losses[0]


def test_eager_and_compiled_scores_agree(training):
    images = training.held_out[0][:3]
    compiled = flux.jit(training.model)(images)
    np.testing.assert_allclose(training.model(images), compiled, rtol=1e-4, atol=1e-4)


def test_shifts_move_an_image_by_up_to_one_point_in_every_direction():
    images = np.zeros((300, 5, 6), np.float32)
    images[:, 2, 3] = 1
    moved = np.asarray(lenet.shifted(images, RandomState(0)))
    _, rows, columns = np.nonzero(moved)
    places = set(zip((rows - 2).tolist(), (columns - 3).tolist(), strict=True))
    assert moved.sum() == 300
    assert places == {(i, j) for i in (-1, 0, 1) for j in (-1, 0, 1)}


def test_it_is_built_for_images_of_other_sizes():
    scores = flux.jit(lenet.build((28, 28)))(np.zeros((2, 28, 28), np.float32))
    assert scores.shape == (2, lenet.CLASSES)
