"""What gradients mean: structures, zeros, cotangents, dtypes, rules, side effects."""

import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import flux

line = pytest.mark.line


@line(44)
def test_a_name_that_was_not_assigned_raises_as_in_python():
    def f(x):
        if x > 10:
            t = x
        return t * x

    with pytest.raises(UnboundLocalError):
        f(1.0)
    with pytest.raises(UnboundLocalError):
        flux.gradient(f, 1.0)


@line(81)
def test_a_closure_has_a_gradient_by_name():
    a = 4.0

    def f(x):
        return x * a

    assert flux.gradient(lambda f: f(3.0), f) == ({"a": 3.0},)
    assert flux.gradient(lambda fs: fs["k"](3.0), {"k": f, "n": math.sin})[0]["k"] == {"a": 3.0}


@line(120)
def test_an_array_in_two_places_has_two_gradients():
    w = np.array([1.0, 2.0])
    g = flux.gradient(lambda p: np.sum(p["a"] * 2 + p["b"] * 3), {"a": w, "b": w})[0]
    assert g["a"].tolist() == [2.0, 2.0]
    assert g["b"].tolist() == [3.0, 3.0]


@line(119)
def test_an_object_in_two_arguments_has_one_gradient():
    class Point:
        def __init__(self, x):
            self.x = x

    point = Point(3.0)
    first, second = flux.gradient(lambda p, q: p.x * q.x, point, point)
    assert first is second
    assert first.x == 6.0


@line(133)
@line(134)
def test_what_the_result_does_not_depend_on_gets_zeros():
    assert flux.gradient(lambda x, y, n: x, 1.0, 2.0, 3) == (1.0, 0.0, None)
    assert flux.gradient(lambda x: 1.0, 2.0) == (0.0,)
    assert flux.gradient(lambda x: 0.0, np.ones(2))[0].tolist() == [0.0, 0.0]
    assert flux.gradient(lambda p: 1.0, {"a": [1.0, "s"], "b": None})[0] == {
        "a": [0.0, None],
        "b": None,
    }


@line(136)
def test_results_may_be_arguments_tuples_dicts_or_none():
    assert flux.pullback(lambda x: (x, x), 2.0)[1]((1.0, 10.0)) == (11.0,)
    assert flux.pullback(lambda x: {"a": x, "b": [x * x]}, 3.0)[1]({"a": 1.0, "b": [1.0]}) == (7.0,)
    y, back = flux.pullback(lambda x: None, 2.0)
    assert y is None
    assert back(None) == (0.0,)
    xs = [1.0, 2.0]
    y, back = flux.pullback(lambda xs: xs, xs)
    assert y is xs
    assert back([1.0, 5.0]) == ([1.0, 5.0],)


@line(137)
def test_a_gradient_needs_a_real_scalar():
    with pytest.raises(flux.FluxError, match="shape") as caught:
        flux.gradient(lambda x: x * 2, np.ones(3))
    assert "pullback" in str(caught.value)
    with pytest.raises(flux.FluxError, match="complex"):
        flux.gradient(lambda x: x * 1j, 1.0)


@line(138)
@line(139)
def test_pullbacks_take_none_for_zero_and_may_be_called_again():
    def f(x, items):
        items.append(x * x)
        return x * 3, items[-1]

    _, back = flux.pullback(f, 2.0, [1.0])
    assert back((1.0, None))[0] == 3.0
    assert back((None, 1.0))[0] == 4.0
    assert back((1.0, 1.0))[0] == 7.0
    assert back((1.0, None))[0] == 3.0


@line(140)
def test_a_pullback_speaks_of_the_values_that_were():
    @dataclasses.dataclass
    class Box:
        w: float

    box, xs = Box(2.0), [3.0]
    _, back = flux.pullback(lambda b, xs: b.w * xs[0], box, xs)
    box.w, xs[0] = 100.0, 50.0
    xs.append(1.0)
    by_box, by_list = back(1.0)
    assert (by_box.w, by_list) == (3.0, [2.0])


@line(141)
def test_whole_numbers_flags_and_texts_have_no_gradient():
    table = np.array([1.0, 2.0, 4.0])
    found = flux.gradient(lambda t, i, key, on: t[i].sum() if on else 0.0,
                          table, np.array([0, 0, 2]), "key", True)  # fmt: skip
    assert found[0].tolist() == [2.0, 0.0, 1.0]
    assert found[1:] == (None, None, None)


@line(142)
def test_a_cast_to_whole_numbers_cuts_the_derivative():
    assert flux.gradient(lambda x: float(int(x * 2)) * x, 1.7) == (3.0,)
    assert flux.gradient(lambda x: round(x) * x, 1.7) == (2.0,)


