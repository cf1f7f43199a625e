"""Python's iterators, containers, objects and functions: programs that adversaries wrote.

Each is compared with plain Python in value and effects, and with finite differences in the first
and second derivative.
"""

import copy
import functools
import itertools
import math
import operator
import re
import threading

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import flux
from flux.ad.check import check_rule
from flux.errors import NotDifferentiable

XS = [0.5, 1.2, -0.7, 2.0]
A = np.array(XS)
PROGRAMS, REFUSED = [], []


def program(*args):
    """Register a function that is to agree with plain Python at `args`."""
    return lambda f: PROGRAMS.append(pytest.param(f, args, id=f.__name__))


def refused(*args):
    """Register a function that is to be refused at `args`."""
    return lambda f: REFUSED.append(pytest.param(f, args, id=f.__name__))


@pytest.mark.parametrize(("f", "args"), PROGRAMS)
def test_agrees_with_plain_python(f, args):
    ours, plain = copy.deepcopy(args), copy.deepcopy(args)
    value, _ = flux.pullback(f, *ours)
    assert np.isclose(value, f(*plain))
    assert repr(ours) == repr(plain)

    def with_copies(*args):
        return f(*copy.deepcopy(args))

    def slope(*args):
        return [part for part in flux.gradient(with_copies, *args) if part is not None]

    check_rule(with_copies, *args)
    check_rule(slope, *args, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("f", "args"), REFUSED)
def test_refused_with_the_line(f, args):
    with pytest.raises(NotDifferentiable) as caught:
        flux.gradient(f, *copy.deepcopy(args))
    assert "test_python.py" in str(caught.value)


# -- iterators are as lazy as Python's -------------------------------------------------------------


@program(XS)
def enumerate_sees_what_the_loop_changes(xs):
    for i, v in enumerate(xs):
        if i + 1 < len(xs):
            xs[i + 1] += v * v
    return xs[-1] * xs[1]


@program({"a": 0.5, "b": 1.5, "c": 2.0})
def items_see_what_the_loop_changes(d):
    total = 0.0
    for k, v in d.items():
        if k == "a":
            d["b"] = v * v * 3
        total = total * 2 + v * v
    return total


@program({"a": 0.5, "b": 1.5})
def views_are_live(d):
    values, items = d.values(), d.items()
    d["b"] = d["a"] ** 2
    d["z"] = d["a"] * 3
    return sum(values) * len(items) + sum([v * v for _, v in items])


@program(XS)
def map_and_filter_are_live(xs):
    squares, positive = map(lambda v: v * v, xs), filter(lambda v: v > 0, xs)
    xs[0] = xs[1] * 3
    return sum(squares) + sum([v**3 for v in positive])


@program(XS)
def map_calls_as_far_as_it_is_asked(xs):
    calls = []
    for v in map(lambda v: (calls.append(v), v * v)[1], xs):
        if v > 1:
            break
    return v * len(calls) + calls[0]


@program(XS)
def any_stops_the_map(xs):
    calls = []

    def positive(v):
        calls.append(v * v)
        return v > 0

    return xs[0] ** 2 * len(calls) if any(map(positive, xs)) and calls[0] else 0.0


@program(XS)
def one_iterator_twice(xs):
    it = iter(xs)
    pairs = sum([a * b for a, b in zip(it, it, strict=False)])
    again = zip(xs, xs, strict=True)
    first = sum([a * a for a, _ in again])
    return pairs * first + sum([b for _, b in again])


@program(XS)
def iterators_are_used_up_in_turns(xs):
    it = iter(xs)
    total = 0.0
    for v in it:
        total += v * v * next(it)
    return total + next(it, xs[0] ** 3)


@program(XS)
def reversed_is_live(xs):
    for v in reversed(xs):
        xs[0] = v * v * 2
    return xs[0] + 0.0


@program(XS)
def lists_grow_while_they_are_read(xs):
    for v in xs:
        if len(xs) < 6:
            xs.append(v * v)
    return sum(xs) * xs[-1]


