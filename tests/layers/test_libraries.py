"""Layers whose parameters are arrays of another library, against the same layers of JAX."""

import jax.numpy as jnp
import numpy as np
import pytest

import flux
from flux.functional.arrays import numbers_of

torch = pytest.importorskip("torch")
strict = pytest.importorskip("array_api_strict")
RNG = np.random.default_rng(0)
MAKERS = {"torch": torch.tensor, "array_api_strict": strict.asarray, "numpy": np.asarray}
ROWS, STEPS = RNG.normal(size=(5, 4)).astype("f"), RNG.normal(size=(2, 3, 4)).astype("f")
IMAGES, WHOLE = RNG.normal(size=(2, 6, 6, 4)).astype("f"), np.array([[1, 2], [0, 3]])
CASES = {
    "Dense": (lambda: flux.Dense(4, 3, flux.gelu), ROWS),
    "Scale": (lambda: flux.Scale(4), ROWS),
    "Bilinear": (lambda: flux.Bilinear(4, 2), ROWS),
    "Maxout": (lambda: flux.Maxout(flux.Dense(4, 3), flux.Dense(4, 3)), ROWS),
    "BatchNorm": (lambda: flux.BatchNorm(4), IMAGES),
    "LayerNorm": (lambda: flux.LayerNorm(4), STEPS),
    "GroupNorm": (lambda: flux.GroupNorm(4, 2), IMAGES),
    "Embedding": (lambda: flux.Embedding(4, 3), WHOLE),
    "EmbeddingBag": (lambda: flux.EmbeddingBag(4, 3), WHOLE),
    "MultiHeadAttention": (lambda: flux.MultiHeadAttention(4, 2), STEPS),
    "GRU": (lambda: flux.GRU(4, 3), STEPS),
    "LSTM": (lambda: flux.LSTM(4, 3), STEPS),
    "Conv": (
        lambda: flux.Chain(
            flux.Conv((3, 3), 4, 2, flux.relu, pad="same"),
            flux.MaxPool((2, 2)),
            flux.GlobalMeanPool(),
            flux.Flatten(),
        ),
        IMAGES,
    ),
}


def moved(model, make):
    """The model over arrays of another library; keys of generators stay JAX's."""

    def array(value):
        return make(np.array(value)) if jnp.issubdtype(value.dtype, jnp.inexact) else value

    return flux.fmap(array, model)


@pytest.mark.parametrize("library", sorted(MAKERS))
@pytest.mark.parametrize("case", sorted(CASES))
def test_a_layer_computes_in_the_library_of_its_parameters(case, library):
    make_layer, x = CASES[case]
    flux.seed(0)
    model, make = make_layer(), MAKERS[library]
    expected = flux.pullback(lambda m, x: m(x), model, jnp.asarray(x))
    found = flux.pullback(lambda m, x: m(x), moved(model, make), make(x))
    assert isinstance(found[0], type(make(np.ones(1))))
    np.testing.assert_allclose(numbers_of(found[0]), expected[0], rtol=1e-4, atol=1e-5)
    if x.dtype.kind == "f":
        ct = RNG.normal(size=expected[0].shape).astype("f")
        ours, theirs = found[1](make(ct))[1], expected[1](jnp.asarray(ct))[1]
        np.testing.assert_allclose(numbers_of(ours), theirs, rtol=1e-3, atol=1e-4)
