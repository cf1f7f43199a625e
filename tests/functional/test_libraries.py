"""Every operation on arrays of other libraries: values, gradients and types, against JAX's."""

import functools

import jax.numpy as jnp
import numpy as np
import pytest

import flux
from flux import functional as F, losses, metrics
from flux.ad import pullback
from flux.errors import ArgumentError, LabelError
from flux.functional import activations, rectifiers
from flux.functional.arrays import convert, kind_of, namespace, narrow, numbers_of, widen
from flux.random import RandomState

torch = pytest.importorskip("torch")
strict = pytest.importorskip("array_api_strict")
RNG = np.random.default_rng(0)
MAKERS = {"torch": torch.tensor, "array_api_strict": strict.asarray, "numpy": np.asarray}


def normal(*shape):
    return RNG.normal(size=shape).astype("f")


def shares(*shape):
    """Probabilities in the last axis."""
    x = np.exp(normal(*shape))
    return x / x.sum(-1, keepdims=True)


X, ROWS = normal(3, 4), shares(3, 4)
LABELS = np.array([2, 0, 3])
SIGNS = np.sign(normal(3, 4))
YES = (normal(3, 4) > 0).astype("f")

CASES = {
    "erf": (F.erf, X),
    "glu": (F.glu, X),
    "softmax": (F.softmax, X),
    "softmax of two axes": (lambda x: F.softmax(x, axis=(0, 1)), X),
    "logsoftmax": (lambda x: F.logsoftmax(x, axis=0), X),
    "logsumexp": (F.logsumexp, X),
    "logsumexp along an axis": (lambda x: F.logsumexp(x, axis=(1,)), X),
    "linear": (F.linear, normal(2, 3, 4), normal(4, 5), normal(5)),
    "linear of rows": (F.linear, X, normal(4, 5)),
    "standardise": (F.standardise, X),
    "layernorm": (F.layernorm, X, normal(4), normal(4)),
    "rmsnorm": (F.rmsnorm, X, normal(4)),
    "groupnorm": (lambda x, a, b: F.groupnorm(x, 2, a, b), normal(2, 3, 4), normal(4), normal(4)),
    **{
        f"loss {name}": (getattr(losses, name), X, other)
        for name, other in {
            "mse": normal(3, 4),
            "mae": normal(3, 4),
            "huber": normal(3, 4),
            "hinge": SIGNS,
            "squared_hinge": SIGNS,
            "siamese_contrastive": YES,
            "logit_binary_crossentropy": YES,
            "logit_crossentropy": ROWS,
        }.items()
    },
    **{
        f"loss {name}": (getattr(losses, name), ROWS, other)
        for name, other in {
            "msle": shares(3, 4),
            "poisson": YES,
            "dice": YES,
            "tversky": YES,
            "binary_crossentropy": YES,
            "binary_focal": YES,
            "kl_divergence": shares(3, 4),
            "crossentropy": shares(3, 4),
            "focal": shares(3, 4),
        }.items()
    },
    "loss by labels": (losses.logit_crossentropy, X, LABELS),
    "loss by labels of NumPy": (lambda x: losses.logit_crossentropy(x, LABELS), X),
    "weighted loss by labels": (
        lambda x, y: losses.logit_crossentropy(x, y, weights=[1, 2, 3, 4], ignore_index=0),
        X,
        LABELS,
    ),
    "weighted loss by rows": (
        lambda x, y: losses.logit_crossentropy(x, y, weights=[1, 2, 3, 4]),
        X,
        ROWS,
    ),
    "crossentropy of labels": (losses.crossentropy, ROWS, LABELS),
    "label_smoothing": (lambda x: losses.label_smoothing(x, 0.1), ROWS),
    **{
        name: (getattr(F, name), normal(40) * 4)
        for name in {*activations.__all__, *rectifiers.__all__} - {"glu"}
    },
}

