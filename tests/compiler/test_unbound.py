"""Variables that a run may leave without a value: a compiled program raises as Python does."""

import linecache

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import flux


def one_side(x):
    if x > 0:
        y = x * x
    return y * 3


def deleted(x):
    y = x * x
    if x < 0:
        del y
    return y


def read_in_a_branch(x):
    if x > 0:
        y = x * x
    if x > -1:
        return y
    return x


def handed_through_a_loop(x):
    for i in range(3):
        if x > i:
            y = x * i
    return y


def left_by_break(x):
    for i in range(4):
        if x > i + 1:
            y = x * i
            break
    return y


def read_by_the_next_iteration(x):
    total = x * 0
    for i in range(4):
        if x > 0 and i > 0:
            total = total + y * x  # noqa: F821
        if x > 0 or i > 1:
            y = x * i
        if i == 3 and x < 0:
            del y
    return total + y * 0 if x > 0 else y


def no_round(x):
    while 0 < x < 10:
        y = x * x
        x = x * 2
    return y


def an_object(x):
    if x > 0:
        pair = [x, {"square": x * x}]
    return pair[0] * pair[1]["square"]


def a_text(x):
    if x > 0:
        kind = "positive"
    return x * 2 if kind == "positive" else x


def of_a_name_that_has_no_value_yet(x):
    y = x if x > 0 else later  # noqa: F821
    later = 1.0
    return y * later


def captured(x):
    if x > 0:
        y = x * x

    def twice():
        return y * 2

    return twice() if x > -1 else x


def of_a_function_inside(x):
    def put(value):
        nonlocal y
        y = value

    if x > 0:
        put(x * x)
    if x > 100:
        y = x
    return y


RAISING = [one_side, deleted, read_in_a_branch, handed_through_a_loop, left_by_break, no_round,
           read_by_the_next_iteration, an_object, a_text,
           captured, of_a_function_inside, of_a_name_that_has_no_value_yet]  # fmt: skip


@pytest.mark.parametrize("f", RAISING)
def test_a_read_of_an_unbound_variable_is_an_error_of_the_run(f):
    compiled = flux.jit(lambda x: flux.withgradient(f, x))
    for x in (3.0, 2.7):
        y, (ct,) = compiled(jnp.float32(x))
        near = f(x + 1e-4) - f(x - 1e-4)
        assert [float(y), float(ct)] == pytest.approx([f(x), near / 2e-4], abs=1e-5)
    with pytest.raises(NameError) as plain:
        f(-0.5)
    with pytest.raises(NameError) as error:
        compiled(jnp.float32(-0.5))
    assert error.type is plain.type
    words, _, place = str(error.value).partition("\n")
    line = plain.traceback[-1].lineno + 1
    text = linecache.getline(__file__, line).strip()
    assert words == str(plain.value)
    assert place == f"  at test_unbound.py line {line}: {text}"


def never_returns(x):
    raise ValueError("no value")


def calls_it(x):
    if x < 0:
        y = x * x
        x = never_returns(x) * y
    return x * x


def test_the_reverse_of_a_side_that_raised_in_a_call():
    compiled = flux.jit(lambda x: flux.gradient(calls_it, x)[0])
    assert float(compiled(jnp.float32(3))) == 6.0
    with pytest.raises(ValueError, match="no value"):
        compiled(jnp.float32(-3))


def the_same_condition(x):
    if x > 0:
        y = x * x
    x = x + 1
    if x > 1:
        x = x * y
    return x


def slope_of(x):
    return flux.gradient(the_same_condition, x)[0]


def test_what_the_run_does_not_read_is_no_error():
    compiled = flux.jit(lambda x: flux.withgradient(the_same_condition, x))
    for x, want, slope in ((2.0, 12.0, 16.0), (-1.0, 0.0, 1.0)):
        y, (ct,) = compiled(jnp.float32(x))
        assert (float(y), float(ct)) == (want, slope)
    second = flux.jit(flux.vmap(lambda x: flux.gradient(slope_of, x)[0]))
    assert second(jnp.asarray([2.0, -1.0, 1.0])).tolist() == [14.0, 0.0, 8.0]


def test_examples_of_vmap_are_apart():
    xs = jnp.asarray([2.0, -0.5, -2.0])
    assert flux.vmap(the_same_condition)(xs).tolist() == [12.0, 0.5, -1.0]
    assert flux.jit(flux.vmap(read_in_a_branch))(xs[::2]).tolist() == [4.0, -2.0]
    with pytest.raises(UnboundLocalError, match="variable 'y'"):
        flux.jit(flux.vmap(read_in_a_branch))(xs)


def never_read(x):
    if x > 0:
        y = x * x
        x = y + 1
    for i in range(3):
        z = x * i
        x = x + z
    return x


def always_bound(xs):
    for x in xs:
        if x > 9:
            raise ValueError("too large")
        elif x > 0:
            y = x * 2
        else:
            y = -x
    return y


def bound_before(xs):
    y = 0.0
    for x in xs:
        if x > 9:
            raise ValueError("too large")
        elif x > 0:
            y = x * 2
        else:
            y = -x
    return y


def test_without_such_a_read_there_is_no_flag():
    def flags(f, x):
        return str(jax.make_jaxpr(lambda x: flux.jit(f)(x))(x)).count("bool[]")

    assert flags(never_read, jnp.float32(1)) == 3  # the comparison, and what makes it a test
    assert flags(always_bound, jnp.ones(3)) == flags(bound_before, jnp.ones(3))


def last_positive(xs):
    for x in xs:
        if x > 0:
            last = x
    return last * 2


def test_a_loop_of_known_length_stays_one():
    xs = np.linspace(-1, 1, 1000, dtype=np.float32)
    compiled = flux.jit(lambda xs: flux.withgradient(last_positive, xs))
    y, (ct,) = compiled(xs)
    assert (y, ct.sum(), ct[-1]) == (2.0, 2.0, 2.0)
    with pytest.raises(UnboundLocalError, match="'last'"):
        compiled(-abs(xs))
    with pytest.raises(UnboundLocalError, match="'last'"):
        compiled(xs[:0])


def left_to_numpy(x):
    if x > 0:
        y = x
    return np.vectorize(lambda n: y * n)(np.arange(3))


def test_a_function_that_is_not_written_anew_is_refused():
    with pytest.raises(flux.errors.StagingError, match="a captured variable"):
        flux.jit(left_to_numpy)(jnp.float32(1))


def test_the_check_is_exported(tmp_path):
    program = flux.export(one_side, jnp.float32(1))
    program.save(tmp_path / "f.flux")
    f = flux.load_exported(tmp_path / "f.flux")
    assert float(f(jnp.float32(2))) == 12.0
    with pytest.raises(UnboundLocalError, match="variable 'y'"):
        f(jnp.float32(-2))
