"""Schedules inside rules: followed without compiling again, held by `adjust`, saved and resumed."""

import jax
import numpy as np
import optax
import pytest

import flux
from flux import optim, schedules

torch = pytest.importorskip("torch")
X = np.linspace(-1, 1, 12, dtype=np.float32).reshape(4, 3)
COSINE = schedules.cosine(0.1, 20)


def start():
    return {"w": np.linspace(0.5, 1.5, 3, dtype=np.float32)}


def loss(model, x):
    return ((x * model["w"]) ** 2).sum()


def run(model, opt, steps):
    for _ in range(steps):
        flux.trainstep(loss, model, X, opt)
    return np.asarray(model["w"])


def test_adam_follows_a_cosine_as_in_torch():
    model = start()
    found = run(model, flux.setup(optim.Adam(COSINE), model), 25)
    w = torch.tensor(start()["w"], requires_grad=True)
    theirs = torch.optim.Adam([w], 0.1)
    falling = torch.optim.lr_scheduler.LambdaLR(theirs, lambda n: COSINE(n) / 0.1)
    for _ in range(25):
        theirs.zero_grad()
        ((torch.tensor(X) * w) ** 2).sum().backward()
        theirs.step()
        falling.step()
    np.testing.assert_allclose(found, w.detach().numpy(), rtol=2e-5, atol=1e-6)


def by_hand(step):
    if step < 3:
        return 0.1
    return 0.01


@pytest.mark.parametrize(
    "schedule", [by_hand, optax.piecewise_constant_schedule(0.1, {3: 0.1}), lambda n: 0.1 / (1 + n)]
)
def test_any_function_of_the_step_is_a_schedule(schedule):
    model = start()
    opt = flux.setup(optim.Descent(schedule), model)
    expected = start()["w"]
    for n in range(5):
        expected = expected - float(schedule(n)) * 2 * expected * (X**2).sum(0)
        found = run(model, opt, 1)
        assert opt.hyper["lr"] == pytest.approx(float(schedule(n)))
    np.testing.assert_allclose(found, expected, rtol=1e-5)


RULES = (
    "Descent Momentum Nesterov Rprop RMSProp Adam AdamW RAdam AdaMax OAdam NAdam AMSGrad AdaGrad "
    "AdaBelief Lion Muon"
).split()


@pytest.mark.parametrize("name", RULES)
def test_every_rule_takes_a_schedule(name):
    make = getattr(optim, name)
    fixed, scheduled = start(), start()
    run(fixed, flux.setup(make(0.02), fixed), 3)
    run(scheduled, flux.setup(make(schedules.constant(0.02)), scheduled), 3)
    np.testing.assert_allclose(scheduled["w"], fixed["w"], rtol=1e-6)


def test_a_scheduled_pair_and_a_scheduled_clip():
    model = start()
    clip = optim.ClipNorm(schedules.step(1.0, 2))
    adam = optim.Adam(0.01, (schedules.constant(0.8), 0.9))
    opt = flux.setup(optim.OptimiserChain(clip, adam), model)
    run(model, opt, 3)
    assert opt.hyper["omega"] == pytest.approx(0.1)
    assert opt.hyper["beta_0"] == pytest.approx(0.8)


def compiled(caplog):
    return "Compiling jit(trace)" in caplog.text


def test_following_and_adjusting_compile_nothing_again(caplog):
    model = start()
    opt = flux.setup(optim.Adam(schedules.cosine(0.1, 21)), model)
    with jax.log_compiles():
        run(model, opt, 2)
        assert compiled(caplog)
        caplog.clear()
        run(model, opt, 3)
        flux.adjust(opt, 0.03)
        run(model, opt, 3)
        again = start()
        run(again, flux.setup(optim.Adam(schedules.cosine(0.1, 21)), again), 2)
    assert not compiled(caplog)
    assert opt.hyper["lr"] == pytest.approx(0.03)


def test_adjusting_holds_the_rate_and_leaves_other_schedules():
    model = start()
    opt = flux.setup(optim.Momentum(COSINE, schedules.step(0.9, 2, 0.5)), model)
    run(model, opt, 1)
    flux.adjust(opt, 0.5)
    run(model, opt, 4)
    assert opt.hyper == {"lr": 0.5, "rho": pytest.approx(0.225)}


@pytest.mark.parametrize("adjusted", [False, True])
def test_resuming_continues_the_schedule(tmp_path, adjusted):
    model = start()
    opt = flux.setup(optim.Adam(COSINE), model)
    run(model, opt, 7)
    if adjusted:
        flux.adjust(opt, 0.02)
    flux.save(tmp_path / "m", model, opt)
    expected = run(model, opt, 5)
    resumed = start()
    state = flux.setup(optim.Adam(COSINE), resumed)
    flux.restore(tmp_path / "m", resumed, state)
    np.testing.assert_array_equal(run(resumed, state, 5), expected)
    assert state.hyper["lr"] == pytest.approx(0.02 if adjusted else COSINE(11))


def test_what_is_no_number_is_refused():
    with pytest.raises(flux.FluxError, match="the schedule of `lr` expected a number"):
        flux.setup(optim.Descent(lambda step: "fast"), start())
    opt = flux.setup(optim.Descent(COSINE), start())
    with pytest.raises(flux.FluxError, match="adjust expected a number for `lr`"):
        flux.adjust(opt, COSINE)
    with pytest.raises(flux.FluxError, match="has no hyperparameter `rate`; it has lr"):
        flux.adjust(opt, rate=1.0)
