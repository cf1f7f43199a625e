"""DataLoader: batches, orders, the thread that works ahead, and what it refuses."""

import threading
import time

import jax.numpy as jnp
import numpy as np
import pytest

from flux.data import DataLoader
from flux.errors import ShapeError


def test_batches_cover_the_data_in_order():
    batches = list(DataLoader(np.arange(7), batchsize=3))
    assert [batch.tolist() for batch in batches] == [[0, 1, 2], [3, 4, 5], [6]]


def test_partial_false_leaves_the_incomplete_batch_out():
    loader = DataLoader(np.arange(7), batchsize=3, partial=False)
    assert len(loader) == 2
    assert [len(batch) for batch in loader] == [3, 3]


def test_the_length_counts_the_batches():
    assert len(DataLoader(np.arange(7), batchsize=3)) == 3
    assert len(DataLoader(np.arange(6), batchsize=3)) == 2


def test_a_tuple_goes_in_step():
    x, y = np.arange(10), np.arange(10) * 2
    for a, b in DataLoader((x, y), batchsize=4, shuffle=True, rng=0):
        np.testing.assert_array_equal(2 * a, b)


def test_dicts_and_nested_tuples_keep_their_form():
    data = {"x": (np.arange(4), np.zeros((4, 2))), "y": jnp.arange(4)}
    batch = next(iter(DataLoader(data, batchsize=3)))
    assert batch["x"][1].shape == (3, 2)
    assert isinstance(batch["y"], jnp.ndarray)


def test_every_epoch_has_an_order_of_its_own():
    loader = DataLoader(np.arange(100), batchsize=100, shuffle=True, rng=0)
    first, second = next(iter(loader)), next(iter(loader))
    assert first.tolist() != second.tolist()
    assert sorted(first) == sorted(second) == list(range(100))


def test_one_seed_gives_the_same_epochs():
    def epochs():
        loader = DataLoader(np.arange(20), batchsize=20, shuffle=True, rng=3)
        return [next(iter(loader)).tolist() for _ in range(3)]

    assert epochs() == epochs()


def test_setting_the_epoch_continues_in_the_same_order():
    whole = DataLoader(np.arange(20), batchsize=20, shuffle=True, rng=3)
    orders = [next(iter(whole)).tolist() for _ in range(3)]
    resumed = DataLoader(np.arange(20), batchsize=20, shuffle=True, rng=3)
    resumed.epoch = 2
    assert next(iter(resumed)).tolist() == orders[2]


def test_a_sequence_of_examples_is_stacked():
    examples = [(np.full(2, i), i) for i in range(4)]
    x, y = next(iter(DataLoader(examples, batchsize=3)))
    assert x.shape == (3, 2)
    assert y.tolist() == [0, 1, 2]


def test_collate_makes_the_batch_of_a_list():
    def pad(rows):
        return [row + [0] * (3 - len(row)) for row in rows]

    loader = DataLoader([[1], [1, 2], [1, 2, 3]], batchsize=3, collate=pad)
    assert next(iter(loader)) == [[1, 0, 0], [1, 2, 0], [1, 2, 3]]


def test_collate_false_leaves_the_list():
    batch = next(iter(DataLoader((np.arange(3), "abc"), batchsize=2, collate=False)))
    assert batch == [(0, "a"), (1, "b")]


@pytest.mark.parametrize("prefetch", [0, 1, 5])
def test_prefetch_changes_nothing_but_time(prefetch):
    loader = DataLoader(np.arange(10), batchsize=3, shuffle=True, rng=1, prefetch=prefetch)
    plain = DataLoader(np.arange(10), batchsize=3, shuffle=True, rng=1, prefetch=0)
    assert [b.tolist() for b in loader] == [b.tolist() for b in plain]


class Failing:
    """A sequence whose third example cannot be read."""

    def __len__(self):
        return 6

    def __getitem__(self, i):
        if i == 2:
            raise OSError("unreadable example")
        return i


def test_an_exception_in_the_thread_arrives_after_the_batches_before_it():
    batches = iter(DataLoader(Failing(), batchsize=2))
    assert next(batches).tolist() == [0, 1]
    with pytest.raises(OSError, match="unreadable example"):
        next(batches)


def test_the_thread_ends_when_the_loop_ends_early():
    before = threading.active_count()
    for _ in DataLoader(np.arange(1000), batchsize=1):
        break
    deadline = time.monotonic() + 5
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threading.active_count() <= before


def test_empty_data_are_refused():
    with pytest.raises(ShapeError, match="empty"):
        DataLoader(np.zeros((0, 3)))


def test_entries_of_different_length_are_named_with_their_counts():
    with pytest.raises(ShapeError, match="entry 0 has 3, entry 1 has 4"):
        DataLoader((np.zeros(3), np.zeros(4)))


def test_too_few_examples_for_one_whole_batch_are_refused():
    with pytest.raises(ShapeError, match="3 examples do not fill one batch of 4"):
        DataLoader(np.zeros(3), batchsize=4, partial=False)


def test_examples_of_different_shape_are_refused_with_a_way_out():
    with pytest.raises(ShapeError, match="collate"):
        list(DataLoader([np.zeros(2), np.zeros(3)], batchsize=2))


@pytest.mark.parametrize("batchsize", [0, -1, 2.5, True])
def test_a_batchsize_that_is_no_count_is_refused(batchsize):
    with pytest.raises(ValueError, match="batchsize"):
        DataLoader(np.zeros(3), batchsize=batchsize)
