"""Typical mistakes: each is an exception that says who got what, and what was expected."""

import os
import pickle
import zipfile

import jax.numpy as jnp
import numpy as np
import pytest

import flux
from flux import (
    ArgumentError,
    DataFileError,
    FluxError,
    LabelError,
    ModelFileError,
    ShapeError,
    SourceError,
    StagingError,
)
from flux.cli import main
from flux.losses import crossentropy, logit_crossentropy, mse
from flux.optim import Adam


def ones(*shape):
    return np.ones(shape, np.float32)


def model(width=4):
    return flux.Chain(flux.Dense(3, width, flux.relu), flux.Dense(width, 3))


def opt(of=None):
    return flux.setup(Adam(), model() if of is None else of)


def gradients(of):
    return flux.gradient(lambda m: m(ones(2, 3)).sum(), of)[0]


def loss(m, x, y):
    return mse(m(x), y)


def update_another(other):
    trained = flux.Dense(3, 4)
    flux.update(opt(trained), other, gradients(other))


def train(loss=loss, m=None, data=None, opt_of=None, **options):
    m = model() if m is None else m
    data = (ones(6, 3), ones(6, 3)) if data is None else data
    flux.train(loss, m, data, opt(opt_of or m), progress=False, **options)


def train_swapped():
    m = model()
    flux.train(m, loss, (ones(6, 3), ones(6, 3)), opt(m), progress=False)


def without_source():
    return flux.gradient(eval("lambda x: x * x"), 2.0)


