"""DataLoader: batches, orders, the thread that works ahead, and what it refuses."""

import json
import threading
import time

import jax.numpy as jnp
import numpy as np
import pytest

import flux
from flux.data import DataLoader
from flux.errors import FluxError, ShapeError


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
    with pytest.raises(OSError, match="unreadable example") as caught:
        next(batches)
    assert "at example 2 of the data" in caught.value.__notes__[0]
    assert "batch 1, of examples 2, 3, from 0" in caught.value.__notes__[1]
    with pytest.raises(StopIteration):
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


# The place in the data


def orders(loader, epochs=1):
    return [[batch.tolist() for batch in loader] for _ in range(epochs)]


@pytest.mark.parametrize("prefetch", [0, 3])
def test_the_place_is_that_of_the_batches_handed_out(prefetch):
    loader = DataLoader(np.arange(10), 3, shuffle=True, rng=0, prefetch=prefetch)
    batches = iter(loader)
    seen = [next(batches).tolist() for _ in range(2)]
    state = json.loads(json.dumps(loader.state_dict()))
    rest = [batch.tolist() for batch in batches]
    later = orders(loader, 2)
    again = DataLoader(np.arange(10), 3, shuffle=True, rng=7)
    again.load_state_dict(state)
    assert orders(again, 3) == [rest, *later]
    assert sorted(sum(seen + rest, [])) == list(range(10))


def test_between_loops_the_place_is_the_next_one():
    loader = DataLoader(np.arange(10), 3, shuffle=True, rng=0)
    list(loader)
    next(iter(loader))  # a loop that nobody goes on with is over
    again = DataLoader(np.arange(10), 3, shuffle=True)
    again.load_state_dict(loader.state_dict())
    assert orders(again, 2) == orders(loader, 2)


def test_a_loop_within_a_loop_has_a_place_of_its_own():
    loader = DataLoader(np.arange(10), 3, shuffle=True, rng=0)
    outer = iter(loader)
    next(outer)
    list(loader)
    again = DataLoader(np.arange(10), 3, shuffle=True)
    again.load_state_dict(outer.state_dict())
    assert orders(again, 2) == [[batch.tolist() for batch in outer], *orders(loader)]


def test_the_place_of_another_loader_is_refused():
    state = DataLoader(np.arange(10), 3).state_dict()
    with pytest.raises(ValueError, match="examples=10; this one has examples=9"):
        DataLoader(np.arange(9), 3).load_state_dict(state)


# Examples without an index


class Stream:
    """Five examples, of which the fourth fails if it should."""

    def __init__(self, failing=False):
        self.failing = failing

    def __iter__(self):
        for i in range(5):
            if i == 3 and self.failing:
                raise OSError("unreadable example")
            yield i, str(i)


def test_an_iterable_is_cut_into_batches():
    loader = DataLoader(Stream(), 2)
    assert [(x.tolist(), y) for x, y in loader] == [
        ([0, 1], ["0", "1"]), ([2, 3], ["2", "3"]), ([4], ["4"])
    ]  # fmt: skip
    assert len(list(DataLoader(Stream(), 2, partial=False))) == 2
    assert list(DataLoader({7}, 2, collate=False)) == [[7]]
    assert repr(loader) == "DataLoader(examples, batchsize=2)"
    with pytest.raises(TypeError, match="Stream does not tell"):
        len(loader)


def test_an_iterable_goes_on_at_its_place():
    loader = DataLoader(Stream(), 2, collate=len)
    batches = iter(loader)
    next(batches)
    again = DataLoader(Stream(), 2, collate=len)
    again.load_state_dict(loader.state_dict())
    assert [list(again), list(again)] == [[2, 1], [2, 2, 1]]


def test_the_example_that_fails_is_named_and_so_is_the_batch_that_cannot_be_made():
    with pytest.raises(OSError, match="unreadable") as caught:
        list(DataLoader(Stream(failing=True), 2))
    assert caught.value.__notes__ == ["This happened at example 3 of the data, from 0."]
    with pytest.raises(TypeError) as caught:
        list(DataLoader(Stream(), 2, collate=lambda pairs: sum(pairs)))
    assert "batch 0, of examples 0, 1" in caught.value.__notes__[0]


def test_what_cannot_be_shuffled_or_makes_batches_itself_is_refused():
    with pytest.raises(FluxError, match="cannot shuffle a Stream"):
        DataLoader(Stream(), 2, shuffle=True)
    with pytest.raises(FluxError, match="got a DataLoader, which makes batches itself"):
        DataLoader(DataLoader(np.arange(3)))
    with pytest.raises(ShapeError, match="single number"):
        DataLoader(np.array(3.0))


# PyTorch's data


class Rows:
    """A data set as PyTorch's documentation describes one; it may be asked for many at once."""

    asked: list

    def __len__(self):
        return 5

    def __getitem__(self, i):
        return {"x": torch().full((2,), float(i)), "y": i}

    def __getitems__(self, places):
        self.asked = places
        return [self[i] for i in places]


def torch():
    return pytest.importorskip("torch")


def test_a_torch_data_set_is_stacked_and_asked_for_a_batch_at_once():
    data = torch().utils.data
    tensors = data.TensorDataset(torch().arange(6.0).reshape(3, 2), torch().arange(3))
    x, y = next(iter(DataLoader(tensors, 2)))
    assert (x.tolist(), y.tolist()) == ([[0, 1], [2, 3]], [0, 1])
    assert isinstance(x, np.ndarray)
    rows = Rows()
    batch = next(iter(DataLoader(rows, 2, prefetch=0)))
    assert (batch["x"].shape, batch["y"].tolist(), rows.asked) == ((2, 2), [0, 1], [0, 1])

    class Iterable(data.IterableDataset):
        def __iter__(self):
            return iter(range(3))

    assert [batch.tolist() for batch in DataLoader(Iterable(), 2)] == [[0, 1], [2]]
    with pytest.raises(FluxError, match="makes batches itself"):
        DataLoader(data.DataLoader(rows))


@pytest.mark.parametrize("own", [False, True])
def test_a_model_is_trained_on_a_torch_loader_of_dicts(own):
    loader = DataLoader if own else torch().utils.data.DataLoader
    line = {"slope": np.zeros(2, np.float32)}

    def loss(line, batch):
        return ((line["slope"] * batch["x"] - batch["x"]) ** 2).mean()

    opt = flux.setup(flux.optim.Descent(0.05), line)
    flux.train(loss, line, loader(Rows(), 2), opt, epochs=30, progress=False)
    np.testing.assert_allclose(line["slope"], [1, 1], atol=1e-3)
