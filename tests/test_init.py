"""Initial values: their spread, shape, seeds and dtypes."""

import jax.numpy as jnp
import numpy as np
import pytest

from flux import init
from flux.errors import ShapeError
from flux.random import RandomState, seed

SPREADS = {
    init.glorot_uniform: np.sqrt(2 / 1000),
    init.glorot_normal: np.sqrt(2 / 1000),
    init.kaiming_uniform: np.sqrt(2 / 400),
    init.kaiming_normal: np.sqrt(2 / 400),
    init.lecun_normal: np.sqrt(1 / 400),
}
EVERY = [getattr(init, name) for name in init.__all__ if name != "fans"]


@pytest.mark.parametrize("draw", SPREADS, ids=lambda f: f.__name__)
def test_the_standard_deviation_is_that_of_the_paper(draw):
    w = np.asarray(draw((400, 600), rng=0))
    assert abs(w.mean()) < 3e-4
    np.testing.assert_allclose(w.std(), SPREADS[draw], rtol=0.01)


@pytest.mark.parametrize("draw", SPREADS, ids=lambda f: f.__name__)
def test_a_window_counts_among_the_connections(draw):
    ratio = np.std(draw((5, 5, 16, 64), rng=0)) / np.std(draw((400, 1600), rng=0))
    np.testing.assert_allclose(ratio, 1, rtol=0.03)


@pytest.mark.parametrize("draw", SPREADS, ids=lambda f: f.__name__)
def test_gain_scales(draw):
    w, doubled = draw((3, 4), rng=0, gain=1.0), draw((3, 4), rng=0, gain=2.0)
    np.testing.assert_allclose(doubled, 2 * w, rtol=1e-6)


@pytest.mark.parametrize("draw", EVERY, ids=lambda f: f.__name__)
def test_every_initialiser_keeps_the_common_form(draw):
    w = draw((4, 3), rng=0, dtype="bfloat16")
    assert (w.shape, w.dtype) == ((4, 3), jnp.bfloat16)
    assert draw((4, 3)).dtype == jnp.float32
    np.testing.assert_array_equal(draw((4, 3), rng=5), draw(rng=5)((4, 3)))


def test_keywords_alone_make_an_initialiser():
    bound = init.glorot_uniform(gain=2.0)
    np.testing.assert_array_equal(
        bound((3, 4), rng=0), init.glorot_uniform((3, 4), rng=0, gain=2.0)
    )


def test_seeds_generators_states_and_keys_are_accepted():
    import jax

    for rng in (1, np.random.default_rng(1), RandomState(1), jax.random.key(1)):
        assert init.glorot_uniform((2, 3), rng=rng).shape == (2, 3)


def test_flux_seed_repeats_what_follows():
    seed(3)
    first = init.orthogonal((4, 4)), init.kaiming_normal((2, 2))
    seed(3)
    second = init.orthogonal((4, 4)), init.kaiming_normal((2, 2))
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a, b)


def test_truncated_normal_is_cut_at_values():
    w = np.asarray(init.truncated_normal((10_000,), std=3.0, mean=1.0, lo=-1, hi=4, rng=0))
    assert -1 <= w.min() < -0.9
    assert 3.9 < w.max() <= 4


def test_truncated_normal_refuses_bounds_with_nothing_between():
    with pytest.raises(ValueError, match="50"):
        init.truncated_normal((3,), lo=50, hi=60)


def test_lecun_normal_is_cut_at_two_standard_deviations():
    w = np.asarray(init.lecun_normal((400, 400), rng=0))
    np.testing.assert_allclose(abs(w).max() / w.std(), 2 / 0.8796, rtol=0.01)


@pytest.mark.parametrize("shape", [(5, 5), (3, 7), (7, 3), (2, 3, 4)])
def test_orthogonal_has_an_orthonormal_shorter_side(shape):
    w = np.asarray(init.orthogonal(shape, rng=0, gain=2.0)).reshape(-1, shape[-1])
    product = w @ w.T if w.shape[0] < w.shape[1] else w.T @ w
    np.testing.assert_allclose(product, 4 * np.eye(min(w.shape)), atol=1e-5)


def test_orthogonal_and_sparse_refuse_what_is_no_matrix():
    for draw, shape in ((init.orthogonal, (3,)), (init.sparse_init, (2, 3, 4))):
        with pytest.raises(ShapeError, match=str(shape[-1])):
            draw(shape)


def test_identity_init_makes_a_convolution_that_passes():
    w = np.asarray(init.identity_init((3, 3, 2, 2), gain=5.0))
    np.testing.assert_array_equal(w[1, 1], 5 * np.eye(2))
    assert w.sum() == 10


def test_identity_init_can_be_shifted():
    np.testing.assert_array_equal(init.identity_init((2, 2), shift=(0, 1)), [[0, 1], [1, 0]])


def test_fans_count_the_connections_of_an_input_and_an_output():
    assert init.fans((3, 4)) == (3, 4)
    assert init.fans((5, 2, 3, 4)) == (30, 40)


def test_sparse_columns_have_their_share_of_zeros_and_their_deviation():
    w = np.asarray(init.sparse_init((1000, 50), sparsity=0.25, std=0.1, rng=0))
    np.testing.assert_array_equal((w == 0).sum(axis=0), 250)
    np.testing.assert_allclose(w[w != 0].std(), 0.1, rtol=0.01)
    assert len({tuple(column) for column in (w == 0).T}) == 50


@pytest.mark.parametrize("shape", [(), (3,), (2, 3)])
def test_constants_are_what_they_are_called(shape):
    np.testing.assert_array_equal(init.ones(shape), np.ones(shape))
    np.testing.assert_array_equal(init.zeros(shape), np.zeros(shape))
