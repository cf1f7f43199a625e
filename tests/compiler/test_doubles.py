"""Objects that a branch or a loop of unknown length replaces, where only the data decide."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import flux


class State:
    def __init__(self, value, item):
        self.value, self.items = value, [item]


def new_list(x):
    a = [x, 2 * x]
    b = a
    if x > 1:
        a = [x * x, x]
    return a[0] + a[1] * b[0]


def one_of_two(x):
    a, b = State(x, 2.0), State(x * x, x)
    best = a if x > 1 else b
    return best.value * best.items[0] + a.value


def inside_another(x):
    a, b = [x, 2 * x], [x * 3, x]
    if x > 1:
        a = b if x > 2 else [x * 5, x]
    return a[0] * a[1] + b[0]


def in_a_dict(x):
    d = {"a": [x], "b": [x * x]}
    if x > 1:
        d["a"] = d["b"]
    return d["a"][0] * 2 + d["b"][0]


def in_a_loop(x):
    state = State(x, 2.0)
    first = state
    for _ in range(4):
        if state.value > 2:
            state = State(state.value * 0.5, x)
    return state.value * state.items[0] + first.value


def in_a_while(x):
    state = State(x, 2.0)
    first = state
    while state.value < 5:
        if x > 2:
            state = State(state.value * 2 + x, state.value)
        else:
            state = State(state.value * 3, x)
    return state.value * state.items[0] + first.value


def twice_removed(x):
    a = [x, 2 * x]
    b = a
    for _ in range(3):
        if a[0] > 2:
            a = [x * x, x]
        b = [a[0], b[1]] if a[1] > 1 else a
    return a[0] + b[1]


@pytest.mark.parametrize("x", [0.5, 1.5, 3.0, 7.0])
@pytest.mark.parametrize(
    "f",
    [new_list, one_of_two, inside_another, in_a_dict, in_a_loop, in_a_while, twice_removed],
)
def test_contents_and_gradients_are_those_of_the_object_that_it_is(f, x):
    expected = flux.withgradient(f, x)
    with jax.enable_x64(True):
        found = flux.jit(lambda x: flux.withgradient(f, x))(jnp.float64(x))
    np.testing.assert_allclose(jax.tree.leaves(found), jax.tree.leaves(expected), rtol=1e-12)


def test_the_second_derivative_goes_through_a_replaced_object():
    def slope(x):
        return flux.gradient(one_of_two, x)[0]

    with jax.enable_x64(True):
        for x in (0.5, 1.5):
            found = flux.jit(lambda x: flux.gradient(slope, x)[0])(jnp.float64(x))
            expected = 6 * x if x < 1 else 0.0  # of x**3 + x, and of 3 * x
            np.testing.assert_allclose(found, expected, atol=1e-12)


def changed_later(x):
    a = [x, 2 * x]
    b = a
    if x > 1:
        a = [x * x, x]
    a[0] = 3 * x
    return a[0] + b[0]


def original_changed(x):
    a = [x, 2 * x]
    b = a
    if x > 1:
        a = [x * x, x]
    b[0] = 3 * x
    return a[0] + b[0]


def changed_in_the_dict(x):
    d = {"a": [x], "b": [x * x]}
    if x > 1:
        d["a"] = d["b"]
    d["a"][0] = x * 7
    return d["a"][0] * 2 + d["b"][0]


def changed_by_a_function(x):
    a = [x, 2 * x]
    b = a
    if x > 1:
        a = [x * x, x]

    def double():
        a[0] = a[0] * 2

    if x > 0:
        double()
    return a[0] + b[0]


def changed_after_a_while(x):
    state = State(x, 2.0)
    first = state
    while state.value < 5:
        state = State(state.value * 2, x)
    state.value = state.value + 1
    return state.value + first.value


@pytest.mark.parametrize(
    "f",
    [
        changed_later,
        original_changed,
        changed_in_the_dict,
        changed_by_a_function,
        changed_after_a_while,
    ],
)
def test_a_change_of_one_of_them_is_refused(f):
    with pytest.raises(flux.StagingError, match="changed afterwards"):
        flux.jit(f)(jnp.float32(1.5))


def test_which_of_them_it_is_cannot_be_asked():
    def same(x):
        a = [x, 2 * x]
        b = a
        if x > 1:
            a = [x * x, x]
        return x if a is b else 2 * x

    with pytest.raises(flux.StagingError, match="are the same is asked"):
        flux.jit(same)(jnp.float32(1.5))


def test_the_caller_must_be_able_to_tell_them_apart():
    def better(a, b):
        return a if a["loss"] < b["loss"] else b

    a, b = {"loss": jnp.ones(())}, {"loss": jnp.zeros(())}
    with pytest.raises(flux.StagingError, match="could not tell"):
        flux.jit(better)(a, b)

    def copied(a, b):
        best = a if a["loss"] < b["loss"] else b
        return {"loss": best["loss"]}

    assert flux.jit(copied)(a, b)["loss"] == 0
