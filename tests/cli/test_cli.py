"""The command: what it prints, writes, refuses, and what Ctrl-C leaves behind."""

import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from safetensors.numpy import load_file

from flux.cli import main
from flux.cli.images import as_text, read_images
from flux.cli.training import interrupted_between_steps
from flux.data.datasets import digits
from flux.errors import FluxError


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with a model of two epochs."""
    folder = tmp_path_factory.mktemp("runs")
    assert main(["train", "mlp", "--epochs", "2", "--quiet", "--out", str(folder)]) == 0
    return folder


def test_train_writes_the_model_and_a_picture(trained):
    assert load_file(trained / "model.safetensors")
    pytest.importorskip("matplotlib", reason="the picture needs matplotlib")
    assert (trained / "mlp.png").read_bytes().startswith(b"\x89PNG")


def test_train_reports_the_accuracy_and_where_things_are(tmp_path, capsys):
    assert main(["train", "mlp", "--epochs", "1", "--quiet", "--out", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    for part in ("held-out accuracy", "of 355 right", "model", "picture", "flux predict"):
        assert part in printed


def test_the_seed_decides_the_result(tmp_path, capsys):
    def train(name):
        main(
            [
                "train",
                "mlp",
                "--epochs",
                "1",
                "--quiet",
                "--seed",
                "5",
                "--out",
                str(tmp_path / name),
            ]
        )
        return load_file(tmp_path / name / "model.safetensors")

    first, second = train("first"), train("second")
    assert all((second[key] == array).all() for key, array in first.items())


def test_predict_prints_labels_probabilities_and_images(trained, capsys):
    assert main(["predict", str(trained / "model.safetensors"), "--sample", "3"]) == 0
    printed = capsys.readouterr().out
    assert printed.count("%") == 3
    assert "█" in printed


@pytest.mark.parametrize("kind", ["npy", "csv", "png"])
def test_predict_reads_images_from_files(trained, tmp_path, capsys, kind):
    image, label = (part[0] for part in digits("train"))
    path = tmp_path / f"digit.{kind}"
    write_image(path, image)
    assert main(["predict", str(trained / "model.safetensors"), str(path)]) == 0
    assert f"{label}  " in capsys.readouterr().out


def write_image(path, image):
    if path.suffix == ".npy":
        np.save(path, image)
    elif path.suffix == ".csv":
        np.savetxt(path, 16 * image.reshape(1, -1), delimiter=",")
    else:
        pictures = pytest.importorskip("PIL.Image", reason="pictures need Pillow")
        large = np.kron(1 - image, np.ones((4, 4)))
        pictures.fromarray((255 * large).astype(np.uint8)).save(path)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (np.zeros((3, 5)), r"\(3, 5\)"),
        (np.full((8, 8), -1.0), "between 0 and 1"),
        (np.full((8, 8), 999.0), "999"),
    ],
)
def test_images_that_do_not_fit_are_refused(tmp_path, content, words):
    np.save(tmp_path / "image.npy", content)
    with pytest.raises(FluxError, match=words):
        read_images(tmp_path / "image.npy", (8, 8))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["train", "nobody"], "there are: "),
        (["predict", "nothing.safetensors"], "does not exist"),
        (["train", "mlp", "--out", os.devnull], "cannot be made a folder"),
    ],
)
def test_an_error_is_a_message_and_no_traceback(arguments, words, capsys):
    assert main(arguments) == 1
    printed = capsys.readouterr().err
    assert words in printed
    assert "Traceback" not in printed


def test_a_loss_that_is_not_finite_stops_the_training_and_keeps_the_model(tmp_path, capsys):
    arguments = ["train", "mlp", "--epochs", "3", "--lr", "1e38", "--quiet", "--out", str(tmp_path)]
    assert main(arguments) == 1
    assert "--lr" in capsys.readouterr().err
    arrays = load_file(tmp_path / "model.safetensors").values()
    assert all(np.isfinite(array).all() for array in arrays)


@pytest.mark.parametrize("value", ["0", "-1", "many"])
def test_numbers_that_make_no_sense_are_refused_by_the_parser(value, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["train", "mlp", "--epochs", value])
    assert "--epochs" in capsys.readouterr().err


def test_help_explains_the_commands(capsys):
    with pytest.raises(SystemExit, match="0"):
        main(["--help"])
    printed = capsys.readouterr().out
    assert "flux train mlp" in printed
    assert "Classify images" in printed


def test_without_matplotlib_the_model_is_written_and_the_way_is_told(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert main(["train", "mlp", "--epochs", "1", "--quiet", "--out", str(tmp_path)]) == 0
    assert "fluxml[plot]" in capsys.readouterr().out
    assert (tmp_path / "model.safetensors").exists()


def test_images_are_readable_without_unicode():
    assert as_text(np.array([[0.0, 1.0]]), "ascii") == "  ##"


def test_an_interruption_waits_for_the_end_of_the_step():
    with interrupted_between_steps() as check:
        check()
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            check()


def test_a_second_interruption_does_not_wait():
    with interrupted_between_steps():
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


@pytest.mark.skipif(sys.platform == "win32", reason="sends a POSIX signal")
def test_ctrl_c_leaves_a_checkpoint_that_predict_reads(tmp_path, capsys):
    command = [sys.executable, "-m", "flux", "train", "mlp", "--epochs", "100000"]
    process = subprocess.Popen(
        [*command, "--out", str(tmp_path)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stderr is not None
    watchdog = threading.Timer(60, process.kill)
    watchdog.start()
    assert process.stderr.readline().startswith("epoch")
    time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    printed, _ = process.communicate()
    watchdog.cancel()
    assert process.returncode == 130
    assert "Stopped after" in printed
    assert main(["predict", str(tmp_path / "model.safetensors"), "--sample", "1"]) == 0
    assert "%" in capsys.readouterr().out