@line(143)
@line(145)
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_gradients_keep_dtype_and_kind(dtype):
    x = np.ones((2,), dtype)
    assert flux.gradient(lambda x: np.float64(2) * np.sum(x), x)[0].dtype == dtype
    scalar = np.dtype(dtype).type(2)
    assert type(flux.gradient(lambda s: s * 3.0, scalar)[0]) is type(scalar)
    zero_d = np.asarray(scalar)
    found = flux.gradient(lambda s: (s * x).sum(), zero_d)[0]
    assert isinstance(found, np.ndarray)
    assert (found.shape, found.dtype) == ((), np.dtype(dtype))


@line(144)
@pytest.mark.parametrize("shape", [(3, 1), (1, 4), (1, 1), (), (3, 4), (4,)])
def test_broadcast_axes_are_summed(shape):
    x, y = np.full(shape, 2.0), np.arange(12.0).reshape(3, 4)
    found = flux.gradient(lambda x: np.sum(x * y), x)[0]
    assert np.shape(found) == shape
    assert np.isclose(np.sum(found), 66.0)


@line(144)
def test_arrays_without_elements_have_gradients_without_elements():
    assert flux.gradient(lambda x: x.sum(), np.ones((0, 3)))[0].shape == (0, 3)
    assert flux.gradient(lambda x: (x[:0] * 2).sum() + x[0], np.ones(2))[0].tolist() == [1.0, 0.0]


TIES = {
    "maximum": (lambda xp, x: xp.maximum(x, 1.0), [1.0, 2.0, 0.0]),
    "minimum": (lambda xp, x: xp.minimum(x, 1.0), [1.0, 2.0, 0.0]),
    "max": (lambda xp, x: xp.max(x) * 1.0, [2.0, 2.0, 1.0]),
    "clip": (lambda xp, x: xp.clip(x, 0.0, 1.0), [0.0, 0.5, 1.0]),
    "abs": (lambda xp, x: xp.abs(x), [0.0, -1.0, 2.0]),
    "sort": (lambda xp, x: xp.sort(x) * xp.arange(3.0), [1.0, 1.0, 0.5]),
    "sqrt": (lambda xp, x: xp.where(x > 0, xp.sqrt(xp.where(x > 0, x, 1.0)), 0.0), [0.0, 4.0, 1.0]),
    "sign": (lambda xp, x: xp.sign(x) * x, [0.0, -1.0, 2.0]),
}


@line(146)
@line(147)
@line(148)
@pytest.mark.parametrize("name", TIES)
def test_ties_and_kinks_are_as_in_jax(name):
    f, x = TIES[name]
    expected = jax.grad(lambda x: jnp.sum(f(jnp, x)))(jnp.asarray(x))
    ours = flux.gradient(lambda x: np.sum(f(np, x)), np.array(x))[0]
    assert np.allclose(ours, expected)
    assert np.allclose(flux.gradient(lambda x: jnp.sum(f(jnp, x)), jnp.asarray(x))[0], expected)


@line(149)
@pytest.mark.parametrize("f", [
    lambda xp, z: xp.sum(xp.abs(z) ** 2), lambda xp, z: xp.sum(xp.real(z * z)),
    lambda xp, z: xp.sum(xp.imag(z) * xp.real(z)), lambda xp, z: xp.sum(xp.angle(z)),
    lambda xp, z: xp.real(xp.sum(xp.exp(z) * xp.conj(z))),
])  # fmt: skip
def test_complex_gradients_are_as_in_jax(f):
    z = np.array([1.0 + 2.0j, -0.5 + 0.25j], np.complex64)
    expected = jax.grad(lambda z: f(jnp, z))(jnp.asarray(z))
    assert np.allclose(flux.gradient(lambda z: f(np, z), z)[0], expected, rtol=1e-4)
    assert np.allclose(flux.gradient(lambda z: f(jnp, z), jnp.asarray(z))[0], expected, rtol=1e-4)


@line(150)
def test_a_cut_value_counts_as_constant():
    assert flux.gradient(lambda x: x * flux.stop_gradient(x), 3.0) == (3.0,)
    assert flux.gradient(lambda x: flux.stop_gradient({"a": x})["a"] * x, 3.0) == (3.0,)


@line(151)
def test_hooks_in_a_loop_clip_every_cotangent():
    def f(x):
        for _ in range(3):
            x = flux.hook(lambda g: min(g, 1.5), x * 2)
        return x

    assert flux.gradient(f, 1.0) == (3.0,)


