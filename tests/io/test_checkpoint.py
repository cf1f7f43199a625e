"""save and restore: everything comes back, and nothing else is accepted."""

import json
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from flux.errors import FluxError, ModelFileError
from flux.io import restore, save


class Linear:
    def __init__(self, n_in, n_out, start=0.0):
        self.weight = jnp.full((n_in, n_out), start)
        self.bias = np.full(n_out, start, np.float32)


class Model:
    """Two layers, a counter, and one array that occurs twice."""

    def __init__(self, width=3, start=0.0):
        self.layers = [Linear(2, width, start), Linear(width, 1, start)]
        self.tied = self.layers[0].weight
        self.pair = (jnp.full(2, start), np.full(2, start))
        self.steps = 0


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.safetensors"


def test_every_array_comes_back(path):
    save(path, Model(start=1.5))
    model = Model()
    restore(path, model)
    assert (model.layers[0].weight == 1.5).all()
    assert (model.layers[1].bias == 1.5).all()
    assert (model.pair[0] == 1.5).all()
    assert (model.pair[1] == 1.5).all()


def test_each_array_stays_of_its_library(path):
    save(path, Model(start=1.5))
    model = Model()
    restore(path, model)
    assert isinstance(model.layers[0].weight, jax.Array)
    assert isinstance(model.layers[0].bias, np.ndarray)
    assert model.layers[0].bias.flags.writeable


def test_a_shared_array_is_written_once_and_stays_shared(path):
    save(path, Model(start=1.5))
    model = Model()
    restore(path, model)
    assert model.tied is model.layers[0].weight
    assert path.read_bytes().count(b"tied") == 1


def test_counters_come_back(path):
    model = Model()
    model.steps = 7
    save(path, model)
    model.steps = 9
    restore(path, model)
    assert model.steps == 7


@pytest.mark.parametrize(
    "array",
    [
        np.arange(3, dtype=np.int8),
        np.array([True, False]),
        np.array([1 + 2j, 3], np.complex64),
        np.array([[1.5, 2]], jnp.bfloat16),
        np.zeros((0, 3), np.float32),
        np.float32(2.5),
        np.arange(6.0).reshape(2, 3).T,
        jax.random.key(3),
    ],
    ids=["int8", "bool", "complex", "bfloat16", "empty", "scalar", "transposed", "key"],
)
def test_arrays_of_every_kind_come_back(path, array):
    save(path, {"array": array})
    holder = {"array": array}
    if isinstance(array, np.ndarray):
        holder = {"array": np.zeros_like(array)}
    restore(path, holder)
    assert holder["array"].dtype == array.dtype
    assert (holder["array"] == array).all()


def test_closures_are_models_too(path):
    def make(start):
        weight = jnp.full(2, start)
        return lambda x: weight * x

    save(path, make(2.0))
    model = make(0.0)
    restore(path, model)
    assert model(3.0).tolist() == [6, 6]


def test_extra_values_are_given_back(path):
    save(path, Model(), epoch=3, best={"loss": 0.5, "at": np.arange(2)}, names=["a", None])
    extra = restore(path, Model())
    assert extra["epoch"] == 3
    assert extra["best"]["at"].tolist() == [0, 1]
    assert extra["names"] == ["a", None]


def test_an_extra_value_that_cannot_be_written_is_named(path):
    with pytest.raises(FluxError, match="callback is a function"):
        save(path, Model(), callback=lambda: 0)
    assert not path.exists()


def test_another_shape_names_the_layer_and_both_shapes(path):
    save(path, Model(width=3))
    with pytest.raises(ModelFileError, match=r"layers\[0\].weight .* \(2, 3\) .* \(2, 4\)"):
        restore(path, Model(width=4))


def test_another_dtype_names_both(path):
    save(path, {"a": np.zeros(2)})
    with pytest.raises(ModelFileError, match="a is float64 in the file and float32 here"):
        restore(path, {"a": np.zeros(2, np.float32)})


