"""Changing arrays: NumPy's in place, JAX's by a new array under the old name."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from scipy.special import gamma, logsumexp

import flux
from flux.ad.check import check_rule

X = np.arange(6.0) + 1


class Box:
    pass


def item_in_a_loop(x):
    y = np.zeros(6)
    for i in range(6):
        y[i] = x[i] * 2 + y[i - 1]
    return np.sum(y * y)


def stencil(x):
    u = x * 1.0
    for _ in range(3):
        u[1:-1] += 0.1 * (u[2:] * u[:-2] - 2 * u[1:-1])
    return np.sum(u * u)


def kept_by_the_reverse_pass(x):
    y, total = np.zeros(6), 0.0
    for i in range(6):
        y[i] = x[i]
        total = total + np.sum(y * y * y)
    return total


def operators(x):
    y = np.tanh(x)
    y += x
    y *= x
    y /= 3
    y -= x[0]
    y **= 2
    return np.sum(y)


def repeated_places(x):
    y = np.zeros((3, 3))
    y[[0, 0, 1]] = x.reshape(2, 3)[0]
    y[1][2] = 3 * x[3]
    y[y > 2.5] = x[0]
    return np.sum(y * y)


def in_an_object(x):
    box = Box()
    box.values = np.zeros(6)
    box.values[2] = x[1]
    box.values[3:] += x[3:]
    box.values += x
    return np.sum(box.values**2)


def branches(x):
    out = np.empty((4, 6))
    for i in range(4):
        for j in range(6):
            if j % 2:
                out[i, j] = x[j] ** i
            else:
                out[i, j] = i * x[j]
    return np.sum(out**2)


def counts_and_scalars(x):
    s, n = np.zeros(()), np.zeros(3, int)
    s += x.sum()
    n[1] += 2
    return s * n[1]


def made_in_every_iteration(x):
    rows = []
    for i in range(3):
        row = np.zeros(3)
        row[i] = x[i]
        rows.append(row)
    return np.sum(np.stack(rows) @ x[:3])


def lists_of_numbers(x):
    y = np.zeros((2, 3))
    y[0] = [x[0], 2.0, x[1] ** 2]
    y[:, 1:] += ((x[2], x[3]), [x[0], 1.0])
    y += [x[4], x[5], 0.5]
    y[1, :2] -= (x[0], x[1])
    y = [x[1], 2.0, x[0]] * y / (x[0], 1.0, 4.0)
    return np.sum(y * y)


def in_a_list_and_a_dict(x):
    tracks, i = {"place": np.zeros(6), "speeds": [np.zeros(6)]}, 0
    while x[i] < 4.5:
        tracks["place"][i] = x[i] * x[i]
        tracks["speeds"][0][i] += x[i] * tracks["place"][i]
        i += 1
    return np.sum(tracks["place"]) + np.sum(tracks["speeds"][0])


def thrown(x):
    """Its result holds a view of an array that it has changed in a loop."""
    place, track, n = x[:2] * 1.0, np.zeros((9, 2)), 0
    while place[1] < 4:
        place += 0.1 * place[0] * x[:2]
        place /= 0.9
        track[n] = place
        n += 1
    return place[:1], n, track


def kept_after_the_last_write(x):
    ahead, n, track = thrown(x)
    return ahead[0] * n + np.sum(track * track)


PROGRAMS = [item_in_a_loop, stencil, kept_by_the_reverse_pass, operators, repeated_places,
            in_an_object, branches, counts_and_scalars, made_in_every_iteration,
            lists_of_numbers, kept_after_the_last_write, in_a_list_and_a_dict]  # fmt: skip


@pytest.mark.line(123)
@pytest.mark.line(124)
@pytest.mark.parametrize("f", PROGRAMS)
def test_first_and_second_derivative_agree_with_finite_differences(f):
    x = X.copy()
    check_rule(f, x)
    assert (x == X).all()
    if f not in (
        in_an_object,
        in_a_list_and_a_dict,
    ):  # seen from two levels, more than the object hold it
        check_rule(lambda x: np.sum(flux.gradient(f, x)[0] ** 2), x, rtol=1e-4)


def argument(x):
    y = x
    y[0] = 5.0
    return np.sum(x * x)


def view_of_the_argument(x):
    y = x.reshape(2, 3)
    y += 1
    return np.sum(y * x[0])


def second_name(x):
    y = np.zeros(6)
    z = y
    y[0] = x[0]
    return np.sum(z * z)


def earlier_view(x):
    y = np.zeros(6)
    v = y[1:]
    y[2] = x[0]
    return np.sum(v * v)


def item_of_a_list(x):
    rows = [x * 2, x * 3]
    row = rows[0]
    row += x
    return np.sum(rows[0] * row)


HELD = np.zeros(6)


def held_by_a_global(x):
    y = HELD
    y += x
    return np.sum(y * HELD)


def fill(buffer, value):
    buffer[0] = value


def by_a_helper(x):
    y = np.zeros(3)
    fill(y, x[0])
    return np.sum(y)


def captured(x):
    y = np.zeros(3)

    def put(value):
        y[0] = value

    put(x[0])
    return np.sum(y)


def kept_in_the_round_before(x):
    y, rows = np.zeros(3), []
    for i in range(3):
        y[i] = x[i]
        rows.append(y)
    return np.sum(rows[0])


def kept_before_and_after(x):
    y, early = np.zeros(3), None
    if x[0] > 0:
        early = [y]
    y[0] = x[0]
    late = (y[:1], 1)
    return np.sum(early[0]) + np.sum(late[0])


@pytest.mark.line(125)
@pytest.mark.line(126)
@pytest.mark.line(128)
@pytest.mark.parametrize("f", [argument, view_of_the_argument, second_name, earlier_view,
                               item_of_a_list, held_by_a_global, by_a_helper,
                               captured, kept_in_the_round_before,
                               kept_before_and_after])  # fmt: skip
def test_a_write_that_another_name_may_see_is_refused(f):
    x = X.copy()
    with pytest.raises(flux.NotDifferentiable, match="NumPy array") as caught:
        flux.gradient(f, x)
    assert "test_writes.py" in str(caught.value)
    assert (x == X).all()


@pytest.mark.line(127)
@pytest.mark.parametrize("f", [
    lambda x: np.add(x, 1, out=np.zeros(6)),
    lambda x: np.add.at(np.zeros(6) + x, 0, x[1]),
    lambda x: (x * 1.0).sort(),
    lambda x: (x * 1.0).fill(x[0]),
])  # fmt: skip
def test_other_ways_to_write_are_refused(f):
    with pytest.raises(flux.NotDifferentiable):
        flux.pullback(f, X.copy())


@pytest.mark.line(130)
def test_assigning_an_item_of_a_jax_array_names_the_updated_array():
    def written(x):
        y = jnp.zeros(6)
        y[0] = x[0]
        y[1:3] += x[1:3] * x[0]
        rows = [y]
        rows[0][3] = x[3]
        return jnp.sum(rows[0] ** 2) + jnp.sum(y)

    def functional(x):
        y = jnp.zeros(6).at[0].set(x[0]).at[1:3].add(x[1:3] * x[0])
        return jnp.sum(y.at[3].set(x[3]) ** 2) + jnp.sum(y)

    x = jnp.asarray(X, jnp.float32)
    assert np.allclose(flux.gradient(written, x)[0], jax.grad(functional)(x))


def test_a_loop_of_writes_fills_one_array():
    seen = []

    def f(x):
        y = np.zeros(50)
        for i in range(49):
            y[i + 1] = y[i] * 0.5 + x[i]
            seen.append(id(y))
        return y.sum()

    flux.gradient(f, np.ones(50))
    assert len(set(seen)) == 1


def of_rows(x):
    rows, total = [], 0.0
    for i in range(3):
        rows.append([x[i] * x[i + 1], 1.0])
        total = total + np.sum(np.array(rows) ** 2) + np.sin(rows)[i, 0]
    return total


def of_what_was_written(x):
    y, value, index = np.ones((2, 2)), [[x[0], x[1]], [x[2], 1.0]], [1, 0]
    y[index] = value
    y += value
    value[0][0], value[1], index[0] = 3, (x[3], 2), 0
    y[:] += value
    value.append(7)
    return np.sum(y**3)


def of_an_index(x):
    index = [0, 1]
    y = x[index] * x[np.array(index), ...]
    index[0] = 5
    index.append(2)
    return np.sum(y * [x[4], 2.0])


def of_jax_and_scipy(x):
    parts = [x[0] * x[1], x[1]]
    y = np.asarray(jnp.stack(parts)) * gamma(parts)
    parts.reverse()
    parts.append(x[2])
    z = logsumexp(parts)
    parts.clear()
    return np.sum(y) + z


def of_torch(x):
    parts = [x[0] * x[1], x[1]]
    y = torch.tensor(parts, dtype=torch.float64)
    z = [y[0] * y[1], y[1]]
    total = torch.stack(z)
    parts[0], z[1] = 3, y[0]
    parts.append(x[2])
    return (total**2).sum().item()


@pytest.mark.parametrize("f", [of_rows, of_what_was_written, of_an_index, of_jax_and_scipy,
                               of_torch])  # fmt: skip
def test_a_list_may_change_after_a_library_has_taken_it_for_an_array(f):
    with jax.enable_x64(True):
        check_rule(f, 0.5 + X / 4)
