"""Windows cut out and put back, against PyTorch and convolution."""

import jax.numpy as jnp
import numpy as np
import pytest

from flux.ad import pullback
from flux.compiler import jit
from flux.errors import ShapeError
from flux.functional import conv, fold, unfold

RNG = np.random.default_rng(0)
CASES = [
    ((6, 7), (3, 2), {}),
    ((6, 7), 2, {"stride": 2}),
    ((6, 7), (2, 3), {"stride": (1, 2), "pad": 1}),
    ((6, 7), 2, {"dilation": 2, "pad": (1, 2)}),
]
LIBRARIES = {"numpy": np.asarray, "jax": jnp.asarray, "jit": jnp.asarray}


def pull(f, x, ct, library):
    def both(x, ct):
        y, back = pullback(f, x)
        return y, back(ct)[0]

    run = jit(both) if library == "jit" else both
    return run(*map(LIBRARIES[library], (x, ct)))


def in_our_order(t, window):
    """PyTorch's ``(B, C * KH * KW, L)`` as ``(B, L, KH * KW * C)``."""
    kh, kw = (window, window) if isinstance(window, int) else window
    batch, _, places = t.shape
    return t.reshape(batch, -1, kh * kw, places).permute(0, 3, 2, 1).reshape(batch, places, -1)


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize(("sizes", "window", "settings"), CASES, ids=str)
def test_unfold_and_fold_agree_with_pytorch(library, sizes, window, settings):
    torch = pytest.importorskip("torch", reason="the reference of this test is PyTorch")
    x = RNG.normal(size=(2, *sizes, 3)).astype("f")
    given = {"padding" if name == "pad" else name: value for name, value in settings.items()}
    t = torch.tensor(x, requires_grad=True)
    expected = torch.nn.functional.unfold(t.movedim(-1, 1), window, **given)
    expected = in_our_order(expected, window)
    ct = RNG.normal(size=expected.shape).astype("f")
    expected.backward(torch.tensor(ct))
    rows = unfold(x, window, **settings)
    places = rows.shape[:-1]
    y, grad = pull(lambda x: unfold(x, window, **settings), x, ct.reshape((*places, -1)), library)
    np.testing.assert_array_equal(y.reshape(expected.shape), expected.detach())
    np.testing.assert_allclose(grad, t.grad, rtol=1e-5, atol=1e-6)
    # fold is the adjoint of unfold, and unfold that of fold
    back, again = pull(
        lambda y: fold(y, sizes, window, **settings), ct.reshape((*places, -1)), x, library
    )
    np.testing.assert_allclose(back, t.grad, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(again, rows)


@pytest.mark.parametrize("sizes", [(7,), (6, 7), (4, 5, 3)])
def test_unfold_times_a_weight_is_convolution(sizes):
    x, w = RNG.normal(size=(2, *sizes, 3)), RNG.normal(size=(*[2] * len(sizes), 3, 4))
    y = unfold(x, 2, pad="same") @ w.reshape(-1, 4)
    np.testing.assert_allclose(y, conv(x, w, pad="same"), rtol=1e-3, atol=1e-4)


def test_windows_that_do_not_fit_the_size_are_refused():
    with pytest.raises(ShapeError, match=r"\(1, 5, 2\).*\(1, 3, 2\)"):
        fold(np.ones((1, 5, 2)), 4, 2)
    with pytest.raises(ShapeError, match="multiple of 2"):
        fold(np.ones((1, 3, 5)), 4, 2)
