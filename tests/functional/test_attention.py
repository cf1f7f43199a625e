"""Attention and rotary positions against PyTorch, and against what defines them."""

import jax.numpy as jnp
import numpy as np
import pytest

from flux.ad import gradient, pullback
from flux.compiler import jit
from flux.errors import FluxError, ShapeError
from flux.functional import attention_weights, dot_product_attention, rotary
from flux.random import RandomState

torch = pytest.importorskip("torch", reason="the reference of these tests is PyTorch")
RNG = np.random.default_rng(0)
CAUSAL = np.tri(5, 6, dtype=bool)
MASK = RNG.random((2, 1, 5, 6)) < 0.7
MASK[..., 0] = True


def inputs(groups=4, dtype="f"):
    shapes = (2, 5, 4, 3), (2, 6, groups, 3), (2, 6, groups, 7)
    return [RNG.normal(size=shape).astype(dtype) for shape in shapes]


def theirs(q, k, v, mask=None, **options):
    q, k, v = (x.transpose(1, 2) for x in (q, k, v))
    mask = None if mask is None else torch.tensor(mask)
    attend = torch.nn.functional.scaled_dot_product_attention
    return attend(q, k, v, attn_mask=mask, enable_gqa=True, **options).transpose(1, 2)


def compare(f, reference, arrays, lib=jnp, mode=lambda f: f):
    """Value and gradients of `f` and of the reference, in one random direction."""
    ct = RNG.normal(size=np.shape(f(*arrays))).astype("f")
    run = mode(lambda *arrays: (lambda y, back: (y, *back(ct)))(*pullback(f, *arrays)))
    found = run(*map(lib.asarray, arrays))
    tensors = [torch.tensor(x, requires_grad=True) for x in arrays]
    expected = reference(*tensors)
    expected.backward(torch.tensor(ct))
    wanted = expected.detach(), *[t.grad for t in tensors]
    for ours, other in zip(found, wanted, strict=True):
        np.testing.assert_allclose(ours, other, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("groups", [4, 2, 1])
@pytest.mark.parametrize("lib", [np, jnp])
@pytest.mark.parametrize("options", [{}, {"mask": MASK}, {"causal": True}, {"scale": 0.3}])
def test_attention_and_its_gradients_agree_with_pytorch(groups, lib, options):
    given = {"is_causal" if name == "causal" else name: v for name, v in options.items()}
    compare(
        lambda q, k, v: dot_product_attention(q, k, v, **options),
        lambda q, k, v: theirs(q, k, v, **given),
        inputs(groups),
        lib,
    )


def test_a_compiled_gradient_agrees_with_pytorch():
    compare(
        lambda q, k, v: dot_product_attention(q, k, v, mask=MASK, causal=True),
        lambda q, k, v: theirs(q, k, v, MASK & CAUSAL),
        inputs(2),
        mode=jit,
    )


def test_a_bias_is_added_to_the_scores_and_has_its_gradient():
    bias = RNG.normal(size=(4, 5, 6)).astype("f")
    compare(
        lambda q, k, v, b: dot_product_attention(q, k, v, bias=b),
        lambda q, k, v, b: torch.nn.functional.scaled_dot_product_attention(
            q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2), attn_mask=b
        ).transpose(1, 2),
        [*inputs(), bias],
    )


@pytest.mark.parametrize("lib", [np, jnp])
@pytest.mark.parametrize("how", ["mask", "bias"])
def test_a_query_that_sees_no_key_has_zeros_and_zero_gradients(lib, how):
    seen = np.ones((5, 6), bool)
    seen[3] = False
    options = {"mask": seen} if how == "mask" else {"bias": np.where(seen, 0, -np.inf).astype("f")}
    q, k, v = map(lib.asarray, inputs())
    y, back = pullback(lambda q, k, v: dot_product_attention(q, k, v, **options), q, k, v)
    grads = back(lib.ones_like(y))
    np.testing.assert_array_equal(y[:, 3], np.zeros((2, 4, 7)))
    np.testing.assert_array_equal(grads[0][:, 3], np.zeros((2, 4, 3)))
    assert all(np.isfinite(g).all() for g in grads)


def test_the_second_derivative_agrees_with_differences():
    q, k, v = (x.astype(float) for x in inputs(2))
    u = RNG.normal(size=q.shape)

    def slope(q):
        loss = gradient(lambda q: (dot_product_attention(q, k, v, causal=True) ** 2).sum(), q)
        return (loss[0] * u).sum()

    (found,) = gradient(slope, q)
    step = 1e-5 * u
    np.testing.assert_allclose(
        (found * u).sum(), (slope(q + step) - slope(q - step)) / 2e-5, rtol=1e-6
    )


def test_examples_need_no_axis():
    q, k, v = inputs()
    one = dot_product_attention(q[0], k[0], v[0], causal=True)
    np.testing.assert_allclose(one, dot_product_attention(q, k, v, causal=True)[0], rtol=1e-6)