LAYERS = {
    "wrong width": (lambda: flux.Dense(3, 2)(ones(5, 4)), ShapeError, "Dense(3, 2)|(5, 4)|be 3"),
    "negative width": (lambda: flux.Dense(-1, 2), ArgumentError, "Dense|n_in|integer|-1"),
    "width not whole": (lambda: flux.Dense(2.5, 3), ArgumentError, "Dense|n_in|integer|2.5"),
    "width in quotes": (lambda: flux.LSTM(3, "4"), ArgumentError, "LSTMCell|n_out|integer|'4'"),
    "negative scale": (lambda: flux.Scale(-1), ArgumentError, "Scale|size[0]|integer|-1"),
    "three widths": (lambda: flux.Bilinear((3, 4, 5), 2), ArgumentError, "Bilinear|n_in|(3, 4, 5)"),
    "activation in quotes": (
        lambda: flux.Dense(3, 2, "relu"), ArgumentError, "Dense|function as activation|'relu'",
    ),
    "initialiser in quotes": (
        lambda: flux.Conv(3, 1, 2, init="zeros"), ArgumentError, "Conv|function as init|'zeros'",
    ),
    "bias of another width": (
        lambda: flux.Dense(3, 2, bias=ones(3)), ShapeError, "bias|(3,)|must be (2,)",
    ),
    "seed in quotes": (lambda: flux.Dense(3, 2, rng="0"), ArgumentError, "rng|a seed|'0'"),
    "negative seed": (lambda: flux.seed(-1), ArgumentError, "seed|n|at least 0|-1"),
    "input is None": (lambda: flux.Dense(3, 2)(None), ArgumentError, "array of numbers|None"),
    "input is words": (
        lambda: flux.Dense(3, 2)(np.array(["a"])), ArgumentError, "array of numbers|ndarray|<U1",
    ),
    "place in a chain": (
        lambda: flux.Chain(flux.Dense(3, 2), flux.Dense(4, 2))(ones(5, 3)),
        ShapeError, "Dense(4, 2)|`layers[1]` of Chain|(5, 2)|must be 4",
    ),
    "no layer in a chain": (
        lambda: flux.Chain(flux.Dense(3, 2), "relu"), ArgumentError, "Chain|layer 2|'relu'",
    ),
    "unknown part of a chain": (lambda: model().head, AttributeError, "Chain|`head`"),
    "name of a connection": (
        lambda: flux.Parallel("add", abs), ArgumentError, "Parallel|function as connection|'add'",
    ),
    "wrong channels": (
        lambda: flux.Conv((3, 3), 1, 8)(ones(2, 28, 28, 3)),
        ShapeError, "Conv((3, 3), 1, 8)|(2, 28, 28, 3)|must be 1",
    ),
    "image without examples": (
        lambda: flux.Conv((3, 3), 1, 8)(ones(28, 28, 1)), ShapeError, "4 axes|(28, 28, 1)|x[None]",
    ),
    "kernel larger than image": (
        lambda: flux.Conv((5, 5), 1, 8)(ones(2, 3, 3, 1)),
        ShapeError, "Conv((5, 5), 1, 8)|(2, 3, 3, 1)|hold the window (5, 5)",
    ),
    "pool larger than image": (
        lambda: flux.MaxPool((5, 5))(ones(2, 3, 3, 1)), ShapeError, "MaxPool|(2, 3, 3, 1)|(5, 5)",
    ),
    "window fits nowhere": (
        lambda: flux.functional.maxpool(ones(1, 2, 1), 3), ShapeError, "(3,)|(2,)|not fit",
    ),
    "unknown padding": (
        lambda: flux.Conv((3, 3), 1, 8, pad="sam"), ArgumentError, "Conv|pad|'sam'|\"same\"",
    ),
    "padding not whole": (
        lambda: flux.MaxPool((2, 2), pad=0.5), ArgumentError, "MaxPool|pad|integer|0.5",
    ),
    "stride 0": (
        lambda: flux.Conv((3, 3), 1, 8, stride=0), ArgumentError, "Conv|stride|positive|0",
    ),
    "kernel of 0": (lambda: flux.Conv((0, 3), 1, 8), ArgumentError, "Conv|kernel|positive|(0, 3)"),
    "groups of 0": (
        lambda: flux.Conv((3, 3), 2, 8, groups=0), ArgumentError, "Conv|groups|at least 1|0",
    ),
    "groups do not divide": (
        lambda: flux.GroupNorm(6, 4), ArgumentError, "GroupNorm|6 channels|4 groups",
    ),
    "unknown mode": (lambda: flux.Upsample(2, "lin"), ArgumentError, "Upsample|mode|'lin'|linear"),
    "scale 0": (lambda: flux.Upsample(0), ArgumentError, "Upsample|above 0|got 0"),
    "probability": (lambda: flux.Dropout(1.5), ArgumentError, "dropout|from 0 to 1|1.5"),
    "probability in quotes": (lambda: flux.Dropout("0.5"), ArgumentError, "from 0 to 1|'0.5'"),
    "sequence without time": (
        lambda: flux.LSTM(3, 4)(ones(5, 3)), ShapeError, "LSTM(3, 4)|(5, 3)|3 axes, (B, T, F)",
    ),
    "lengths too long": (
        lambda: flux.LSTM(3, 4)(ones(2, 5, 3), lengths=[5, 6]), ShapeError, "LSTM|5 to 6|0 to 5",
    ),
    "state of another width": (
        lambda: flux.GRU(3, 4)(ones(2, 5, 3), ones(2, 5)), ShapeError, "GRU|(2, 5)|must be (2, 4)",
    ),
    "a layer as a cell": (
        lambda: flux.Recurrence(flux.Dense(3, 4)), ArgumentError, "Recurrence|state|Dense",
    ),
    "heads do not divide": (
        lambda: flux.MultiHeadAttention(10, 3), ArgumentError, "MultiHeadAttention|dim=10|3 heads",
    ),
    "no heads": (lambda: flux.MultiHeadAttention(8, 0), ArgumentError, "heads|at least 1|0"),
    "mask of another shape": (
        lambda: flux.MultiHeadAttention(8, 2)(ones(2, 5, 8), mask=np.ones((3, 3), bool)),
        ShapeError, "mask|(3, 3)|(2, 2, 5, 5)",
    ),
    "index out of range": (
        lambda: flux.Embedding(10, 4)(np.array([10])), LabelError, "index 10|10 rows, 0 to 9",
    ),
    "float indices": (
        lambda: flux.Embedding(10, 4)(ones(3)), ShapeError, "Embedding(10, 4)|float32|integer",
    ),
}  # fmt: skip

