"""`flux train` with a model that has a course of its own."""

import types

import numpy as np
import pytest

import flux
from flux import zoo
from flux.cli import main
from flux.cli.course import follow
from flux.cli.task import of_file
from flux.errors import FluxError


def module(train):
    return types.SimpleNamespace(
        build=lambda: {"w": np.zeros(2, np.float32)},
        train=train,
        report=lambda model: {"sum": f"{model['w'].sum():.0f}", "text": "two\nlines"},
    )


def test_a_course_is_followed_reported_and_saved(tmp_path, capsys):
    def train(model, settings, *, progress):
        model["w"] = model["w"] + settings.epochs

    follow("some", module(train), zoo.Settings(3, 1, 0.1), tmp_path, progress=False)
    printed = capsys.readouterr().out
    assert "sum                6\n" in printed
    assert "text               two\n                     lines\n" in printed
    saved = {"w": np.zeros(2, np.float32)}
    assert flux.restore(tmp_path / "model.safetensors", saved)["zoo"] == "some"
    assert saved["w"].tolist() == [3, 3]


def test_ctrl_c_keeps_what_was_learned(tmp_path, capsys):
    def train(model, settings, *, progress):
        model["w"] = model["w"] + 1
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        follow("some", module(train), zoo.Settings(3, 1, 0.1), tmp_path, progress=False)
    assert str(tmp_path) in capsys.readouterr().out
    saved = {"w": np.zeros(2, np.float32)}
    flux.restore(tmp_path / "model.safetensors", saved)
    assert saved["w"].tolist() == [1, 1]


def test_predict_refuses_what_is_no_classifier_of_images(tmp_path):
    arguments = ["train", "tree", "--epochs", "1", "--batch", "1", "--quiet"]
    assert main([*arguments, "--out", str(tmp_path)]) == 0
    with pytest.raises(FluxError, match="`tree`, which does not classify images"):
        of_file(tmp_path / "model.safetensors")
