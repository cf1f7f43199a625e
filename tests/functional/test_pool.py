"""Pooling against PyTorch."""

import jax.numpy as jnp
import numpy as np
import pytest

from flux.ad import pullback
from flux.functional import maxpool, meanpool

torch = pytest.importorskip("torch", reason="the reference of these tests is PyTorch")
T = torch.nn.functional
RNG = np.random.default_rng(0)
CASES = [
    ((8,), 2, {}),
    ((8, 7), (2, 3), {}),
    ((6, 5, 4), 2, {}),
    ((9, 8), 3, {"stride": 2}),
    ((9, 8), 3, {"stride": (1, 2), "pad": 1}),
]
PAIRS = {
    "max": (maxpool, [T.max_pool1d, T.max_pool2d, T.max_pool3d]),
    "mean": (meanpool, [T.avg_pool1d, T.avg_pool2d, T.avg_pool3d]),
}


@pytest.mark.parametrize("wrap", [np.asarray, jnp.asarray])
@pytest.mark.parametrize(("sizes", "window", "settings"), CASES)
@pytest.mark.parametrize("name", PAIRS)
def test_pools_and_their_gradients_agree_with_pytorch(name, sizes, window, settings, wrap):
    ours, theirs = PAIRS[name]
    x = RNG.normal(size=(2, *sizes, 3)).astype("f")
    y, back = pullback(lambda x: ours(x, window, **settings), wrap(x))
    t = torch.tensor(x, requires_grad=True)
    given = {"padding" if k == "pad" else k: v for k, v in settings.items()}
    expected = theirs[len(sizes) - 1](t.movedim(-1, 1), window, **given).movedim(1, -1)
    np.testing.assert_allclose(y, expected.detach(), rtol=1e-5)
    ct = RNG.normal(size=y.shape).astype("f")
    expected.backward(torch.tensor(ct))
    np.testing.assert_allclose(back(wrap(ct))[0], t.grad, rtol=1e-4, atol=1e-6)


def test_of_equal_entries_the_first_has_the_gradient():
    y, back = pullback(lambda x: maxpool(x, 2), jnp.zeros((1, 4, 1)))
    np.testing.assert_array_equal(back(jnp.ones_like(y))[0].ravel(), [1, 0, 1, 0])


def test_padding_never_wins():
    assert (maxpool(-np.ones((1, 4, 4, 1)), 3, pad=1) == -1).all()


def test_padding_can_be_left_out_of_the_mean():
    x = np.ones((1, 4, 4, 1))
    assert (meanpool(x, 3, stride=1, pad=1, count_pad=False) == 1).all()
    assert meanpool(x, 3, stride=1, pad=1).min() == 4 / 9


def test_same_padding_keeps_the_length():
    assert maxpool(np.ones((1, 7, 6, 2)), 3, stride=1, pad="same").shape == (1, 7, 6, 2)


def test_a_window_of_another_number_of_axes_is_refused():
    with pytest.raises(ValueError, match="window"):
        maxpool(np.ones((1, 7, 6, 2)), (2,))
