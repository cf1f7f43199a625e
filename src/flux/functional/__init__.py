"""Functions on arrays: every operation that a layer is made of, as a plain function."""

from flux.errors import suggests_names
from flux.functional.activations import (
    gelu,
    gelu_erf,
    glu,
    identity,
    lisht,
    logcosh,
    logsigmoid,
    mish,
    sigmoid,
    silu,
    softplus,
    softsign,
    swish,
    tanh,
    tanhshrink,
)
from flux.functional.attention import attention_weights, dot_product_attention, rotary
from flux.functional.conv import conv, conv_transpose
from flux.functional.ctc import ctc_loss
from flux.functional.dropout import dropout, mask_out
from flux.functional.gather import gather, lookup, scatter
from flux.functional.linear import linear
from flux.functional.norm import affine, groupnorm, layernorm, normalise, rmsnorm, standardise
from flux.functional.patches import fold, unfold
from flux.functional.pool import maxpool, meanpool
from flux.functional.rectifiers import (
    celu,
    elu,
    hardsigmoid,
    hardswish,
    hardtanh,
    leakyrelu,
    relu,
    relu6,
    rrelu,
    selu,
    softshrink,
    trelu,
)
from flux.functional.resize import pixel_shuffle, pixel_unshuffle, upsample
from flux.functional.sample import grid_sample
from flux.functional.softmax import logsoftmax, logsumexp, softmax
from flux.functional.special import erf

__all__ = [
    "affine",
    "attention_weights",
    "celu",
    "conv",
    "conv_transpose",
    "ctc_loss",
    "dot_product_attention",
    "dropout",
    "elu",
    "erf",
    "fold",
    "gather",
    "gelu",
    "gelu_erf",
    "glu",
    "grid_sample",
    "groupnorm",
    "hardsigmoid",
    "hardswish",
    "hardtanh",
    "identity",
    "layernorm",
    "leakyrelu",
    "linear",
    "lisht",
    "logcosh",
    "logsigmoid",
    "logsoftmax",
    "logsumexp",
    "lookup",
    "mask_out",
    "maxpool",
    "meanpool",
    "mish",
    "normalise",
    "pixel_shuffle",
    "pixel_unshuffle",
    "relu",
    "relu6",
    "rmsnorm",
    "rotary",
    "rrelu",
    "scatter",
    "selu",
    "sigmoid",
    "silu",
    "softmax",
    "softplus",
    "softshrink",
    "softsign",
    "standardise",
    "swish",
    "tanh",
    "tanhshrink",
    "trelu",
    "unfold",
    "upsample",
]
suggests_names(__name__)