IMAGES, SEQUENCES = normal(2, 6, 5, 4), normal(2, 7, 4)
QUERIES, KEYS, VALUES = normal(2, 3, 4, 6), normal(2, 5, 2, 6), normal(2, 5, 2, 3)
MASK = RNG.random((2, 1, 3, 5)) < 0.6
GRID = RNG.uniform(-1.3, 1.3, size=(2, 3, 4, 2)).astype("f")
INDEX = np.array([[1, 0], [3, 1], [1, 1]])
WINDOW = {"stride": 2, "pad": (1, 0, 2, 1), "dilation": (1, 2)}
CASES |= {
    "conv": (lambda x, w: F.conv(x, w, **WINDOW), IMAGES, normal(3, 2, 4, 6)),
    "conv in groups": (lambda x, w: F.conv(x, w, groups=2), SEQUENCES, normal(3, 2, 6)),
    "conv of volumes": (F.conv, normal(1, 3, 4, 3, 2), normal(2, 2, 3, 2, 3)),
    "conv_transpose": (
        lambda x, w: F.conv_transpose(x, w, outpad=(1, 0), **WINDOW),
        IMAGES,
        normal(3, 2, 6, 4),
    ),
    "conv_transpose in groups": (
        lambda x, w: F.conv_transpose(x, w, stride=3, outpad=2, groups=2),
        SEQUENCES,
        normal(2, 3, 4),
    ),
    "conv_transpose to the same": (
        lambda x, w: F.conv_transpose(x, w, stride=2, pad="same"),
        SEQUENCES,
        normal(3, 3, 4),
    ),
    "maxpool": (lambda x: F.maxpool(x, 2, stride=(2, 1), pad=1), IMAGES),
    "meanpool": (lambda x: F.meanpool(x, 2, pad=(0, 1, 1, 0), count_pad=False), IMAGES),
    "unfold": (lambda x: F.unfold(x, 3, stride=2, pad=1), IMAGES),
    "fold": (lambda x: F.fold(x, 7, 3, stride=2, dilation=2), normal(2, 2, 6)),
    "attention": (
        lambda q, k, v, m: F.dot_product_attention(q, k, v, mask=m),
        QUERIES,
        KEYS,
        VALUES,
        MASK,
    ),
    "causal attention": (
        lambda q, k, v, m, b: F.dot_product_attention(q, k, v, mask=m, bias=b, causal=True),
        QUERIES,
        KEYS,
        VALUES,
        MASK,
        normal(3, 5),
    ),
    "rotary": (F.rotary, QUERIES),
    "rotary of halves": (lambda x, p: F.rotary(x, p, halves=True), QUERIES, np.array([5, 1, 2])),
    "gather": (lambda x, i: F.gather(x, i, axis=1), IMAGES, INDEX),
    "lookup": (F.lookup, normal(4, 3), INDEX),
    **{
        f"scatter {op}": (
            lambda x, i, op=op: F.scatter(x, i, 4, op=op),
            normal(3, 2, 5),
            np.array([[1, 0], [3, 1], [1, 2]]),
        )
        for op in ("sum", "mean", "max", "min")
    },
    **{
        f"upsample {mode}": (lambda x, mode=mode: F.upsample(x, (2, 1.5), mode=mode), IMAGES)
        for mode in ("nearest", "bilinear")
    },
    "pixel_shuffle": (lambda x: F.pixel_shuffle(x, 2), IMAGES),
    "pixel_unshuffle": (lambda x: F.pixel_unshuffle(x, 7), SEQUENCES),
    **{
        f"grid_sample {padding}": (
            lambda x, g, padding=padding: F.grid_sample(x, g, padding=padding),
            IMAGES,
            GRID,
        )
        for padding in ("zeros", "border", "reflection")
    },
    "grid_sample nearest": (lambda x, g: F.grid_sample(x, g, mode="nearest"), IMAGES, GRID),
    "ctc_loss": (F.ctc_loss, normal(2, 6, 4), np.array([[1, 2], [3, 3]])),
    "ctc_loss of lengths": (
        lambda x, y, n, m: F.ctc_loss(x, y, n, m),
        normal(2, 6, 4),
        np.array([[1, 2], [3, 3]]),
        np.array([6, 4]),
        np.array([1, 2]),
    ),
    "dropout": (lambda x: F.dropout(x, 0.5, rng=RandomState(0)), X),
    "dropout of channels": (lambda x: F.dropout(x, 0.5, rng=RandomState(0), axis=-1), X),
    "rrelu, drawn": (lambda x: F.rrelu(x, rng=RandomState(0)), X),
}


