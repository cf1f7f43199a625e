"""Every model of the zoo under the command: data of the user, runs that go on, what is refused."""

import gzip
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

import flux
from flux import zoo
from flux.cli import main

PAGE = Path(__file__, "../../../docs/zoo.md").resolve().read_text(encoding="utf-8")
RNG = np.random.default_rng(0)


def train(*arguments):
    return main(["train", "--quiet", *map(str, arguments)])


def write_mnist(folder, side=12):
    """Bright squares in the upper or lower half: labels 0 and 1."""
    for prefix, count in (("train", 60), ("t10k", 20)):
        labels = RNG.integers(2, size=count).astype(np.uint8)
        images = RNG.integers(60, size=(count, side, side)).astype(np.uint8)
        for image, label in zip(images, labels, strict=True):
            image[label * side // 2 :][: side // 2] += 150
        head = bytes([0, 0, 8, 3, *b"".join(n.to_bytes(4, "big") for n in images.shape)])
        (folder / f"{prefix}-images-idx3-ubyte").write_bytes(head + images.tobytes())
        head = bytes([0, 0, 8, 1]) + count.to_bytes(4, "big")
        path = folder / f"{prefix}-labels-idx1-ubyte.gz"
        path.write_bytes(gzip.compress(head + labels.tobytes()))


def write_cifar10(folder, monkeypatch, each=5):
    """Pictures that are red, or not, fewer of them than in CIFAR-10."""
    monkeypatch.setattr("flux.data.cifar.RECORDS", each)
    for name in [*[f"data_batch_{i}" for i in range(1, 6)], "test_batch"]:
        records = RNG.integers(100, size=(each, 3073)).astype(np.uint8)
        records[:, 0] = np.arange(each) % 2
        records[:, 1:1025] += 150 * records[:, :1]
        (folder / f"{name}.bin").write_bytes(records.tobytes())


@pytest.mark.parametrize("name", ["mlp", "lenet"])
def test_digits_of_the_user_are_learned_and_predicted(name, tmp_path, capsys):
    write_mnist(tmp_path)
    settings = ["--epochs", 8, "--batch", 12, "--lr", 0.003]
    assert train(name, *settings, "--data", tmp_path, "--out", tmp_path) == 0
    printed = capsys.readouterr().out
    assert "expected" not in printed  # that is said of the data that travel with the package
    assert float(printed.split("held-out accuracy")[1].split("%")[0]) >= 90
    assert main(["predict", str(tmp_path / "model.safetensors"), "--sample", "2"]) == 0
    assert capsys.readouterr().out.count("%") == 2


def test_photographs_of_the_user_are_learned_and_predicted(tmp_path, capsys, monkeypatch):
    write_cifar10(tmp_path, monkeypatch)
    settings = ["--epochs", 2, "--batch", 5, "--lr", 0.003]
    assert train("resnet", *settings, "--data", tmp_path, "--out", tmp_path) == 0
    assert "held-out accuracy" in capsys.readouterr().out
    np.save(tmp_path / "red.npy", np.ones((32, 32, 3)) * [1.0, 0.2, 0.2])
    model = str(tmp_path / "model.safetensors")
    assert main(["predict", model, str(tmp_path / "red.npy")]) == 0
    assert capsys.readouterr().out.count("%") == 1


def test_the_list_tells_what_to_expect_of_each_model(capsys):
    with pytest.raises(SystemExit, match="0"):
        main(["train", "--list"])
    printed = capsys.readouterr().out
    for name in zoo.names():
        assert name in printed
        expected = zoo.load(name).EXPECTED
        assert f"{expected.what}: {expected}" in printed
        (row,) = [line for line in PAGE.split("\n") if line.startswith(f"| `{name}` |")]
        assert row.endswith(f"| {expected.what}: {expected} |")


@pytest.mark.parametrize("name", ["mlp", "cartpole"])
def test_a_run_that_was_killed_goes_on_with_the_same_bits(name, tmp_path):
    settings = ["--batch", "400"] if name == "mlp" else ["--batch", "2", "--lr", "0.001"]
    assert train(name, "--epochs", "3", *settings, "--out", tmp_path / "whole") == 0
    kill(tmp_path / "killed", [name, "--epochs", "3", *settings])
    assert train(name, "--resume", "--out", tmp_path / "killed") == 0
    whole, killed = (tmp_path / part / "model.safetensors" for part in ("whole", "killed"))
    expected, found = load_file(whole), load_file(killed)
    assert expected.keys() == found.keys()
    for key, array in expected.items():
        np.testing.assert_array_equal(found[key], array, err_msg=key)


KILLED = """
import os, signal, sys
from flux.cli import main, training
class Training(training.Training):
    def step(self, run):
        if run.step == 4:
            os.kill(os.getpid(), signal.SIGKILL)
training.STEPS = 3
import flux.cli.train
flux.cli.train.Training = Training
main(sys.argv[1:])
"""


def kill(folder, arguments):
    """Run the command until it is killed after its fourth step; the file is of the third."""
    command = [sys.executable, "-c", KILLED, "train", *arguments, "--quiet", "--out", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert (folder / "model.safetensors").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["mlp", "--lr", "0.5"], "begun with lr 0.002; got 0.5"),
        (["lenet"], "begun with model mlp; got lenet"),
        (["mlp", "--data", "elsewhere"], "begun with data None"),
    ],
)
def test_another_run_than_that_of_the_file_is_refused(begun, arguments, words, capsys):
    assert train(*arguments, "--resume", "--out", begun) == 1
    assert words in capsys.readouterr().err


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    folder = tmp_path_factory.mktemp("begun")
    assert train("mlp", "--epochs", "1", "--batch", "600", "--out", folder) == 0
    return folder


def test_a_run_may_be_given_more_epochs(begun, capsys):
    assert train("mlp", "--epochs", "2", "--resume", "--out", begun) == 0
    extra = flux.restore(begun / "model.safetensors", zoo.load("mlp").build((8, 8)))
    assert extra["epoch"] == 2
    assert extra["zoo"]["settings"]["batch"] == 600


def test_a_run_that_has_not_begun_begins_in_a_folder_of_any_name(tmp_path):
    folder = tmp_path / "{epoch} {x"
    for epochs in (1, 2):
        settings = ["--epochs", epochs, "--batch", 600, "--out", folder]
        assert train("mlp", "--resume", *settings) == 0
    assert (folder / "model.safetensors").exists()


def test_predict_refuses_what_is_no_classifier_of_images(tmp_path, capsys):
    assert train("cartpole", "--epochs", "1", "--batch", "1", "--out", tmp_path) == 0
    assert "mean return" in capsys.readouterr().out
    assert main(["predict", str(tmp_path / "model.safetensors")]) == 1
    assert "does not classify images" in capsys.readouterr().err


def test_data_of_the_user_are_refused_where_they_have_no_place(tmp_path, capsys):
    assert train("gpt", "--data", tmp_path, "--out", tmp_path) == 1
    assert "takes no --data" in capsys.readouterr().err