@program(XS)
def itertools_take_what_they_need(xs):
    it = iter(xs)
    first = list(itertools.islice(it, 2))
    rest = itertools.chain(it, first)
    return next(rest) * sum(rest) + functools.reduce(operator.mul, itertools.accumulate(xs))


@program(XS)
def iterators_fill_calls_and_lists(xs):
    def product(*values):
        return math.prod(values)

    ys = [0.0]
    ys += map(lambda v: v * v, xs)
    ys[1:2] = [*zip(xs, xs, strict=True)][0]
    return product(*map(math.exp, xs)) + sum(ys) * max(map(abs, ys))


class Cubes:
    """An iterator written in Python."""

    def __init__(self, values):
        self.values, self.place = values, 0

    def __iter__(self):
        return self

    def __next__(self):
        if self.place == len(self.values):
            raise StopIteration
        self.place += 1
        return self.values[self.place - 1] ** 3


@program(XS)
def iterators_of_the_user(xs):
    total = 0.0
    for i, (cube, v) in enumerate(zip(Cubes(xs), xs, strict=False)):
        total = total + cube * v * i
    return total + sum([v * v for v in Cubes(xs)])


# -- containers and objects ------------------------------------------------------------------------


@program(XS)
def slices_are_deleted(xs):
    xs.append(xs[0] * xs[1])
    del xs[::2]
    return xs[0] * xs[1] ** 2


class Defaults(dict):
    def __missing__(self, key):
        self[key] = self["a"] ** 2
        return self[key]


@program(XS)
def missing_keys_are_made(xs):
    d = Defaults()
    d["a"] = xs[0] * xs[1]
    return d["q"] * xs[2] + d["q"]


class Total(list):
    def total(self):
        return sum(self)


@program(XS)
def copies_keep_their_class(xs):
    values = Total()
    values.extend(xs)
    other = copy.deepcopy(values)
    other[0] = xs[1] ** 2
    return values.total() * other.total()


class Hidden:
    """Attributes made up on the way, one of the class that is `None`, conversions, a property."""

    known = None

    def __init__(self, value):
        self.value = value

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return 7.0 * self.value

    def __float__(self):
        return float(self.value) * 2

    def __round__(self, digits=0):
        return self.value**2

    @property
    def half(self):
        return self.value / 2

    @half.deleter
    def half(self):
        self.value = self.value**3


@program(1.3, 0.7)
def hooks_of_objects(x, y):
    thing = Hidden(x)
    total = thing.made_up * y if thing.known is None else 100.0
    total += float(thing) * y + round(thing, 1)
    del thing.half
    return total + thing.half


@program(1.3, 0.7)
def getters(x, y):
    outer = Hidden(Hidden(x * y))
    return operator.attrgetter("value.value")(outer) * operator.itemgetter(1)([x, y]) + FIRST(
        [y, x]
    )


FIRST = operator.itemgetter(0)


@program(1.3, 0.7)
def partials_of_partials(x, y):
    def f(a, *rest, c=2.0, **named):
        return a * sum(rest) * c + sum(named.values()) * named.get("z", 1.0)

    p = functools.partial(f, x, c=y)
    q = functools.partial(p, y, z=x)
    return q() + q(x, z=y) + p(y)


@program(1.3, 0.7)
def sorting_keys_may_write(x, y):
    seen = []
    values = sorted([y, x], key=lambda v: (seen.append(v * x), v)[1])
    return values[0] * seen[1] + seen[0]


@program(1.3, 0.7)
def numbers(x, y):
    return (
        pow(x, 2)
        + pow(3, 2, 5) * y
        + math.remainder(x * 9, y)
        + math.modf(x)[0] * math.ldexp(y, 2)
        + math.dist([x, 1.0], [y, x])
    )


@program(A)
def items_of_arrays_that_objects_hold(x):
    thing = Hidden(x)
    thing.a = x * 1
    thing.a[0] = x[1] ** 2
    return (thing.a * x).sum()


@program(A)
def copies_by_index_are_not_put_back(x):
    y = x * 1
    y[[0, 1]][0] = x[1] ** 2
    y[y > 0][0] += x[1] ** 2
    y[1:][0] = x[2] ** 2
    return (y * x).sum()


