"""load_torch: the same numbers as PyTorch, layer by layer, and nothing that is only probable."""

import os

import jax.numpy as jnp
import numpy as np
import pytest

import flux
from flux import Chain, Conv, Dense, LayerNorm, MultiHeadAttention
from flux.errors import ArgumentError, FluxError, ModelFileError, ShapeError

torch = pytest.importorskip("torch")
files = pytest.importorskip("safetensors.torch")
nn = torch.nn


def images_last(x):
    return np.moveaxis(x, 1, -1)


def drawn(module):
    """The module with all its numbers drawn anew, running statistics too, in test mode."""
    torch.manual_seed(1)
    with torch.no_grad():
        for value in [*module.parameters(), *module.buffers()]:
            if value.is_floating_point():
                value.copy_(torch.rand(value.shape) + 0.1)
                value.mul_(torch.sign(torch.randn(value.shape)) if value.ndim > 1 else 1)
    return module.eval()


def stored(module, tmp_path):
    path = tmp_path / "torch.safetensors"
    files.save_model(module, str(path))
    return path


def agree(module, model, x, turn=lambda x: x, back=lambda y: y):
    with torch.no_grad():
        expected = module(torch.tensor(x))
    expected = expected[0] if isinstance(expected, tuple) else expected
    found = flux.testmode(model)(jnp.asarray(turn(x)))
    np.testing.assert_allclose(found, back(expected.numpy()), rtol=2e-4, atol=2e-5)


X = np.random.default_rng(0).normal(size=(2, 4, 9)).astype(np.float32)
IMAGE = np.random.default_rng(0).normal(size=(2, 4, 9, 8)).astype(np.float32)
VOLUME = np.random.default_rng(0).normal(size=(2, 4, 5, 6, 7)).astype(np.float32)
LAYERS = {
    "conv1d": (nn.Conv1d(4, 6, 3, stride=2), Conv((3,), 4, 6, stride=2), X),
    "conv2d": (nn.Conv2d(4, 6, (3, 2), padding=1), Conv((3, 2), 4, 6, pad=1), IMAGE),
    "conv3d": (nn.Conv3d(4, 3, (1, 2, 3)), Conv((1, 2, 3), 4, 3), VOLUME),
    "grouped": (nn.Conv2d(4, 6, 3, groups=2), Conv(3, 4, 6, groups=2), IMAGE),
    "depthwise": (nn.Conv2d(4, 8, 3, groups=4), flux.DepthwiseConv(3, 4, 8), IMAGE),
    "transposed": (
        nn.ConvTranspose2d(4, 6, (3, 2), stride=2, groups=2),
        flux.ConvTranspose((3, 2), 4, 6, stride=2, groups=2),
        IMAGE,
    ),
    "transposed1d": (
        nn.ConvTranspose1d(4, 4, 3, bias=False),
        flux.ConvTranspose((3,), 4, 4, bias=False),
        X,
    ),
    "batchnorm": (nn.BatchNorm2d(4), flux.BatchNorm(4), IMAGE),
    "batchnorm without parameters": (
        nn.BatchNorm1d(4, affine=False),
        flux.BatchNorm(4, affine=False),
        X,
    ),
    "instancenorm": (
        nn.InstanceNorm2d(4, affine=True, track_running_stats=True),
        flux.InstanceNorm(4, affine=True, track_stats=True),
        IMAGE,
    ),
    "groupnorm": (nn.GroupNorm(2, 4), flux.GroupNorm(4, 2), IMAGE),
    "images": (
        nn.Sequential(nn.Conv2d(4, 3, 1), nn.LayerNorm([3, 9, 8])),
        Chain(Conv(1, 4, 3), LayerNorm(9, 8, 3)),
        IMAGE,
    ),
}


@pytest.mark.parametrize("case", LAYERS.values(), ids=LAYERS)
def test_layers_of_images(case, tmp_path):
    module, model, x = case
    flux.load_torch(model, stored(drawn(module), tmp_path))
    agree(module, model, x, images_last, images_last)


