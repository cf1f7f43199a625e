"""One-hot rows and back."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from flux.data import onecold, onehot, onehotbatch
from flux.errors import LabelError, ShapeError


def test_onecold_inverts_onehotbatch():
    labels = ["cat", "dog", "cow"]
    words = ["dog", "cow", "cat", "dog"]
    assert onecold(onehotbatch(words, labels), labels).tolist() == words


def test_labels_of_any_rank_get_a_new_last_axis():
    rows = onehotbatch(np.array([[0, 1], [2, 0]]), 3)
    assert rows.shape == (2, 2, 3)
    assert rows.dtype == np.float32
    np.testing.assert_array_equal(onecold(rows), [[0, 1], [2, 0]])


def test_an_unknown_label_is_named_with_the_allowed_ones():
    with pytest.raises(LabelError, match=r"label 'x' is not one of the labels 'a', 'b'"):
        onehot("x", ["a", "b"])


def test_a_number_out_of_range_is_named_with_the_range():
    with pytest.raises(LabelError, match=r"label 10 .* 0 to 9"):
        onehotbatch([3, 10], 10)


def test_a_default_stands_for_unknown_labels():
    assert onehot("x", ["a", "other"], default="other").tolist() == [0, 1]


def test_onecold_refuses_a_row_of_nan():
    with pytest.raises(LabelError, match="row 1"):
        onecold(np.array([[0.0, 1.0], [np.nan, 1.0]]))


def test_onecold_wants_a_label_for_each_entry():
    with pytest.raises(ShapeError, match="2 labels for rows of 3 entries"):
        onecold(np.eye(3), ["a", "b"])


def test_both_work_in_a_compiled_function():
    rows = jax.jit(lambda y: onehotbatch(y, 3))(jnp.array([2, 0]))
    assert rows.tolist() == [[0, 0, 1], [1, 0, 0]]
    assert jax.jit(onecold)(rows).tolist() == [2, 0]


def test_one_label_is_a_row_of_the_identity():
    classes = ["cat", "dog", "emu"]
    rows = [onehot(label, classes) for label in classes]
    np.testing.assert_array_equal(rows, np.eye(3))
    np.testing.assert_array_equal(onehot(2, 4), np.eye(4)[2])
