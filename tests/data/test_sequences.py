"""Padding, windows, and classes of equal size."""

import numpy as np
import pytest

import flux
from flux.data import mapobs, oversample, pad_sequences, slidingwindow, undersample
from flux.errors import ShapeError


def test_padding_leaves_the_sequences_and_fills_the_rest(rng):
    sequences = [rng.normal(size=(t, 2)).astype(np.float32) for t in (3, 0, 5)]
    batch, lengths = pad_sequences(sequences, -1)
    assert (batch.shape, batch.dtype, lengths.tolist()) == ((3, 5, 2), np.float32, [3, 0, 5])
    for row, sequence, length in zip(batch, sequences, lengths, strict=True):
        np.testing.assert_array_equal(row[:length], sequence)
        assert (row[length:] == -1).all()


@pytest.mark.parametrize(
    ("options", "total"), [({}, 3), ({"length": 6}, 6), ({"multiple": 4}, 4), ({"multiple": 3}, 3)]
)
def test_the_length_of_a_padded_batch(options, total):
    assert pad_sequences([[1], [1, 2, 3]], **options)[0].shape == (2, total)


def test_the_dtype_of_a_padded_batch():
    assert pad_sequences([[0.5], []])[0].dtype == np.float32
    assert pad_sequences([[], [2]])[0].dtype == np.int64
    assert pad_sequences([np.zeros(2, np.uint8), np.zeros(1, np.uint8)])[0].dtype == np.uint8


@pytest.mark.parametrize(
    ("sequences", "options", "message"),
    [
        ([], {}, "no sequence"),
        ([[1, 2], [1, 2, 3]], {"length": 2}, "sequence 1 is 3 long, and length is 2"),
        ([np.zeros((2, 3)), np.zeros((2, 4))], {}, r"got \(3,\) and \(4,\)"),
        ([1, 2], {}, "single value 1"),
    ],
)
def test_what_cannot_be_padded(sequences, options, message):
    with pytest.raises(ShapeError, match=message):
        pad_sequences(sequences, **options)


def test_a_recurrent_layer_sees_no_difference_between_padded_and_single(rng):
    sequences = [rng.normal(size=(t, 3)).astype(np.float32) for t in (4, 2)]
    layer = flux.LSTM(3, 5)
    batch, lengths = pad_sequences(sequences)
    together = np.asarray(layer(batch, lengths=lengths))
    for row, sequence in zip(together, sequences, strict=True):
        np.testing.assert_allclose(row[: len(sequence)], layer(sequence[None])[0], atol=1e-6)


@pytest.mark.parametrize("stride", [1, 3])
def test_windows_are_the_pieces_and_no_copy(stride):
    data = np.arange(20).reshape(10, 2)
    windows = slidingwindow({"x": data}, 4, stride)["x"]
    expected = np.stack([data[i : i + 4] for i in range(0, 7, stride)])
    np.testing.assert_array_equal(windows, expected)
    assert np.shares_memory(windows, data)


def test_windows_that_there_are_not():
    with pytest.raises(ShapeError, match="3 examples have no piece of 4"):
        slidingwindow(np.arange(3), 4)
    with pytest.raises(ValueError, match="stride"):
        slidingwindow(np.arange(3), 2, 0)


def test_classes_of_equal_size(rng):
    labels = rng.permutation([0] * 7 + [1] * 3 + [2] * 2)
    data = np.arange(12)
    more, of_more = oversample(data, labels, rng=0)
    assert np.bincount(of_more).tolist() == [7, 7, 7]
    np.testing.assert_array_equal(labels[more], of_more)
    times = np.bincount(more)
    assert all(np.ptp(times[labels == label]) <= 1 for label in range(3))
    fewer, of_fewer = undersample((data, labels), labels, rng=0)
    assert np.bincount(of_fewer).tolist() == [2, 2, 2]
    np.testing.assert_array_equal(fewer[1], of_fewer)
    assert len(set(fewer[0])) == 6
    with pytest.raises(ShapeError, match="one label for each of the 12"):
        oversample(data, labels[:3])


def test_a_function_of_examples_is_called_when_they_are_asked_for():
    asked = []

    def double(x):
        asked.append(x)
        return 2 * x

    data = mapobs(double, [1, 2, 3])
    assert asked == []
    assert [x.tolist() for x in flux.DataLoader(data, 2)] == [[2, 4], [6]]
    assert list(data) == [2, 4, 6]
