"""The memory of compiled programs, in pieces."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from flux.compiler.heaps import in_pieces


def products(x, count):
    wave = x
    for _ in range(count):  # each is kept for the gradient, so is its sine
        wave = jnp.sin(wave @ x)
    return jnp.sum(wave)


@pytest.mark.parametrize(("side", "count", "divided"), [(512, 14, 0), (512, 40, 1), (2048, 4, 0)])
def test_only_programs_of_much_memory_in_small_arrays_are_divided(side, count, divided):
    x = np.ones((side, side), np.float32)
    traced = jax.jit(jax.grad(products), static_argnums=1).trace(x, count)
    compiled = traced.lower().compile(compiler_options=in_pieces(traced))
    assert len(in_pieces(traced)) == divided
    assert compiled.memory_analysis().temp_size_in_bytes > 8 << 20
    if not divided:  # it can be written to disk
        assert compiled.runtime_executable().serialize()