def test_scores_of_half_precision_are_single():
    q, k, v = (jnp.asarray(x, jnp.bfloat16) for x in inputs())
    assert dot_product_attention(q, k, v).dtype == jnp.bfloat16
    assert attention_weights(q, k).dtype == jnp.float32


def test_dropout_omits_weights_and_keeps_their_mean():
    q, k, v = np.zeros((1, 50, 4, 2)), np.zeros((1, 60, 4, 2)), np.ones((1, 60, 4, 1))
    y = dot_product_attention(q, k, v, dropout=0.5, rng=RandomState(0))
    assert abs(float(y.mean()) - 1) < 0.02
    assert float(y.std()) > 0.05


@pytest.mark.parametrize(
    ("k", "v"),
    [
        ((2, 6, 3, 3), (2, 6, 3, 7)),
        ((2, 6, 4, 4), (2, 6, 4, 7)),
        ((6, 4, 3), (6, 4, 7)),
        ((2, 6, 4, 3), (2, 5, 4, 7)),
    ],
)
def test_shapes_that_do_not_fit_are_refused(k, v):
    with pytest.raises(ShapeError, match="dot_product_attention got"):
        dot_product_attention(np.ones((2, 5, 4, 3)), np.ones(k), np.ones(v))


def test_a_mask_of_numbers_is_refused():
    with pytest.raises(FluxError, match="booleans.*\n.*\n.*`bias`"):
        dot_product_attention(*inputs(), mask=np.zeros((5, 6)))


def rotated(x, positions, base):
    """Pairs of features as complex numbers, turned by multiplication."""
    width = x.shape[-1]
    angles = positions[..., None, None] * base ** (-np.arange(0, width, 2) / width)
    turned = (x[..., 0::2] + 1j * x[..., 1::2]) * np.exp(1j * angles)
    return np.stack([turned.real, turned.imag], axis=-1).reshape(x.shape)


@pytest.mark.parametrize("lib", [np, jnp])
@pytest.mark.parametrize("positions", [None, np.arange(5) + 3, RNG.integers(0, 9, (2, 5))])
def test_rotary_turns_pairs_as_complex_numbers(lib, positions):
    x, base = RNG.normal(size=(2, 5, 3, 6)), 100.0
    y, back = pullback(lambda x: rotary(x, positions, base=base), lib.asarray(x, "f"))
    places = np.arange(5) if positions is None else positions
    np.testing.assert_allclose(y, rotated(x, places, base), rtol=1e-4, atol=1e-5)
    (grad,) = back(lib.asarray(x, "f"))  # the adjoint of a rotation turns back
    np.testing.assert_allclose(grad, rotated(x, -places, base), rtol=1e-4, atol=1e-5)


def test_rotary_of_halves_pairs_features_half_the_width_apart():
    x = RNG.normal(size=(2, 5, 3, 6))
    order = [0, 3, 1, 4, 2, 5]
    y = rotary(x, halves=True)
    np.testing.assert_allclose(y[..., order], rotary(x[..., order]), rtol=1e-12)


def test_rotary_has_a_derivative_in_positions_that_are_numbers():
    x, p = RNG.normal(size=(1, 2, 1, 4)), np.array([0.3, 1.7])
    (found,) = gradient(lambda p: (rotary(x, p) ** 3).sum(), p)
    steps = np.eye(2) * 1e-6
    expected = [
        ((rotary(x, p + s) ** 3).sum() - (rotary(x, p - s) ** 3).sum()) / 2e-6 for s in steps
    ]
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_rotary_needs_an_even_width():
    with pytest.raises(ShapeError, match=r"\(1, 2, 1, 3\).*even"):
        rotary(np.ones((1, 2, 1, 3)))


@pytest.mark.parametrize("groups", [4, 2, 1])
@pytest.mark.parametrize("mask", [None, CAUSAL, MASK])
def test_weights_and_their_gradients_agree_with_pytorch(groups, mask):
    q, k, _ = inputs(groups)
    bias = RNG.normal(size=(5, 6)).astype("f")
    y, back = pullback(
        lambda q, k, bias: attention_weights(q, k, mask=mask, bias=bias, scale=0.7),
        *map(jnp.asarray, (q, k, bias)),
    )
    ct = RNG.normal(size=y.shape).astype("f")
    tq, tk, tb = (torch.tensor(value, requires_grad=True) for value in (q, k, bias))
    keys = tk.repeat_interleave(4 // groups, dim=2)
    scores = 0.7 * torch.einsum("bthd,bshd->bhts", tq, keys) + tb
    if mask is not None:
        scores = scores.masked_fill(~torch.tensor(mask), -torch.inf)
    expected = scores.softmax(-1)
    expected.backward(torch.tensor(ct))
    np.testing.assert_allclose(y, expected.detach(), rtol=1e-5, atol=1e-6)
    for found, want in zip(back(jnp.asarray(ct)), (tq, tk, tb), strict=True):
        np.testing.assert_allclose(found, want.grad, rtol=1e-4, atol=1e-5)
