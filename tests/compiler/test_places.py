"""What methods, modules and classes hold, and what changes there at each step, is an input."""

import sys
import threading
from dataclasses import dataclass
from types import SimpleNamespace

import jax.numpy as jnp
import numpy as np
import pytest

import flux
from tests.compiler import aside

X = jnp.float32(3.0)
HERE = sys.modules[__name__]


class Model:
    def __init__(self):
        self.weight, self.steps = jnp.float32(1.0), 0


@dataclass
class Config:
    depth: int = 2
    kind: str = "grow"


model = same_model = Model()
number = SimpleNamespace(steps=0)
COUNTS = {"n": 0}
ROWS = np.ones(2, np.float32)
PARAMETERS = {"w": jnp.float32(1.0)}
STEP = 0
LAST = None
LOG = []
SIZES = np.array([1, 2])
CONFIG = Config()


class User:
    bank = Model()
    rate = jnp.float32(1.0)

    def of_object(self, x):
        return x * model.weight

    def of_dict(self, x):
        return x * COUNTS["n"]

    def of_rows(self, x):
        return (x * ROWS).sum()

    def of_tree(self, x):
        return x * PARAMETERS["w"]

    def of_number(self, x):
        return x * STEP

    def of_class(self, x):
        return x * User.rate * self.bank.weight

    def of_module(self, x):
        return x * aside.weight

    def of_function(self, x):
        return aside.scaled(x)

    @property
    def twice(self):
        return 2 * model.weight

    def of_property(self, x):
        return x * self.twice

    def of_list(self, x):
        return x * len(LOG)

    def of_sizes(self, x):
        return x + jnp.ones(int(SIZES[0])).sum()

    def of_config(self, x):
        for _ in range(CONFIG.depth):
            x = 2 * x
        return x if CONFIG.kind == "grow" else -x

    def both(self, given, x):
        given.weight = given.weight + x
        return model.weight * same_model.weight

    def both_numbers(self, given, x):
        given.steps = given.steps + 1
        return x * number.steps

    def trained(self, x):
        slope = flux.gradient(lambda m: (m.weight * x - 1) ** 2, model)[0]
        model.weight = model.weight - 0.01 * slope.weight
        return model.weight

    def branching(self, x):
        if x > 2:
            model.weight = model.weight + x
        for _ in range(2):
            model.steps = model.steps + 1
        return x

    def counting(self, x):
        COUNTS["n"] += 1
        return x * COUNTS["n"]

    def keeping(self, x):
        global LAST
        LAST = 2 * x
        return x

    def writing_class(self, x):
        User.bank.weight = User.bank.weight + x
        return x

    def writing_module(self, x):
        if x > 2:
            aside.grown(x)
        return x


user = User()


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    for name in ("COUNTS", "ROWS", "PARAMETERS", "STEP", "LAST", "LOG", "SIZES", "CONFIG"):
        value = getattr(HERE, name)
        monkeypatch.setattr(HERE, name, value.copy() if hasattr(value, "copy") else value)
    model.weight, model.steps = jnp.float32(1.0), 0
    number.steps = 0
    User.rate = User.bank.weight = aside.weight = aside.STATE.weight = jnp.float32(1.0)
    yield
    for now in (model.weight, model.steps, User.bank.weight, aside.STATE.weight):
        float(now)  # nothing of a program is left behind


def step():
    """A step of whoever changes the surroundings."""
    model.weight = model.weight + 1
    COUNTS["n"] += 1
    HERE.ROWS, HERE.STEP = ROWS + 1, STEP + 1
    HERE.PARAMETERS = {"w": PARAMETERS["w"] + 1}
    User.rate, User.bank.weight = User.rate + 1, User.bank.weight + 1
    aside.weight, aside.STATE.weight = aside.weight + 1, aside.STATE.weight + 1


READERS = {
    "of_object": 1, "of_dict": 2, "of_rows": 2, "of_tree": 2, "of_number": 2, "of_class": 2,
    "of_module": 2, "of_function": 1, "of_property": 1,
}  # fmt: skip


@pytest.mark.parametrize("name", READERS)
def test_what_changes_at_each_step_is_compiled_for_once(name):
    f = getattr(user, name)
    value, slope = flux.jit(f), flux.jit(flux.grad(f))
    for _ in range(5):
        assert value(X) == f(X)
        assert slope(X) == f(X) / X
        step()
    assert len(value.programs) <= READERS[name]
    assert len(slope.programs) <= READERS[name]


def test_a_captured_object_of_a_local_class():
    kept = Model()

    class Local:
        def read(self, x):
            return x * kept.weight

        def write(self, x):
            kept.weight = kept.weight + x

    read, write = flux.jit(Local().read), flux.jit(Local().write)
    for i in range(4):
        assert read(X) == X * (1 + 3 * i)
        write(X)
    assert len(read.programs) == len(write.programs) == 1


def test_a_global_that_is_an_argument_is_one_object():
    compiled = flux.jit(user.both)
    for i in range(4):
        assert compiled(model, X) == (model.weight) ** 2 == (1 + 3 * (i + 1)) ** 2
    assert len(compiled.programs) == 1
    other = Model()
    assert compiled(other, X) == model.weight**2  # compiled for an argument that is another object
    assert (other.weight, len(compiled.programs)) == (4.0, 2)


def test_a_watched_call_sees_one_object_too():
    with flux.debug_nans():
        assert flux.jit(user.both)(model, X) == 16


