"""NumPy arrays that compiled functions change: right, or refused where others see them."""

import jax.numpy as jnp
import numpy as np
import pytest

import flux

NOW = (jnp.float32(0.25), jnp.float32(0.5))


def in_one_side(x, y):
    total = np.zeros(3) + 0.25
    if y > 1:
        pass
    else:
        total *= 2
    return x + total.sum()


def an_item_in_one_side(x, y):
    total = np.zeros(3)
    if y > 0:
        total[1] = 2
        total[1:] += 1
    return x + total.sum()


def a_row_in_one_side(x, y):
    table = np.zeros((3, 2))
    if y > 0:
        table[1][0] = 2
    return x + table.sum()


def in_a_loop(x, y):
    total = np.zeros(3)
    while y < 3:
        total[0] = total[0] + 1
        total += y
        y = y + 1
    return x + total.sum()


def traced_values(x, y):
    total = np.zeros(3)
    total[0] = y
    total += x
    return total.sum()


FREE = [in_one_side, an_item_in_one_side, a_row_in_one_side, in_a_loop, traced_values]


@pytest.mark.parametrize("f", FREE, ids=lambda f: f.__name__)
def test_a_write_that_nobody_else_sees(f):
    expected = f(*map(float, NOW))
    np.testing.assert_allclose(flux.jit(f)(*NOW), expected, rtol=1e-6)
    value, grads = flux.jit(lambda x, y: flux.withgradient(f, x, y))(*NOW)
    np.testing.assert_allclose(value, expected, rtol=1e-6)
    np.testing.assert_allclose(grads, flux.gradient(f, *map(float, NOW)), rtol=1e-6)


def another_name(x, y):
    total = np.zeros(3)
    same = total
    total[0] = y
    return x + same.sum()


def a_view(x, y):
    table = np.zeros((3, 2))
    row = table[1]
    row[0] = y
    return x + table.sum()


def fill(array, value):
    array[0] = value


def a_callee(x, y):
    total = np.zeros(3)
    fill(total, y)
    return x + total.sum()


def another_name_in_a_branch(x, y):
    total = np.zeros(3)
    same = total
    if y < 1:
        total += 1
    return x + same.sum()


def another_name_in_a_loop(x, y):
    total = np.zeros(3)
    same = total
    while y < 3:
        total[0] = y
        y = y + 1
    return x + same.sum()


def another_name_of_a_result(x, y):
    wave = np.sin(x * jnp.ones(3))
    same = wave
    wave[0] = y
    return same.sum()


SEEN = [
    another_name,
    a_view,
    a_callee,
    another_name_in_a_branch,
    another_name_in_a_loop,
    another_name_of_a_result,
]


@pytest.mark.parametrize("f", SEEN, ids=lambda f: f.__name__)
def test_a_write_that_others_see_is_refused(f):
    with pytest.raises(flux.StagingError, match="others may see"):
        flux.jit(f)(*NOW)
    with pytest.raises(flux.StagingError, match="others may see"):
        flux.jit(lambda x, y: flux.gradient(f, x, y))(*NOW)


def test_the_array_of_the_caller_under_another_name():
    def f(x):
        h = x
        h += 1
        return h.sum()

    with pytest.raises(flux.StagingError, match="the caller holds it"):
        flux.jit(f)(np.ones(3, np.float32))
    assert flux.jit(f)(jnp.ones(3)) == 6


def a_view_of_another_shape(x, y):
    table = np.zeros((2, 2))
    flat = table.reshape(-1)
    flat[0] = y
    return table


def rows_of_a_table(x, y):
    table = np.zeros((2, 2))
    for row in table:
        row += y
    return table


def an_array_of_numbers(x, y):
    table = np.ones(4) * np.float32(2)
    square = table.reshape(2, 2)
    square[0, 0] = y
    return table


def test_a_view_that_is_handed_on_after_the_last_write():
    def thrown(x):
        place, n = np.zeros(2), 0
        while place[1] < 1:
            place += x
            n += 1
        return place[0], n

    x = np.array([0.5, 0.3], np.float32)
    (place, n), (grad,) = flux.jit(lambda x: flux.withgradient(thrown, x))(x)
    assert (place, n) == (2, 4)
    assert grad.tolist() == [4, 0]


@pytest.mark.parametrize("f", [a_view_of_another_shape, rows_of_a_table, an_array_of_numbers])
def test_a_write_to_a_view_of_what_is_returned_is_refused(f):
    with pytest.raises(flux.StagingError, match="others may see"):
        flux.jit(f)(*map(np.float32, NOW))
    with pytest.raises((flux.StagingError, flux.NotDifferentiable), match="others may see"):
        flux.jit(lambda x, y: flux.gradient(lambda x, y: f(x, y).sum(), x, y))(*NOW)


def by_a_method(x):
    y = x * 1
    y.sort()
    return y


def by_a_ufunc(x):
    y = x * 1
    np.exp(y, out=y)
    return y


def by_copying(x):
    y = np.zeros(3)
    np.copyto(y, x)
    return y


def by_filling(x):
    y = np.zeros(3)
    y.fill(x[0])
    return y


@pytest.mark.parametrize("f", [by_a_method, by_a_ufunc, by_copying, by_filling])
def test_functions_that_change_an_array_are_refused(f):
    x = np.asarray([3.0, 1.0, 2.0], np.float32)
    with pytest.raises(flux.StagingError, match="changes a NumPy array in place"):
        flux.jit(f)(x)


def test_indices_of_numpys_arrays_are_numpys():
    x = np.asarray([3.0, 1.0, 2.0], np.float32)
    assert flux.jit(lambda x: x[[2, 0]])(x).tolist() == [2, 3]
    for index in (3, -4):
        with pytest.raises(IndexError, match="out of bounds"):
            flux.jit(lambda x, index=index: x[index])(x)


def test_an_array_that_was_made_one_of_jaxs_may_be_written_to():
    def f(x):
        y = jnp.asarray(x)
        same = y
        y += 1
        return (same * y).sum()

    x = np.asarray([3.0, 1.0], np.float32)
    assert flux.jit(f)(x) == 14
    assert flux.jit(lambda x: flux.gradient(f, x)[0])(x).tolist() == [7, 3]


def test_a_list_of_places_is_written_to_an_array_of_numpy():
    def f(x):
        y = np.zeros(3)
        y[[0, 2]] = [x[0] * 2, x[1]]
        return y

    x = np.array([3.0, 4.0], np.float32)
    assert np.array_equal(flux.jit(f)(x), f(x))
