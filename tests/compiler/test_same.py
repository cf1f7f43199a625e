"""What a compiled function does is what plain Python does, or it is refused: one program each."""

import itertools
import math

import jax.numpy as jnp
import numpy as np
import pytest

import flux

NOW = (jnp.float32(0.75), jnp.float32(1.25))


# -- a `try` does not catch what the making of the program raises ----------------------------------


def index_in_a_try(x, y):
    try:
        v = [1.0, 2.0][int(x)]
    except Exception:
        v = y * 100
    return v


def length_in_a_try(x, y):
    try:
        return np.zeros(int(x)).sum() + x
    except Exception:
        return y


def domain_in_a_try(x, y):
    try:
        return math.sqrt(x - 1)
    except ValueError:
        return y


@pytest.mark.parametrize("f", [index_in_a_try, length_in_a_try, domain_in_a_try])
def test_a_try_does_not_catch_what_cannot_be_compiled(f):
    with pytest.raises(flux.StagingError):
        flux.jit(f)(*NOW)
    with pytest.raises(flux.StagingError):
        flux.jit(lambda x, y: flux.gradient(f, x, y))(*NOW)


def test_conversions_in_a_try_have_their_derivatives():
    def f(x):
        try:
            v = float(x) * 3
        except TypeError:
            v = x * 5
        return v

    assert flux.jit(lambda x: flux.gradient(f, x))(NOW[0])[0] == 3


# -- iterators advance while the program is made ---------------------------------------------------


def taken_on_one_path(x, y):
    items = iter([x, y, 1.0])
    z = next(items) if y > 1 else y
    return z + sum(items)


def taken_in_a_loop(x, y):
    items = iter([1.0, 2.0, 3.0])
    while y < 4:
        y = y + next(items) * x
    return y


def left_over(x, y):
    items = iter([x, y, 1.0])
    for v in items:
        if v > 1:
            break
    return sum(items)


def counted(log, v):
    log[0] = log[0] + 1
    return v


def by_a_generator(x, y):
    log = [0.0]
    for v in (counted(log, v) for v in (x, y, 1.0)):
        if v > 1:
            break
    return log[0] * x


def by_map(x, y):
    log = [0.0]
    found = any(map(lambda v: counted(log, v) > 1, [x, y, 1.0]))
    return log[0] * x if found else x


def twice_through(x, y):
    pairs = zip(jnp.arange(3.0), jnp.ones(3) * y, strict=True)
    total = x
    for a, b in pairs:
        total = total + a * b
    for _ in pairs:
        total = total * 2
    return total


def without_end(x, y):
    for i in itertools.count():
        if x * i > y:
            break
    return x * i


ITERATORS = [
    taken_on_one_path,
    taken_in_a_loop,
    left_over,
    by_a_generator,
    by_map,
    twice_through,
    without_end,
]


@pytest.mark.parametrize("f", ITERATORS, ids=lambda f: f.__name__)
def test_items_that_only_the_data_ask_for_are_refused(f):
    with pytest.raises(flux.StagingError):
        flux.jit(f)(*NOW)
    with pytest.raises((flux.StagingError, flux.NotDifferentiable)):
        flux.jit(lambda x, y: flux.gradient(f, x, y))(*NOW)


def test_an_iterator_of_the_caller_is_not_taken_from():
    items = iter([1.0, 2.0])
    with pytest.raises(flux.StagingError, match="of the caller"):
        flux.jit(lambda x: x * next(items))(NOW[0])


def test_a_count_in_zip_starts_where_it_stands():
    def f(x):
        return sum(i * v for i, v in zip(itertools.count(5, 2), x))  # noqa: B905

    assert flux.jit(f)(jnp.ones(3)) == 5 + 7 + 9


# -- functions of Python's and of `math` that JAX's differ from ------------------------------------


def remainders(x, y):
    return math.remainder(x * 7, y) + math.fmod(-x * 7, y)


def logarithms(x, y):
    return math.log(x, 3) + math.log(y, x) + math.log(x)


def gamma_function(x, y):
    return math.gamma(x - 2) + math.gamma(y)


def products(x, y):
    return math.prod([x, y], start=3) + math.dist([x, y], [1.0, 2.0])


def closeness(x, y):
    return (
        1.0 * math.isclose(x, x + 1e-6) + 2.0 * math.isclose(x, y, rel_tol=0.9) + 4.0 * (x < y) * x
    )


TWINS = [remainders, logarithms, gamma_function, products, closeness]


@pytest.mark.parametrize("f", TWINS, ids=lambda f: f.__name__)
def test_functions_of_math(f):
    def slope(i):
        step = [h * (k == i) for h, k in ((1e-3, 0), (1e-3, 1))]
        plus, minus = ([float(v) + s * h for v, h in zip(NOW, step, strict=True)] for s in (1, -1))
        return (f(*plus) - f(*minus)) / 2e-3

    np.testing.assert_allclose(flux.jit(f)(*NOW), f(*map(float, NOW)), rtol=1e-5)
    grads = flux.jit(lambda x, y: flux.gradient(f, x, y))(*NOW)
    wanted = [slope(0), slope(1)]
    np.testing.assert_allclose([0.0 if g is None else g for g in grads], wanted, rtol=1e-3)


def test_the_largest_item_is_the_one_that_python_finds():
    ties, odd = jnp.asarray([1.0, 2.0, 2.0]), jnp.asarray([1.0, jnp.nan, 0.5])
    assert flux.jit(lambda x: flux.gradient(max, x))(ties)[0].tolist() == [0, 1, 0]
    assert flux.jit(lambda x: (max(x), min(x)))(odd) == (1.0, 0.5)
    assert np.isnan(flux.jit(max)(odd[1:]))


@pytest.mark.parametrize("text", [str, repr, lambda x: "%s" % x])  # noqa: UP031
def test_a_text_of_data_is_refused(text):
    with pytest.raises(flux.StagingError, match="A text of a value"):
        flux.jit(lambda x: x * len(text(x)))(NOW[0])


# -- what Python's own functions do besides --------------------------------------------------------


class Asked:
    def __init__(self):
        self.log = []

    def __getattr__(self, name):
        if name.startswith("_"):
            raise AttributeError(name)
        self.log.append(name)
        return 2.0


def test_the_attributes_of_an_object_are_not_asked_for():
    def f(x, y):
        asked = Asked()
        z = x * asked.scale
        if y > 1:
            z = z + y
        return z, len(asked.log)

    assert flux.jit(f)(*NOW) == (2.75, 1)


def test_a_range_raises_what_pythons_raises():
    def f(x, step):
        for i in range(0, 5, step):
            x = x + i
        return x

    compiled = flux.jit(f)
    assert compiled(NOW[0], jnp.int32(2)) == 6.75
    with pytest.raises(ValueError, match="must not be zero"):
        compiled(NOW[0], jnp.int32(0))
    with pytest.raises(TypeError, match="integer"):
        compiled(*NOW)
