"""Control flow that only the data decide: compiled programs against eager ones and closed forms."""

import math
import re
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from fuzz.check import POINT, function_of
from fuzz.source import Writer
from programs import all_programs

import flux


def one_sided(x):
    if x > 0:
        x = x * 2
    return x * x


def conditional_expressions(x):
    y = x * 2 if 1 < x < 5 and not x == 3 else max(x, 3.0)
    return y + abs(x) + np.sin(x) + (x or 1.0)


def early_return_from_a_loop(x):
    for i in range(10):
        if x > 100:
            return x * i
        x = x * 2
    return x


def doubly_nested(x):
    total = 0.0
    for i in range(6):
        for j in range(i):
            if x * j > 3:
                break
            total = total + x * j
    return total


def unknown_length(x):
    while x < 100:
        x = x * x
    return x


def counted(x):
    n = 0
    while x < 50:
        x = x * 1.5
        n += 1
    return x * n


def own_objects(x):
    parts = {"a": x} if x > 1 else {"a": x * 3}
    stack = [parts["a"]]
    for _ in range(6):
        stack = [stack[0] * x, x]
    return stack[0] + stack[-1]


def rebuilt_object_of_unknown_life(x):
    class_like = flux.Chain
    del class_like
    pair = (x, [x])
    while pair[0] < 100:
        pair = (pair[0] * x, [pair[1][0] + pair[0]])
    return pair[0] * pair[1][0]


def nonlocal_counter(x):
    total = x

    def add(v):
        nonlocal total
        if v > 2:
            total = total + v * v

    for i in range(6):
        add(x * i)
    return total


NUMBERS = [
    one_sided, conditional_expressions, early_return_from_a_loop, doubly_nested, unknown_length,
    counted, own_objects, rebuilt_object_of_unknown_life, nonlocal_counter,
]  # fmt: skip


@pytest.mark.parametrize("point", [0.7, 1.5, 3.0, 300.0])
@pytest.mark.parametrize("f", NUMBERS, ids=lambda f: f.__name__)
def test_value_and_gradient_equal_eager_ones(f, point):
    if f in (unknown_length, counted, rebuilt_object_of_unknown_life) and point < 1:
        point = 1.1
    x = jnp.float32(point)
    value, (slope,) = flux.withgradient(f, x)
    compiled, (found,) = flux.jit(lambda x: flux.withgradient(f, x))(x)
    np.testing.assert_allclose(compiled, value, rtol=2e-5)
    np.testing.assert_allclose(found, slope, rtol=2e-5)
    np.testing.assert_allclose(flux.jit(f)(x), value, rtol=2e-5)


def skipping_and_stopping(rows):
    total = 0.0
    for row in rows:
        if row.sum() < 0:
            continue
        if row.sum() > 50:
            break
        total = total + (row * row).sum() * 0.1 + total * 0.2
    return total


def several_at_once(rows):
    total = 0.0
    for i, (a, b) in enumerate(zip(rows, rows[:, ::-1], strict=True)):
        total = total + i * (a * b).sum()
    for row in reversed(rows):
        total = total * 0.5 + row[0]
    return total


def collected_in_a_list(rows):
    kept = []
    for row in rows:
        kept.append(row * row)
    return jnp.stack(kept).sum() + sum([row[0] ** 3 for row in rows])


def written_in_place(rows):
    out = np.zeros(len(rows))
    for i, row in enumerate(rows):
        out[i] = (row * row).sum()
    out[out > 20] = 1.0
    return (out * out).sum()


def recurrent(rows):
    state = jnp.zeros(3)
    for row in rows:
        state = jnp.tanh(jnp.outer(row, row) @ state + row)
    return state.sum()


ARRAYS = [skipping_and_stopping, several_at_once, collected_in_a_list, written_in_place, recurrent]


@pytest.mark.parametrize("f", ARRAYS, ids=lambda f: f.__name__)
def test_loops_over_rows_equal_eager_ones(f, rng):
    rows = jnp.asarray(rng.normal(size=(7, 3)) + 0.5, jnp.float32)
    value, (slope,) = flux.withgradient(f, rows)
    compiled, (found,) = flux.jit(lambda r: flux.withgradient(f, r))(rows)
    np.testing.assert_allclose(compiled, value, rtol=1e-4)
    np.testing.assert_allclose(found, slope, rtol=1e-3, atol=1e-5)