# -- arrays that others may hold -------------------------------------------------------------------


class Buffer:
    """Names that arrays have too, with another meaning."""

    def __init__(self, a):
        self.a = a

    @property
    def inner(self):
        return self.a

    @property
    def size(self):
        return self.a

    def item(self):
        return self.a

    def take(self, y):
        self.a = y
        return 0

    def __iadd__(self, y):
        self.a = y
        return self


@refused(A)
def an_attribute_with_a_known_name(x):
    thing = Buffer(x * 1)
    y = thing.size
    y[0] = x[1] ** 2
    return (thing.a * x).sum()


@refused(A)
def a_method_with_a_known_name(x):
    thing = Buffer(x * 1)
    y = thing.item()
    y[0] = x[1] ** 2
    return (thing.a * x).sum()


@refused(A)
def an_argument_that_is_kept(x):
    y = x * 1
    thing = Buffer(x)
    thing.take(y)
    y[0] = x[1] ** 2
    return (thing.a * x).sum()


@refused(A)
def an_operator_that_keeps(x):
    y = x * 1
    thing = Buffer(x)
    thing += y
    y[0] = x[1] ** 2
    return (thing.a * x).sum()


@refused(A)
def an_array_of_a_property(x):
    thing = Buffer(x * 1)
    thing.inner[0] = x[1] ** 2
    return (thing.a * x).sum()


@refused(A)
def an_array_of_objects(x):
    y = np.empty(2, dtype=object)
    y[0] = x[0] * 2
    return y[0] * x[1]


@refused(1.3)
def a_thread(x):
    found = []
    thread = threading.Thread(target=lambda: found.append(x * x))
    thread.start()
    thread.join()
    return found[0]


@refused(1.3)
def a_callback_of_a_library_without_numbers(x):
    found = [x]
    re.sub("a", lambda m: (found.append(x * x), "b")[1], "a")
    return found[-1]


# -- NumPy and JAX ---------------------------------------------------------------------------------


@program(A)
def numpy_functions_by_position(x):
    chosen = np.choose([0, 1], [x[:2], x[2:]])[1] + np.heaviside(0.0, x[0]) * x[1]
    joined = x.clip(0.1).sum() + np.block([x, x * 2]).sum()
    return chosen * joined + (np.arange(x[0], x[0] + 3) ** 2).sum()


@refused(A)
def fortran_order(x):
    return (x.reshape(2, 2).ravel("F") * x).sum()


@program(A)
def draws_in_their_location_and_scale(x):
    rng = np.random.default_rng(0)
    y = rng.normal(x, np.exp(x)) + rng.uniform(x, x + 2) + rng.exponential(np.exp(x))
    return (y * y).sum() + rng.lognormal(x[0], 0.5)


@pytest.mark.parametrize("keyword", [False, True])
def test_defaults_of_a_callback_are_differentiated(keyword):
    def loss(x):
        w = x * 2
        by_position = lambda a, w=w: a * w.sum()  # noqa: E731

        def by_name(a, *, w=w):
            return a * w.sum()

        return jax.vmap(by_name if keyword else by_position)(x).sum()

    x = jnp.asarray(A, jnp.float32)
    np.testing.assert_allclose(flux.gradient(loss, x)[0], jax.grad(loss)(x), rtol=1e-6)


def test_bound_methods_of_arrays_have_the_rule_of_the_method():
    def loss(x):
        item, total = x[0].item, x.sum
        return item() * 2 + total()

    for x in (A, jnp.asarray(A)):
        np.testing.assert_allclose(flux.gradient(loss, x)[0], [3, 1, 1, 1])


def test_slopes_at_the_edge_of_a_domain():
    cases = [(lambda x: x**0.5, 0.0), (math.asin, 1.0), (math.acosh, 1.0), (math.sqrt, 0.0)]
    assert [flux.gradient(f, x) for f, x in cases] == [(math.inf,)] * 4
    assert flux.gradient(math.acos, 1.0) == (-math.inf,)
    assert all(map(math.isnan, flux.gradient(math.hypot, 0.0, 0.0)))
