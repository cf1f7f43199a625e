"""Interpolation and pixel shuffling against PyTorch."""

import jax.numpy as jnp
import numpy as np
import pytest

from flux.ad import pullback
from flux.compiler import jit
from flux.errors import ShapeError
from flux.functional import pixel_shuffle, pixel_unshuffle, upsample

torch = pytest.importorskip("torch", reason="the reference of these tests is PyTorch")
T = torch.nn.functional
RNG = np.random.default_rng(0)
LIBRARIES = {"numpy": np.asarray, "jax": jnp.asarray, "jit": jnp.asarray}


def check(ours, theirs, x, library="jax"):
    """Value and gradient of `ours`, channels last, against `theirs`, channels second."""

    def both(x, ct):
        y, back = pullback(ours, x)
        return y, back(ct)[0]

    t = torch.tensor(x, requires_grad=True)
    expected = theirs(t.movedim(-1, 1)).movedim(1, -1)
    ct = RNG.normal(size=expected.shape).astype(x.dtype)
    expected.backward(torch.tensor(ct))
    run = jit(both) if library == "jit" else both
    y, grad = run(*map(LIBRARIES[library], (x, ct)))
    np.testing.assert_allclose(y, expected.detach(), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(grad, t.grad, rtol=1e-4, atol=1e-5)


CASES = [
    ((5,), {"size": 12}),
    ((5, 4), {"scale": 2}),
    ((5, 4), {"scale": (2, 3)}),
    ((5, 4), {"size": (3, 9)}),
    ((5, 4), {"scale": 1.5}),
    ((3, 4, 2), {"scale": 2}),
]
LINEAR = ["linear", "bilinear", "trilinear"]


def interpolated(x, settings, mode, align_corners=None):
    given = {"size": settings.get("size"), "scale_factor": settings.get("scale")}
    rescaled = {"recompute_scale_factor": True} if given["scale_factor"] else {}
    return T.interpolate(x, mode=mode, align_corners=align_corners, **given, **rescaled)


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize(("sizes", "settings"), CASES, ids=str)
def test_nearest_neighbours_agree_with_pytorch(library, sizes, settings):
    check(
        lambda x: upsample(x, **settings),
        lambda t: interpolated(t, settings, "nearest"),
        RNG.normal(size=(2, *sizes, 3)).astype("f"),
        library,
    )


@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize(("sizes", "settings"), CASES, ids=str)
def test_linear_interpolation_agrees_with_pytorch(library, sizes, settings, align_corners):
    mode = LINEAR[len(sizes) - 1]
    check(
        lambda x: upsample(x, mode=mode, align_corners=align_corners, **settings),
        lambda t: interpolated(t, settings, mode, align_corners),
        RNG.normal(size=(2, *sizes, 3)).astype("f"),
        library,
    )


def test_half_precision_stays_half():
    x = jnp.ones((1, 4, 4, 1), jnp.bfloat16)
    assert upsample(x, 2).dtype == upsample(x, 2, mode="linear").dtype == jnp.bfloat16


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"scale": 2, "size": 4},
        {"scale": 2, "mode": "trilinear"},
        {"scale": 2, "mode": "cubic"},
        {"scale": 0.1},
        {"scale": (2, 2, 2)},
    ],
    ids=str,
)
def test_settings_that_make_no_sense_are_refused(settings):
    with pytest.raises(ValueError, match="scale|mode"):
        upsample(np.ones((1, 4, 4, 1)), **settings)


def test_an_array_without_positions_is_refused():
    with pytest.raises(ShapeError, match=r"\(4, 3\)"):
        upsample(np.ones((4, 3)), 2)


@pytest.mark.parametrize("library", LIBRARIES)
def test_pixel_shuffle_and_its_reverse_agree_with_pytorch(library):
    x = RNG.normal(size=(2, 3, 4, 18)).astype("f")
    check(lambda x: pixel_shuffle(x, 3), lambda t: T.pixel_shuffle(t, 3), x, library)
    x = RNG.normal(size=(2, 6, 9, 2)).astype("f")
    check(lambda x: pixel_unshuffle(x, 3), lambda t: T.pixel_unshuffle(t, 3), x, library)


@pytest.mark.parametrize("sizes", [(3,), (3, 4), (2, 3, 4)])
def test_unshuffled_pixels_are_shuffled_back_in_any_number_of_axes(sizes):
    x = RNG.normal(size=(2, *sizes, 8))
    y = pixel_shuffle(x, 2)
    assert y.shape == (2, *[2 * n for n in sizes], 8 // 2 ** len(sizes))
    np.testing.assert_array_equal(pixel_unshuffle(y, 2), x)


def test_pixels_that_cannot_be_divided_are_refused():
    with pytest.raises(ShapeError, match="4 must divide its channels"):
        pixel_shuffle(np.ones((1, 2, 2, 6)), 2)
    with pytest.raises(ShapeError, match="2 must divide its lengths"):
        pixel_unshuffle(np.ones((1, 2, 3, 1)), 2)