def test_a_loop_over_rows_stays_a_loop():
    def total(rows):
        out = jnp.zeros(rows.shape[1])
        for row in rows:
            out = jnp.tanh(out + row)
        return out

    few, many = (
        len(flux.lower(total, jnp.ones((n, 3))).as_text().splitlines()) for n in (10, 1000)
    )
    assert many == few


def test_the_reverse_of_a_long_loop_needs_no_more_memory():
    def f(x, n):
        i = 0
        while i < n:
            x = jnp.sin(x) + 0.5 * x
            i = i + 1
        return x.sum()

    step = flux.jit(lambda x, n: flux.gradient(f, x, n)[0])
    x = jnp.linspace(0.1, 1.0, 5)

    def by_hand(x, n):
        slope = np.ones(5)
        x = np.asarray(x, np.float64)
        for _ in range(n):
            slope = slope * (np.cos(x) + 0.5)
            x = np.sin(x) + 0.5 * x
        return slope

    for n in (0, 1, 7, 1000, 3000):
        np.testing.assert_allclose(step(x, jnp.int32(n)), by_hand(x, n), rtol=2e-3, atol=1e-6)


def test_second_derivative_through_branches_and_bounded_loops():
    def f(x):
        for i in range(8):
            x = x * jnp.sin(x) + i if x < 5 else x * 0.5
        return x

    def slope(x):
        return flux.gradient(f, x)[0]

    x = jnp.float32(1.2)
    expected = jax.jacfwd(lambda x: jax.grad(plain)(x))(x)
    np.testing.assert_allclose(flux.jit(lambda x: flux.gradient(slope, x)[0])(x), expected, 1e-4)


@pytest.mark.parametrize("training", [True, False])
def test_a_branch_of_the_data_inside_one_that_is_known(training):
    def f(x, y):
        if training:
            x = x if y > 0 else 1.5
        elif y > 0:
            x = y
        else:
            x = 0.5
        return x

    slopes = flux.jit(lambda x, y: flux.gradient(f, x, y))
    for y in (2.0, -2.0):
        assert slopes(jnp.float32(3), jnp.float32(y)) == flux.gradient(f, 3.0, y)


def one_number_to_two_variables(x, y):
    for _ in range(1):
        if x > 0.3:
            for z in [1, 2]:
                z = y = x * y  # noqa: PLW2901
    return y + 0 * z if x > 0.3 else y


def one_cotangent_to_two_variables(x, y):
    z = (x + y) * 2 if y > 0 else x * x
    return z * 3


def one_cotangent_to_the_second(x, y):
    z = (x + y) * 2 if x > 0.3 else y * y
    return z * 3


@pytest.mark.parametrize(
    "f",
    [one_number_to_two_variables, one_cotangent_to_two_variables, one_cotangent_to_the_second],
    ids=lambda f: f.__name__,
)
def test_what_is_one_array_on_one_side_only(f):
    slopes = flux.jit(lambda x, y: flux.withgradient(f, x, y))
    for x, y in ((0.25, 0.5), (0.5, -0.5)):
        value, grads = slopes(jnp.float32(x), jnp.float32(y))
        assert (value, grads) == flux.withgradient(f, x, y)
        assert flux.jit(f)(jnp.float32(x), jnp.float32(y)) == f(x, y)


def weighted(x, w, n):
    i = 0
    while i < n:
        x = jnp.tanh(w @ x) + 0.5 * x * x
        i = i + 1
    return (x**2).sum()


def in_another_loop(x, w, n):
    total = 0.0
    for j in range(5):
        i, a = 0, x
        while i < n:
            a = a + 0.1 * jnp.sin(a * j + w[0])
            i = i + 1
        total = total + a.sum()
    return total


@pytest.mark.parametrize("f", [weighted, in_another_loop])
def test_second_derivatives_through_loops_of_unknown_length(f):
    x, w = jnp.array([0.3, -0.2]), jnp.array([[0.5, -0.3], [0.2, 0.4]])

    def penalty(x, w, n):
        slope = flux.gradient(lambda x: f(x, w, n), x)[0]
        w = w * 2.0  # the slope is that of before
        return (slope**2).sum() + f(x, w, n)

    compiled = flux.jit(lambda x, w, n: flux.gradient(penalty, x, w, n)[:2])
    for n in (0, 1, 5):
        for found, known in zip(
            compiled(x, w, jnp.int32(n)), flux.gradient(penalty, x, w, n)[:2], strict=True
        ):
            np.testing.assert_allclose(found, known, rtol=1e-3, atol=1e-5)


