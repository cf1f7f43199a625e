"""Losses of numbers against PyTorch or their formula."""

import jax.numpy as jnp
import numpy as np
import pytest

from flux import losses
from flux.ad import pullback
from flux.errors import ShapeError
from flux.functional import identity

torch = pytest.importorskip("torch", reason="the reference of these tests is PyTorch")
T = torch.nn.functional
RNG = np.random.default_rng(0)
P = RNG.uniform(0.05, 0.95, size=(5, 4))
Y = RNG.integers(0, 2, size=(5, 4)).astype(float)
N = RNG.normal(size=(5, 4)) * 3

CASES = {
    "mse": (losses.mse, T.mse_loss, N, P),
    "mae": (losses.mae, T.l1_loss, N, P),
    "msle": (losses.msle, lambda p, t: ((p.log() - t.log()) ** 2).mean(), P, P[::-1].copy()),
    "huber": (losses.huber, T.huber_loss, N, P),
    "poisson": (
        losses.poisson,
        lambda p, t: T.poisson_nll_loss(p, t, log_input=False, eps=0.0),
        P,
        Y,
    ),
    "hinge": (losses.hinge, lambda p, t: (1 - p * t).clamp(min=0).mean(), N, 2 * Y - 1),
    "squared_hinge": (
        losses.squared_hinge,
        lambda p, t: ((1 - p * t).clamp(min=0) ** 2).mean(),
        N,
        2 * Y - 1,
    ),
    "siamese_contrastive": (
        losses.siamese_contrastive,
        lambda p, t: ((1 - t) * p**2 + t * (1 - p).clamp(min=0) ** 2).mean(),
        P,
        Y,
    ),
    "dice": (
        losses.dice,
        lambda p, t: 1 - (2 * (p * t).sum() + 1) / ((p**2).sum() + (t**2).sum() + 1),
        P,
        Y,
    ),
    "tversky": (
        losses.tversky,
        lambda p, t: (
            1
            - ((p * t).sum() + 1)
            / ((p * t).sum() + 0.7 * (t * (1 - p)).sum() + 0.3 * ((1 - t) * p).sum() + 1)
        ),
        P,
        Y,
    ),
    "binary_crossentropy": (losses.binary_crossentropy, T.binary_cross_entropy, P, Y),
    "logit_binary_crossentropy": (
        losses.logit_binary_crossentropy,
        T.binary_cross_entropy_with_logits,
        N,
        Y,
    ),
    "binary_focal": (
        losses.binary_focal,
        lambda p, t: (
            -((1 - (t * p + (1 - t) * (1 - p))) ** 2) * (t * p + (1 - t) * (1 - p)).log()
        ).mean(),
        P,
        Y,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_value_and_gradient_agree_with_the_reference(name):
    ours, theirs, prediction, target = CASES[name]
    y, back = pullback(ours, jnp.asarray(prediction, jnp.float32), target)
    t = torch.tensor(prediction, requires_grad=True)
    expected = theirs(t, torch.tensor(target))
    expected.backward()
    np.testing.assert_allclose(y, expected.item(), rtol=1e-4)
    np.testing.assert_allclose(back(y * 0 + 1)[0], t.grad, rtol=2e-3, atol=1e-6)


@pytest.mark.parametrize("name", CASES)
def test_numpy_doubles_stay_doubles(name):
    ours, theirs, prediction, target = CASES[name]
    y = ours(prediction, target)
    assert y.dtype == np.float64
    np.testing.assert_allclose(y, theirs(torch.tensor(prediction), torch.tensor(target)), rtol=1e-9)


@pytest.mark.parametrize("name", CASES)
def test_nothing_is_broadcast(name):
    with pytest.raises(ShapeError, match=rf"{name} got .*\(5, 1\).*\(5,\)"):
        CASES[name][0](np.full((5, 1), 0.5), np.zeros(5))


@pytest.mark.parametrize("name", sorted(set(CASES) - {"dice", "tversky"}))
def test_agg_sees_the_loss_of_every_entry(name):
    ours, _, prediction, target = CASES[name]
    assert ours(prediction, target, agg=identity).shape == (5, 4)


def test_poisson_of_no_count_has_no_logarithm_of_zero():
    y, back = pullback(losses.poisson, jnp.zeros(2), jnp.zeros(2))
    assert float(y) == 0.0
    np.testing.assert_allclose(back(jnp.ones(()))[0], [0.5, 0.5])


def test_a_larger_beta_of_tversky_punishes_misses():
    missed = np.zeros(4), np.ones(4)
    assert losses.tversky(*missed, beta=0.9) > losses.tversky(*missed, beta=0.1)


def test_a_negative_margin_is_refused():
    with pytest.raises(ValueError, match="-1"):
        losses.siamese_contrastive(P, Y, margin=-1)


def test_the_target_takes_on_the_dtype_of_the_prediction():
    assert losses.mse(jnp.ones(3, jnp.bfloat16), np.ones(3)).dtype == jnp.bfloat16
