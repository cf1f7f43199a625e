"""Parts and folds."""

import numpy as np
import pytest

from flux.data import getobs, kfolds, numobs, splitobs
from flux.errors import ShapeError


def test_parts_share_no_example_and_cover_all():
    parts = splitobs(np.arange(10), at=(0.5, 0.3), shuffle=True, rng=0)
    assert [len(part) for part in parts] == [5, 3, 2]
    assert sorted(np.concatenate(parts)) == list(range(10))


def test_counts_may_be_given_instead_of_shares():
    train, test = splitobs(np.arange(10), at=7)
    assert (len(train), len(test)) == (7, 3)


def test_a_tuple_is_cut_in_step():
    (x, y), (u, v) = splitobs((np.arange(10), np.arange(10) * 2), shuffle=True, rng=1)
    np.testing.assert_array_equal(np.concatenate([y, v]), 2 * np.concatenate([x, u]))


def test_a_stratified_split_keeps_the_shares_of_the_labels():
    labels = np.array([0] * 80 + [1] * 20)
    train, test = splitobs(labels, at=0.75, shuffle=True, rng=0, stratified=labels)
    assert (train == 1).sum() == 15
    assert (test == 1).sum() == 5


@pytest.mark.parametrize("at", [0.0, 1.0, 1.5, 20, (0.6, 0.6)])
def test_a_split_that_leaves_a_part_empty_is_refused(at):
    with pytest.raises(ShapeError, match="at least one"):
        splitobs(np.arange(10), at=at)


def test_each_example_is_validated_once():
    folds = list(kfolds(np.arange(10), k=3, shuffle=True, rng=0))
    assert sorted(np.concatenate([validation for _, validation in folds])) == list(range(10))
    assert all(not set(train) & set(validation) for train, validation in folds)


def test_more_folds_than_examples_are_refused():
    with pytest.raises(ShapeError, match="k must be 2 to 3"):
        list(kfolds(np.arange(3), k=4))


@pytest.mark.parametrize("where", [slice(1, 3), np.array([4, 0, 0])])
def test_examples_are_taken_as_numpy_takes_them(where):
    x, names = np.random.default_rng(0).normal(size=(5, 2)), list("abcde")
    data = {"x": x, "pair": (x[:, 0], names)}
    assert numobs(data) == numobs(x) == numobs(names) == 5
    found = getobs(data, where)
    np.testing.assert_array_equal(found["x"], x[where])
    np.testing.assert_array_equal(found["pair"][0], x[where, 0])
    assert found["pair"][1] == list(np.array(names)[where])
    with pytest.raises(ShapeError):
        numobs((x, x[1:]))