def test_a_second_derivative_of_a_long_loop_equals_the_closed_form():
    def f(x, n):
        i = 0
        while i < n:
            x = x / (1.0 + 0.001 * x)
            i = i + 1
        return x

    second = flux.jit(lambda x, n: flux.hessian(lambda x: f(x, n), x))
    for n in (0, 1, 1000):  # f = x / (1 + a x) with a = n / 1000
        a = n / 1000
        np.testing.assert_allclose(
            second(jnp.float32(0.7), jnp.int32(n)), -2 * a / (1 + a * 0.7) ** 3, rtol=1e-3
        )


@flux.nograd
def declared_constant(x):
    return jnp.sin(x)


def test_a_second_derivative_through_a_declared_one_is_refused():
    def f(x, n):
        i = 0
        while i < n:
            x = x * declared_constant(x)
            i = i + 1
        return x

    with pytest.raises(flux.StagingError, match="declared_constant"):
        flux.jit(lambda x, n: flux.hessian(lambda x: f(x, n), x))(jnp.float32(1), jnp.int32(2))


def plain(x):
    for i in range(8):
        x = jnp.where(x < 5, x * jnp.sin(x) + i, x * 0.5)
    return x


# -- state, checks, refusals ---------------------------------------------------------------------


class Meter:
    def __init__(self):
        self.total, self.count, self.last = jnp.zeros(2), 0, None

    def add(self, row):
        if row.sum() > 0:
            self.total = self.total + row
            self.count += 1


def test_changes_of_objects_in_staged_loops_reach_the_caller():
    meter, seen = Meter(), {"best": jnp.float32(0)}

    @flux.jit
    def run(meter, seen, rows):
        for row in rows:
            meter.add(row)
            if row[0] > seen["best"]:
                seen["best"] = row[0]
        return meter.total.sum()

    rows = jnp.array([[1.0, 2.0], [-5.0, 1.0], [3.0, 1.0]])
    assert float(run(meter, seen, rows)) == 7.0
    assert int(meter.count) == 2
    assert float(seen["best"]) == 3.0
    run(meter, seen, rows)
    assert int(meter.count) == 4


def test_an_assertion_is_an_error_of_the_run():
    @flux.jit
    def root(x):
        assert x >= 0, f"negative: {x}"
        if x > 100:
            raise ValueError("too large")
        return jnp.sqrt(x)

    assert float(root(jnp.float32(9))) == 3.0
    with pytest.raises(AssertionError, match="negative"):
        root(jnp.float32(-1))
    with pytest.raises(ValueError, match="too large"):
        root(jnp.float32(101))
    assert float(root(jnp.float32(4))) == 2.0


def two_types(x):
    y = x
    if x > 0:
        y = (x, x)
    return y


def falls_off_the_end(x):
    if x > 0:
        return x


def grows(x):
    kept = []
    if x > 0:
        kept.append(x)
    return len(kept)


def text_of_a_value(x):
    return {"1": 2.0}.get(f"{x}", x)


def caught(x):
    try:
        if x > 0:
            raise ValueError
    except ValueError:
        return -x
    return x


def given_numpy(x):
    x[0] = 5.0
    return x


REFUSALS = [
    (two_types, 1.0, "`y` is a tuple of 2 on one path"),
    (falls_off_the_end, 1.0, "None on another"),
    (grows, 1.0, "list"),
    (text_of_a_value, 1.0, "text of a value"),
    (caught, 1.0, "Inside a `try`"),
    (given_numpy, np.ones(3), "NumPy array that it was given"),
]


@pytest.mark.parametrize(("f", "x", "words"), REFUSALS, ids=lambda p: getattr(p, "__name__", ""))
def test_what_cannot_be_staged_is_refused_with_line_and_reason(f, x, words):
    x = x if isinstance(x, np.ndarray) else jnp.float32(x)
    with pytest.raises(flux.StagingError, match=words) as error:
        flux.jit(f)(x)
    line = int(re.search(r"test_control_flow.py line (\d+)", str(error.value))[1])
    assert 0 <= line - f.__code__.co_firstlineno <= 5


# -- the samples and random programs -------------------------------------------------------------

NOT_STAGED = frozenset(
    """formatted walrus some_paths_return higher_order recursion_on_value comprehensions
    iteration_tools reductions inert_questions list_methods own_iterators raised_by_a_callee
    raised_in_an_expression caught_assertion what_is_unfolded_is_read_at_once
    names_without_a_value""".split()
)
"""Samples that ask for the type, text, order or presence of what only the data decide."""
SAMPLES = [s for s in all_programs() if s.args and all(type(a) is float for a in s.args)]


