"""The diffusion model: that it learns, its schedule, its samples, its picture."""

import importlib.util

import numpy as np
import pytest

import flux
from flux.zoo import diffusion
from tests.zoo.short import trained


@pytest.fixture(scope="module")
def training():
    return trained("diffusion", 30)


def test_it_tells_noise_from_image_in_a_few_epochs(training):
    assert training.measures[-1] < 0.35 < 0.8 < training.losses[0]


def test_the_variance_that_is_kept_falls_from_all_to_nothing():
    kept = diffusion.KEPT
    assert kept[0] == 1
    assert kept[-1] < 1e-3
    assert (np.diff(kept) < 0).all()


def test_samples_are_images_that_are_other_ones_each_time(training):
    labels = np.repeat(np.arange(10, dtype=np.int32), 5)
    first, second = (np.asarray(diffusion.sample(training.model, labels)) for _ in range(2))
    assert first.shape == (50, 8, 8)
    assert np.isfinite(first).all()
    assert abs(first).max() < 1.5
    assert not np.array_equal(first, second)


def test_drawn_digits_look_like_what_was_asked_for(training):
    images, labels = diffusion.drawn(training.model, 20)
    real, digits = diffusion.data("train")
    means = np.stack([real[digits == k].mean(axis=0) for k in range(10)])
    apart = ((images[:, None] - means) ** 2).sum(axis=(2, 3))
    assert flux.metrics.accuracy(-apart, labels) > 0.4  # a guess is right in a tenth


@pytest.mark.skipif(not importlib.util.find_spec("matplotlib"), reason="needs matplotlib")
def test_it_draws_a_picture(training, tmp_path):
    diffusion.draw(training.model, tmp_path / "samples.png")
    assert (tmp_path / "samples.png").read_bytes().startswith(b"\x89PNG")
