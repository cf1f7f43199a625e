"""Every activation against PyTorch or a closed form: values, gradients, extremes, dtypes."""

import inspect

import jax.numpy as jnp
import numpy as np
import pytest

from flux import functional as F
from flux.ad import pullback
from flux.functional import activations, rectifiers

torch = pytest.importorskip("torch", reason="the reference of these tests is PyTorch")
T = torch.nn.functional

REFERENCES = {
    "celu": T.celu,
    "elu": T.elu,
    "gelu": lambda x: T.gelu(x, approximate="tanh"),
    "gelu_erf": T.gelu,
    "hardsigmoid": lambda x: torch.clamp(x / 6 + 0.5, 0, 1),  # theirs has a single 1/6
    "hardswish": T.hardswish,
    "hardtanh": T.hardtanh,
    "identity": lambda x: x * 1,
    "leakyrelu": T.leaky_relu,
    "lisht": lambda x: x * torch.tanh(x),
    "logcosh": lambda x: torch.logaddexp(x, -x) - np.log(2),
    "logsigmoid": T.logsigmoid,
    "mish": T.mish,
    "relu": T.relu,
    "relu6": T.relu6,
    "rrelu": lambda x: T.rrelu(x, training=False),
    "selu": T.selu,
    "sigmoid": torch.sigmoid,
    "silu": T.silu,
    "softplus": T.softplus,
    "softshrink": T.softshrink,
    "softsign": T.softsign,
    "swish": T.silu,
    "tanh": torch.tanh,
    "tanhshrink": T.tanhshrink,
    "trelu": lambda x: T.threshold(x, 1.0, 0.0),
}
POINTS = np.concatenate([np.linspace(-8, 8, 67), [-30.0, 25.0, 1e-3, -1e-3]])
EXTREMES = np.array([-1e4, -1e3, -100.0, 100.0, 1e3, 1e4], np.float32)


def value_and_gradient(f, x):
    y, back = pullback(f, x)
    return np.asarray(y, np.float64), np.asarray(back(y * 0 + 1)[0], np.float64)


def reference(f, x):
    x = torch.tensor(x, requires_grad=True)
    y = f(x)
    y.sum().backward()
    return y.detach().double().numpy(), x.grad.double().numpy()


@pytest.mark.parametrize("name", sorted(REFERENCES))
def test_value_and_gradient_in_numpy_double_agree_with_pytorch(name):
    found = value_and_gradient(getattr(F, name), POINTS)
    for ours, theirs in zip(found, reference(REFERENCES[name], POINTS), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", sorted(REFERENCES))
def test_value_and_gradient_in_jax_single_agree_with_pytorch(name):
    x = POINTS.astype(np.float32)
    found = value_and_gradient(getattr(F, name), jnp.asarray(x))
    for ours, theirs in zip(found, reference(REFERENCES[name], x.astype(float)), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("kind", [jnp.asarray, np.asarray])
@pytest.mark.parametrize("name", sorted(REFERENCES))
def test_value_and_gradient_at_extreme_inputs_are_those_of_pytorch_in_double(name, kind):
    found = value_and_gradient(getattr(F, name), kind(EXTREMES))
    expected = reference(REFERENCES[name], EXTREMES.astype(float))
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-30)


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16, jnp.float32])
@pytest.mark.parametrize("name", sorted(REFERENCES))
def test_the_dtype_of_the_input_is_kept_by_value_and_gradient(name, dtype):
    x = jnp.asarray([-1e4, -1.0, 0.5, 1e4], dtype)
    y, back = pullback(getattr(F, name), x)
    (gradient,) = back(jnp.ones_like(y))
    assert y.dtype == gradient.dtype == dtype
    assert np.isfinite(np.asarray(y, float)).all()
    assert np.isfinite(np.asarray(gradient, float)).all()


@pytest.mark.parametrize("name", ["relu", "relu6", "hardtanh", "softshrink", "trelu", "leakyrelu"])
def test_the_derivative_at_a_corner_is_that_of_the_flat_side(name):
    corner = {"relu6": 6.0, "hardtanh": 1.0, "softshrink": 0.5, "trelu": 1.0}.get(name, 0.0)
    _, gradient = value_and_gradient(getattr(F, name), jnp.asarray([corner]))
    np.testing.assert_allclose(gradient, [0.01 if name == "leakyrelu" else 0.0], rtol=1e-6)


def test_relu_keeps_nan():
    assert np.isnan(F.relu(jnp.asarray([jnp.nan]))).all()


def test_the_slope_of_leakyrelu_has_a_gradient():
    _, back = pullback(F.leakyrelu, jnp.asarray([-2.0, 3.0]), jnp.asarray(0.1))
    assert float(back(jnp.ones(2))[1]) == -2.0


def test_rrelu_draws_slopes_between_its_bounds():
    from flux.random import RandomState

    y = F.rrelu(-jnp.ones(1000), 0.2, 0.4, rng=RandomState(0))
    assert -0.4 <= float(y.min()) < -0.38
    assert -0.22 < float(y.max()) <= -0.2


def test_glu_agrees_with_pytorch():
    x = np.random.default_rng(0).normal(size=(3, 8))
    found = value_and_gradient(F.glu, x)
    for ours, theirs in zip(found, reference(T.glu, x), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-9)


def test_erf_agrees_with_pytorch():
    found = value_and_gradient(F.erf, POINTS)
    for ours, theirs in zip(found, reference(torch.erf, POINTS), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-300)


def test_every_activation_has_a_reference_here():
    public = {*activations.__all__, *rectifiers.__all__} - {"glu"}
    assert public == set(REFERENCES)
    assert all(inspect.getdoc(getattr(F, name)) for name in public)
