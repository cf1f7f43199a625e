"""Programs in files: what they compute, what they refuse, and files that are not whole."""

import re

import jax.numpy as jnp
import numpy as np
import pytest

import flux

X = np.array([[1.0, -2.0, 0.5], [0.0, 3.0, 1.0]], np.float32)


@pytest.fixture
def through_file(tmp_path):
    """Save a program and load it again."""

    def go(program):
        program.save(tmp_path / "program.flux")
        return flux.load_exported(tmp_path / "program.flux")

    return go


def test_a_model_keeps_its_parameters_and_takes_any_batch(through_file):
    model = flux.Chain(flux.Dense(3, 4, flux.tanh), flux.LayerNorm(4), flux.Dense(4, 2))
    program = through_file(flux.export(model, X, batch=True))
    expected = model(X)
    model.layers[0].weight = jnp.zeros((3, 4))
    np.testing.assert_allclose(program(X), expected, rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(program(X[1:]), expected[1:], rtol=1e-6, atol=1e-7)
    assert program.platforms == ("cpu", "cuda", "tpu")


def test_a_model_that_is_an_argument_is_an_input(through_file):
    model, other = flux.Dense(3, 2), flux.Dense(3, 2)
    program = through_file(flux.export(lambda model, x: model(x), model, X))
    np.testing.assert_allclose(program(other, X), other(X), rtol=1e-6)


def steps(parts, count, rate):
    total = {"sum": 0.0, "rows": []}
    for row in parts["x"]:
        if row.sum() > 0:
            total["sum"] = total["sum"] + rate * row.sum()
        while total["sum"] > 1:
            total["sum"] = total["sum"] / 2
    slopes = flux.gradient(lambda x: (x**3).sum() / count, parts["x"])
    return total["sum"], [slopes[0], count, None], {"sorted": jnp.sort(parts["y"][0])}


def test_structures_control_flow_and_gradients(through_file):
    parts = {"x": X, "y": (X[0],)}
    program = through_file(flux.export(steps, parts, 2, np.float32(0.5)))
    total, (slopes, count, none), rest = program({"x": 2 * X, "y": (X[1],)}, 2, 4.0)
    assert float(total) == 1.0  # row 2 alone has a positive sum: 4 * 8 = 32, halved until <= 1
    np.testing.assert_allclose(slopes, 1.5 * (2 * X) ** 2)
    assert (count, none) == (2, None)
    assert rest["sorted"].tolist() == [0.0, 1.0, 3.0]


def test_two_arguments_that_were_one_array_are_two_inputs(through_file):
    program = through_file(flux.export(lambda a, b: a - b, X, X))
    np.testing.assert_array_equal(program(X, 2 * X), -X)


def positive(x):
    if x.min() < 0:
        raise ValueError("a negative number")
    return jnp.sqrt(x)


def test_exceptions_of_the_data_are_raised_by_the_loaded_program(through_file):
    program = through_file(flux.export(positive, X))
    with pytest.raises(ValueError, match="a negative number"):
        program(X)
    assert float(program(4 * abs(X)).max()) == pytest.approx(12**0.5)
    outer = flux.jit(lambda x: program(x) + 1)
    with pytest.raises(ValueError, match="a negative number"):
        outer(X)
    assert float(outer(0 * X).max()) == 1


WRONG = [
    ((X[:, :2], 3), r"argument 0 .* expected float32\[2, 3\], and got float32\[2, 2\]"),
    ((X.astype(int), 3), r"argument 0 .* expected float32\[2, 3\], and got int32"),
    ((X, 4), "argument 1 .* expected 3, .* and got 4"),
    (((X,), 3), "argument 0 .* expected an array, and got a tuple of 1"),
    ((X,), "takes 2 arguments, and got 1"),
]


@pytest.mark.parametrize(("args", "message"), WRONG)
def test_other_arguments_are_named(args, message):
    program = flux.export(lambda x, n: x * n, X, 3)
    with pytest.raises(flux.FluxError, match=message):
        program(*args)


def test_what_a_file_cannot_do_is_refused():
    total = flux.export(lambda x: x.sum(), X)
    with pytest.raises(flux.StagingError, match="changes the BatchNorm"):
        flux.export(flux.trainmode(flux.BatchNorm(3)), X)
    with pytest.raises(flux.FluxError, match="argument 0 is a function"):
        flux.export(steps, steps)
    with pytest.raises(flux.FluxError, match="cannot return a Dense"):
        flux.export(lambda x: flux.Dense(3, 2), X)
    with pytest.raises(flux.NotDifferentiable):
        flux.gradient(total, X)
    with pytest.raises(flux.FluxError, match="expected platforms"):
        flux.export(steps, X, platforms=("gpu",))


def test_damaged_and_foreign_files_are_named(tmp_path):
    path = tmp_path / "program.flux"
    flux.export(lambda x: 2 * x, X).save(path)
    whole = path.read_bytes()
    for data, reason in [
        (whole[:-1], "is damaged"),
        (whole.replace(b'"float32"', b'"float16"', 1), "is damaged"),
        (whole[:40], "is damaged"),
        (b"", "is not a program written by flux.export"),
        (whole.replace(b"flux-export 1", b"flux-export 9", 1), "was written by a newer version"),
    ]:
        path.write_bytes(data)
        with pytest.raises(flux.ModelFileError, match=f"{re.escape(str(path))} {reason}"):
            flux.load_exported(path)
    with pytest.raises(flux.ModelFileError, match="does not exist"):
        flux.load_exported(tmp_path / "other.flux")
    with pytest.raises(flux.ModelFileError, match="cannot be written"):
        flux.export(lambda x: 2 * x, X).save(tmp_path / "no" / "program.flux")
