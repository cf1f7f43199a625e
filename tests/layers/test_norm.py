"""Normalisation layers against PyTorch, and their running statistics."""

import jax.numpy as jnp
import numpy as np
import pytest

from flux.ad import gradient
from flux.compiler import jit
from flux.errors import ShapeError
from flux.functional import relu
from flux.layers import BatchNorm, GroupNorm, InstanceNorm, LayerNorm, RMSNorm, testmode, trainmode

torch = pytest.importorskip("torch", reason="the reference of these tests is PyTorch")
RNG = np.random.default_rng(0)


def channels_second(x):
    return torch.tensor(np.moveaxis(np.asarray(x), -1, 1).copy())


def compare(y, expected, rtol=1e-4):
    np.testing.assert_allclose(y, expected.detach().movedim(1, -1), rtol=rtol, atol=1e-5)


@pytest.mark.parametrize("shape", [(8, 3), (4, 5, 3), (2, 4, 5, 3)])
def test_batchnorm_in_training_agrees_with_pytorch(shape):
    x = (RNG.normal(size=shape) * 3 + 1).astype("f")
    ours = trainmode(BatchNorm(3))
    kind = [torch.nn.BatchNorm1d, torch.nn.BatchNorm1d, torch.nn.BatchNorm2d][len(shape) - 2]
    theirs = kind(3)
    compare(ours(x), theirs(channels_second(x)))
    np.testing.assert_allclose(ours.mean, theirs.running_mean, rtol=1e-5)
    np.testing.assert_allclose(ours.var, theirs.running_var, rtol=1e-5)
    testmode(ours), theirs.eval()
    compare(ours(x), theirs(channels_second(x)))


def test_the_gradients_of_batchnorm_agree_with_pytorch():
    x = RNG.normal(size=(8, 3)).astype("f")
    ours, theirs = BatchNorm(3), torch.nn.BatchNorm1d(3)
    t = torch.tensor(x, requires_grad=True)
    (theirs(t) ** 3).sum().backward()
    model_grad, x_grad = gradient(lambda m, x: (m(x) ** 3).sum(), ours, jnp.asarray(x))
    np.testing.assert_allclose(x_grad, t.grad, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(model_grad.scale, theirs.weight.grad, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(model_grad.shift, theirs.bias.grad, rtol=1e-3, atol=1e-4)


def test_running_statistics_follow_exactly_while_a_gradient_is_taken():
    model = BatchNorm(2)
    x = jnp.asarray([[1.0, 2.0], [3.0, 6.0]])
    model(x)
    np.testing.assert_array_equal(model.mean, [0, 0])
    gradient(lambda m: m(x).sum(), model)
    np.testing.assert_allclose(model.mean, [0.2, 0.4])
    np.testing.assert_allclose(model.var, [0.9 + 0.1 * 2, 0.9 + 0.1 * 8])


def test_batchnorm_without_tracking_uses_the_batch_in_testing_too():
    model = BatchNorm(1, track_stats=False, affine=False, eps=0.0)
    np.testing.assert_allclose(model(jnp.asarray([[1.0], [3.0]])), [[-1], [1]])


def test_one_value_per_channel_cannot_be_trained_on():
    with pytest.raises(ShapeError, match=r"BatchNorm\(3, active=True\) got .*\(1, 3\)"):
        trainmode(BatchNorm(3))(np.ones((1, 3)))


def test_the_activation_comes_last():
    y = trainmode(BatchNorm(3, relu))(RNG.normal(size=(8, 3)))
    assert float(y.min()) == 0.0


def test_the_statistics_are_no_parameters():
    assert BatchNorm.nontrainable == InstanceNorm.nontrainable == ("mean", "var")


@pytest.mark.parametrize("affine", [True, False])
def test_instancenorm_agrees_with_pytorch(affine):
    x = RNG.normal(size=(2, 5, 3)).astype("f")
    ours = trainmode(InstanceNorm(3, affine=affine, track_stats=True))
    theirs = torch.nn.InstanceNorm1d(3, affine=affine, track_running_stats=True)
    compare(ours(x), theirs(channels_second(x)))
    np.testing.assert_allclose(ours.var, theirs.running_var, rtol=1e-4)
    testmode(ours), theirs.eval()
    compare(ours(x), theirs(channels_second(x)))


def test_groupnorm_agrees_with_pytorch():
    x = RNG.normal(size=(2, 5, 6)).astype("f")
    compare(GroupNorm(6, 3)(x), torch.nn.GroupNorm(3, 6)(channels_second(x)))


def test_groups_must_divide_the_channels():
    with pytest.raises(ValueError, match="4 groups"):
        GroupNorm(6, 4)


@pytest.mark.parametrize("size", [(6,), (5, 6)])
def test_layernorm_agrees_with_pytorch(size):
    x = RNG.normal(size=(2, 5, 6)).astype("f")
    expected = torch.nn.LayerNorm(size)(torch.tensor(x)).detach()
    np.testing.assert_allclose(LayerNorm(*size)(x), expected, rtol=1e-4, atol=1e-5)


def test_rmsnorm_agrees_with_pytorch():
    x = RNG.normal(size=(2, 6)).astype("f")
    expected = torch.nn.RMSNorm(6, eps=1e-6)(torch.tensor(x)).detach()
    np.testing.assert_allclose(RMSNorm(6)(x), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "model", [BatchNorm(3), InstanceNorm(3), GroupNorm(3, 1), LayerNorm(3), RMSNorm(3)], ids=repr
)
def test_other_channels_are_refused(model):
    with pytest.raises(ShapeError, match=r"\(2, 5, 4\).*3"):
        model(np.ones((2, 5, 4)))


def test_a_compiled_gradient_writes_the_running_statistics_back():
    x = jnp.asarray([[1.0, 2.0], [3.0, 6.0]])
    eager, compiled = BatchNorm(2), BatchNorm(2)
    gradient(lambda m: m(x).sum(), eager)
    jit(lambda m, x: gradient(lambda m: m(x).sum(), m))(compiled, x)
    np.testing.assert_allclose(compiled.mean, eager.mean, rtol=1e-6)
    np.testing.assert_allclose(compiled.var, eager.var, rtol=1e-6)