@pytest.mark.parametrize(
    "sample", [s for s in SAMPLES if getattr(s.fn, "__name__", "") not in NOT_STAGED],
    ids=lambda s: getattr(s.fn, "__name__", "object"),
)  # fmt: skip
def test_samples_of_the_conformance_list_compile(sample):
    value, slopes = flux.withgradient(sample.fn, *sample.args)
    with jax.enable_x64(True):
        args = [jnp.asarray(a) for a in sample.args]
        compiled, found = flux.jit(lambda *a: flux.withgradient(sample.fn, *a))(*args)
        np.testing.assert_allclose(compiled, value, rtol=1e-9)
        np.testing.assert_allclose(found, slopes, rtol=1e-7, atol=1e-10)


@pytest.mark.parametrize("seed", range(8))
def test_random_programs_compile_to_what_they_are(seed):
    import random

    rng = random.Random(seed)
    text = Writer(rng, size=rng.randint(3, 10), compiled=True).text()
    f = function_of(text, f"staged_{seed}")
    value, slopes = flux.withgradient(f, *POINT)
    with jax.enable_x64(True):
        args = [jnp.asarray(p) for p in POINT]
        try:
            compiled, found = flux.jit(lambda x, y: flux.withgradient(f, x, y))(*args)
        except flux.StagingError:  # refusals have tests of their own
            return
        assert math.isclose(compiled, value, rel_tol=1e-9, abs_tol=1e-12), text
        np.testing.assert_allclose(found, slopes, rtol=1e-7, atol=1e-10, err_msg=text)


def found(names, x):
    """Leaves a loop over a list early, or returns `None` in so many words."""
    for name in names:
        if name == "a":
            return x * 2
    return None


def test_an_explicit_none_is_a_result():
    def loss(names, x):
        y = found(names, x)
        return x.sum() if y is None else y.sum()

    x = jnp.arange(3.0)
    for names, slope in ((["a"], 2.0), (["b"], 1.0)):
        gradient = flux.jit(lambda x: flux.gradient(loss, names, x)[1])(x)  # noqa: B023
        np.testing.assert_array_equal(gradient, np.full(3, slope, np.float32))


def test_a_compiled_hessian():
    x = jnp.arange(3.0)
    hessian = flux.jit(lambda x: flux.hessian(lambda x: (x**3).sum(), x))(x)
    np.testing.assert_allclose(hessian, np.diag([0.0, 6.0, 12.0]))


def test_compiled_functions_call_each_other_and_work_inside_jax():
    @flux.jit
    def inner(x):
        if x > 0:
            x = x * 2
        assert x < 50, "too big"
        return x

    outer = flux.jit(lambda x: inner(x) + inner(-x))
    assert float(outer(jnp.float32(3))) == 3.0
    assert float(jax.jit(inner)(jnp.float32(3))) == 6.0
    assert float(jax.grad(inner)(jnp.float32(3))) == 2.0
    np.testing.assert_array_equal(jax.vmap(inner)(jnp.arange(-2.0, 3.0)), [-2, -1, 0, 2, 4])
    with pytest.raises(AssertionError, match="too big"):
        outer(jnp.float32(30))


def test_recursion_that_only_the_data_end_is_refused():
    def halves(x):
        return x if x < 1 else halves(x / 2)

    with pytest.raises(flux.StagingError, match="calls itself"):
        flux.jit(halves)(jnp.float32(9))


def returns_from_two_loops(rows):
    for i, a in enumerate(rows[:, 0]):
        for b in rows[:, 1]:
            if a * b > 1:
                return a * b * (i + 1)
    return rows.sum()


def penalty(rows):
    def cubes(values):
        total = 0.0
        for v in values:
            if v > 0:
                total = total + v**3
        return total

    return sum([s**2 for s in flux.gradient(cubes, rows[:, 0])[0]])


def recomputed(rows):
    def folded(v):
        return v * v if v > 0 else -v

    total = 0.0
    for v in rows[:, 0]:
        total = total + flux.checkpoint(folded)(v)
    return total


class Pair(NamedTuple):
    a: Any
    b: Any


def named_tuples(rows):
    state = Pair(0.0, 1.0)
    for row in rows:
        if row[0] > 0:
            state = Pair(state.a + row[0] * state.b, state.b * 1.1)
        else:
            state = state._replace(b=state.b * row[1])
    return state.a * state.b


