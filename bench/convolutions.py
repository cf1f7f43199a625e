"""What does a convolution of few channels cost on a CPU, next to XLA's own?

The shapes are those of first and last layers: few channels in, or few out of the adjoint. Each is
measured forward and in its gradient (input and weight), next to `lax.conv_general_dilated` with the
gradient of JAX.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import lax
from measure import Row, alternate, compared, script

import flux
from flux.functional import conv

SHAPES = {
    "LeNet, first": ((64, 28, 28, 1), (5, 5, 1, 6), 2, 1),
    "LeNet, second": ((64, 14, 14, 6), (5, 5, 6, 16), 0, 1),
    "3 to 16, 32x32": ((32, 32, 32, 3), (3, 3, 3, 16), 1, 1),
    "3 to 32, 128x128": ((4, 128, 128, 3), (3, 3, 3, 32), 1, 1),
    "1 to 16, stride 2": ((32, 28, 28, 1), (4, 4, 1, 16), 1, 2),
    "8 to 16, 32x32": ((16, 32, 32, 8), (3, 3, 8, 16), 1, 1),
}


def works(shape, window, pad, stride):
    """Ours and XLA's, forward and both gradients, as functions to be timed."""
    x = jax.random.normal(jax.random.key(0), shape)
    weight = jax.random.normal(jax.random.key(1), window)

    def ours(x, w):
        return conv(x, w, pad=pad, stride=stride)

    def theirs(x, w):
        layout = ("NHWC", "HWIO", "NHWC")
        return lax.conv_general_dilated(
            x, w, (stride, stride), [(pad, pad)] * 2, dimension_numbers=layout
        )

    def square(f):
        return lambda x, w: jnp.sum(f(x, w) ** 2)

    def timed(f):
        return lambda: jax.block_until_ready(f(x, weight))

    slopes = flux.jit(lambda x, w: flux.gradient(square(ours), x, w))
    return (
        {"flux": timed(flux.jit(ours)), "XLA": timed(jax.jit(theirs))},
        {"flux": timed(slopes), "XLA": timed(jax.jit(jax.grad(square(theirs), (0, 1))))},
    )


def main(quick: bool = False) -> list[Row]:
    rows = []
    for name, sizes in SHAPES.items():
        for what, pair in zip(("forward", "gradient"), works(*sizes), strict=True):
            times = alternate(pair, 5 if quick else 25)
            rows.append(compared(f"{name}, {what}", times, "flux", "XLA"))
    return rows


if __name__ == "__main__":
    script(main, __doc__)
