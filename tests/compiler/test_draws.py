"""Random numbers of NumPy and Python in compiled code: refused, for each run would get the same."""

import random

import numpy as np
import pytest

import flux

RNG = np.random.default_rng(0)
DRAWS = {
    "normal": lambda x: x + RNG.normal(size=x.shape),
    "standard_normal": lambda x: x * np.random.standard_normal(),
    "uniform": lambda x: RNG.uniform(x, x + 1.0),
    "choice": lambda x: x * RNG.choice([1, 2]),
    "random": lambda x: x * random.random(),
    "gauss": lambda x: x + sum([random.gauss(0, 1) for _ in range(2)]),
}


@pytest.mark.parametrize("name", DRAWS)
@pytest.mark.parametrize("differentiated", [False, True], ids=["plain", "gradient"])
def test_a_draw_of_numpy_or_python_is_refused_in_compiled_code(name, differentiated):
    def summed(x):
        return DRAWS[name](x).sum()

    compiled = flux.jit(flux.grad(summed) if differentiated else summed)
    with pytest.raises(flux.StagingError, match=f"`{name}` would draw once") as info:
        compiled(np.ones(3, np.float32))
    assert "test_draws.py" in str(info.value.where)
    assert "flux.random.RandomState" in str(info.value.hint)


def test_a_random_state_draws_anew_in_each_step():
    class Noisy:
        def __init__(self):
            self.rng, self.gain = flux.random.RandomState(0), np.ones(3, np.float32)

        def __call__(self, x):
            return self.gain * (x + self.rng.normal(x.shape))

    model, x = Noisy(), np.ones((2, 3), np.float32)
    run = flux.jit(model)
    assert not np.array_equal(run(x), run(x))
