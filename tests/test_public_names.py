"""The public names, pinned: a name comes or goes on purpose only."""

import ast
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
