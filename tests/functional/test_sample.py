"""Reading images at places between their positions, against PyTorch."""

import jax.numpy as jnp
import numpy as np
import pytest

from flux.ad import pullback
from flux.compiler import jit
from flux.errors import ShapeError
from flux.functional import grid_sample

torch = pytest.importorskip("torch", reason="the reference of these tests is PyTorch")
RNG = np.random.default_rng(0)


def check(x, grid, mode, padding, align_corners, lib=jnp, compiled=False):
    options = {"padding": padding, "align_corners": align_corners}

    def both(x, grid, ct):
        y, back = pullback(lambda x, grid: grid_sample(x, grid, mode=mode, **options), x, grid)
        return y, *back(ct)

    tx, tg = (torch.tensor(a, requires_grad=True) for a in (x, grid))
    expected = torch.nn.functional.grid_sample(
        tx.movedim(-1, 1),
        tg,
        mode="bilinear" if mode == "linear" else mode,
        padding_mode=padding,
        align_corners=align_corners,
    ).movedim(1, -1)
    ct = RNG.normal(size=expected.shape)
    expected.backward(torch.tensor(ct))
    run = jit(both) if compiled else both
    tolerance = 1e-9 if lib is np else 2e-3
    for ours, theirs in zip(
        run(*map(lib.asarray, (x, grid, ct))), (expected.detach(), tx.grad, tg.grad), strict=True
    ):
        np.testing.assert_allclose(ours, theirs, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize("padding", ["zeros", "border", "reflection"])
@pytest.mark.parametrize("mode", ["linear", "nearest"])
def test_images_and_gradients_agree_with_pytorch(mode, padding, align_corners):
    x = RNG.normal(size=(2, 4, 5, 3))
    grid = RNG.uniform(-2.7, 2.7, size=(2, 6, 7, 2))
    check(x, grid, mode, padding, align_corners, lib=np)


@pytest.mark.parametrize("compiled", [False, True])
def test_jax_arrays_agree_with_pytorch_compiled_too(compiled):
    x = RNG.normal(size=(2, 4, 5, 3))
    grid = RNG.uniform(-1.2, 1.2, size=(2, 6, 7, 2))
    check(x, grid, "linear", "zeros", False, compiled=compiled)


def test_volumes_agree_with_pytorch():
    x = RNG.normal(size=(1, 3, 4, 5, 2))
    grid = RNG.uniform(-1.2, 1.2, size=(1, 2, 3, 4, 3))
    check(x, grid, "linear", "border", False, lib=np)


def test_a_sequence_is_read_at_its_positions():
    x = RNG.normal(size=(1, 5, 2))
    places = np.linspace(-1, 1, 5).reshape(1, 5, 1)
    np.testing.assert_allclose(grid_sample(x, places, align_corners=True), x, rtol=1e-12)


@pytest.mark.parametrize("shape", [(2, 6, 7, 3), (1, 6, 7, 2), (2, 6, 2)])
def test_a_grid_that_does_not_fit_is_refused(shape):
    with pytest.raises(ShapeError, match=r"\(2, 4, 5, 3\)"):
        grid_sample(np.ones((2, 4, 5, 3)), np.zeros(shape))


def test_an_unknown_mode_or_padding_is_refused():
    x, grid = np.ones((1, 2, 2, 1)), np.zeros((1, 1, 1, 2))
    with pytest.raises(ValueError, match="mode is 'cubic'"):
        grid_sample(x, grid, mode="cubic")
    with pytest.raises(ValueError, match="padding is 'same'"):
        grid_sample(x, grid, padding="same")
