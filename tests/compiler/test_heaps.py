"""The memory of compiled programs, in pieces."""

import jax
import jax.numpy as jnp
import numpy as np

from flux.compiler.heaps import in_pieces


def products(x):
    wave = x
    for _ in range(14):  # each is kept for the gradient: 1 MiB
        wave = jnp.sin(wave @ x)
    return jnp.sum(wave)


def test_a_program_of_a_piece_can_be_written_to_disk():
    x = np.ones((512, 512), np.float32)
    traced = jax.jit(jax.grad(products)).trace(x)
    compiled = traced.lower().compile(compiler_options=in_pieces(traced))
    assert compiled.memory_analysis().temp_size_in_bytes > 8 << 20
    assert compiled.runtime_executable().serialize()