LOSSES = {
    "label out of range": (
        lambda: logit_crossentropy(ones(4, 3), np.array([0, 1, 2, 3])),
        LabelError, "label 3 at position 3|3 classes, 0 to 2",
    ),
    "labels of another count": (
        lambda: logit_crossentropy(ones(4, 3), np.array([0, 1])),
        ShapeError, "logit_crossentropy|(4, 3)|(2,)|labels of shape (4,)",
    ),
    "one-hot of another width": (
        lambda: crossentropy(ones(4, 3), ones(4, 5)), ShapeError, "(4, 3)|(4, 5)|one-hot",
    ),
    "float labels": (
        lambda: logit_crossentropy(ones(4, 3), ones(4)), LabelError, "labels|float32|integers",
    ),
    "prediction and target swapped": (
        lambda: logit_crossentropy(np.array([0, 1, 2, 1]), ones(4, 3)),
        ShapeError, "prediction of shape (4,)|target of shape (4, 3)|prediction comes first",
    ),
    "a column and a row": (
        lambda: mse(ones(4, 1), ones(4)), ShapeError, "mse|(4, 1)|(4,)|agree|do not broadcast",
    ),
    "smoothing too much": (
        lambda: flux.losses.label_smoothing(ones(4, 3), 2.0), ArgumentError, "alpha|2.0|below 1",
    ),
    "unknown label": (lambda: flux.onehot("z", ["x", "y"]), LabelError, "'z'|'x', 'y'"),
    "number of labels not whole": (
        lambda: flux.onehot(1, 3.0), ArgumentError, "onehot|number of labels|3.0",
    ),
    "too few names": (
        lambda: flux.onecold(ones(2, 3), ["a", "b"]), ShapeError, "onecold|2 labels|3 entries",
    ),
}  # fmt: skip

