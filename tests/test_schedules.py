"""Schedules against those of PyTorch and optax, for every kind of step."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from flux.schedules import (
    constant,
    cosine,
    exponential,
    one_cycle,
    polynomial,
    sequence,
    step,
    warmup,
)  # fmt: skip

torch = pytest.importorskip("torch")
of_torch = torch.optim.lr_scheduler
STEPS = range(30)


def values(schedule):
    return [float(schedule(n)) for n in STEPS]


def torch_values(make, start=0.5):
    optimiser = torch.optim.SGD([torch.zeros(1, requires_grad=True)], start)
    scheduler = make(optimiser)
    found = []
    for _ in STEPS:
        found.append(scheduler.get_last_lr()[0])
        optimiser.step()
        scheduler.step()
    return found


@pytest.mark.parametrize(
    ("ours", "make"),
    [
        (step(0.5, 7, 0.3), lambda o: of_torch.StepLR(o, 7, 0.3)),
        (step(0.5, (4, 9), 0.3), lambda o: of_torch.MultiStepLR(o, [4, 9], 0.3)),
        (exponential(0.5, 0.9), lambda o: of_torch.ExponentialLR(o, 0.9)),
        (polynomial(0.5, 20, power=1.5), lambda o: of_torch.PolynomialLR(o, 20, 1.5)),
        (warmup(0.5, 9, 0.1), lambda o: of_torch.LinearLR(o, 0.2, total_iters=9)),
        (constant(0.5), lambda o: of_torch.ConstantLR(o, 1.0)),
    ],
)
def test_as_in_torch(ours, make):
    np.testing.assert_allclose(values(ours), torch_values(make), rtol=1e-12, atol=1e-16)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (cosine(0.5, 20, 0.1), optax.cosine_decay_schedule(0.5, 20, 0.2)),
        (exponential(0.5, 0.9, 7), optax.exponential_decay(0.5, 7, 0.9)),
        (one_cycle(0.5, 20), optax.cosine_onecycle_schedule(20, 0.5)),
        (one_cycle(0.5, 20, 0.5, 0.1, 0.2), optax.cosine_onecycle_schedule(20, 0.5, 0.5, 5, 0.5)),
        (
            warmup(cosine(0.5, 15, 0.1), 5, 0.2),
            optax.warmup_cosine_decay_schedule(0.2, 0.5, 5, 20, 0.1),
        ),
        (
            sequence((0.3, 5), (cosine(0.5, 8), 8), exponential(0.1, 0.5)),
            optax.join_schedules(
                [optax.constant_schedule(0.3), optax.cosine_decay_schedule(0.5, 8),
                 optax.exponential_decay(0.1, 1, 0.5)], [5, 13],
            ),
        ),
    ],
)  # fmt: skip
def test_as_in_optax(ours, theirs):
    np.testing.assert_allclose(values(ours), values(theirs), rtol=3e-6, atol=1e-7)


def by_hand(n):
    if n < 3:
        return 0.1
    return 0.1 / (n - 1)


@pytest.mark.parametrize(
    "schedule",
    [
        constant(0.5), step(0.5, 7), step(0.5, (4, 9)), exponential(0.5, 0.9), polynomial(0.5, 20),
        cosine(0.5, 20), one_cycle(0.5, 20), warmup(by_hand, 4), sequence((by_hand, 5), by_hand),
    ],
)  # fmt: skip
def test_a_traced_step_gives_the_value_of_an_int(schedule):
    traced = jax.jit(schedule)
    for n in (0, 2, 5, 19, 25):
        assert type(schedule(n)) is float
        np.testing.assert_allclose(traced(jnp.int32(n)), schedule(n), rtol=1e-5, atol=1e-8)


def test_equal_schedules_are_equal():
    assert cosine(0.5, 20) == cosine(start=0.5, steps=20) != cosine(0.5, 21)
    assert hash(cosine(0.5, 20)) == hash(cosine(0.5, 20))
    assert warmup(cosine(0.5, 20), 3) == warmup(cosine(0.5, 20), 3)


@pytest.mark.parametrize(
    "make",
    [
        lambda: cosine(0.5, 0), lambda: step(0.5, -1), lambda: one_cycle(0.5, 10, rise=1.5),
        lambda: sequence((0.5, 3), 4, cosine(0.5, 4)), lambda: sequence(),
    ],
)  # fmt: skip
def test_what_is_no_schedule_is_refused(make):
    with pytest.raises((ValueError, TypeError), match=r"greater than 0|between 0 and 1|pairs"):
        make()
