"""Items of lists and tuples whose number only the data decide, against plain Python."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import flux

X = jnp.array([0.3, -0.7, 1.2, 0.5, -0.1])


def greatest(x):
    return int(jnp.argmax(x))


class Scale:
    def __init__(self, scale):
        self.weight = jnp.array([scale, scale * 2])

    def __call__(self, x):
        return jnp.sum(x) * jnp.sum(self.weight**2)


def arrays(x):
    return jnp.sum([x * 1.0, x * x, x * 3.0][greatest(x)])


def from_the_end(x):
    return (x[0], x[1] * 2, x[2] * 3.0)[-greatest(x) - 1] * x[3]


def by_truth(x):
    return (x[0], x[1] * x[2])[bool(x[3] > 0)]


def nested(x):
    table = [[x[0], x[1]], [x[2], x[3] * 2]]
    return table[greatest(x) % 2][1 - greatest(x) % 2]


def numbers_and_arrays(x):
    return [0, x[0], 2.5][greatest(x)] * x[1]


def functions(x):
    kept = [x * 1.5, x * x]
    choices = (
        lambda v, k=2.0: jnp.sum(kept[0] * v) * k,
        lambda v, k=3.0: jnp.sum(kept[1] * v * v) * k,
        lambda v, k=1.0: flux.relu(v).sum() * k,
    )
    total = choices[greatest(x)](x)
    for v in x:
        total = total + choices[int(v > 0)](x * v, k=v)
    return total


def objects(x):
    experts = [Scale(1.0), Scale(2.0), Scale(3.0)]
    total = 0.0
    for i in range(5):
        total = total + experts[jnp.abs(x[i] * 3).astype(int) % 3](x * i)
    return total


def methods(x):
    first, second = Scale(x[0]), Scale(x[1])
    return [first.__call__, second.__call__][greatest(x) % 2](x)


def in_a_loop(x):
    items, total, i = [x[0], x[1], x[2]], 0.0, 0
    while total < 2.0 and i < 20:
        total = total + jnp.abs(items[i % 3])
        i += 1
    return total


def written(x):
    items = [x[0], x[1], x[2]]
    items[greatest(x)] = x[3] * x[4]
    items[int(x[2]) - 2] = items[greatest(x)] * items[0]
    return items[0] * items[1] + items[2]


def histogram(x):
    counts = [0.0, 0.0, 0.0]
    for v in x:
        counts[int(jnp.abs(v) * 2)] += v * v
    return counts[0] * counts[1] + counts[2]


def by_counters(x):
    table = [[0.0] * 4 for _ in range(4)]
    for i in range(4):
        for j in range(4):
            nearest = min(table[i - 1][j], table[i][j - 1]) if i > 0 and j > 0 else 0.0
            table[i][j] = (x[i] - x[j]) ** 2 * (j + 1) + nearest
    return table[3][3] + table[1][2]


def by_small_numbers(x):
    items = [x[0] * k for k in range(200)]
    items[jnp.argmax(x).astype(jnp.uint8) - 1] = x[3] * x[3]
    return items[(jnp.argmax(x) * 40).astype(jnp.int8)] + items[1] * items[jnp.uint32(greatest(x))]


def captured(x):
    items = [x[0], x[1], x[2]]

    def put(number, value):
        items[number] = value * 2

    put(greatest(x), x[3] * x[4])
    return items[0] * items[1] + items[2]


def functions_of_before(x):
    kept = [jnp.sin, jnp.cos, jnp.tanh]
    chosen = kept[greatest(x)]
    kept[2] = kept[1] = jnp.exp
    same = [jnp.sin, jnp.sin][greatest(x) % 2]
    return chosen(x[0]) * (2.0 if same is jnp.sin else 3.0)


PROGRAMS = [
    by_small_numbers, captured, functions_of_before,
    by_counters,
    arrays, from_the_end, by_truth, nested, numbers_and_arrays, functions, objects, methods,
    in_a_loop, written, histogram,
]  # fmt: skip


@pytest.mark.parametrize("f", PROGRAMS, ids=lambda f: f.__name__)
def test_values_and_gradients_equal_those_of_plain_python(f):
    value, (slope,) = flux.withgradient(f, X)
    found, (found_slope,) = flux.jit(lambda x: flux.withgradient(f, x))(X)
    np.testing.assert_allclose([found, flux.jit(f)(X)], [value, value], rtol=1e-5)
    np.testing.assert_allclose(found_slope, slope, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("change", [lambda f: f, lambda f: lambda x: flux.gradient(f, x)])
def test_an_item_that_is_not_there_is_an_error_of_the_run(change):
    compiled = flux.jit(change(lambda x: (x[0], x[1])[greatest(x)]))
    jax.block_until_ready(compiled(X[:2]))
    with pytest.raises(IndexError, match="tuple index out of range"):
        jax.block_until_ready(compiled(X))


def test_no_item_of_an_empty_list_is_there():
    with pytest.raises(IndexError, match="list index out of range"):
        jax.block_until_ready(flux.jit(lambda x: [][greatest(x)])(X))


def test_a_long_loop_that_picks_stays_a_loop():
    def f(x):
        total = 0.0
        for v in x:
            total = total + [jnp.sin, jnp.cos, lambda v: v * v][int(jnp.abs(v) * 2.9)](v)
        return total

    x = jnp.linspace(-1, 1, 200)
    found = flux.jit(lambda x: flux.gradient(f, x))(x)[0]
    np.testing.assert_allclose(found, flux.gradient(f, x)[0], atol=1e-5)
    assert len(flux.lower(f, x).as_text()) < 2 * len(flux.lower(f, x[:100]).as_text())


class Twice(Scale):
    def __call__(self, x):
        return 2 * super().__call__(x)


class Reversed(tuple):
    __slots__ = ()

    def __getitem__(self, number):
        return tuple.__getitem__(self, -number - 1)


def told_by_identity(f, functions):
    return f is functions[0]


def told_by_equality(f, functions):
    return f != functions[0]


def told_by_a_list(f, functions):
    return f in functions[:1]


def told_by_kind(f, functions):
    return type(f) is Scale


def told_by_class(f, functions):
    return isinstance(f, Twice)


def told_by_attribute(f, functions):
    return hasattr(f, "weight")


def set_on(f, functions):
    f.weight = jnp.ones(2)


TOLD = [
    told_by_identity, told_by_equality, told_by_a_list, told_by_kind, told_by_class,
    told_by_attribute, set_on,
]  # fmt: skip


@pytest.mark.parametrize("told", TOLD, ids=lambda f: f.__name__)
def test_which_function_was_chosen_is_not_asked(told):
    def f(x):
        functions = [Scale(1.0), Twice(2.0)]
        chosen = functions[greatest(x) % 2]
        return chosen(x) * (2.0 if told(chosen, functions) else 3.0)

    for change in (f, lambda x: flux.gradient(f, x)):
        with pytest.raises(flux.StagingError, match="the data choose can only be called"):
            flux.jit(change)(X)


def test_items_that_a_class_reads_in_its_own_way_are_not_picked():
    with pytest.raises(flux.StagingError, match="depends on the data"):
        flux.jit(lambda x: Reversed((x[0], x[1], x[2]))[greatest(x)])(X)


def test_choices_that_do_not_agree_are_refused():
    with pytest.raises(flux.StagingError, match=r"one path and .* on another"):
        flux.jit(lambda x: [x, x[0]][greatest(x)])(X[:2])
