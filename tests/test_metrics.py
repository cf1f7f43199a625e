"""Metrics against their definitions."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from flux import metrics
from flux.errors import LabelError, ShapeError

TRUE = np.array([0, 0, 0, 1, 1, 2])
FOUND = np.array([0, 1, 0, 1, 1, 0])
SCORES = np.eye(3)[FOUND] + 0.1


@pytest.mark.parametrize("prediction", [SCORES, FOUND, jnp.asarray(SCORES)], ids=range(3))
@pytest.mark.parametrize("target", [TRUE, jnp.asarray(TRUE)], ids=range(2))
def test_accuracy_is_the_share_that_is_right(prediction, target):
    assert abs(float(metrics.accuracy(prediction, target)) - 4 / 6) < 1e-6


@pytest.mark.parametrize("kind", [int, float, bool])
def test_accuracy_takes_one_hot_targets(kind):
    assert metrics.accuracy(SCORES, np.eye(3)[TRUE].astype(kind)) == 4 / 6


def test_accuracy_of_a_sequence_counts_every_place():
    assert metrics.accuracy(SCORES.reshape(2, 3, 3), TRUE.reshape(2, 3)) == 4 / 6


def test_accuracy_can_be_compiled():
    assert jax.jit(metrics.accuracy)(SCORES, TRUE) == np.float32(4 / 6)


def test_accuracy_refuses_shapes_that_do_not_fit():
    with pytest.raises(ShapeError, match=r"\(6, 3\).*\(5,\)"):
        metrics.accuracy(SCORES, TRUE[:5])


def test_the_confusion_matrix_has_the_truth_in_rows():
    expected = [[2, 1, 0], [0, 2, 0], [1, 0, 0]]
    np.testing.assert_array_equal(metrics.confusion_matrix(SCORES, TRUE), expected)
    np.testing.assert_array_equal(metrics.confusion_matrix(FOUND, TRUE), expected)
    compiled = jax.jit(lambda p, t: metrics.confusion_matrix(p, t, 3))
    np.testing.assert_array_equal(compiled(FOUND, TRUE), expected)


def test_the_confusion_matrix_refuses_a_label_that_is_no_class():
    with pytest.raises(LabelError, match="label 2"):
        metrics.confusion_matrix(FOUND, TRUE, n_classes=2)


def test_precision_recall_and_f1_by_class():
    for metric, expected in (
        (metrics.precision, [2 / 3, 2 / 3, 0]),
        (metrics.recall, [2 / 3, 1, 0]),
        (metrics.f1, [2 / 3, 0.8, 0]),
    ):
        np.testing.assert_allclose(metric(FOUND, TRUE, average=None), expected)


def test_averages_weigh_classes_alike_by_size_or_not_at_all():
    each = np.array([2 / 3, 0.8, 0])
    assert abs(metrics.f1(FOUND, TRUE) - each.mean()) < 1e-12
    assert abs(metrics.f1(FOUND, TRUE, average="weighted") - each @ [3, 2, 1] / 6) < 1e-12
    assert abs(metrics.f1(FOUND, TRUE, average="micro") - 4 / 6) < 1e-12


def test_a_class_that_does_not_occur_does_not_count():
    assert metrics.f1(FOUND, TRUE, n_classes=5) == metrics.f1(FOUND, TRUE)


def test_an_unknown_average_is_refused():
    with pytest.raises(ValueError, match="median"):
        metrics.f1(FOUND, TRUE, average="median")