def run(case, make):
    """All results and gradients, as arrays of the library."""
    f, *values = CASES[case]
    y, back = pullback(f, *[make(value) for value in values])
    results = y if isinstance(y, tuple) else (y,)
    weights = np.random.default_rng(1)
    cts = [make(weights.normal(size=tuple(part.shape)).astype("f")) for part in results]
    grads = back(tuple(cts) if isinstance(y, tuple) else cts[0])
    carried = [g for g, value in zip(grads, values, strict=True) if value.dtype.kind == "f"]
    return [*results, *carried]


@functools.cache
def expected_of(case):
    return run(case, jnp.asarray)


@pytest.mark.parametrize("library", sorted(MAKERS))
@pytest.mark.parametrize("case", sorted(CASES))
def test_values_gradients_and_their_types_are_those_of_jax(case, library):
    found, expected = run(case, MAKERS[library]), expected_of(case)
    for ours, theirs in zip(found, expected, strict=True):
        own = (np.ndarray, np.generic) if library == "numpy" else type(MAKERS[library](1.0))
        assert isinstance(ours, own)
        assert str(ours.dtype).endswith(str(theirs.dtype))
        np.testing.assert_allclose(numbers_of(ours), theirs, rtol=2e-4, atol=2e-5)


# -- which library ---------------------------------------------------------------------------------


def test_arrays_of_two_libraries_are_refused_by_name():
    with pytest.raises(ArgumentError, match="PyTorch on cpu, and JAX"):
        F.linear(torch.ones(2, 3), jnp.ones((3, 4)))
    with pytest.raises(ArgumentError, match="PyTorch on cpu, and array_api_strict"):
        losses.mse(strict.ones(3), torch.ones(3))


def test_a_device_is_part_of_the_choice():
    assert namespace(torch.ones(2)) is namespace(torch.zeros(1), np.ones(2), None)
    assert namespace(torch.ones(2, device="meta")) is not namespace(torch.ones(2))


@pytest.mark.parametrize("library", ["torch", "array_api_strict"])
def test_what_numpy_made_becomes_an_array_of_the_library_and_its_gradient_numpy_again(library):
    make = MAKERS[library]
    x = np.arange(3.0)
    y, back = pullback(convert, x, make(np.ones(1, "f")))
    assert type(y) is type(make(x))
    assert str(y.dtype).endswith("float32")
    gradient = back(y)[0]
    assert type(gradient) is np.ndarray
    assert gradient.dtype == np.float64


def test_half_precision_of_pytorch_is_summed_in_single():
    x = torch.full((2, 3), 2.0, dtype=torch.float16)
    assert widen(x).dtype == torch.float32
    assert narrow(widen(x), x).dtype == torch.float16
    assert F.softmax(x).dtype == F.layernorm(x).dtype == torch.float16


def test_kinds_of_dtypes():
    assert [kind_of(torch.ones(1, dtype=d)) for d in (torch.bool, torch.int8, torch.float64)] == [
        *"bif"
    ]
    assert kind_of(strict.asarray([1j])) == "c"


def test_a_function_that_the_library_lacks_is_refused_by_name():
    with pytest.raises(ArgumentError, match="`histogram2d` .* array_api_strict"):
        namespace(strict.ones(1)).histogram2d(1)


@pytest.mark.parametrize("library", ["torch", "array_api_strict"])
def test_a_label_that_is_no_class_is_refused(library):
    make = MAKERS[library]
    with pytest.raises(LabelError, match="label 4"):
        losses.logit_crossentropy(make(X), make(np.array([0, 4, 1])))


def test_a_second_derivative_through_the_rules():
    def slope(x):
        return flux.gradient(lambda x: F.softplus(x).sum(), x)[0].sum()

    x = torch.tensor([0.3, -2.0], dtype=torch.float64)
    s = F.sigmoid(x)
    torch.testing.assert_close(flux.gradient(slope, x)[0], s * (1 - s))


@pytest.mark.parametrize("library", ["torch", "array_api_strict"])
def test_metrics_of_other_libraries_are_those_of_numpy(library):
    make = MAKERS[library]
    for name in metrics.__all__:
        found = getattr(metrics, name)(make(X), make(LABELS))
        expected = getattr(metrics, name)(X, LABELS)
        np.testing.assert_allclose(numbers_of(found), expected, rtol=1e-6)