class Cube:
    def __init__(self, scale):
        self.scale = scale

    def apply(self, x):
        return self.scale * x**3


@line(152)
@line(153)
def test_rules_for_methods_take_self_and_are_checked():
    @flux.rule(Cube.apply)
    def rule(self, x):
        return self.scale * x**3, lambda ct: (None, ct * 100.0)

    try:
        assert flux.gradient(lambda x: Cube(2.0).apply(x), 1.0) == (100.0,)
    finally:
        flux.ad.registry.AUGMENTED.pop(Cube.apply)
    assert flux.gradient(lambda x: Cube(2.0).apply(x), 1.0) == (6.0,)

    def short(a, b):
        return a * b

    flux.rule(short)(lambda a, b: (a * b, lambda ct: (ct,)))
    with pytest.raises(flux.FluxError, match="`short` returned 1 cotangents"):
        flux.gradient(short, 1.0, 2.0)


@line(153)
def test_rule_without_the_name_of_its_function():
    @flux.rule
    def rule(x):
        return x.sum(), lambda ct: (ct,)

    with pytest.raises(flux.FluxError, match=r"@flux.rule\(f\)"):
        rule(np.ones(3))


def test_rules_take_arguments_by_keyword():
    def scaled(x, k=1.0, *, shift=0.0):
        return x * k + shift

    @flux.rule(scaled)
    def rule(x, k=1.0, *, shift=0.0):
        return x * k + shift, lambda ct: (ct * k, ct * x, {"shift": ct})[3 - rule.given :]

    rule.given = 3
    found = flux.gradient(lambda x, k, s: scaled(k=k, x=x, shift=s) ** 2, 2.0, 3.0, 1.0)
    assert found == (42.0, 28.0, 14.0)

    def silent(x, *, k=1.0):
        return x * k

    flux.rule(silent)(lambda x, *, k=1.0: (x * k, lambda ct: (ct * k,)))
    with pytest.raises(flux.FluxError, match="says nothing about the derivative in `k`"):
        flux.gradient(lambda x, k: silent(x, k=k), 2.0, 3.0)


@line(153)
def test_a_rule_for_a_structured_result_gets_a_structured_cotangent():
    def pieces(x):
        return [x, {"square": x * x}]

    @flux.rule(pieces)
    def rule(x):
        return [x, {"square": x * x}], lambda ct: (ct[0] + 2 * x * ct[1]["square"],)

    assert flux.gradient(lambda x: pieces(x)[1]["square"] * 3, 2.0) == (12.0,)
    assert flux.gradient(lambda x: pieces(x)[0] * 3, 2.0) == (3.0,)


@line(154)
def test_a_rule_counts_from_the_moment_it_is_given():
    def f(x):
        return x * 2

    assert flux.gradient(lambda x: f(x), 1.0) == (2.0,)
    flux.rule(f)(lambda x: (x * 2, lambda ct: (7 * ct,)))
    assert flux.gradient(lambda x: f(x), 1.0) == (7.0,)


@line(155)
def test_a_rule_may_take_gradients_itself():
    def fixed_point(f, x, y):
        for _ in range(60):
            y = f(x, y)
        return y

    @flux.rule(fixed_point)
    def implicit(f, x, y):
        y = fixed_point(f, x, y)

        def back(ct):
            by_x, by_y = flux.gradient(f, x, y)
            return None, ct * by_x / (1 - by_y), 0.0

        return y, back

    found = flux.gradient(lambda x: fixed_point(lambda x, y: (y + x / y) / 2, x, 1.0), 4.0)[0]
    assert math.isclose(found, 0.25, rel_tol=1e-6)


@line(162)
def test_random_numbers_of_the_forward_pass_are_kept_for_the_reverse():
    def noisy(x):
        return np.sum(x * np.random.rand(3))

    x = np.ones(3)
    np.random.seed(1)
    drawn = np.random.rand(3)
    np.random.seed(1)
    assert np.allclose(flux.gradient(noisy, x)[0], drawn)


@line(164)
def test_effects_happen_once_and_in_order(capsys):
    def f(x):
        for i in range(2):
            print("step", i, x)
            x = x * 2
        return x

    _, back = flux.pullback(f, 1.0)
    assert capsys.readouterr().out == "step 0 1.0\nstep 1 2.0\n"
    back(1.0)
    assert capsys.readouterr().out == ""


