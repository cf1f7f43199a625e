"""Attention as layers against PyTorch, and generation with a cache."""

import jax.numpy as jnp
import numpy as np
import pytest

from flux.ad import gradient
from flux.compiler import jit
from flux.errors import ShapeError
from flux.layers import (
    Chain,
    MultiHeadAttention,
    RotaryEmbedding,
    outputsize,
    summary,
    trainmode,
)

RNG = np.random.default_rng(0)
X = RNG.normal(size=(2, 6, 8)).astype("f")


def test_attention_and_its_gradients_agree_with_pytorch():
    torch = pytest.importorskip("torch", reason="the reference of this test is PyTorch")
    ours, theirs = MultiHeadAttention(8, 2, bias=True), torch.nn.MultiheadAttention(8, 2)
    parts = ours.query, ours.key, ours.value
    theirs.in_proj_weight.data = torch.tensor(np.concatenate([p.weight.T for p in parts]))
    theirs.out_proj.weight.data = torch.tensor(np.array(ours.out.weight.T))
    theirs.batch_first = True
    memory = RNG.normal(size=(2, 5, 8)).astype("f")
    tx, tm = (torch.tensor(x, requires_grad=True) for x in (X, memory))
    expected = theirs(tx, tm, tm, need_weights=False)[0]
    (expected**2).sum().backward()
    np.testing.assert_allclose(ours(X, memory), expected.detach(), rtol=1e-4, atol=1e-5)
    grads = gradient(lambda m, x, y: (m(x, y) ** 2).sum(), ours, X, memory)
    np.testing.assert_allclose(grads[1], tx.grad, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(grads[2], tm.grad, rtol=1e-3, atol=1e-5)
    found = [p.weight.T for p in (grads[0].query, grads[0].key, grads[0].value)]
    np.testing.assert_allclose(
        np.concatenate(found), theirs.in_proj_weight.grad, rtol=1e-3, atol=1e-5
    )


def test_each_token_is_used_once_where_heads_are_grouped():
    model = MultiHeadAttention(8, 4, kv_heads=2)
    assert model.key.weight.shape == model.value.weight.shape == (8, 4)
    assert model(X).shape == X.shape


def test_causal_attention_does_not_look_ahead():
    model = MultiHeadAttention(8, 2, rotary=RotaryEmbedding())
    changed = X.copy()
    changed[:, 4:] += 1
    before, after = model(X, causal=True), model(changed, causal=True)
    np.testing.assert_allclose(before[:, :4], after[:, :4], rtol=1e-5, atol=1e-6)
    assert abs(before - after)[:, 4:].max() > 0.01


def test_a_mask_says_which_keys_count():
    model = MultiHeadAttention(8, 2)
    mask = np.arange(6) < np.array([6, 3])[:, None]
    y = model(X, mask=mask[:, None, None])
    np.testing.assert_allclose(y[1], model(X[1:], X[1:, :3])[0], rtol=1e-5, atol=1e-6)
    nothing = model(X, mask=np.zeros((6, 6), bool))
    np.testing.assert_array_equal(nothing, np.zeros_like(X))


def test_dropout_is_active_in_training_only():
    model = MultiHeadAttention(8, 2, dropout=0.5)
    np.testing.assert_array_equal(model(X), model(X))
    trainmode(model)
    assert abs(model(X) - model(X)).max() > 0.01


def test_the_seed_decides_all_weights_and_none_are_alike():
    a, b = MultiHeadAttention(8, 2, rng=1), MultiHeadAttention(8, 2, rng=1)
    np.testing.assert_array_equal(a.out.weight, b.out.weight)
    assert (a.query.weight != a.key.weight).any()


@pytest.mark.parametrize("mode", [lambda f: f, jit], ids=["eager", "jit"])
@pytest.mark.parametrize("sizes", [[1] * 6, [4, 2]], ids=str)
def test_generation_with_a_cache_gives_what_the_whole_sequence_gives(mode, sizes):
    model = MultiHeadAttention(8, 4, kv_heads=2, rotary=RotaryEmbedding())
    cache = model.cache(2, 8)
    step = mode(lambda model, x, cache: model(x, causal=True, cache=cache))
    ends = np.cumsum(sizes)
    parts = [step(model, X[:, e - n : e], cache) for e, n in zip(ends, sizes, strict=True)]
    whole = model(X, causal=True)
    np.testing.assert_allclose(np.concatenate(parts, axis=1), whole, rtol=1e-4, atol=1e-5)
    assert int(cache.position) == 6


def test_a_compiled_step_is_compiled_once_for_all_positions():
    model = MultiHeadAttention(8, 2)
    cache = model.cache(2, 8)
    step = jit(lambda model, x, cache: model(x, cache=cache))
    for t in range(3):
        step(model, X[:, t : t + 1], cache)
    assert len(step.programs) == 1


@pytest.mark.parametrize("mode", [lambda f: f, jit], ids=["eager", "jit"])
def test_the_gradient_goes_through_the_cache(mode):
    model = MultiHeadAttention(8, 2)

    def in_parts(model, x):
        cache = model.cache(2, 6)
        first = model(x[:, :4], causal=True, cache=cache)
        return (first**2).sum() + (model(x[:, 4:], causal=True, cache=cache) ** 2).sum()

    def whole(model, x):
        return (model(x, causal=True) ** 2).sum()

    found = mode(lambda *args: gradient(in_parts, *args))(model, jnp.asarray(X))
    expected = gradient(whole, model, jnp.asarray(X))
    np.testing.assert_allclose(found[1], expected[1], rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(
        found[0].value.weight, expected[0].value.weight, rtol=1e-3, atol=1e-5
    )


def test_a_full_cache_takes_no_more_tokens():
    model = MultiHeadAttention(8, 2)
    cache = model.cache(2, 6)
    model(X, cache=cache)
    with pytest.raises(ShapeError, match=r"position=6.*6 places"):
        model(X[:, :1], cache=cache)
    assert np.isnan(jit(lambda m, x, c: m(x, cache=c))(model, X[:, :1], cache)).all()
    cache.position = 0
    np.testing.assert_allclose(model(X, cache=cache), model(X), rtol=1e-5, atol=1e-6)


def test_a_cache_of_other_sequences_is_refused():
    model = MultiHeadAttention(8, 2)
    with pytest.raises(ShapeError, match=r"\(3, T, 2, 4\)"):
        model(X, cache=model.cache(3, 6))


def test_inputs_that_do_not_fit_are_refused():
    model = Chain(MultiHeadAttention(8, 2))
    with pytest.raises(ShapeError, match=r"`layers\[0\]` of Chain.*last axis must be 8"):
        model(X[..., :7])
    with pytest.raises(ShapeError, match="does not fit"):
        model[0](X, X[:, :3], X)
    with pytest.raises(ValueError, match="3 heads"):
        MultiHeadAttention(8, 3)


def test_attention_is_printed_as_its_call_and_summed_up():
    model = MultiHeadAttention(8, 2, kv_heads=1, rotary=RotaryEmbedding(halves=True))
    text = "MultiHeadAttention(8, 2, kv_heads=1, rotary=RotaryEmbedding(halves=True))"
    assert repr(model) == text
    assert outputsize(model, (2, 5, 8)) == (2, 5, 8)
    rows = summary(model, (2, 5, 8)).rows
    assert [row.parameters for row in rows] == [192, 64, 32, 32, 64, 0]
    (grads,) = gradient(lambda m: m(X).sum(), model)
    assert repr(grads).startswith("MultiHeadAttention(")


@pytest.mark.parametrize("halves", [False, True])
def test_a_rotary_layer_turns_pairs_as_complex_numbers(halves):
    x = np.random.default_rng(3).normal(size=(2, 5, 3, 8))
    angles = np.arange(5)[:, None] * 100.0 ** (-np.arange(4) / 4)
    pairs = (x[..., :4], x[..., 4:]) if halves else (x[..., ::2], x[..., 1::2])
    turned = (pairs[0] + 1j * pairs[1]) * np.exp(1j * angles)[:, None]
    expected = np.stack([turned.real, turned.imag], -2 if halves else -1).reshape(x.shape)
    found = RotaryEmbedding(base=100.0, halves=halves)(x)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
