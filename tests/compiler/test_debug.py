"""`debug_nans` and `check_bounds`: what stops a program, and how the place is named."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import flux
from flux import NonFiniteValue, OutOfBounds

X = jnp.arange(5.0)


class Root:
    def __init__(self):
        self.scale = jnp.float32(1.0)

    def __call__(self, x):
        return self.scale * jnp.sqrt(x)


def model_with(layer):
    return flux.Chain(flux.Dense(3, 3, flux.relu), flux.Chain(layer, flux.Dense(3, 2)))


def loss(model, x):
    return flux.losses.mse(model(x), jnp.zeros((len(x), 2)))


ZERO = jnp.zeros((1, 3))


def step(model, x):
    return flux.trainstep(loss, model, (x,), flux.setup(flux.optim.Adam(), model))


def train(model, x):
    return flux.train(loss, model, [(x,)], flux.setup(flux.optim.Adam(), model), progress=False)


def compiled(model, x):
    return flux.jit(lambda model, x: flux.gradient(loss, model, x))(model, x)


@pytest.mark.parametrize("run", [
    lambda model, x: flux.gradient(loss, model, x), compiled, step, train,
    lambda model, x: flux.gradient(flux.jit(loss), model, x),
])  # fmt: skip
def test_the_way_back_is_named_with_its_layer_and_line(run):
    model = model_with(Root())
    before = jax.tree.leaves(model)
    with flux.debug_nans(), pytest.raises(NonFiniteValue) as caught:
        run(model, ZERO)
    text = str(caught.value)
    assert re.match(r"the derivative of `jnp.sqrt\(x\)` gave nan \(3 of 3 numbers\), in "
                    r"layers\[1\]\.layers\[0\] of Chain: Root\.", text)  # fmt: skip
    assert re.search(r"at test_debug.py line \d+: return self.scale \* jnp.sqrt\(x\)", text)
    assert all(a is b for a, b in zip(jax.tree.leaves(model), before, strict=True))


def entropy(p):
    logs = []
    for row in p:
        if row.sum() > 0:
            logs.append(jnp.log(row))
    return -(p[0] * logs[0]).sum()


@pytest.mark.parametrize("run", [entropy, flux.jit(entropy)], ids=["eager", "compiled"])
def test_the_way_forward_is_named_inside_control_flow(run):
    p = jnp.array([[0.5, 0.5], [0.0, 1.0]])
    with flux.debug_nans(), pytest.raises(NonFiniteValue, match=r"log\(row\)` gave -inf") as caught:
        flux.gradient(run, p)
    assert re.search(r"test_debug.py line \d+: logs.append\(jnp.log\(row", str(caught.value))
    assert "float32[2] from 0 to 1" in str(caught.value)


def in_a_dense_layer(x):
    return flux.Dense(3, 2, rng=0)(x)


def overflow(x):
    return jnp.exp(x * 1e30)


def of_numpy(x):
    with np.errstate(all="ignore"):
        return np.log(x - x)


def caught(x):
    try:
        return jnp.log(x - x)
    except ArithmeticError:
        return x


PLACES = [
    (caught, X, "`jnp.log(x - x)` gave -inf (5 of 5 numbers)"),
    (in_a_dense_layer, jnp.full((1, 3), 3e38), "in Dense(3, 2"),
    (overflow, 1e10 * X, "`x * 1e30` gave inf (4 of 5 numbers)"),
    (lambda x: flux.softmax(x * jnp.inf), X, "`x * jnp.inf` gave nan (1 of 5 numbers)"),
    (lambda x: x + 1, X.at[2].set(jnp.nan), "The arguments held nan already"),
    (of_numpy, np.ones(2), "`np.log(x - x)` gave -inf"),
]


@pytest.mark.parametrize(("f", "x", "message"), PLACES)
def test_what_stops(f, x, message):
    with flux.debug_nans():
        with pytest.raises(NonFiniteValue, match=re.escape(message)):
            flux.jit(f)(x)
        with pytest.raises(NonFiniteValue, match=re.escape(message)):
            flux.gradient(lambda x: f(x).sum(), x)


def masked(x):
    scores = jnp.where(x > 2, x, -jnp.inf)
    best = -np.inf
    for score in scores:
        best = jnp.maximum(best, score)
    return (flux.softmax(scores) * jnp.nan_to_num(x)).sum() + best


def test_infinite_numbers_that_the_program_writes_do_not_stop():
    expected = flux.withgradient(masked, X)
    with flux.debug_nans():
        found = flux.jit(lambda x: flux.withgradient(masked, x))(X)
    jax.tree.map(np.testing.assert_allclose, found, expected)


class Counter:
    def __init__(self):
        self.count, self.seen = 0, [jnp.zeros(())]


@flux.jit
def counted(counter, x, state):
    counter.count += 1
    counter.seen.append(x.sum())
    state[0] = 7.0
    while x.sum() < 100:
        x = x * 2
    return x, counter, state


def test_a_watched_call_does_what_a_compiled_one_does():
    results = []
    for watched in (False, True):
        counter = Counter()
        if watched:
            with flux.debug_nans(), flux.check_bounds():
                x, same, state = counted(counter, X, jnp.zeros(2))
        else:
            x, same, state = counted(counter, X, jnp.zeros(2))
        assert same is counter
        results.append([x.tolist(), int(counter.count), len(counter.seen), state.tolist()])
    assert results[0] == results[1]


def test_watching_ends_and_cannot_begin_inside():
    with flux.debug_nans():
        pass
    assert np.isnan(flux.jit(jnp.sqrt)(jnp.float32(-1.0)))

    @flux.jit
    def inside(x):
        with flux.debug_nans():
            return jnp.log(x)

    with pytest.raises(flux.StagingError, match="around the call"):
        inside(X)


# -- indices -------------------------------------------------------------------------------------


def put(x, i):
    x[i] = 3.0
    return x


def put_more(x, i):
    x[i] += 3.0
    return x


INDICES = [
    (lambda x, i: x[i], 7, "index 7 is out of range for axis 0 of length 5, in `x[i]`"),
    (lambda x, i: x[i], -6, "index -6 is out of range"),
    (lambda x, i: x[i], [0, 9, -8], "index 9 (and 1 more) is out of range"),
    (lambda x, i: x.reshape(1, 5)[..., None, i, 2:9], 1, "axis 1"),
    (put, 5, "in `x[i] = 3.0`"),
    (put_more, 5, "in `x[i]"),
    (lambda x, i: x.at[i].set(2.0), 5, "in `x.at[i].set(2.0)`"),
    (lambda x, i: x.at[i].get(), 5, "in `x.at[i].get()`"),
    (lambda x, i: jnp.take(x, i), 5, "in `jnp.take(x, i)`"),
    (lambda x, i: x.take(i), 5, "in `x.take(i)`"),
    (lambda x, i: jnp.take_along_axis(x, i[None], 0), 6, "index 6"),
    (lambda x, i: jax.lax.dynamic_slice(x, (i,), (3,)), 3, "a slice of 3 from 3"),
    (lambda x, i: jax.lax.dynamic_slice_in_dim(x, i, 3), 3, "a slice of 3 from 3"),
    (lambda x, i: jax.lax.dynamic_index_in_dim(x, i), 5, "index 5"),
    (lambda x, i: jax.lax.dynamic_update_slice(x, x[:2], (i,)), 4, "a slice of 2 from 4"),
    (lambda x, i: jax.lax.dynamic_update_index_in_dim(x, 1.0, i, 0), 5, "index 5"),
]
IN_RANGE = [
    (lambda x, i: x[i], 4), (lambda x, i: x[i], -5), (put, -5), (lambda x, i: x[i + 1:][:3], 9),
    (lambda x, i: x.at[i].set(2.0, mode="drop"), 5), (lambda x, i: x[(x > i) & (x < 9)].sum(), 2),
    (lambda x, i: jnp.take(x, i, mode="clip"), 5), (lambda x, i: x[jnp.newaxis, ..., i], 4),
    (lambda x, i: jax.lax.dynamic_slice(x, (i,), (3,)), 2),
]  # fmt: skip


@pytest.mark.parametrize(("f", "i", "message"), INDICES)
def test_indices_out_of_range_are_named(f, i, message):
    i = jnp.array(i)
    with flux.check_bounds():
        for run in (flux.jit(f), lambda x, i: flux.gradient(lambda x: f(x, i).sum(), x)):
            with pytest.raises(OutOfBounds, match=re.escape(message)) as caught:
                run(X, i)
            assert "test_debug.py line" in str(caught.value)
    assert isinstance(caught.value, IndexError)


@pytest.mark.parametrize(("f", "i"), IN_RANGE)
def test_indices_in_range_are_let_through(f, i):
    with flux.check_bounds():
        flux.gradient(lambda x: f(x, i).sum(), X)
        flux.jit(f)(X, i)


def test_a_layer_is_named_by_the_users_line():
    model = flux.Chain(flux.Embedding(4, 2), flux.Dense(2, 1))
    with flux.check_bounds(), pytest.raises(flux.LabelError, match="5 is out of range") as caught:
        flux.jit(model)(jnp.array([1, 5]))
    assert "flux.jit(model)" in str(caught.value)