@line(166)
@line(167)
def test_long_loops_need_no_recursion_and_reads_no_dense_arrays():
    def scalars(x):
        for _ in range(100_000):
            x = x * 0.99999
        return x

    assert math.isclose(flux.gradient(scalars, 1.0)[0], 0.99999**100_000, rel_tol=1e-9)

    def reads(x):
        total = 0.0
        for i in range(len(x)):
            total = total + x[i] ** 2
        return total

    x = np.arange(20_000.0)
    assert np.allclose(flux.gradient(reads, x)[0], 2 * x)


@line(33)
@line(34)
@line(35)
@pytest.mark.parametrize("read", [
    lambda x: x[..., None, ::-2], lambda x: x[x > 0.4], lambda x: x[[0, 0, 1]],
    lambda x: x[1:, [0, 2]], lambda x: x[np.array([[0], [1]]), np.array([1, 1])],
    lambda x: x[-1, 1:][::-1], lambda x: x[np.ix_([1, 0], [2, 2])], lambda x: x[None][0, 0],
])  # fmt: skip
def test_reads_of_every_kind_agree_with_differences(read):
    x = np.array([[0.1, 0.5, 0.9], [0.7, 0.3, 0.6]])
    flux.check_rule(lambda x: read(x) ** 2, x)


@line((129, 130))
def test_updates_of_jax_arrays_agree_with_jax():
    def ours(x, v):
        y = x.at[jnp.array([0, 0])].add(v).at[1].set(v * 2).at[2].mul(v)
        return jnp.sum(y.at[0].max(1.0) ** 2)

    x, v = jnp.arange(3.0), jnp.asarray(2.0)
    for found, expected in zip(
        flux.gradient(ours, x, v), jax.grad(ours, (0, 1))(x, v), strict=True
    ):
        assert np.allclose(found, expected)


COUNT = 2.0


@line(131)
def test_a_global_that_is_written_carries_its_derivative(monkeypatch):
    monkeypatch.setitem(globals(), "COUNT", 2.0)

    def f(x):
        global COUNT
        COUNT = COUNT * x
        return COUNT * x

    assert flux.gradient(f, 3.0) == (12.0,)
    assert COUNT == 6.0


def test_gradients_share_no_memory_with_each_other_or_with_the_cotangent():
    import numpy as np

    x, y = np.ones(3), np.ones(3)
    first, second = flux.gradient(lambda x, y: (x + y).sum(), x, y)
    first[:] = 9.0
    np.testing.assert_array_equal(second, 1.0)
    _, back = flux.pullback(lambda x: x, x)
    ct = np.ones(3)
    (found,) = back(ct)
    found[:] = 5.0
    np.testing.assert_array_equal(ct, 1.0)
    np.testing.assert_array_equal(x, 1.0)


def test_a_rule_is_given_the_cotangents_of_lists_inside_a_tuple():
    def both(a):
        return 2 * a, [3 * a]

    @flux.rule(both)
    def both_rule(a):
        return both(a), lambda ct: (2 * ct[0] + 3 * ct[1][0],)

    def loss(a):
        first, (second,) = both(a)
        return first * second

    assert flux.gradient(loss, 2.0) == (24.0,)


def unreached(a, c):
    b = 0.0
    for _ in range(2):
        b = 1 - c
        continue
        c = a
    return b + 3 * c


def assigned_to_itself(a, c):
    b = 0.0
    for _ in range(2):
        b = a - c
        c = c  # noqa: PLW0127
    return b + 3 * c


def left_from_the_else_of_a_loop(a, c):
    b = 0.0
    for d in (a, c):
        for e in (c, a):
            b = b + d * e
        else:
            continue
        b = 2.0
    for d in (a, c):
        while b > 100:
            pass
        else:
            b = b * d
            break
        b = 3.0
    return b + a * c


def returned_before_it_is_assigned_anew(a, c):
    b = a * 1
    if c > 0:
        if c > 0.1:
            return b
        b = c
    return b


@pytest.mark.parametrize(
    "f",
    [
        unreached,
        assigned_to_itself,
        left_from_the_else_of_a_loop,
        returned_before_it_is_assigned_anew,
    ],
    ids=lambda f: f.__name__,
)
def test_versions_of_a_variable_have_cotangents_of_their_own(f):
    at, h = (0.3, 0.4), 1e-6
    value, grads = flux.withgradient(f, *at)
    assert value == f(*at)
    slopes = [
        (f(*[x + h * (i == k) for k, x in enumerate(at)])
         - f(*[x - h * (i == k) for k, x in enumerate(at)])) / (2 * h)
        for i in range(2)
    ]  # fmt: skip
    np.testing.assert_allclose(grads, slopes, rtol=1e-7)
