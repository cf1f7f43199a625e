"""Rules against PyTorch's optimisers, and against the formulas of their papers in NumPy."""

import jax.numpy as jnp
import numpy as np
import optax
import pytest

import flux
from flux import optim
from flux.optim.papers import orthogonal

torch = pytest.importorskip("torch")
T = torch.optim
W = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)


def gradients(scale=1.0, steps=12):
    rng = np.random.default_rng(1)
    return [(scale * rng.normal(size=W.shape)).astype(np.float32) for _ in range(steps)]


def moved(rule, grads, start=W):
    """How far the rule has gone after all these gradients."""
    model = {"w": jnp.asarray(start)}
    opt = flux.setup(rule, model)
    for grad in grads:
        flux.update(opt, model, {"w": grad})
    return np.asarray(model["w"], float) - np.asarray(start, float)


def moved_in_torch(make, grads):
    w = torch.tensor(W, requires_grad=True)
    optimiser = make([w])
    for grad in grads:
        w.grad = torch.tensor(grad)
        optimiser.step()
    return w.detach().numpy().astype(float) - W


@pytest.mark.parametrize("scale", [1.0, 1e-4])
@pytest.mark.parametrize(
    ("rule", "make"),
    [
        (optim.Descent(0.1), lambda p: T.SGD(p, 0.1)),
        (optim.Momentum(0.01, 0.8), lambda p: T.SGD(p, 0.01, 0.8)),
        (optim.Nesterov(0.01, 0.8), lambda p: T.SGD(p, 0.01, 0.8, nesterov=True)),
        (optim.Rprop(0.01), lambda p: T.Rprop(p, 0.01)),
        (optim.RMSProp(0.01, 0.8), lambda p: T.RMSprop(p, 0.01, 0.8)),
        (optim.Adam(0.01, (0.8, 0.99)), lambda p: T.Adam(p, 0.01, (0.8, 0.99))),
        (optim.AdamW(0.01, decay=0.1), lambda p: T.AdamW(p, 0.01, weight_decay=0.1)),
        (optim.RAdam(0.01, (0.8, 0.9)), lambda p: T.RAdam(p, 0.01, (0.8, 0.9))),
        (optim.AdaMax(0.01), lambda p: T.Adamax(p, 0.01)),
        (optim.NAdam(0.01), lambda p: T.NAdam(p, 0.01, momentum_decay=1e9)),
        (optim.AdaGrad(0.1), lambda p: T.Adagrad(p, 0.1, eps=1e-8)),
        (optim.AdaDelta(0.9, 1e-6), lambda p: T.Adadelta(p, 1.0, 0.9, 1e-6)),
    ],
)
def test_as_in_torch(rule, make, scale):
    grads = gradients(scale)
    # RAdam of PyTorch adds eps before it corrects the second moment.
    tolerance = 1e-2 if rule.name == "RAdam" and scale < 1 else 5e-5
    expected = moved_in_torch(make, grads)
    np.testing.assert_allclose(moved(rule, grads), expected, tolerance, 1e-6 * scale + 2e-7)


def adam_moments(grads, beta, correct=True):
    """The corrected moments of Kingma and Ba at every step, in double precision."""
    m = v = 0.0
    for t, grad in enumerate(np.asarray(grads, float), 1):
        m, v = beta[0] * m + (1 - beta[0]) * grad, beta[1] * v + (1 - beta[1]) * grad**2
        yield (m / (1 - beta[0] ** t), v / (1 - beta[1] ** t)) if correct else (m, v)


def optimistic_adam(grads, lr=0.001, beta=(0.5, 0.9), eps=1e-8):
    steps = [m / (np.sqrt(v) + eps) for m, v in adam_moments(grads, beta)]
    return -lr * sum([2 * r - before for r, before in zip(steps, [0, *steps], strict=False)])


def amsgrad(grads, lr=0.001, beta=(0.9, 0.999), eps=1e-8):
    total = most = 0.0
    for m, v in adam_moments(grads, beta, correct=False):
        most = np.maximum(most, v)
        total = total - lr * m / (np.sqrt(most) + eps)
    return total


