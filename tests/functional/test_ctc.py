"""Connectionist temporal classification against PyTorch."""

import itertools

import jax.numpy as jnp
import numpy as np
import pytest

from flux import losses
from flux.ad import gradient, pullback
from flux.compiler import jit
from flux.errors import LabelError, ShapeError
from flux.functional import ctc_loss, identity, logsoftmax

RNG = np.random.default_rng(0)
X = RNG.normal(size=(4, 9, 5)) * 2
LABELS = np.array([[1, 2, 2], [3, 1, -1], [4, 4, 4], [2, 0, 9]])
INPUTS, TARGETS = np.array([9, 7, 5, 1]), np.array([3, 2, 3, 1])
LIBRARIES = {"numpy": np.asarray, "jax": jnp.asarray, "jit": jnp.asarray}


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("lengths", [True, False])
def test_the_loss_and_its_gradient_agree_with_pytorch(library, lengths):
    torch = pytest.importorskip("torch", reason="the reference of this test is PyTorch")
    labels = LABELS if lengths else np.where((LABELS < 1) | (LABELS > 4), 1, LABELS)
    given = (INPUTS, TARGETS) if lengths else (np.full(4, 9), np.full(4, 3))
    t = torch.tensor(X, requires_grad=True)
    expected = torch.nn.functional.ctc_loss(
        t.log_softmax(-1).movedim(1, 0),
        torch.tensor(np.clip(labels, 0, 4)),
        *map(torch.tensor, given),
        reduction="none",
    )
    ct = RNG.normal(size=4)
    expected.backward(torch.tensor(ct))

    def both(x, ct):
        y, back = pullback(lambda x: ctc_loss(x, labels, *(given if lengths else ())), x)
        return y, back(ct)[0]

    run = jit(both) if library == "jit" else both
    y, grad = run(*map(LIBRARIES[library], (X, ct)))
    tolerance = 1e-9 if library == "numpy" else 1e-3
    np.testing.assert_allclose(y, expected.detach(), rtol=tolerance)
    np.testing.assert_allclose(grad, t.grad, rtol=tolerance, atol=tolerance)


def test_it_is_the_sum_over_all_paths():
    x, target, blank = RNG.normal(size=(1, 5, 3)), (0, 1, 1), 2
    total = 0.0
    for path in itertools.product(range(3), repeat=5):
        merged = [c for c, _ in itertools.groupby(path)]
        if tuple(c for c in merged if c != blank) == target:
            total += np.exp(sum(logsoftmax(x)[0, t, c] for t, c in enumerate(path)))
    loss = ctc_loss(x, np.array([target]), blank=blank)
    np.testing.assert_allclose(loss, [-np.log(total)], rtol=1e-12)


def test_an_empty_target_is_spelt_by_blanks():
    expected = -logsoftmax(X)[:, :, 0].sum(axis=1)
    np.testing.assert_allclose(ctc_loss(X, np.zeros((4, 0), int)), expected, rtol=1e-12)


@pytest.mark.parametrize("lib", [np, jnp])
def test_a_target_that_is_too_long_has_an_infinite_loss_and_no_gradient(lib):
    labels = np.array([[1, 1]])  # needs a blank between, and so three times
    y, back = pullback(lambda x: ctc_loss(x, labels), lib.asarray(X[:1, :2]))
    assert y[0] == np.inf
    np.testing.assert_array_equal(back(lib.ones_like(y))[0], np.zeros((1, 2, 5)))


@pytest.mark.parametrize("lib", [np, jnp])
def test_a_class_that_is_ruled_out_by_its_score_is_as_if_it_were_not_there(lib):
    x = X[:1].copy()
    x[:, :5, 2], x[..., 4] = -np.inf, -np.inf
    (found,) = gradient(lambda x: ctc_loss(x, LABELS[:1]).sum(), lib.asarray(x))
    x[x == -np.inf] = -60
    (expected,) = gradient(lambda x: ctc_loss(x, LABELS[:1]).sum(), lib.asarray(x))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


def test_the_second_derivative_agrees_with_differences():
    u = RNG.normal(size=X.shape)

    def slope(x):
        grad = gradient(lambda x: ctc_loss(x, LABELS, INPUTS, TARGETS).sum(), x)[0]
        return (grad * u).sum()

    (found,) = gradient(slope, X)
    expected = (slope(X + 1e-5 * u) - slope(X - 1e-5 * u)) / 2e-5
    np.testing.assert_allclose((found * u).sum(), expected, rtol=1e-6)


def test_half_precision_is_summed_in_single():
    x = jnp.asarray(X, jnp.bfloat16)
    y = ctc_loss(x, LABELS, INPUTS, TARGETS)
    assert y.dtype == jnp.bfloat16
    exact = ctc_loss(np.asarray(x, float), LABELS, INPUTS, TARGETS)
    np.testing.assert_allclose(np.asarray(y, float), exact, rtol=1e-2)


def test_the_loss_takes_the_mean_over_examples():
    each = losses.ctc(
        X, LABELS, agg=identity, input_lengths=INPUTS, target_lengths=TARGETS, blank=0
    )
    mean = losses.ctc(X, LABELS, input_lengths=INPUTS, target_lengths=TARGETS)
    np.testing.assert_allclose(mean, each.mean())


@pytest.mark.parametrize("label", [0, 5, -1])
def test_a_label_that_is_none_is_refused_and_nan_in_a_compiled_program(label):
    labels = np.array([[1, label]])
    with pytest.raises(LabelError, match=f"label {label}: .* 5 classes"):
        ctc_loss(X[:1], labels)
    compiled = jit(lambda x, labels: ctc_loss(x, labels))
    assert np.isnan(compiled(X[:1], labels)).all()
    assert np.isfinite(compiled(X[:1], np.array([[1, 2]]))).all()


@pytest.mark.parametrize(
    "given",
    [
        (X[0], LABELS),
        (X, LABELS[:3]),
        (X, LABELS, INPUTS[:2], TARGETS),
        (X, LABELS, INPUTS + 1, TARGETS),
        (X, LABELS, INPUTS - 1, TARGETS),
        (X, LABELS, INPUTS, TARGETS + 1),
    ],
)
def test_shapes_and_lengths_that_do_not_fit_are_refused(given):
    with pytest.raises(ShapeError, match="ctc_loss got"):
        ctc_loss(*given)