def test_another_class_names_both(path):
    class Other(Linear):
        pass

    save(path, [Linear(2, 3)])
    with pytest.raises(ModelFileError, match=r"\[0\] is a Linear in the file and a Other here"):
        restore(path, [Other(2, 3)])


def test_missing_and_additional_arrays_are_named(path):
    save(path, {"a": np.zeros(2), "b": np.zeros(2)})
    with pytest.raises(ModelFileError) as caught:
        restore(path, {"a": np.zeros(2), "c": np.zeros(2)})
    assert "b is in the file and not in this model" in str(caught.value)
    assert "c is in this model and not in the file" in str(caught.value)


def test_arrays_that_are_tied_here_must_be_one_in_the_file(path):
    save(path, [np.zeros(2), np.ones(2)])
    tied = np.zeros(2)
    with pytest.raises(ModelFileError, match="one array here and two in the file"):
        restore(path, [tied, tied])


def test_a_refused_file_changes_nothing(path):
    saved = Model(start=1.5)
    saved.layers[1].weight = jnp.zeros((9, 9))
    save(path, saved)
    model = Model()
    with pytest.raises(ModelFileError):
        restore(path, model)
    assert (model.layers[0].weight == 0).all()


def test_a_model_without_optimiser_state_is_refused_for_one(path):
    save(path, Model())
    with pytest.raises(ModelFileError, match="without the state of an optimiser"):
        restore(path, Model(), opt=Model())


def test_a_failed_write_keeps_the_old_file(path, monkeypatch):
    save(path, Model(start=1.5))

    def full(fd):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(ModelFileError, match="No space left"):
        save(path, Model(start=2.5))
    model = Model()
    restore(path, model)
    assert (model.tied == 1.5).all()
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_a_folder_that_does_not_exist_is_named(tmp_path):
    with pytest.raises(ModelFileError, match="nowhere"):
        save(tmp_path / "nowhere" / "model.safetensors", Model())


def test_other_programs_can_read_the_arrays(path):
    from safetensors.numpy import load_file

    save(path, Model(start=1.5))
    assert load_file(path)["layers[0].weight"].tolist() == [[1.5] * 3] * 2


class Trap:
    """A pickle that would leave a trace if anybody ran it."""

    def __reduce__(self):
        return eval, ("open('trace', 'w')",)


def foreign(kind: str) -> bytes:
    header = json.dumps({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
    return {
        "empty": b"",
        "text": b"hello, I am not a model at all",
        "pickle": pickle.dumps(Trap()),
        "zip": b"PK\x03\x04" + bytes(30),
        "foreign safetensors": len(header).to_bytes(8, "little") + header + bytes(4),
    }[kind]


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("empty", "is empty"),
        ("text", "is not a model"),
        ("pickle", "pickle"),
        ("zip", "zip archive"),
        ("foreign safetensors", "flux.save did not write"),
    ],
)
def test_a_file_of_another_kind_is_recognised(path, kind, words, monkeypatch):
    monkeypatch.chdir(path.parent)
    path.write_bytes(foreign(kind))
    with pytest.raises(ModelFileError, match=words) as caught:
        restore(path, Model())
    assert str(path) in str(caught.value)
    assert not (path.parent / "trace").exists()


def test_a_missing_file_is_named(path):
    with pytest.raises(ModelFileError, match="does not exist"):
        restore(path, Model())


@pytest.mark.parametrize("keep", [4, 100, 0.5, 0.99])
def test_a_truncated_file_is_recognised(path, keep):
    save(path, Model())
    data = path.read_bytes()
    path.write_bytes(data[: int(keep if keep > 1 else keep * len(data))])
    with pytest.raises(ModelFileError, match="damaged|not a model"):
        restore(path, Model())


@pytest.mark.parametrize("where", [-1, 0, 7, 8, 9, *range(30, 1300, 70)])
def test_a_changed_byte_is_recognised(path, where):
    save(path, Model(start=1.5))
    data = bytearray(path.read_bytes())
    data[where % len(data)] ^= 4
    path.write_bytes(data)
    with pytest.raises(ModelFileError, match="damaged|not a model|did not write"):
        restore(path, Model())
