"""Losses of classes against PyTorch: labels, one-hot, weights, ignored labels, extremes."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from flux import losses
from flux.ad import gradient, pullback
from flux.errors import LabelError, ShapeError
from flux.functional import identity

torch = pytest.importorskip("torch", reason="the reference of these tests is PyTorch")
T = torch.nn.functional
RNG = np.random.default_rng(0)
X = RNG.normal(size=(6, 4)).astype("f") * 3
LABELS = RNG.integers(0, 4, size=6)
ONEHOT = np.eye(4, dtype="f")[LABELS]
SOFT = RNG.dirichlet(np.ones(4), size=6).astype("f")
WEIGHTS = np.array([0.1, 1.0, 2.0, 5.0], "f")


def check(loss, reference, x=X):
    y, back = pullback(loss, jnp.asarray(x))
    t = torch.tensor(np.asarray(x, np.float64), requires_grad=True)
    expected = reference(t)
    expected.backward()
    np.testing.assert_allclose(y, expected.item(), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(back(y * 0 + 1)[0], t.grad, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("target", [LABELS, ONEHOT, ONEHOT.astype(int), SOFT], ids=range(4))
def test_labels_and_one_hot_agree_with_pytorch(target):
    theirs = torch.tensor(target if target.ndim == 1 else target.astype(float))
    check(
        lambda x: losses.logit_crossentropy(x, target),
        lambda t: T.cross_entropy(t, theirs),
    )


@pytest.mark.parametrize("target", [LABELS, ONEHOT], ids=["labels", "onehot"])
def test_class_weights_give_the_weighted_mean_of_pytorch(target):
    check(
        lambda x: losses.logit_crossentropy(x, target, weights=WEIGHTS),
        lambda t: T.cross_entropy(t, torch.tensor(LABELS), torch.tensor(WEIGHTS).double()),
    )


def test_ignored_labels_do_not_count():
    labels = LABELS.copy()
    labels[:3] = -100
    check(
        lambda x: losses.logit_crossentropy(x, labels, ignore_index=-100),
        lambda t: T.cross_entropy(t, torch.tensor(labels), ignore_index=-100),
    )


def test_a_batch_in_which_every_label_is_ignored_is_zero_with_zero_gradient():
    def f(x):
        return losses.logit_crossentropy(x, np.full(6, -1), ignore_index=-1)

    assert float(f(jnp.asarray(X))) == 0.0
    np.testing.assert_array_equal(gradient(f, jnp.asarray(X))[0], np.zeros((6, 4)))


def test_classes_may_be_on_another_axis():
    x = RNG.normal(size=(2, 4, 5)).astype("f")
    labels = RNG.integers(0, 4, size=(2, 5))
    check(
        lambda x: losses.logit_crossentropy(x, labels, axis=1),
        lambda t: T.cross_entropy(t, torch.tensor(labels)),
        x,
    )


@pytest.mark.parametrize("target", [np.array([1, 0]), np.eye(3, dtype="f")[[1, 0]]], ids=range(2))
def test_extreme_logits_give_exact_losses_and_gradients(target):
    x = np.array([[1e4, 0.0, -1e4], [1e4, 1e4, 0.0]], "f")
    theirs = torch.tensor(target if target.ndim == 1 else target.astype(float))
    check(lambda x: losses.logit_crossentropy(x, target), lambda t: T.cross_entropy(t, theirs), x)


def test_the_loss_of_each_example_can_be_seen():
    y = losses.logit_crossentropy(X, LABELS, agg=identity)
    expected = T.cross_entropy(torch.tensor(X), torch.tensor(LABELS), reduction="none")
    np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-6)


def test_half_precision_is_summed_in_single():
    x = jnp.asarray(RNG.normal(size=(2, 5000)), jnp.bfloat16)
    y = losses.logit_crossentropy(x, np.array([0, 1]))
    expected = T.cross_entropy(torch.tensor(np.asarray(x, float)), torch.tensor([0, 1]))
    assert y.dtype == jnp.bfloat16
    np.testing.assert_allclose(float(y), expected.item(), rtol=1e-2)


@pytest.mark.parametrize("label", [4, -1])
@pytest.mark.parametrize("loss", [losses.logit_crossentropy, losses.crossentropy, losses.focal])
def test_a_label_that_is_no_class_is_named(loss, label):
    with pytest.raises(LabelError, match=rf"label {label} at position 1 .* 4 classes, 0 to 3"):
        loss(np.full((2, 4), 0.25, "f"), np.array([0, label]))


@pytest.mark.parametrize("label", [4, -1])
@pytest.mark.parametrize("loss", [losses.logit_crossentropy, losses.crossentropy, losses.focal])
def test_a_compiled_program_makes_it_nan(loss, label):
    compiled = jax.jit(lambda labels: loss(jnp.full((2, 4), 0.25), labels))
    assert np.isnan(compiled(np.array([0, label])))
    assert np.isfinite(compiled(np.array([0, 3])))


def test_labels_that_are_no_integers_are_refused():
    with pytest.raises(LabelError, match="float32"):
        losses.logit_crossentropy(X, LABELS.astype("f"))


@pytest.mark.parametrize("shape", [(5,), (6, 1), (6, 3)])
def test_a_target_of_another_shape_is_refused(shape):
    with pytest.raises(ShapeError, match=r"\(6, 4\).*must be labels of shape \(6,\)"):
        losses.logit_crossentropy(X, np.zeros(shape, int))


def test_weights_need_one_number_a_class():
    with pytest.raises(ShapeError, match=r"\(3,\).*4 classes"):
        losses.logit_crossentropy(X, LABELS, weights=np.ones(3))


def test_ignore_index_needs_labels():
    with pytest.raises(ValueError, match="ignore_index"):
        losses.logit_crossentropy(X, ONEHOT, ignore_index=0)


@pytest.mark.parametrize("target", [LABELS, ONEHOT], ids=["labels", "onehot"])
def test_crossentropy_of_probabilities_agrees_with_pytorch(target):
    check(
        lambda p: losses.crossentropy(p, target),
        lambda t: T.nll_loss(t.log(), torch.tensor(LABELS)),
        SOFT,
    )


def test_crossentropy_of_a_wrong_certainty_is_finite():
    assert np.isfinite(losses.crossentropy(np.array([[1.0, 0.0]], "f"), np.array([1])))


def test_kl_divergence_agrees_with_pytorch():
    target = RNG.dirichlet(np.ones(4), size=6)
    check(
        lambda p: losses.kl_divergence(p, target),
        lambda t: T.kl_div(t.log(), torch.tensor(target), reduction="batchmean"),
        SOFT,
    )


def test_kl_divergence_takes_zero_times_log_zero_as_zero():
    y, back = pullback(losses.kl_divergence, jnp.full((1, 2), 0.5), jnp.asarray([[1.0, 0.0]]))
    np.testing.assert_allclose(y, np.log(2), rtol=1e-6)
    assert all(np.isfinite(g).all() for g in back(jnp.ones(())))


def test_focal_loss_without_fading_is_the_crossentropy():
    np.testing.assert_allclose(
        losses.focal(SOFT, LABELS, gamma=0.0), losses.crossentropy(SOFT, LABELS), rtol=1e-6
    )


def test_focal_loss_fades_for_what_is_right():
    check(
        lambda p: losses.focal(p, LABELS),
        lambda t: (-((1 - t[range(6), LABELS]) ** 2) * t[range(6), LABELS].log()).mean(),
        SOFT,
    )


def test_label_smoothing_shares_out_alpha():
    np.testing.assert_allclose(losses.label_smoothing(ONEHOT, 0.2).sum(axis=-1), np.ones(6))
    np.testing.assert_allclose(
        losses.label_smoothing(np.array([0.0, 1]), 0.2, axis=None), [0.1, 0.9]
    )
    with pytest.raises(ValueError, match="alpha 1"):
        losses.label_smoothing(ONEHOT, 1)


def test_extreme_binary_logits_have_exact_losses_and_gradients():
    target = np.array([0.0, 1.0, 0.0, 1.0])
    check(
        lambda x: losses.logit_binary_crossentropy(x, target),
        lambda t: T.binary_cross_entropy_with_logits(t, torch.tensor(target)),
        np.array([1e4, 1e4, -1e4, -1e4], "f"),
    )


def test_every_loss_is_documented_with_an_example():
    for name in losses.__all__:
        assert ">>>" in inspect.getdoc(getattr(losses, name)), name


def test_check_labels_lets_pass_what_is_a_class_and_names_what_is_not():
    losses.check_labels([0, 2, -1], 3, ignore_index=-1)
    losses.check_labels(np.zeros((2, 0), int), 3)
    with pytest.raises(LabelError, match=r"label 3 at position \(1, 0\) is not one of the 3"):
        losses.check_labels(np.array([[0], [3]]), 3)
    with pytest.raises(LabelError, match="label -1"):
        losses.check_labels([-1], 3)
