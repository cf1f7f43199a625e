"""The public names, pinned: a name comes or goes on purpose only."""

import ast
import functools
import inspect
import re
from pathlib import Path

import flux

NAMES = """
AdaptiveMaxPool AdaptiveMeanPool AlphaDropout ArgumentError BatchNorm Bidirectional Bilinear Chain
Conv ConvTranspose DataFileError DataLoader Dense DepthwiseConv Dropout Embedding EmbeddingBag
Flatten FluxError GRU GRUCell GRUv3 GRUv3Cell GlobalMaxPool GlobalMeanPool GroupNorm InstanceNorm
LSTM LSTMCell LabelError LayerNorm MaxPool Maxout MeanPool ModelFileError MultiHeadAttention
NonFiniteLoss NonFiniteValue NotDifferentiable OutOfBounds PairwiseFusion Parallel PixelShuffle
RMSNorm RNN RNNCell Recurrence RotaryEmbedding Scale ShapeError SkipConnection SourceError
StagingError Upsample WeightNorm activations adjust bf16 callbacks celu check_bounds check_rule
checkpoint code_adjoint code_ir cpu data datasets debug_nans destructure elu export f16 f32 f64 fmap
freeze functional gelu glu gpu grad gradient hardsigmoid hardswish hardtanh hessian hook identity
init initialstates jacobian jit kfolds layer layers leakyrelu lisht load load_exported load_torch
logcosh logsigmoid logsoftmax losses lower metrics mish modules nograd onecold onehot onehotbatch
optim outputsize pullback pushforward random relu relu6 restore rrelu rule save schedules seed selu
setup show sigmoid silu softmax softplus softshrink softsign split splitobs state stop_gradient
summary swish tanh tanhshrink testmode thaw to train trainables trainmode trainstep trelu update
value_and_grad vmap withgradient within_gradient
"""


def test_the_public_names_are_these():
    assert sorted(flux.__all__) == NAMES.split()


def test_every_public_name_is_there():
    assert [name for name in flux.__all__ if not hasattr(flux, name)] == []


def test_editors_see_the_same_names():
    stub = Path(flux.__file__).with_suffix(".pyi").read_text()
    seen = {
        alias.asname or alias.name: getattr(node, "module", None)
        for node in ast.parse(stub).body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    subjects = {name: home.rpartition(".")[0] for name, home in flux.SUBJECTS.items()}
    assert seen == {**flux.HOME, **subjects}


# -- every name has an example and a test ----------------------------------------------------------

TESTS = Path(__file__).parent
MADE_BY = {
    "KeyValueCache": "cache",
    "Optimiser": "setup",
    "Rule": "Adam",
    "Schedule": "constant",
    "Summary": "summary",
    "Table": "csv",
}
"""Classes that nobody calls by their name, and what makes them."""
ROOMS = ["functional", "losses", "metrics", "init", "optim", "schedules", "callbacks", "data"]


def public() -> dict[str, dict[str, object]]:
    """The public names by room, each once: those of the face, then what only a room has."""
    rooms = {name: getattr(flux, name) for name in (*ROOMS, "datasets", "layers", "random")}
    found: dict[str, dict[str, object]] = {}
    seen: set[int] = set()
    for room, module in {"flux": flux, **rooms}.items():
        named = {name: itself(getattr(module, name), name) for name in module.__all__}
        named = {name: value for name, value in named.items() if not inspect.ismodule(value)}
        found[room] = {name: value for name, value in named.items() if id(value) not in seen}
        seen |= {id(value) for value in named.values()}
    return found


def itself(value, name: str):
    """Of a room that is called, as `flux.train` is, the function that it stands for."""
    return getattr(value, name) if inspect.ismodule(value) and callable(value) else value


def references() -> dict[str, dict[str, str]]:
    """The table: by room the tests, and by test the names that it stands for."""
    table: dict[str, dict[str, str]] = {}
    room, test = "", ""
    for line in (TESTS / "references.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            room = line.strip("[]")
            table[room] = {}
        elif line.startswith(" "):
            table[room][test] += line
        elif line and not line.startswith("#"):
            test = line
            table[room][test] = ""
    return table


def test_every_public_name_has_an_example_in_its_docstring():
    without = [
        f"{room}.{name}"
        for room, named in public().items()
        for name, value in named.items()
        if ">>> " not in (inspect.getdoc(value) or "")
    ]
    assert without == []


def test_every_public_name_is_in_the_table_of_references():
    table = {room: " ".join(tests.values()).split() for room, tests in references().items()}
    named = {room: sorted(names) for room, names in public().items()}
    assert {room: sorted(names) for room, names in table.items()} == named


def test_every_test_in_the_table_compares_and_uses_the_names():
    wrong = [
        f"{test}: {name}"
        for tests in references().values()
        for test, names in tests.items()
        for name in names.split()
        if not uses(test, MADE_BY.get(name, name))
    ]
    assert wrong == []


@functools.cache
def reached(test: str) -> frozenset[str]:
    """Every name, attribute and word in a test and in what its file defines for it."""
    path, _, name = test.partition("::")
    defined = dict(definitions(TESTS / path))
    words, seen, waiting = set(), set(), [name]
    while waiting:
        node = defined.get(waiting.pop())
        if node is not None and id(node) not in seen:
            seen.add(id(node))
            words |= set(words_of(node))
            waiting += [word for word in words_of(node) if not word.startswith("test_")]
    return frozenset(words)


def definitions(path: Path):
    """What a file of tests defines: functions, classes and constants, by name."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name, node
        elif isinstance(node, ast.Assign):
            for target in node.targets:
                yield from [(n.id, node) for n in ast.walk(target) if isinstance(n, ast.Name)]


def words_of(node: ast.AST):
    """The names that a piece of a program reads; strings may name functions, too."""
    for part in ast.walk(node):
        if isinstance(part, ast.Name):
            yield part.id
        elif isinstance(part, ast.Attribute):
            yield part.attr
        elif isinstance(part, ast.Assert):
            yield "assert"
        elif isinstance(part, ast.Constant) and isinstance(part.value, str):
            yield from re.findall(r"\w+", part.value)


def uses(test: str, name: str) -> bool:
    """Is the test there, does it compare something, and does it use the name?"""
    compares = {"assert", "raises", "assert_allclose", "assert_array_equal"} & reached(test)
    return name in reached(test) and bool(compares)
