"""The table of a model and the size of its output, without running it."""

import numpy as np
import pytest

from flux.errors import ShapeError
from flux.functional import relu
from flux.layers import (
    LSTM,
    BatchNorm,
    Chain,
    Dense,
    Dropout,
    Embedding,
    outputsize,
    summary,
    trainmode,
)


def model():
    return Chain(Dense(4, 8, relu), Dropout(0.5), Chain(BatchNorm(8), relu), head=Dense(8, 2))


def test_the_size_of_the_output_is_found_from_shapes():
    assert outputsize(model(), (5, 4)) == (5, 2)
    assert outputsize(model(), (4,), padbatch=True) == (2,)


def test_several_inputs_and_outputs_have_their_shapes():
    assert outputsize(lambda a, b: (a, a + b), [(2, 1), (1, 3)]) == ((2, 1), (2, 3))


def test_an_array_stands_for_its_shape_and_dtype():
    class Reader:
        def __init__(self):
            self.table, self.read = Embedding(9, 4), LSTM(4, 2)

        def __call__(self, words, scale):
            return self.read(self.table(words)) * scale

    inputs = [np.zeros((3, 5), np.int64), np.ones((3, 1, 1), np.float32)]
    assert outputsize(Reader(), inputs) == (3, 5, 2)
    assert [row.output for row in summary(Reader(), inputs).rows][:2] == ["(3, 5, 2)", "(3, 5, 4)"]
    assert outputsize(Embedding(9, 4), np.zeros((2, 3), int)) == (2, 3, 4)


def test_an_input_that_does_not_fit_is_told_as_when_running():
    with pytest.raises(ShapeError, match=r"`layers\[0\]` of Chain"):
        outputsize(model(), (5, 3))


def test_nothing_changes_in_the_model_that_is_looked_at():
    chain = trainmode(model())
    before, key = chain[2][0].mean, np.asarray(chain[1].rng.key)
    outputsize(chain, (5, 4))
    summary(chain, (5, 4))
    assert chain[2][0].mean is before
    np.testing.assert_array_equal(chain[1].rng.key, key)


def test_rows_hold_names_shapes_and_counts():
    rows = summary(model(), (5, 4)).rows
    found = [(row.name, row.output, row.parameters) for row in rows]
    assert found == [
        ("", "(5, 2)", 74),
        ("0", "(5, 8)", 40),
        ("1", "(5, 8)", 0),
        ("2", "(5, 8)", 16),
        ("0", "(5, 8)", 16),
        ("1", "(5, 8)", 0),
        ("head", "(5, 2)", 18),
    ]


def test_totals_count_running_statistics_apart():
    table = summary(model())
    assert (table.parameters, table.fixed, table.bytes) == (74, 16, 360)


def test_a_shared_layer_is_counted_once():
    shared = Dense(4, 4)
    table = summary(Chain(shared, relu, shared))
    assert table.parameters == 20
    assert [row.parameters for row in table.rows] == [20, 20, 0, None]


def test_the_table_prints_as_text_and_as_html():
    table = summary(model(), (5, 4))
    assert "Dense(4, 8, relu)" in str(table)
    assert "74 parameters and 16 fixed, 360 B" in str(table)
    assert table._repr_html_().startswith("<pre")


def test_an_object_without_a_repr_is_shown_by_its_class():
    class Scaled:
        def __init__(self):
            self.factor = np.ones(2, np.float32)

        def __call__(self, x):
            return self.factor * x

    chain = Chain(Scaled(), Dense(2, 1))
    assert repr(chain).splitlines()[1] == "  Scaled(...),  # 2 parameters"
    assert summary(chain).rows[1].layer == "Scaled(...)"
