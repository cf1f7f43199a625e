"""Two models of one text: what each remembers, and that they learn."""

import jax.numpy as jnp
import numpy as np
import pytest

import flux
from flux.optim import trainables
from flux.zoo import charrnn, gpt


def test_both_have_the_same_text_and_as_many_parameters():
    np.testing.assert_array_equal(charrnn.data("test")[0], gpt.data("test")[0])
    assert charrnn.text() == gpt.text()
    sizes = [sum(array.size for array in trainables(file.build())) for file in (charrnn, gpt)]
    assert sizes[0] == pytest.approx(sizes[1], rel=0.01)


@pytest.mark.parametrize("file", [charrnn, gpt])
def test_examples_of_the_two_splits_share_no_letters(file):
    whole = file.as_letters(file.text())
    (train,), (test,) = file.data("train"), file.data("test")
    used = (len(train) - 1) * file.STRIDE + train.shape[1]
    start = len(whole) * 9 // 10
    assert used <= start
    np.testing.assert_array_equal(test[0], whole[start : start + test.shape[1]])


def test_the_gpt_with_caches_says_what_it_says_without():
    model = gpt.GPT(16, 2, 2)
    letters, read = gpt.data("test")[0][:1, :14], flux.jit(model)
    caches = model.caches()
    parts = [read(letters[:, :7], caches), read(letters[:, 7:], caches)]
    np.testing.assert_allclose(jnp.concatenate(parts, axis=1), read(letters), atol=1e-5)


def test_the_gpt_sees_no_later_letter():
    model = gpt.GPT(16, 2, 1)
    letters, read = gpt.data("test")[0][:1, :12], flux.jit(model)
    changed = np.where(np.arange(12) < 8, letters, 0)
    np.testing.assert_allclose(read(letters)[:, :8], read(changed)[:, :8], atol=1e-6)


@pytest.mark.parametrize(("file", "model"), [
    (charrnn, lambda: charrnn.Writer(16, 32)),
    (gpt, lambda: gpt.GPT(16, 2, 1)),
])  # fmt: skip
def test_writing_goes_on_beyond_the_context(file, model):
    written = file.write(model(), "The ", 300)
    assert written.startswith("The ")
    assert len(written) == 304


@pytest.mark.parametrize(("file", "model"), [
    (charrnn, lambda: charrnn.Writer(32, 64)),
    (gpt, lambda: gpt.GPT(32, 4, 1)),
])  # fmt: skip
def test_the_text_is_learned(file, model):
    flux.seed(0)
    model = model()
    batches = flux.DataLoader(file.data("train")[0][:640, :65], 16, shuffle=True, rng=0)
    history = flux.train(
        file.loss,
        model,
        batches,
        flux.setup(flux.optim.Adam(1e-2), model),
        epochs=2,
        progress=False,
    )
    counts = np.bincount(file.data("train")[0].ravel(), minlength=128)
    shares = counts[counts > 0] / counts.sum()
    alone = -(shares * np.log(shares)).sum()  # the loss of knowing how frequent each letter is
    assert history.loss[-1] < alone - 0.5