FEATURES = {
    "linear": (nn.Linear(9, 3), Dense(9, 3)),
    "linear without bias": (nn.Linear(9, 9, bias=False), Dense(9, 9, bias=False)),
    "layernorm": (nn.LayerNorm((4, 9)), LayerNorm(4, 9)),
    "rmsnorm": (nn.RMSNorm(9, eps=1e-6), flux.RMSNorm(9)),
    "rnn": (nn.RNN(9, 3, 2, batch_first=True), flux.RNN(9, 3, layers=2)),
    "lstm": (nn.LSTM(9, 3, 2, batch_first=True), flux.LSTM(9, 3, layers=2)),
    "gru": (
        nn.GRU(9, 3, 2, batch_first=True),
        flux.GRU(9, 3, layers=2, recurrent_bias=True),
    ),
    "gru without bias": (nn.GRU(9, 3, bias=False, batch_first=True), flux.GRU(9, 3, bias=False)),
    "lstm without bias": (
        nn.LSTM(9, 3, bias=False, batch_first=True),
        flux.LSTM(9, 3, bias=False),
    ),
    "lstm in both directions": (
        nn.LSTM(9, 3, 3, bidirectional=True, batch_first=True),
        Chain(*[flux.Bidirectional(flux.LSTM(n, 3)) for n in (9, 6, 6)]),
    ),
    "weight norm": (
        nn.utils.parametrizations.weight_norm(nn.Linear(9, 3)),
        flux.WeightNorm(Dense(9, 3)),
    ),
}


@pytest.mark.parametrize("case", FEATURES.values(), ids=FEATURES)
def test_layers_of_features(case, tmp_path):
    module, model = case
    flux.load_torch(model, stored(drawn(module), tmp_path))
    agree(module, model, X)


def test_tables(tmp_path):
    rows = np.array([[1, 2, 0], [3, 3, 1]])
    for module, model in [
        (nn.Embedding(5, 3), flux.Embedding(5, 3)),
        (nn.EmbeddingBag(5, 3, mode="sum"), flux.EmbeddingBag(5, 3, reduction="sum")),
    ]:
        flux.load_torch(model, stored(drawn(module), tmp_path))
        agree(module, model, rows)


def test_bilinear(tmp_path):
    module, model = drawn(nn.Bilinear(9, 9, 2)), flux.Bilinear(9, 2)
    flux.load_torch(model, stored(module, tmp_path))
    expected = module(torch.tensor(X), torch.tensor(X)).detach()
    np.testing.assert_allclose(model(X), expected, rtol=1e-4)


