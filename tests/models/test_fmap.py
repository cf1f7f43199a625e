"""New models over other arrays: sharing, closures, containers of every kind."""

import dataclasses
import functools
from collections import deque, namedtuple

import jax.numpy as jnp
import numpy as np
import pytest

import flux

Pair = namedtuple("Pair", "left right")


@dataclasses.dataclass(frozen=True)
class Affine:
    weight: np.ndarray
    bias: np.ndarray | None = None

    def __post_init__(self):
        object.__setattr__(self, "made", True)

    def __call__(self, x):
        y = x * self.weight
        return y if self.bias is None else y + self.bias


ONES = np.ones(2)


def doubled(model):
    return flux.fmap(lambda a: 2 * a, model)


def test_a_new_model_leaves_the_old_one_as_it_is():
    model = flux.Chain(flux.Dense(2, 3, flux.relu), [np.ones(1)].append, flux.BatchNorm(3))
    old = model[0].weight
    new = doubled(model)
    assert type(new) is flux.Chain
    assert new[0].activation is flux.relu
    assert model[0].weight is old
    np.testing.assert_array_equal(new[0].weight, 2 * old)
    np.testing.assert_array_equal(new[2].var, 2 * np.ones(3))


def test_what_is_shared_stays_shared():
    array, layer = np.ones(2), flux.Dense(2, 2)
    calls = []
    model = {"a": [array, layer], "b": (array, layer), "self": None}
    model["self"] = model
    new = flux.fmap(lambda a: calls.append(a) or a + 1, model)
    assert new["a"][0] is new["b"][0] is not array
    assert new["a"][1] is new["b"][1] is not layer
    assert new["self"] is new
    assert len(calls) == 3


@pytest.mark.parametrize(
    ("model", "read"),
    [
        (Affine(np.ones(2)), lambda m: m.weight),
        (Pair(np.ones(2), abs), lambda m: m.left),
        (deque([np.ones(2)], maxlen=3), lambda m: m[0]),
        ([{"a": (1, np.ones(2))}], lambda m: m[0]["a"][1]),
        (functools.partial(max, np.ones(2)), lambda m: m.args[0]),
        (Affine(np.ones(2)).__call__, lambda m: m.__self__.weight),
        (lambda x, w=ONES: w * x, lambda m: m.__defaults__[0]),
    ],
    ids=["frozen", "named tuple", "deque", "nested", "partial", "method", "default"],
)
def test_every_kind_of_container_is_made_anew(model, read):
    new = doubled(model)
    assert type(new) is type(model)
    np.testing.assert_array_equal(read(new), [2, 2])
    np.testing.assert_array_equal(read(model), [1, 1])


def test_closures_are_made_anew_and_may_know_themselves():
    weight = np.ones(2)

    def power(x, n):
        return x if n == 0 else weight * power(x, n - 1)

    new = doubled(power)
    np.testing.assert_array_equal(new(1.0, 3), [8, 8])
    np.testing.assert_array_equal(power(1.0, 3), [1, 1])
    assert new.__closure__[0].cell_contents is new  # and not the old one


def test_init_does_not_run():
    class Counted:
        count = 0

        def __init__(self):
            Counted.count += 1
            self.weight = np.ones(2)

    assert doubled(Counted()).weight.sum() == 4
    assert Counted.count == 1


def test_modules_are_what_can_be_called_each_once_parents_first():
    dense = flux.Dense(2, 2)
    inner = flux.Chain(dense, flux.Dropout(0.5))
    model = flux.Chain([dense, flux.SkipConnection(inner, jnp.add)])
    assert flux.modules(model) == [model, dense, model[1], inner, inner[1]]


def test_modules_are_found_in_closures_and_dicts():
    parts = {"a": flux.Dense(2, 2), "b": [flux.BatchNorm(2)]}

    def model(x):
        return parts["b"][0](parts["a"](x))

    assert flux.modules(model) == [parts["a"], parts["b"][0]]


def test_running_statistics_are_no_trainables():
    model = flux.Chain(flux.Dense(2, 3, bias=False), flux.BatchNorm(3))
    found = flux.trainables(model, path=True)
    assert list(found) == ["layers[0].weight", "layers[1].scale", "layers[1].shift"]
    assert found["layers[0].weight"] is model[0].weight
    assert [a is b for a, b in zip(flux.trainables(model), found.values(), strict=True)] == [
        True
    ] * 3
