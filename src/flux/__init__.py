"""Flux for Python: machine learning where a model is plain Python.

The face: every public name and the room that it lives in. Rooms are loaded when a name of theirs
is first used, so `import flux` itself takes a tenth of a second. The same table as plain imports,
for editors and type checkers, is `__init__.pyi`; a test holds the two together.
"""

import importlib

import flux.rules as _rules  # noqa: F401  plugs derivatives of Python into flux.ad
from flux.errors import did_you_mean

__version__ = "0.1.0"

ROOMS = {
    # Gradients of plain Python
    "flux.ad": "gradient withgradient pullback grad value_and_grad pushforward jacobian hessian "
    "checkpoint hook rule check_rule nograd stop_gradient within_gradient code_ir code_adjoint",
    # Compilation
    "flux.compiler": "check_bounds debug_nans export jit load_exported lower show vmap",
    # Models
    "flux.layers": "layer Chain Dense Scale Bilinear Flatten Maxout Parallel PairwiseFusion "
    "SkipConnection Embedding EmbeddingBag Conv ConvTranspose DepthwiseConv MaxPool MeanPool "
    "AdaptiveMaxPool AdaptiveMeanPool GlobalMaxPool GlobalMeanPool Dropout AlphaDropout BatchNorm "
    "GroupNorm InstanceNorm LayerNorm RMSNorm RNN LSTM GRU GRUv3 RNNCell LSTMCell GRUCell "
    "GRUv3Cell Recurrence Bidirectional initialstates trainmode testmode summary outputsize "
    "MultiHeadAttention RotaryEmbedding Upsample PixelShuffle WeightNorm activations",
    "flux.functional": "celu elu gelu glu hardsigmoid hardswish hardtanh identity leakyrelu lisht "
    "logcosh logsigmoid logsoftmax mish relu relu6 rrelu selu sigmoid silu softmax softplus "
    "softshrink softsign swish tanh tanhshrink trelu",
    "flux.random": "seed",
    "flux.models": "fmap modules state load destructure split f16 bf16 f32 f64 cpu gpu to",
    # Training
    "flux.optim": "setup update adjust freeze thaw trainables",
    "flux.train": "train trainstep",
    # Data and files
    "flux.data": "DataLoader onehot onehotbatch onecold splitobs kfolds",
    "flux.io": "save restore load_torch",
    # What goes wrong
    "flux.errors": "ArgumentError DataFileError FluxError LabelError ModelFileError NonFiniteLoss "
    "NonFiniteValue NotDifferentiable OutOfBounds ShapeError SourceError StagingError",
}
SUBJECTS = {  # rooms that are used by their own name: flux.losses.mse
    "callbacks": "flux.train.callbacks",
    "data": "flux.data",
    "datasets": "flux.data.datasets",
    "functional": "flux.functional",
    "init": "flux.init",
    "layers": "flux.layers",
    "losses": "flux.losses",
    "metrics": "flux.metrics",
    "optim": "flux.optim",
    "random": "flux.random",
    "schedules": "flux.schedules",
}
HOME = {name: room for room, names in ROOMS.items() for name in names.split()}

__all__ = [*HOME, *SUBJECTS]  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str):
    if name in SUBJECTS:
        value = importlib.import_module(SUBJECTS[name])
    elif name in HOME:
        value = getattr(importlib.import_module(HOME[name]), name)
    else:
        known = did_you_mean(name, __all__)
        raise AttributeError(f"module 'flux' has no attribute {name!r}{known}")
    globals()[name] = value
    return value


def __dir__():
    return sorted({*globals(), *__all__})