def test_attention(tmp_path):
    module = drawn(nn.MultiheadAttention(8, 2, batch_first=True))
    model = MultiHeadAttention(8, 2, bias=True)
    flux.load_torch(model, stored(module, tmp_path))
    x = torch.tensor(IMAGE[0])
    np.testing.assert_allclose(model(IMAGE[0]), module(x, x, x)[0].detach(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", ["RNNCell", "LSTMCell", "GRUCell"])
def test_cells(kind):
    module, model = drawn(getattr(nn, kind)(9, 3)), getattr(flux, kind)(9, 3)
    if kind == "GRUCell":
        module.bias_hh.data[6:] = 0
    flux.load_torch(model, module)
    found, _ = model(X[0])
    state = module(torch.tensor(X[0]))
    expected = state[0] if isinstance(state, tuple) else state
    np.testing.assert_allclose(found, expected.detach(), rtol=1e-4)


# -- whole models ----------------------------------------------------------------------------------


def lenet():
    theirs = nn.Sequential(
        nn.Conv2d(4, 6, 3), nn.BatchNorm2d(6), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Dropout(), nn.BatchNorm1d(54), nn.Linear(54, 5), nn.ReLU(),
        nn.Linear(5, 5), nn.ReLU(), nn.Linear(5, 5),
    )  # fmt: skip
    ours = Chain(
        Conv(3, 4, 6), flux.BatchNorm(6, flux.relu), flux.MaxPool(2), flux.Flatten(),
        flux.Dropout(0.5), flux.BatchNorm(54), Dense(54, 5, flux.relu), Dense(5, 5, flux.relu),
        Dense(5, 5),
    )  # fmt: skip
    return drawn(theirs), ours


def test_what_reads_a_flattened_image_is_reordered(tmp_path):
    theirs, ours = lenet()
    flux.load_torch(ours, stored(theirs, tmp_path))
    agree(theirs, ours, IMAGE, images_last)


def test_gradients_are_those_of_pytorch():
    theirs, ours = lenet()
    flux.load_torch(ours, theirs)
    x = torch.tensor(IMAGE, requires_grad=True)
    (theirs(x) ** 2).sum().backward()
    ours = flux.testmode(ours)
    of_model, of_x = flux.gradient(lambda m, x: (m(x) ** 2).sum(), ours, images_last(IMAGE))
    assert np.abs(of_x).max() > 1e-3
    np.testing.assert_allclose(of_x, images_last(x.grad.numpy()), rtol=1e-3, atol=1e-4)
    kernel = np.moveaxis(of_model.layers[0].weight, (3, 2), (0, 1))
    np.testing.assert_allclose(kernel, theirs[0].weight.grad, rtol=1e-3, atol=1e-3)


class Net:
    """A model that `load_torch` cannot follow."""

    def __init__(self):
        self.conv = Conv(3, 4, 6)
        self.fc = Dense(6 * 7 * 6, 3)

    def __call__(self, x):
        y = self.conv(x)
        return self.fc(y.reshape((len(x), -1)))


def test_what_cannot_be_followed_is_asked_for():
    theirs = drawn(nn.Sequential(nn.Conv2d(4, 6, 3), nn.Flatten(), nn.Linear(6 * 7 * 6, 3)))
    model = Net()
    before = model.fc.weight
    with pytest.raises(FluxError, match=r"whether `fc` reads .* flatten=\{'fc': 16\}"):
        flux.load_torch(model, theirs)
    assert model.fc.weight is before
    flux.load_torch(model, theirs, flatten={"fc": 6})
    agree(theirs, model, IMAGE, images_last)


def test_what_becomes_an_image_is_reordered():
    theirs = drawn(
        nn.Sequential(nn.Linear(9, 24), nn.Unflatten(1, (4, 2, 3)), nn.ConvTranspose2d(4, 5, 3))
    )
    ours = Chain(Dense(9, 24), lambda x: x.reshape((-1, 2, 3, 4)), flux.ConvTranspose(3, 4, 5))
    with pytest.raises(FluxError, match=r"`layers\[0\]` .*unflatten="):
        flux.load_torch(ours, theirs)
    flux.load_torch(ours, theirs, unflatten={"layers[0]": 4})
    agree(theirs, ours, X[0], back=images_last)


def test_flatten_names_a_layer_that_is_there():
    with pytest.raises(ArgumentError, match="no Dense layer is"):
        flux.load_torch(Net(), {}, flatten={"fd": 6})
    with pytest.raises(ArgumentError, match="must divide the 252 features"):
        flux.load_torch(Net(), {}, flatten={"fc": 5})


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.attn = nn.MultiheadAttention(8, 2, batch_first=True)
        self.linear1, self.linear2 = nn.Linear(8, 8), nn.Linear(8, 8)
        self.norm1, self.norm2 = nn.LayerNorm(8), nn.LayerNorm(8)

    def forward(self, x):
        x = x + self.attn(self.norm1(x), self.norm1(x), self.norm1(x))[0]
        return x + self.linear2(torch.relu(self.linear1(self.norm2(x))))


class OurBlock:
    def __init__(self):
        self.norm1, self.attn = LayerNorm(8), MultiHeadAttention(8, 2, bias=True)
        self.norm2, self.dense1, self.dense2 = LayerNorm(8), Dense(8, 8), Dense(8, 8)

    def __call__(self, x):
        x = x + self.attn(self.norm1(x))
        return x + self.dense2(flux.relu(self.dense1(self.norm2(x))))


class Transformer(nn.Module):
    def __init__(self):
        super().__init__()
        self.head = nn.Linear(8, 8)
        self.blocks = nn.ModuleList([Block() for _ in range(11)])
        self.places = nn.Parameter(torch.zeros(1, 4, 8))
        self.register_buffer("mask", torch.ones(4, 4, dtype=torch.bool))

    def forward(self, x):
        x = x + self.places
        for block in self.blocks:
            x = block(x)
        return self.head(x)


class OurTransformer:
    def __init__(self):
        self.embedding = jnp.zeros((1, 4, 8))
        self.blocks = [OurBlock() for _ in range(11)]
        self.head = Dense(8, 8)

    def __call__(self, x):
        x = x + self.embedding
        for block in self.blocks:
            x = block(x)
        return self.head(x)


def test_a_transformer_of_classes_of_ones_own(tmp_path):
    theirs, ours = drawn(Transformer()), OurTransformer()
    for value in theirs.parameters():
        value.data *= 0.3
    names = {"places": "embedding", "mask": None}
    flux.load_torch(ours, stored(theirs, tmp_path), names=names)
    agree(theirs, ours, IMAGE[0][:, :4])


# -- what does not fit -----------------------------------------------------------------------------


def refused(model, state, match, kind=FluxError, **options):
    """The message; nothing may be changed."""
    before = [np.array(array) for array in flux.trainables(model)]
    with pytest.raises(kind, match=match) as caught:
        flux.load_torch(model, state, **options)
    after = flux.trainables(model)
    assert all((a == b).all() for a, b in zip(before, after, strict=True))
    return str(caught.value)


def two(*widths, module=nn.Linear, **named):
    pairs = list(zip(widths, widths[1:], strict=False))
    return nn.Sequential(*[module(a, b, **named) for a, b in pairs])


def test_a_mismatch_names_the_array_the_layer_and_both_shapes():
    message = refused(
        Chain(Dense(3, 4), Dense(4, 6)), two(3, 4, 5), "nothing was changed", ShapeError
    )
    assert (
        "1.weight has the shape (5, 4); for Dense(4, 6), `layers[1]` it must be (6, 4)" in message
    )
    assert "1.bias has the shape (5,); for Dense(4, 6), `layers[1]` it must be (6,)" in message


def test_what_has_no_counterpart_is_named():
    model = Chain(Dense(3, 4), Dense(4, 6))
    refused(model, two(3, 4), r"Dense\(4, 6\), `layers\[1\]` needs weight \(6, 4\), bias \(6,\)")
    refused(model, two(3, 4, 6, 7), r"2.weight \(7, 6\), 2.bias \(7,\): no layer of this model")
    refused(model, two(3, 4, 6, bias=False), r"needs bias \(4,\), which 0 does not have")
    bare = Chain(Dense(3, 4, bias=False))
    refused(bare, two(3, 4), r"0.bias \(4,\): Dense\(3, 4, bias=False\), `layers\[0\]` has nothing")
    refused(Chain(Dense(4, 4), Dense(4, 4)), two(4, 4, 4, 4), "has it 3 times .* 2 times")


def test_layers_that_could_be_exchanged_are_not_guessed(tmp_path):
    theirs = drawn(nn.ModuleDict({"second": nn.Linear(4, 4), "first": nn.Linear(4, 4)}))
    named = {"one": Dense(4, 4), "two": Dense(4, 4)}
    message = refused(named, theirs, "no name tells which")
    assert "names={'second': 'one', 'first': 'two'}" in message
    chain, path = Chain(Dense(4, 4), Dense(4, 4)), stored(theirs, tmp_path)
    refused(chain, path, "no name tells which")  # a file is in the order of the alphabet
    refused(chain, files.load_file(path), "no name tells which")
    flux.load_torch(chain, path, names={"first": "layers[1]"})
    assert (chain[1].weight == theirs["first"].weight.detach().numpy().T).all()
    flux.load_torch(chain, theirs)  # as is written above: `second` comes first
    assert (chain[0].weight == theirs["second"].weight.detach().numpy().T).all()
    same = {"first": Dense(4, 4), "second": Dense(4, 4)}
    flux.load_torch(same, theirs)
    assert (same["first"].weight == chain[1].weight).all()


def test_layers_in_another_order_are_refused():
    theirs = drawn(nn.Sequential(nn.Linear(4, 4, bias=False), nn.Linear(4, 4)))
    chain = Chain(Dense(4, 4), Dense(4, 4, bias=False))
    message = refused(chain, theirs, "in another order")
    assert "names={'0': 'layers[1]', '1': 'layers[0]'}" in message
    flux.load_torch(chain, theirs, names={"0": "layers[1]", "1": "layers[0]"})
    assert (chain[1].weight == theirs[0].weight.detach().numpy().T).all()
    crossed = {"a": Dense(4, 4), "b": Dense(4, 4, bias=False)}
    refused(crossed, nn.ModuleDict({"a": theirs[0], "b": theirs[1]}), "in another order")


class Affine:
    def __init__(self, n_in, n_out):
        self.weight, self.bias = jnp.zeros((n_in, n_out)), jnp.zeros(n_out)


def test_the_layout_of_an_unknown_class_is_not_guessed():
    refused(Affine(3, 4), two(3, 4), r"0.weight has the shape \(4, 3\)", ShapeError)
    refused(Affine(4, 4), two(4, 4), "its axes could be in another order")
    model = Affine(4, 4)
    flux.load_torch(
        model, {"weight": np.eye(4) + 1, "bias": np.ones(4)}, names={"weight": "weight"}
    )
    assert (model.weight == np.eye(4) + 1).all()


def test_a_second_bias_that_has_no_place_is_refused():
    theirs = drawn(nn.GRU(3, 4, batch_first=True))
    refused(flux.GRU(3, 4), theirs, "second bias of the candidate is not zero")
    with torch.no_grad():
        theirs.bias_hh_l0[8:] = 0
    ours = flux.GRU(3, 4)
    flux.load_torch(ours, theirs)
    agree(theirs, ours, X[:, :, :3])


def test_arrays_that_are_one_stay_one(tmp_path):
    theirs = drawn(nn.ModuleDict({"embed": nn.Embedding(6, 4), "head": nn.Linear(4, 6)}))
    theirs["head"].weight = theirs["embed"].weight
    tied = {"embed": flux.Embedding(6, 4), "bias": jnp.zeros(6)}
    names = {"head.bias": "bias"}
    for state in (theirs, stored(theirs, tmp_path)):
        flux.load_torch(tied, state, names=names)
        assert (tied["embed"].weight == theirs["embed"].weight.detach().numpy()).all()
        apart = {"embed": flux.Embedding(6, 4), "head": Dense(4, 6)}
        flux.load_torch(apart, state)
        assert (apart["head"].weight.T == apart["embed"].weight).all()
    shared = Dense(4, 4)
    other = Dense(4, 4)
    other.weight = shared.weight
    refused(Chain(shared, other), drawn(two(4, 4, 4)), "is one array with another here")


def test_other_dtypes_are_those_of_the_model():
    theirs = two(3, 4).to(torch.bfloat16)
    ours = flux.f16(Dense(3, 4))
    flux.load_torch(ours, theirs)
    assert ours.weight.dtype == np.float16
    assert (ours.weight == theirs[0].weight.float().detach().numpy().T.astype(np.float16)).all()
    state = {"weight": np.ones((4, 3), int), "bias": np.ones(4)}
    refused(Dense(3, 4), state, "weight is int64 in PyTorch and float32 here")


def test_a_state_of_arrays_is_copied():
    state = {"weight": np.ones((3, 3), np.float32), "bias": np.zeros(3, np.float32)}
    ours = flux.fmap(np.array, Dense(3, 3))
    flux.load_torch(ours, state)
    state["bias"][:] = 5
    assert (np.asarray(ours.bias) == 0).all()


class Trap:
    def __reduce__(self):
        return os.system, ("touch trapped",)


def test_a_pickle_is_not_read(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for old in (True, False):
        torch.save({"weight": Trap()}, "model.pt", _use_new_zipfile_serialization=old)
        with pytest.raises(ModelFileError, match="never does.*\n.*save_model"):
            flux.load_torch(Dense(3, 4), "model.pt")
    assert not (tmp_path / "trapped").exists()
    flux.save("ours.safetensors", Dense(3, 4))
    with pytest.raises(ModelFileError, match="flux.restore"):
        flux.load_torch(Dense(3, 4), "ours.safetensors")


@pytest.mark.parametrize("header", ['{"__metadata__": 5}', '{"a": ' + "[" * 9999, '{"a": null}'])
def test_a_header_of_another_form_is_damaged(header, tmp_path):
    path = tmp_path / "odd.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header.encode())
    with pytest.raises(flux.errors.ModelFileError, match="unreadable header"):
        flux.load_torch(Chain(Dense(1, 1)), path)


def test_wrong_arguments():
    model = Chain(Dense(3, 4))
    for state, match in [(3, "expected the path"), ({"model": {}}, "expected arrays in the state")]:
        with pytest.raises(ArgumentError, match=match):
            flux.load_torch(model, state)
    with pytest.raises(ArgumentError, match="has nothing named '7'"):
        flux.load_torch(model, two(3, 4), names={"7": "layers[0]"})
    with pytest.raises(ArgumentError, match=r"no layer or array at 'layers\[7\]'"):
        flux.load_torch(model, two(3, 4), names={"0": "layers[7]"})


def test_what_the_mean_over_positions_gives_is_not_reordered():
    theirs = drawn(
        nn.Sequential(nn.Conv2d(4, 6, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 3))
    )
    ours = Chain(Conv(3, 4, 6), flux.GlobalMeanPool(), flux.Flatten(), Dense(6, 3))
    flux.load_torch(ours, theirs)
    agree(theirs, ours, IMAGE, images_last)


def test_an_image_after_a_function_is_asked_for():
    layers = Conv(3, 4, 6), lambda x: x.reshape((len(x), -1)), Dense(6 * 7 * 6, 3)
    theirs = nn.Sequential(nn.Conv2d(4, 6, 3), nn.Flatten(), nn.Linear(6 * 7 * 6, 3))
    refused(Chain(*layers), theirs, r"whether `layers\[2\]` reads a flattened image")


def test_wrapped_models_and_the_two_directions_go_by_name():
    theirs = drawn(nn.LSTM(4, 2, bidirectional=True, batch_first=True))
    wrapped = {f"_orig_mod.module.{name}": array for name, array in theirs.state_dict().items()}
    apart = {"up": flux.LSTM(4, 2), "down": flux.LSTM(4, 2)}
    refused(apart, wrapped, "no name tells which")
    flux.load_torch(apart, wrapped, names={"0.forward": "up", "0.backward": "down"})
    for name, end in (("up", "l0"), ("down", "l0_reverse")):
        expected = getattr(theirs, f"weight_ih_{end}").detach().numpy().T
        assert (apart[name].cells[0].weight == expected).all()


def test_complex_numbers_stay_complex_and_do_not_become_real():
    wave = np.array([1 + 2j, 3 - 1j], np.complex64)
    for model in ({"wave": jnp.zeros(2, np.complex64)}, {"wave": np.zeros(2, np.complex64)}):
        flux.load_torch(model, {"wave": torch.tensor(wave)})
        assert (np.asarray(model["wave"]) == wave).all()
    refused({"wave": jnp.zeros(2)}, {"wave": wave}, "wave is complex64 in PyTorch and float32 here")
