"""Precision and devices: which arrays change, and what says so when there is no GPU."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import flux
from flux.models.devices import say_that_there_is_none


def test_only_float_arrays_change():
    model = {
        "weight": jnp.ones(2),
        "count": np.arange(2),
        "flag": np.ones(2, bool),
        "wave": np.ones(2, np.complex64),
        "key": jax.random.key(0),
        "rate": 0.1,
    }
    new = flux.bf16(model)
    assert new["weight"].dtype == jnp.bfloat16
    assert all(new[name] is model[name] for name in model if name != "weight")
    assert model["weight"].dtype == jnp.float32


def test_a_bf16_model_runs_forward_and_has_gradients():
    model = flux.Chain(flux.Dense(3, 4, flux.relu), flux.BatchNorm(4), flux.Dense(4, 2))
    x = np.linspace(-1, 1, 15, dtype=np.float32).reshape(5, 3)
    small = flux.bf16(model)
    y = small(x)
    assert y.dtype == jnp.bfloat16
    np.testing.assert_allclose(np.float32(y), model(x), rtol=0.05, atol=0.05)
    (grads,) = flux.gradient(lambda m: m(x).astype("float32").sum(), small)
    assert grads[0].weight.dtype == jnp.bfloat16


def test_f64_of_jax_arrays_is_refused_where_it_would_be_f32():
    with pytest.raises(flux.FluxError, match="float64"):
        flux.f64(flux.Dense(2, 2))
    assert flux.f64([np.ones(2, np.float16)])[0].dtype == np.float64


def test_tied_arrays_stay_tied():
    layer = flux.Dense(2, 2)
    new = flux.f16([layer.weight, layer])
    assert new[0] is new[1].weight


@pytest.mark.skipif(jax.default_backend() != "cpu", reason="there is a GPU")
def test_gpu_without_a_gpu_says_so_once_and_stays_on_the_cpu():
    say_that_there_is_none.cache_clear()
    with pytest.warns(UserWarning, match="no GPU"):
        model = flux.gpu(flux.Dense(2, 2))
    assert model.weight.device.platform == "cpu"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        flux.gpu(model)


def test_moving_takes_batches_and_names_of_devices():
    x, label = flux.to((jnp.ones(2), "label"), jax.devices()[0])
    assert x.device == jax.devices()[0]
    assert label == "label"
    assert flux.to([x], "cpu:0")[0].device.platform == "cpu"
    with pytest.raises(flux.FluxError, match="no device 'tpux'"):
        flux.to(x, "tpux")


@pytest.mark.parametrize("kind", [np.float16, np.float64, jnp.bfloat16])
@pytest.mark.parametrize(("cast", "wanted"), [(flux.f32, np.float32), (flux.f64, np.float64)])
def test_numbers_are_those_that_the_other_precision_had(kind, cast, wanted):
    model = {"weight": np.array([1 / 3, -2.5, 1e-4]).astype(kind), "count": np.arange(2)}
    new = cast(model)
    assert new["weight"].dtype == wanted
    np.testing.assert_array_equal(new["weight"], model["weight"].astype(wanted))
    assert new["count"] is model["count"]
