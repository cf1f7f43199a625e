"""Functions on arrays: every operation that a layer is made of, as a plain function."""

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
from flux.functional.dropout import dropout, mask_out
from flux.functional.gather import lookup
from flux.functional.linear import linear
from flux.functional.norm import affine, groupnorm, layernorm, normalise, rmsnorm, standardise
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
from flux.functional.softmax import logsoftmax, logsumexp, softmax
from flux.functional.special import erf

__all__ = [
    "affine",
    "attention_weights",
    "celu",
    "conv",
    "conv_transpose",
    "dot_product_attention",
    "dropout",
    "elu",
    "erf",
    "gelu",
    "gelu_erf",
    "glu",
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
    "relu",
    "relu6",
    "rmsnorm",
    "rotary",
    "rrelu",
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
]