def first_or_least(rows):
    best = None
    for row in rows:
        if best is None or row[0] < best:
            best = row[0]
    return best * 2


def inner_loop_reads_the_outer_row(rows):
    state = rows[0]
    for row in rows:
        push = jnp.exp(0.1 * row)
        while (state * state).sum() < 9:
            state = state * 1.3 + 0.1 * jnp.abs(row) + 0.2 * push
        state = jnp.tanh(state)
    return state.sum()


def inner_loop_hands_on_the_outer_row(rows):
    state = rows[0]
    for row in rows:
        last = state * 0.1
        while (state * state).sum() < 9:
            state = state * 1.3 + 0.3 + 0.1 * last * last
            last = row
        state = jnp.tanh(state)
    return state.sum()


MORE = [
    returns_from_two_loops, penalty, recomputed, named_tuples, first_or_least,
    inner_loop_reads_the_outer_row, inner_loop_hands_on_the_outer_row,
]  # fmt: skip


@pytest.mark.parametrize("f", MORE, ids=lambda f: f.__name__)
def test_nested_exits_penalties_and_structures_equal_eager_ones(f, rng):
    test_loops_over_rows_equal_eager_ones(f, rng)


def products_with_what_stays(rows):
    total, weight = jnp.zeros((3, 3)), jnp.eye(3) * 0.3
    for row in rows:
        shared = weight @ weight
        total = total + jnp.outer(row, row) @ shared + shared
        weight = weight
    return (total * total).sum()


def weights_of_every_kind(rows):
    a, b = rows[:3], rows[:3] * 0.1
    state = jnp.zeros(3)
    for row in rows:
        fixed = jnp.tanh(b)
        state = jnp.tanh(a @ state + fixed @ row + a.T @ (fixed @ row) + b[0])
    return (state * state).sum()


@pytest.mark.parametrize("f", [products_with_what_stays, weights_of_every_kind])
def test_products_of_a_loop_equal_eager_ones(f, rng):
    test_loops_over_rows_equal_eager_ones(f, rng)
    rows = jnp.ones((7, 3))
    lines = flux.lower(lambda r: flux.gradient(f, r)[0], rows).as_text().splitlines()
    more = flux.lower(lambda r: flux.gradient(f, r)[0], jnp.ones((50, 3))).as_text().splitlines()
    assert len(lines) == len(more)  # it has stayed a loop


def test_a_second_derivative_taken_before_does_not_write_a_loop_out():
    def f(x, rounds):
        for _ in range(rounds):
            x = jnp.sin(x)
        return x

    def slope(x, rounds):
        return flux.gradient(f, x, rounds)[0]

    flux.gradient(slope, jnp.float32(1.0), 2)
    text = flux.lower(slope, jnp.float32(1.0), 50).as_text()
    assert text.count("stablehlo.while") == 2


def test_a_loop_that_is_written_out_is_told_when_asked(monkeypatch, capsys):
    def growing(x):
        kept = [x]
        for i in range(6):
            kept.append(x * i + 0 * kept[-1])
        return sum(kept) - x

    monkeypatch.setenv("FLUX_EXPLAIN", "1")
    assert float(flux.jit(growing)(jnp.float32(2))) == 30.0
    assert "for i in range(6): is written out" in capsys.readouterr().err


# -- lists that loops make longer ------------------------------------------------------------------


def states_in_a_list(x, w):
    h, ys = jnp.zeros(3), []
    for row in x:
        h = jnp.tanh(row @ w + h)
        ys.append(h)
    return (jnp.stack(ys, axis=1) ** 2).sum() + ys[-1][0]


def tuples_in_two_lists(x, w):
    ys, zs = [], [x[0, 0]]
    for row in x:
        ys.append((row * 2, row.sum() * w[0, 0], 1.5))
        zs.append(row.max())
    return sum([a.sum() * b * c for a, b, c in ys]) + ys[-1][1] * zs[2] * zs[0]


def by_nested_loops(x, w):
    ys, products = [], []
    for row in x:
        inner = []
        for v in row:
            ys.append(v * v * w[0, 0])
            inner.append(v + 1)
        products.append(jnp.array(inner).prod())
    return (jnp.stack(ys) * jnp.arange(len(ys))).sum() + jnp.stack(products).sum()


def by_counting(x, w):
    ys = []
    for i in range(5):
        ys.append(x[i] * i)
    del ys[1]
    return (jnp.concatenate(ys) ** 2).sum() * w[0, 0]


