"""What a compiled function does is what plain Python does, or it is refused: one program each."""

import math

import jax.numpy as jnp
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


def item_in_a_try(x, y):
    try:
        return x.item()
    except Exception:
        return y


def domain_in_a_try(x, y):
    try:
        return math.sqrt(x - 1)
    except ValueError:
        return y


@pytest.mark.parametrize("f", [index_in_a_try, item_in_a_try, domain_in_a_try])
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
