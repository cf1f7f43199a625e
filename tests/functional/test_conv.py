"""Convolution and its adjoint against PyTorch."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from flux import jit
from flux.ad import gradient, pullback
from flux.functional import conv, conv_transpose
from flux.functional.patches import geometry_of

torch = pytest.importorskip("torch", reason="the reference of these tests is PyTorch")
T = torch.nn.functional
RNG = np.random.default_rng(0)
CASES = [
    ((7,), (3,), {}),
    ((7, 8), (3, 2), {}),
    ((5, 6, 4), (2, 3, 2), {}),
    ((9, 8), (3, 3), {"stride": 2}),
    ((9, 8), (3, 3), {"stride": (2, 1), "pad": (1, 2)}),
    ((9, 8), (3, 3), {"dilation": 2, "pad": 1}),
    ((9, 8), (2, 3), {"groups": 2}),
]


def rename(settings):
    names = {"pad": "padding"}
    return {names.get(name, name): value for name, value in settings.items()}


def check(ours, theirs, x, w, to_theirs):
    y, back = pullback(ours, jnp.asarray(x), jnp.asarray(w))
    axes = x.ndim - 2
    tx = torch.tensor(x, requires_grad=True)
    tw = torch.tensor(w, requires_grad=True)
    expected = theirs(tx.movedim(-1, 1), tw.permute(to_theirs(axes))).movedim(1, -1)
    np.testing.assert_allclose(y, expected.detach(), rtol=1e-3, atol=1e-4)
    ct = RNG.normal(size=y.shape).astype("f")
    expected.backward(torch.tensor(ct))
    for found, given in zip(back(jnp.asarray(ct)), (tx, tw), strict=True):
        np.testing.assert_allclose(found, given.grad, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(("sizes", "window", "settings"), CASES)
def test_conv_and_its_gradients_agree_with_pytorch(sizes, window, settings):
    x = RNG.normal(size=(2, *sizes, 4)).astype("f")
    w = RNG.normal(size=(*window, 4 // settings.get("groups", 1), 6)).astype("f")
    theirs = [T.conv1d, T.conv2d, T.conv3d][len(sizes) - 1]
    check(
        lambda x, w: conv(x, w, **settings),
        lambda x, w: theirs(x, w, **rename(settings)),
        x,
        w,
        lambda axes: (axes + 1, axes, *range(axes)),
    )


@pytest.mark.parametrize(
    ("sizes", "window", "settings"), [*CASES, ((5, 5), (3, 3), {"stride": 2, "outpad": 1})]
)
def test_conv_transpose_and_its_gradients_agree_with_pytorch(sizes, window, settings):
    settings = dict(settings)
    x = RNG.normal(size=(2, *sizes, 4)).astype("f")
    w = RNG.normal(size=(*window, 6 // settings.get("groups", 1), 4)).astype("f")
    theirs = [T.conv_transpose1d, T.conv_transpose2d, T.conv_transpose3d][len(sizes) - 1]
    names = {"outpad": "output_padding"}
    given = {names.get(k, k): v for k, v in rename(settings).items()}
    check(
        lambda x, w: conv_transpose(x, w, **settings),
        lambda x, w: theirs(x, w, **given),
        x,
        w,
        lambda axes: (axes + 1, axes, *range(axes)),
    )


@pytest.mark.parametrize("settings", [{"pad": 1, "stride": 2}, {"pad": (0, 1, 2, 0)}])
def test_conv_transpose_is_the_adjoint_of_conv(settings):
    x, w = RNG.normal(size=(1, 7, 7, 2)), RNG.normal(size=(3, 3, 2, 4))
    y = conv(x, w, **settings)
    z = RNG.normal(size=y.shape)
    back = conv_transpose(z, w, **settings)
    np.testing.assert_allclose((y * z).sum(), (x * back).sum(), rtol=1e-4)


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("k", [1, 2, 3, 4])
def test_same_padding_divides_or_multiplies_the_length_by_the_stride(k, stride):
    w = jnp.ones((k, k, 2, 2))
    x = jnp.ones((1, 7, 6, 2))
    y = conv(x, w, stride=stride, pad="same")
    assert y.shape == (1, -(-7 // stride), -(-6 // stride), 2)
    z = conv_transpose(x, w, stride=stride, pad="same")
    assert z.shape == (1, 7 * stride, 6 * stride, 2)


def test_same_padding_at_stride_one_is_that_of_pytorch():
    # an odd window: for an even one PyTorch pads after, as we do, and warns
    x, w = RNG.normal(size=(1, 6, 1)).astype("f"), RNG.normal(size=(3, 1, 1)).astype("f")
    expected = T.conv1d(torch.tensor(x).mT, torch.tensor(w).permute(2, 1, 0), padding="same")
    np.testing.assert_allclose(conv(x, w, pad="same"), expected.mT, rtol=1e-4)


@pytest.mark.parametrize("pad", ["valid", -1, (1, 2, 3), 0.5])
def test_an_unknown_padding_is_refused(pad):
    with pytest.raises((ValueError, TypeError), match="pad|iterable"):
        conv(jnp.ones((1, 5, 5, 1)), jnp.ones((3, 3, 1, 1)), pad=pad)


FEW = [
    ((6, 7), (3, 5), 1, 16, {"pad": 1}),
    ((9, 8), (2, 3), 3, 4, {"stride": 2, "pad": (1, 0, 0, 1)}),
    ((8, 9), (2, 3), 6, 33, {"dilation": 2}),
    ((7,), (4,), 1, 2, {"stride": 3, "pad": 2}),
    ((4, 4, 5), (2, 1, 2), 2, 3, {}),
    ((6, 5), (1, 1), 3, 4, {"stride": 2}),
]


@pytest.mark.parametrize(("sizes", "window", "c_in", "c_out", "settings"), FEW)
def test_derivatives_of_derivatives_of_few_channels(sizes, window, c_in, c_out, settings):
    x = jnp.asarray(RNG.normal(size=(2, *sizes, c_in)), jnp.float32)
    w = jnp.asarray(RNG.normal(size=(*window, c_in, c_out)), jnp.float32)
    at = geometry_of(x.shape, window, settings.get("stride", 1), settings.get("pad", 0),
                     settings.get("dilation", 1))  # fmt: skip
    letters = "DHW"[3 - len(sizes) :]

    def by_xla(x, w):
        layout = (f"N{letters}C", f"{letters}IO", f"N{letters}C")
        return jax.lax.conv_general_dilated(
            x, w, at.stride, at.pads, rhs_dilation=at.dilation, dimension_numbers=layout
        )

    def ours(x, w):
        return conv(x, w, **settings)

    def slopes(f, grad):
        def loss(x, w):
            return jnp.sum(jnp.tanh(f(x, w)))

        def steep(x, w):
            gx, gw = grad(loss, x, w)
            return jnp.sum(jnp.sin(gx)) + jnp.sum(gw**2)

        return [*grad(loss, x, w), *grad(steep, x, w)]

    found = jit(lambda: slopes(ours, gradient))()
    expected = slopes(by_xla, lambda f, *args: jax.grad(f, (0, 1))(*args))
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-3)


def test_half_precision_stays():
    y = conv(jnp.ones((1, 5, 1), jnp.bfloat16), jnp.ones((3, 1, 1), jnp.bfloat16))
    assert y.dtype == jnp.bfloat16
