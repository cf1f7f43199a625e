"""The array library of a value."""

import jax.numpy as jnp
import numpy as np
import pytest

from flux.ad import pullback
from flux.functional.arrays import convert, namespace, narrow, shape_of, widen


@pytest.mark.parametrize("value", [1, 2.0, np.ones(2), np.float32(1), [1, 2]])
def test_numbers_lists_and_numpy_arrays_are_computed_with_numpy(value):
    assert namespace(value) is np


def test_one_jax_array_makes_it_jax():
    assert namespace(np.ones(2), None, jnp.ones(2)) is jnp


def test_integers_and_doubles_become_the_dtype_of_the_parameter():
    for x in (np.arange(3), np.ones(3), [1, 2]):
        assert convert(x, jnp.ones(1, jnp.float32)).dtype == jnp.float32


def test_a_complex_input_stays_complex():
    assert convert(np.ones(2) * 1j, np.ones(1)).dtype == np.complex128


def test_the_gradient_of_a_conversion_has_the_dtype_of_the_input():
    y, back = pullback(convert, jnp.ones(2, jnp.bfloat16), jnp.ones(1, jnp.float32))
    assert y.dtype == jnp.float32
    assert back(y)[0].dtype == jnp.bfloat16


def test_half_precision_is_widened_and_narrowed_again():
    x = jnp.ones(2, jnp.bfloat16)
    assert widen(x).dtype == jnp.float32
    assert narrow(widen(x), x).dtype == jnp.bfloat16
    assert widen(np.ones(2)).dtype == np.float64


def test_shapes_of_numbers_lists_and_arrays():
    assert [shape_of(v) for v in (1.0, [[1, 2]], jnp.ones((2, 3)))] == [(), (1, 2), (2, 3)]
