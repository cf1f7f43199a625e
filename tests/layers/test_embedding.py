"""Tables of vectors."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from flux.ad import gradient
from flux.errors import LabelError, ShapeError
from flux.layers import Embedding, EmbeddingBag

torch = pytest.importorskip("torch", reason="the reference of these tests is PyTorch")
INDEX = np.array([[1, 2, 1], [0, 4, 1]])


def test_embedding_and_its_gradient_agree_with_pytorch():
    model = Embedding(5, 3, rng=0)
    theirs = torch.nn.Embedding.from_pretrained(torch.tensor(np.array(model.weight)), freeze=False)
    y = theirs(torch.tensor(INDEX))
    (y**3).sum().backward()
    np.testing.assert_allclose(model(INDEX), y.detach())
    (grads,) = gradient(lambda m: (m(INDEX) ** 3).sum(), model)
    np.testing.assert_allclose(grads.weight, theirs.weight.grad, rtol=1e-5)


def test_one_hot_rows_give_what_their_index_gives():
    model = Embedding(5, 3)
    np.testing.assert_allclose(model(np.eye(5)[INDEX]), model(INDEX), rtol=1e-6)


def test_the_padding_vector_is_zero_and_learns_nothing():
    model = Embedding(5, 3, padding_idx=1)
    assert (model(INDEX)[0, 0] == 0).all()
    (grads,) = gradient(lambda m: m(INDEX).sum(), model)
    np.testing.assert_array_equal(grads.weight[:, 0], [1, 0, 1, 0, 1])


@pytest.mark.parametrize("index", [5, -1])
def test_an_index_out_of_range_is_named_and_nan_when_compiled(index):
    model = Embedding(5, 3)
    with pytest.raises(LabelError, match=f"index {index} .* 5 rows"):
        model(np.array([0, index]))
    y = jax.jit(lambda i: model(i))(np.array([0, index]))
    assert np.isnan(y[1]).all()
    assert np.isfinite(y[0]).all()


def test_one_hot_rows_of_another_length_are_refused():
    with pytest.raises(ShapeError, match=r"Embedding\(5, 3\).*\(2, 4\)"):
        Embedding(5, 3)(np.ones((2, 4)))


@pytest.mark.parametrize("reduction", ["mean", "sum", "max"])
def test_bags_and_their_gradients_agree_with_pytorch(reduction):
    model = EmbeddingBag(5, 3, reduction=reduction, rng=0)
    flat, starts = np.array([1, 2, 1, 0, 4]), np.array([0, 2])
    for arguments in ((INDEX,), (flat, starts)):
        weight = torch.tensor(np.array(model.weight), requires_grad=True)
        given = [torch.tensor(a) for a in arguments]
        y = torch.nn.functional.embedding_bag(given[0], weight, *given[1:], mode=reduction)
        (y**2).sum().backward()
        np.testing.assert_allclose(model(*arguments), y.detach(), rtol=1e-5, atol=1e-6)
        (grads,) = gradient(lambda m, a=arguments: (m(*a) ** 2).sum(), model)
        np.testing.assert_allclose(grads.weight, weight.grad, rtol=1e-4, atol=1e-5)


def test_the_mean_of_an_empty_bag_is_zero():
    y = EmbeddingBag(5, 3)(np.array([1]), np.array([0, 1]))
    np.testing.assert_array_equal(y[1], np.zeros(3))


def test_an_unknown_reduction_is_refused():
    with pytest.raises(ValueError, match="median"):
        EmbeddingBag(5, 3, reduction="median")


def test_the_dtype_of_the_table_is_that_of_the_vectors():
    model = Embedding(5, 3)
    model.weight = model.weight.astype(jnp.bfloat16)
    assert model(INDEX).dtype == jnp.bfloat16