TRAINING = {
    "setup swapped": (
        lambda: flux.setup(model(), Adam()), ArgumentError, "setup|rule|Chain|setup(rule, model)",
    ),
    "rule not called": (lambda: flux.setup(Adam, model()), ArgumentError, "setup|`Adam`|Adam()"),
    "nothing to train": (lambda: flux.setup(Adam(), abs), FluxError, "trainable arrays|`abs`"),
    "rate in quotes": (lambda: Adam("0.1"), ArgumentError, "Adam|number|lr|'0.1'"),
    "negative rate": (lambda: Adam(-1), ArgumentError, "Adam|lr|not be negative|-1"),
    "rate is NaN": (lambda: Adam(float("nan")), ArgumentError, "Adam|lr|a number|nan"),
    "one beta": (lambda: Adam(0.1, beta=0.9), ArgumentError, "Adam|2 numbers|beta|got 0.9"),
    "beta above 1": (lambda: Adam(0.1, beta=(0.9, 1.5)), ArgumentError, "beta|0 to 1|(0.9, 1.5)"),
    "another library's name": (
        lambda: Adam(learning_rate=0.1), ArgumentError, "Adam|'learning_rate'|lr, beta, eps",
    ),
    "chain of a name": (
        lambda: flux.optim.OptimiserChain("adam"), ArgumentError, "OptimiserChain|rule|'adam'",
    ),
    "optimiser of another model": (
        lambda: update_another(model()), FluxError, "another model|expected 2|got 4|layers[0].bias",
    ),
    "optimiser of another width": (
        lambda: update_another(flux.Dense(3, 2)), FluxError, "`weight`|expected|(3, 4)|got (3, 2)",
    ),
    "optimiser that would broadcast": (
        lambda: flux.update(opt({"w": ones(1, 2)}), {"w": ones(3, 2)}, {"w": ones(3, 2)}),
        FluxError, "`w`|(1, 2)|got (3, 2)",
    ),
    "update with a rule": (
        lambda: flux.update(Adam(), model(), None), ArgumentError, "update|optimiser|a Rule|setup",
    ),
    "gradient of another model": (
        lambda: flux.update(opt(flux.Dense(3, 4)), flux.Dense(3, 4), gradients(flux.Dense(3, 2))),
        FluxError, "gradient of `weight`|(3, 2)|(3, 4)",
    ),
    "adjust in quotes": (lambda: flux.adjust(opt(), "1"), ArgumentError, "adjust|number|`lr`|'1'"),
    "adjust below 0": (lambda: flux.adjust(opt(), -1), ArgumentError, "adjust|lr|negative|-1"),
    "adjust a model": (lambda: flux.adjust(model(), 0.1), ArgumentError, "adjust|optimiser|Chain"),
    "freeze a stranger": (
        lambda: flux.freeze(flux.setup(Adam(), KEPT), flux.Dense(3, 2)),
        FluxError, "Dense|not a part|model[0]",
    ),
    "epochs in quotes": (lambda: train(epochs="3"), ArgumentError, "train|epochs|integer|'3'"),
    "half an epoch": (lambda: train(epochs=1.5), ArgumentError, "train|epochs|integer|1.5"),
    "loss and model swapped": (train_swapped, ArgumentError, "train|a model|`loss`|loss, model"),
    "callback in quotes": (
        lambda: train(callbacks=["stop"]), ArgumentError, "train|functions as callbacks|'stop'",
    ),
    "train with a rule": (
        lambda: flux.train(loss, model(), [], Adam()), ArgumentError, "train|an optimiser|a Rule",
    ),
    "optimiser of another training": (
        lambda: train(opt_of=flux.Dense(3, 3)), FluxError, "another model|expected 2|got 4",
    ),
    "no data": (lambda: train(data=[]), FluxError, "data gave no batch|epoch 1"),
    "data is a number": (lambda: train(data=3), ArgumentError, "train|batches as data|got 3"),
    "too many parts of a batch": (
        lambda: train(data=(ones(6, 3),) * 4), TypeError, "loss()|takes 3|5 were given",
    ),
    "loss of every example": (
        lambda: train(lambda m, x, y: (m(x) - y) ** 2), FluxError, "<lambda>|scalar|(6, 3)",
    ),
    "data for validation": (
        lambda: train(validation=3), ArgumentError, "train|`validation`|3|callbacks",
    ),
    "a rate in quotes": (
        lambda: flux.schedules.cosine("0.1", 10), ArgumentError, "cosine|number|start|'0.1'",
    ),
}  # fmt: skip

DATA = {
    "batches of 0": (
        lambda: flux.DataLoader(ones(6), batchsize=0), ArgumentError, "batchsize|at least 1|got 0",
    ),
    "batches of another name": (
        lambda: flux.DataLoader(ones(6), batch_size="a"),
        ArgumentError, "DataLoader|`batch_size`|'a'|batchsize=32",
    ),
    "batches of a half": (
        lambda: flux.DataLoader(ones(6), batchsize=2.5), ArgumentError, "batchsize|integer|2.5",
    ),
    "arrays of different lengths": (
        lambda: flux.DataLoader((ones(6), ones(5))), ShapeError, "entry 0 has 6|entry 1 has 5",
    ),
    "shuffle in words": (
        lambda: flux.DataLoader(ones(6), shuffle="yes"), ArgumentError, "shuffle|True|'yes'",
    ),
    "collate in words": (
        lambda: flux.DataLoader(ones(6), collate="pad"), ArgumentError, "collate|function|'pad'",
    ),
    "no examples": (lambda: flux.DataLoader(ones(0, 3)), ShapeError, "empty|no batch"),
    "None as data": (lambda: flux.DataLoader(None), ShapeError, "NoneType|no length|arrays"),
    "share above 1": (lambda: flux.splitobs(ones(6), at=1.5), ShapeError, "at=1.5|6, 0|at least"),
    "share in quotes": (
        lambda: flux.splitobs(ones(6), at="0.5"), ArgumentError, "splitobs|shares|at|'0.5'",
    ),
    "folds in quotes": (
        lambda: list(flux.kfolds(ones(6), "2")), ArgumentError, "kfolds|k|integer|'2'",
    ),
    "unknown split": (
        lambda: flux.datasets.digits("trian"), ArgumentError, "split|\"train\"|'trian'",
    ),
    "table that is not there": (
        lambda: flux.datasets.csv("no.csv", target="x"), DataFileError, "no.csv|No such file",
    ),
}  # fmt: skip