def test_one_object_without_arrays():
    compiled = flux.jit(user.both_numbers)
    assert [float(compiled(number, X)) for _ in range(4)] == [3, 6, 9, 12]
    assert len(compiled.programs) == 2


@pytest.mark.parametrize("name", ["trained", "branching", "counting", "keeping"])
def test_what_a_method_writes_to_globals_is_written_back(name):
    f, runs = getattr(user, name), []

    def state():
        return [float(v) for v in (model.weight, model.steps, COUNTS["n"], LAST or 0)]

    for call in (f, flux.jit(f)):
        model.weight, model.steps, HERE.COUNTS, HERE.LAST = jnp.float32(1.0), 0, {"n": 0}, None
        runs.append([(float(call(jnp.float32(x))), state()) for x in (3.0, 1.0, 4.0)])
    assert len(call.programs) <= 2
    np.testing.assert_allclose(*[[[y, *now] for y, now in run] for run in runs], rtol=1e-6)


@pytest.mark.parametrize("name", ["writing_class", "writing_module"])
def test_a_change_through_a_class_or_module_is_refused(name):
    with pytest.raises(flux.StagingError, match="through a class, a module"):
        flux.jit(getattr(user, name))(X)
    assert User.bank.weight == aside.STATE.weight == 1


def assigning(x):
    global STEP
    STEP = STEP + 1
    return user.of_number(x)


def test_a_method_reads_what_a_function_has_assigned():
    compiled = flux.jit(assigning)
    assert [float(compiled(X)) for _ in range(4)] == [3, 6, 9, 12]
    assert (STEP, len(compiled.programs)) == (4, 2)


def test_what_python_needs_stays_a_constant():
    compiled = flux.jit(user.of_sizes)
    for count in (1, 2, 2):
        assert compiled(X) == user.of_sizes(X)
        assert len(compiled.programs) == count
        HERE.SIZES = SIZES + 1 if count == 1 else SIZES


def test_a_configuration_recompiles_when_it_changes():
    compiled, programs = flux.jit(user.of_config), []
    for change in ({}, {}, {"kind": "turn"}, {}, {"depth": 3}, {"depth": 5}):
        vars(CONFIG).update(change)
        assert compiled(X) == user.of_config(X)
        programs.append(len(compiled.programs))
    vars(CONFIG).update(vars(Config()))
    assert programs == [1, 1, 2, 2, 3, 3]


def test_the_reason_is_told(monkeypatch, capsys):
    monkeypatch.setenv("FLUX_EXPLAIN", "1")
    numbers, items = flux.jit(user.of_dict), flux.jit(user.of_list)
    for _ in range(3):
        numbers(X), items(X)
        COUNTS["n"] += 1
        LOG.append(1)
    told = capsys.readouterr().err
    assert told.count("global `COUNTS`['n'] was 0 and is 1") == 1
    assert "global `LOG` had 0 items and has 1" in told


def test_buffers_of_globals_are_never_donated():
    def method_and_global(given, x):
        given.weight = given.weight + x
        user.trained(x)
        same_model.weight = same_model.weight + x

    given = Model()
    old, ours = model.weight, given.weight
    flux.jit(method_and_global, donate=True)(given, X)
    assert not old.is_deleted()
    assert ours.is_deleted()


def test_an_error_puts_everything_back():
    class Failing:
        def run(self, x):
            model.weight = model.weight + x
            raise ValueError("no")

    compiled = flux.jit(Failing().run)
    with pytest.raises(ValueError, match="no"):
        compiled(X)
    assert model.weight == 1


def test_threads_see_no_traced_arrays():
    class Long:
        def run(self, x):
            for _ in range(100):
                x = x + model.weight
            return x

    long, short, seen = flux.jit(Long().run, unroll=True), flux.jit(lambda x: x + model.weight), []
    thread = threading.Thread(
        target=lambda: seen.extend(float(flux.jit(short.function)(X)) for _ in range(10))
    )
    thread.start()
    assert long(X) == 103
    thread.join()
    assert seen == [4.0] * 10


def test_a_number_that_changes_its_type_is_an_input_still():
    box = Model()

    def scaled(x):
        return x * box.steps

    compiled = flux.jit(scaled)
    for value in (1.0, 2.0, 3.0, 4, 5, 2.5, np.float32(6.0)):
        box.steps = value
        assert float(compiled(X)) == 3 * value


def test_an_attribute_that_hides_an_inherited_one_is_seen():
    class Base:
        scale = 2.0

        def __call__(self, x):
            return x * self.scale

    class Derived(Base):
        pass

    derived = Derived()
    compiled = flux.jit(lambda x: derived(x))
    assert float(compiled(X)) == 6
    Derived.scale = 5.0
    assert float(compiled(X)) == 15
    Derived.__call__ = lambda self, x: x * 7.0
    assert float(compiled(X)) == 21
    del Derived.__call__, Derived.scale
    assert float(compiled(X)) == 6


SHARED = SimpleNamespace(rows=np.ones(2, np.float32))


class OfShared:
    def changed(self, x, box):
        box.rows = box.rows + x
        return (SHARED.rows * x).sum()


def test_an_object_of_a_module_that_a_later_call_is_given_is_one_object():
    compiled = flux.jit(OfShared().changed)
    for shared in (False, True, False, True):
        SHARED.rows = np.ones(2, np.float32)
        box = SHARED if shared else SimpleNamespace(rows=np.ones(2, np.float32))
        assert float(compiled(X, box)) == (24 if shared else 6)