def adabelief(grads, lr=0.001, beta=(0.9, 0.999), eps=1e-16):
    m = s = total = 0.0
    for t, grad in enumerate(np.asarray(grads, float), 1):
        m = beta[0] * m + (1 - beta[0]) * grad
        s = beta[1] * s + (1 - beta[1]) * (grad - m) ** 2 + eps
        step = m / (1 - beta[0] ** t) / (np.sqrt(s / (1 - beta[1] ** t)) + eps)
        total = total - lr * step
    return total


def lion(grads, lr=0.0001, beta=(0.9, 0.99)):
    m = total = 0.0
    for grad in np.asarray(grads, float):
        total = total - lr * np.sign(beta[0] * m + (1 - beta[0]) * grad)
        m = beta[1] * m + (1 - beta[1]) * grad
    return total


@pytest.mark.parametrize(
    ("rule", "formula"),
    [
        (optim.OAdam(), optimistic_adam), (optim.AMSGrad(), amsgrad),
        (optim.AdaBelief(), adabelief), (optim.Lion(), lion),
    ],
    ids=["OAdam", "AMSGrad", "AdaBelief", "Lion"],
)  # fmt: skip
def test_as_in_the_paper(rule, formula):
    for scale in (1.0, 1e-4):
        grads = gradients(scale)
        found = moved(rule, grads, np.zeros_like(W))
        np.testing.assert_allclose(found, formula(grads), rtol=2e-4, atol=1e-8)


def newton_schulz(x):
    """The iteration as on the page of Jordan et al., in double precision."""
    a, b, c = 3.4445, -4.7750, 2.0315
    wide = x if x.shape[0] <= x.shape[1] else x.T
    wide = wide / np.linalg.norm(wide)
    for _ in range(5):
        square = wide @ wide.T
        wide = a * wide + (b * square + c * square @ square) @ wide
    return wide if x.shape[0] <= x.shape[1] else wide.T


@pytest.mark.parametrize("shape", [(3, 4), (4, 3)])
def test_muon_as_on_its_page(shape):
    grads = [g.reshape(shape) for g in gradients()]
    v, total = 0.0, 0.0
    for grad in np.asarray(grads, float):
        v = 0.95 * v + 0.05 * grad
        turned = newton_schulz(0.95 * v + 0.05 * grad)
        total = total - 0.02 * turned * max(1, shape[1] / shape[0]) ** 0.5
    found = moved(optim.Muon(), grads, np.zeros(shape, np.float32))
    np.testing.assert_allclose(found, total, rtol=2e-3, atol=2e-5)
    values = np.linalg.svd(np.asarray(orthogonal(jnp.asarray(grads[0]))))[1]
    assert ((0.6 < values) & (values < 1.3)).all()


def test_muon_moves_what_is_no_matrix_as_adam():
    grads = [g.ravel() for g in gradients()]
    by_adam = moved(optim.Adam(0.0003, (0.9, 0.95), 1e-10), grads, W.ravel())
    np.testing.assert_allclose(moved(optim.Muon(), grads, W.ravel()), by_adam, rtol=1e-5, atol=1e-7)


def unit(omega, grad):
    return grad * min(1, omega / np.linalg.norm(grad))


@pytest.mark.parametrize(
    ("rule", "change"),
    [
        (optim.ClipGrad(0.5), lambda g, x: np.clip(g, -0.5, 0.5)),
        (optim.ClipNorm(0.5), lambda g, x: unit(0.5, g)),
        (optim.ClipNorm(100.0), lambda g, x: g),
        (optim.ClipGlobalNorm(0.5), lambda g, x: unit(0.5, g)),
        (optim.WeightDecay(0.1), lambda g, x: g + 0.1 * x),
        (optim.SignDecay(0.1), lambda g, x: g + 0.1 * np.sign(x)),
    ],
)
def test_what_changes_the_gradient_before_a_rule(rule, change):
    (grad,) = gradients(steps=1)
    found = moved(optim.OptimiserChain(rule, optim.Descent(1.0)), [grad])
    np.testing.assert_allclose(found, -change(grad, W), rtol=1e-5, atol=1e-6)