FUNCTIONS = {
    "not a scalar": (
        lambda: flux.gradient(lambda x: x * 2, ones(3)), FluxError, "gradient|real scalar|(3,)",
    ),
    "nothing returned": (
        lambda: flux.gradient(lambda x: None, 2.0), FluxError, "real scalar|NoneType",
    ),
    "no source": (without_source, SourceError, "`<lambda>`|source|expected the file|<string>"),
    "a point before the function": (
        lambda: flux.gradient(3.0, abs), ArgumentError, "gradient|function|got 3.0",
    ),
    "a point for argnums": (
        lambda: flux.grad(abs, 2.0), ArgumentError, "grad|argnums|2.0|flux.grad(f)(x)",
    ),
    "too many arguments": (
        lambda: flux.gradient(lambda x: x, 2.0, 3.0), TypeError, "lambda|takes 1|2 were given",
    ),
    "derivative in a whole number": (
        lambda: flux.jacobian(lambda x: x * x, 3), FluxError, "jacobian|floats|int",
    ),
    "jit of a number": (lambda: flux.jit(3), ArgumentError, "jit|function|got 3"),
    "static arguments of a compiled function": (
        lambda: flux.jit(abs, static_argnums=1),
        ArgumentError, "jit|`static_argnums`|1|part of the program",
    ),
    "unroll in words": (
        lambda: flux.jit(abs, unroll="yes"), ArgumentError, "jit|unroll|\"auto\"|'yes'",
    ),
    "jit of words": (
        lambda: flux.jit(lambda x: x)(np.array(["a"])), ArgumentError, "numbers|<U1|(1,)",
    ),
    "key that data decide": (
        lambda: flux.jit(lambda x: {0: 1, 1: 2}[int(x[0])])(jnp.ones(3)),
        StagingError, "a dict|the data|items[int(i)]",
    ),
    "examples of different counts": (
        lambda: flux.vmap(lambda x, y: x + y)(ones(3), ones(4)), ShapeError, "counts 3|counts 4",
    ),
    "misspelt layer": (lambda: flux.Dens, AttributeError, "flux|'Dens'|`Dense`"),
    "misspelt data set": (lambda: flux.datasets.digit, AttributeError, "'digit'|`digits`"),
    "misspelt loss": (lambda: flux.losses.msee, AttributeError, "flux.losses|'msee'|`mse`"),
    "misspelt rule": (lambda: flux.optim.adam, AttributeError, "flux.optim|'adam'|`Adam`"),
}  # fmt: skip

KEPT = model()
MISTAKES = {**LAYERS, **LOSSES, **TRAINING, **DATA, **FUNCTIONS}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_told_with_expected_and_given(name):
    mistake, kind, words = MISTAKES[name]
    with pytest.raises(kind) as caught:
        mistake()
    told = str(caught.value)
    assert [word for word in words.split("|") if word not in told] == [], told


def whole(path):
    flux.save(path, model())
    return path.read_bytes()


def write_pickle(path):
    class Harm:
        def __reduce__(self):
            return os.mkdir, (str(path.parent / "executed"),)

    path.write_bytes(pickle.dumps(Harm()))


