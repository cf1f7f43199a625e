"""The embedded data sets are whole, and their split is fixed."""

import numpy as np
import pytest

from flux.data.datasets import diabetes, digits, iris


def test_the_digits_are_all_there_between_zero_and_one():
    images, labels = digits()
    assert images.shape == (1797, 8, 8)
    assert images.dtype == np.float32
    assert (images.min(), images.max()) == (0, 1)
    assert np.bincount(labels).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]


def test_the_held_out_fifth_has_the_same_share_of_each_digit():
    held_out, all_labels = digits("test")[1], digits()[1]
    np.testing.assert_array_equal(np.bincount(held_out), np.bincount(all_labels) // 5)


@pytest.mark.parametrize("data", [digits, iris, diabetes])
def test_the_two_parts_make_the_whole(data):
    parts = np.concatenate([data("train")[0], data("test")[0]])
    whole = data()[0]
    assert len(parts) == len(whole)
    np.testing.assert_allclose(parts.sum(0), whole.sum(0), rtol=1e-4)


def test_an_unknown_part_is_refused():
    with pytest.raises(ValueError, match="split"):
        digits("validation")
