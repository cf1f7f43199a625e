"""Second derivatives through compiled branches, next to eager ones: reads, attributes, items."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import flux


class Pair:
    def __init__(self, u, v):
        self.u, self.v = u, v


def rows_in_a_branch(p):
    return p[0] * p[1] if p[0] < 0.4 else p[0] * p[0] * p[0]


def one_row_twice(p):
    return p[0] * p[0] + p[1] if p[0] < 0.4 else p[0]


def slices_in_a_branch(p):
    return (p[:1] * p[1:] * p[1:]).sum() if p.sum() < 1 else p.sum()


def rows_of_what_was_made(p):
    q = p * p
    return q[0] * q[1] if p[0] < 0.4 else q[1]


def rows_in_nested_branches(p):
    if p[0] < 0.4:
        return p[1] * p[0] if p[1] < 0.7 else p[1] * p[1] * p[0]
    return p[0]


def attribute_read_inside_and_after(p):
    pair = Pair(p[0], p[1])
    b = pair.u if p[1] > 0.31 else p[0] * 2
    return b * b * pair.u


def attribute_written_inside(p):
    pair = Pair(p[0], p[1])
    pair.v = pair.u * pair.v if p[1] > 0.31 else p[0] * 2
    return pair.u * pair.v * pair.v


def attribute_of_one_side(p):
    pair = Pair(p[0], p[1])
    if p[1] > 0.31:
        pair.v = pair.u * pair.u
    return pair.u * pair.v


def items_read_on_either_side(p):
    items, pair = [p[0], p[1]], Pair(p[0], p[1])
    b = pair.u if p[1] > 0.31 else items[0]
    return b * b * items[0] * pair.u


def in_a_loop(p):
    pair, total = Pair(p[0], p[1]), 0.0
    for i in range(3):
        total = total + (pair.u * p[i % 2] if total < 0.5 else pair.v * pair.v)
        pair.u = total * pair.v
    return total * pair.u


PROGRAMS = [
    rows_in_a_branch, one_row_twice, slices_in_a_branch, rows_of_what_was_made,
    rows_in_nested_branches, attribute_read_inside_and_after, attribute_written_inside,
    attribute_of_one_side, items_read_on_either_side, in_a_loop,
]  # fmt: skip


@pytest.mark.parametrize("point", [(0.3, 0.6), (0.5, 0.2), (0.2, 0.9)], ids=str)
@pytest.mark.parametrize("f", PROGRAMS, ids=lambda f: f.__name__)
def test_second_derivatives_through_branches_equal_eager_ones(f, point):
    def slope(p):
        return jnp.sum(flux.gradient(f, p)[0] * jnp.array([1.0, 0.3]))

    with jax.enable_x64(True):
        p = jnp.array(point)
        found = flux.jit(lambda p: flux.gradient(slope, p)[0])(p)
        np.testing.assert_allclose(found, flux.gradient(slope, p)[0], rtol=1e-9, atol=1e-12)
        step = 1e-5 * np.eye(2)
        wanted = [(slope(p + h) - slope(p - h)) / 2e-5 for h in step]
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-7)
