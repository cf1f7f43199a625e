"""`flux.show`: what is printed, when, and how often."""

import jax.numpy as jnp
import pytest

import flux


def growing(x, n):
    for i in range(n):
        x = x * 2
        if x > 10:
            flux.show(x, i, label="large")
    flux.show("done")
    return x


def until(x):
    while x < 100:
        x = flux.show(x * 3, label="x")
    return x


LARGE = "large 16.0 2\nlarge 32.0 3\ndone\n"
MANY = "x 6.0\nx 18.0\nx 54.0\nx 162.0\n"
CALLS = [
    (lambda x: growing(x, 4), LARGE),
    (lambda x: flux.gradient(growing, x, 4), LARGE),
    (until, MANY),
    (lambda x: flux.gradient(until, x), MANY),
    (lambda x: flux.gradient(lambda x: flux.gradient(lambda x: growing(x, 4), x)[0] * x, x), LARGE),
    (lambda x: flux.show({"a": [x]}, x)[1], None),
    (lambda x: flux.vmap(lambda x: flux.show(2 * x))(jnp.stack([x])), "4.0\n"),
    (lambda x: flux.vmap(lambda x: flux.gradient(lambda x: flux.show(x) ** 2, x))(jnp.stack([x])),
     "2.0\n"),
]  # fmt: skip


@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
@pytest.mark.parametrize("place", range(len(CALLS)))
def test_each_line_is_shown_once_and_in_order(place, compiled, capsys):
    call, expected = CALLS[place]
    f = flux.jit(call) if compiled else call
    for _ in range(2):
        f(jnp.float32(2.0))
        shown = capsys.readouterr().out
        assert shown == (expected or shown)
        assert "2." in shown or "16" in shown or "4.0" in shown or "162" in shown


def test_the_derivative_passes_through():
    def product(x, y):
        a, b = flux.show(x, y * y)
        return a * flux.show(b)

    assert flux.gradient(product, 2.0, 3.0) == (9.0, 12.0)
    slopes = flux.jit(lambda x, y: flux.gradient(product, x, y))(jnp.array(2.0), jnp.array(3.0))
    assert [float(slope) for slope in slopes] == [9.0, 12.0]


def test_a_program_in_a_file_cannot_show():
    with pytest.raises(flux.StagingError, match=r"flux\.show"):
        flux.export(until, jnp.float32(1.0))