def test_norms_of_each_array_and_of_all():
    model = {"a": np.zeros(1, np.float32), "b": np.zeros(1, np.float32)}
    grads = {"a": np.float32([3.0]), "b": np.float32([4.0])}
    for clip, expected in [(optim.ClipNorm(1.0), (1, 1)), (optim.ClipGlobalNorm(1.0), (0.6, 0.8))]:
        model = {key: np.zeros(1, np.float32) for key in grads}
        flux.update(flux.setup(optim.OptimiserChain(clip, optim.Descent(1.0)), model), model, grads)
        found = -model["a"][0], -model["b"][0]
        np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_accumulated_gradients_count_as_their_mean():
    grads = gradients(steps=8)
    means = [np.mean(grads[i : i + 4], 0) for i in (0, 4)]
    found = moved(optim.AccumGrad(4, optim.Adam(0.01)), [*grads, grads[0]])
    np.testing.assert_allclose(found, moved(optim.Adam(0.01), means), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_loses_no_small_steps_to_a_copy_in_float32(dtype):
    grads = [np.ones((2,), np.float32)] * 100
    start = jnp.full((2,), 8.0, dtype)
    rule = optim.Descent(0.0005)  # less than half of the last bit of 8
    assert not moved(rule, grads, start).any()
    found = moved(optim.MixedPrecision(rule), grads, start)
    np.testing.assert_allclose(found, -0.05, atol=float(jnp.finfo(dtype).eps) * 8)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_adam_of_half_precision_keeps_its_moments_in_float32(dtype):
    grads = gradients(1e-4)
    found = moved(optim.Adam(0.01), grads, jnp.zeros_like(W, dtype))
    expected = moved(optim.Adam(0.01), grads, np.zeros_like(W))
    np.testing.assert_allclose(found, expected, rtol=0.1, atol=2e-3)


def test_a_transformation_of_optax_is_a_rule():
    grads = gradients()
    found = moved(optax.chain(optax.clip(0.5), optax.adam(0.01)), grads)
    inside = optim.OptimiserChain(optim.ClipGrad(0.5), optax.adam(0.01))
    np.testing.assert_allclose(found, moved(inside, grads), rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(
        found, moved(optim.Adam(0.01), np.clip(grads, -0.5, 0.5)), rtol=1e-4, atol=1e-6
    )


def test_hyperparameters_that_optax_injects_are_adjusted():
    model = {"w": jnp.zeros(2)}
    opt = flux.setup(optax.inject_hyperparams(optax.sgd)(learning_rate=0.1), model)
    flux.adjust(opt, learning_rate=0.5)
    flux.update(opt, model, {"w": np.float32([1.0, 2.0])})
    np.testing.assert_allclose(model["w"], [-0.5, -1.0])


@pytest.mark.parametrize(
    "rule", [optim.Descent(0.1), optim.Adam(0.1), optim.AdaGrad(0.5), optim.AMSGrad(0.1)]
)
def test_complex_parameters_reach_their_minimum(rule):
    target = np.array([1 + 2j, -1j], np.complex64)
    model = {"w": jnp.zeros(2, jnp.complex64)}
    opt = flux.setup(rule, model)
    for _ in range(100):
        flux.trainstep(lambda m, y: (jnp.abs(m["w"] - y) ** 2).sum(), model, target, opt)
    np.testing.assert_allclose(model["w"], target, atol=0.05)


def test_complex_parameters_have_no_sign():
    with pytest.raises(TypeError, match="complex parameters have none"):
        flux.setup(optim.Rprop(), {"w": jnp.zeros(2, jnp.complex64)})


def test_what_is_frozen_stays_and_what_is_thawed_moves_again():
    model = flux.Chain(flux.Dense(2, 2, init=flux.init.ones), flux.Dense(2, 1))
    opt = flux.setup(optim.Descent(0.5), model)
    ones = flux.fmap(jnp.ones_like, model)
    flux.freeze(opt, model[0])
    flux.update(opt, model, ones)
    assert (model[0].weight == 1).all()
    before = np.asarray(model[1].bias)
    flux.thaw(opt, model[0])
    flux.update(opt, model, ones)
    assert (model[0].weight == 0.5).all()
    np.testing.assert_allclose(model[1].bias, before - 0.5)
