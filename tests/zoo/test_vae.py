"""The variational autoencoder: that it learns, its bound, its picture."""

import importlib.util

import numpy as np
import pytest

import flux
from flux.zoo import vae
from tests.zoo.short import trained


@pytest.fixture(scope="module")
def training():
    return trained("vae", 60)


def test_it_beats_what_knows_each_point_alone_in_a_few_epochs(training):
    assert training.measures[-1] > vae.histograms()
    assert training.losses[-1] < 120 < training.losses[0]


def test_its_parts_are_the_distributions_they_are_said_to_be():
    torch = pytest.importorskip("torch")
    distributions = torch.distributions
    rng = np.random.default_rng(0)
    mean, log_var = rng.normal(size=(2, 5, 16)).astype(np.float32)
    code = distributions.Normal(torch.tensor(mean), torch.tensor(np.exp(log_var / 2)))
    expected = distributions.kl_divergence(code, distributions.Normal(0.0, 1.0)).sum(1)
    np.testing.assert_allclose(vae.divergence(mean, log_var), expected, rtol=1e-4)
    logits = rng.normal(size=(5, 8, 8)).astype(np.float32)
    counts = rng.integers(0, 17, (5, 8, 8))
    binomial = distributions.Binomial(16, logits=torch.tensor(logits))
    expected = binomial.log_prob(torch.tensor(counts, dtype=torch.float32)).sum((1, 2))
    found = vae.log_likelihood(logits, (counts / 16).astype(np.float32))
    np.testing.assert_allclose(found, expected, rtol=1e-4)


@pytest.mark.skipif(not importlib.util.find_spec("matplotlib"), reason="needs matplotlib")
def test_it_draws_digits(training, tmp_path):
    vae.draw(training.model, tmp_path / "samples.png")
    assert (tmp_path / "samples.png").read_bytes().startswith(b"\x89PNG")


def test_codes_are_drawn_anew_in_each_call(training):
    images = vae.data("test")[0][:3]
    run = flux.jit(training.model)
    assert not np.array_equal(run(images)[0], run(images)[0])