def write_pytorch(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02cos\nsystem\n.")


FILES = {
    "another architecture": (whole, flux.Dense(3, 4), "another model|layers[0].weight"),
    "another width": (whole, model(5), "layers[0].weight|(3, 4) in the file|(3, 5) here"),
    "a pickle": (write_pickle, None, "Python pickle|never"),
    "a file of PyTorch": (write_pytorch, None, "PyTorch|not a model written by flux.save"),
    "cut off": (lambda p: p.write_bytes(whole(p)[:-10]), None, "damaged|holds 930 of 940 bytes"),
    "cut off early": (lambda p: p.write_bytes(whole(p)[:100]), None, "damaged|holds 100 of"),
    "empty": (lambda p: p.write_bytes(b""), None, "damaged|empty"),
    "not there": (lambda p: None, None, "does not exist|Looked in"),
    "a folder": (lambda p: p.mkdir(), None, "cannot be read|Is a directory"),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_not_this_model_is_refused_and_never_executed(name, tmp_path):
    write, into, words = FILES[name]
    path = tmp_path / "model.safetensors"
    write(path)
    with pytest.raises(ModelFileError) as caught:
        flux.restore(path, into or model())
    told = str(caught.value)
    assert [word for word in [str(path), *words.split("|")] if word not in told] == [], told
    assert not (tmp_path / "executed").exists()


def test_a_path_and_a_model_that_are_swapped_are_told(tmp_path):
    for call in (flux.save, flux.restore):
        with pytest.raises(ArgumentError, match=r"path of a file, and got a Chain(.|\n)*path, mod"):
            call(model(), tmp_path / "model.safetensors")


def test_a_model_is_not_saved_over_a_folder(tmp_path):
    with pytest.raises(ModelFileError, match="cannot be written: Is a directory"):
        flux.save(tmp_path, model())


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ("train nosuch", 1, "flux train|no model 'nosuch'|there are: cartpole, charrnn"),
        ("train mlp --seed -1", 2, "--seed|at least 0|-1"),
        ("train mlp --epochs x", 2, "--epochs|int|'x'"),
        ("predict nosuch.safetensors", 1, "flux predict|nosuch.safetensors|does not exist"),
    ],
)
def test_a_wrong_command_line_is_told_in_a_line(arguments, code, words, capsys):
    try:
        found = main(arguments.split())
    except SystemExit as stop:  # of argparse
        found = stop.code
    told = capsys.readouterr().err
    assert found == code
    assert [word for word in words.split("|") if word not in told] == [], told


def test_odd_arguments_of_a_compiled_function_are_no_mistake():
    class Odd:
        __hash__ = None

    double = flux.jit(lambda x, odd: 2 * x)
    assert double(ones(2), Odd()).tolist() == [2, 2]


def test_the_learning_rate_is_not_assigned():
    made = opt()
    with pytest.raises(AttributeError, match=r"flux.adjust\(opt, 0.1\)"):
        made.lr = 0.1
    with pytest.raises(TypeError, match=r"flux.adjust\(opt, lr=0.1\)"):
        made.hyper["lr"] = 0.1
    flux.adjust(made, 0.125)
    assert repr(made).endswith("4 arrays, now lr=0.125)")


def test_rules_around_others_need_one():
    with pytest.raises(ArgumentError, match="AccumGrad expected the rules") as info:
        flux.optim.AccumGrad(4)
    assert "AccumGrad(4, flux.optim.Adam())" in str(info.value.hint)


def test_a_generator_function_as_data_is_told_of_iter():
    def batches():
        yield ones(2, 3)

    net = model()
    with pytest.raises(ArgumentError, match="__iter__"):
        flux.train(lambda m, x: m(x).sum(), net, batches, opt(net), progress=False)


def test_a_path_given_to_load_is_told_of_restore():
    with pytest.raises(FluxError, match="flux.restore"):
        flux.load(model(), "model.safetensors")


def test_a_gradient_of_whole_numbers_asks_for_floats():
    with pytest.raises(FluxError, match="astype"):
        flux.gradient(lambda x: (x**2).sum(), np.array([1, 2]))


def test_an_unknown_model_of_the_zoo_leaves_no_folder(tmp_path):
    assert main(["train", "nosuch", "--out", str(tmp_path / "run")]) == 1
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("room", "name", "ours"),
    [(flux, "Linear", "Dense"), (flux, "Sequential", "Chain"), (flux.optim, "SGD", "Descent")],
)
def test_a_name_of_another_library_is_told_ours(room, name, ours):
    with pytest.raises(AttributeError, match=f"other libraries' `{name}` is `{ours}`"):
        getattr(room, name)