@pytest.mark.parametrize("f", [states_in_a_list, tuples_in_two_lists, by_nested_loops, by_counting])
def test_lists_that_grow_are_what_the_loop_collects(f):
    rng = np.random.default_rng(0)
    x, w = (jnp.asarray(rng.normal(size=size), jnp.float32) for size in ((6, 3), (3, 3)))

    def slope(x, w):
        return flux.gradient(f, x, w)

    np.testing.assert_allclose(flux.jit(f)(x, w), f(x, w), rtol=1e-5)
    for found, right in zip(flux.jit(slope)(x, w), flux.gradient(f, x, w), strict=True):
        np.testing.assert_allclose(found, right, rtol=1e-4, atol=1e-5)


def test_a_loop_with_a_list_that_grows_stays_a_loop():
    def texts(steps):
        x, w = jnp.ones((steps, 3)), jnp.ones((3, 3))
        return flux.lower(lambda x, w: flux.gradient(states_in_a_list, x, w), x, w).as_text()

    assert texts(600).count("stablehlo.while") == 2
    assert texts(600).count("stablehlo.tanh") == texts(20).count("stablehlo.tanh")


@pytest.mark.parametrize("reading", ["len", "last", "alias", "branch"])
def test_a_list_that_is_read_while_it_grows_is_right_all_the_same(reading):
    def f(x):
        ys = [x[0, 0]]
        also = ys if reading == "alias" else []
        for row in x:
            if reading == "branch":
                if row.sum() > 0:
                    ys.append(row.sum())
                else:
                    ys.append(row.prod())
            elif reading == "len":
                ys.append(row.sum() * len(ys))
            elif reading == "last":
                ys.append(row.sum() * ys[-1])
            else:
                ys.append(row.sum() * also[-1])
        return jnp.stack(ys).sum()

    x = jnp.asarray(np.random.default_rng(1).normal(size=(5, 3)), jnp.float32)
    np.testing.assert_allclose(flux.jit(f)(x), f(x), rtol=1e-4)
    slope = flux.jit(lambda x: flux.gradient(f, x)[0])(x)
    np.testing.assert_allclose(slope, flux.gradient(f, x)[0], rtol=1e-4, atol=1e-5)


# -- objects that loops replace --------------------------------------------------------------------


class Momentum:
    """Keeps its state as an object of its own, a new one after every step."""

    def __init__(self):
        self.state = {"m": jnp.zeros(3), "n": 0}

    def step(self, gradient):
        self.state = {"m": self.state["m"] * 0.9 + gradient, "n": self.state["n"] + 1}
        return self.state["m"]


def replaced(x):
    rule, total = Momentum(), 0.0
    for row in x:
        total = total + (rule.step(row) ** 2).sum()
    return total + rule.state["m"].sum() * rule.state["n"]


def replaced_with_the_old_one_at_hand(x):
    rule = Momentum()
    before = rule.state
    for row in x:
        rule.step(row)
    return rule.state["m"].sum() + before["m"].sum() + before["n"]


def changed_and_replaced(x):
    rule = Momentum()
    before = rule.state
    for row in x:
        rule.state["n"] += 1
        rule.step(row)
    return rule.state["m"].sum() * rule.state["n"] + before["n"]


def one_object_in_two_places(x):
    rule, other = Momentum(), Momentum()
    other.state = rule.state
    for row in x:
        rule.step(row)
        other.state = rule.state
    other.state["n"] = other.state["n"] * 2
    return rule.state["m"].sum() * rule.state["n"]


def identity_of_a_replaced_object(x):
    rule, count = Momentum(), 0.0
    first = rule.state
    for row in x:
        if rule.state is first:
            count = count + 1
        rule.step(row)
    return count + rule.state["m"].sum()


@pytest.mark.parametrize(
    ("f", "loops"),
    [
        (replaced, 1),
        (replaced_with_the_old_one_at_hand, 1),
        (changed_and_replaced, 0),
        (one_object_in_two_places, 0),
        (identity_of_a_replaced_object, 0),
    ],
)
def test_objects_that_a_loop_replaces(f, loops):
    x = jnp.asarray(np.random.default_rng(0).uniform(0.2, 1, size=(7, 3)), jnp.float32)
    np.testing.assert_allclose(flux.jit(f)(x), f(x), rtol=1e-5)
    slope = flux.jit(lambda x: flux.gradient(f, x)[0])(x)
    np.testing.assert_allclose(slope, flux.gradient(f, x)[0], rtol=1e-4, atol=1e-5)
    assert flux.lower(f, x).as_text().count("stablehlo.while") == loops
