"""Layers: objects with parameters that are called on arrays. Any callable is one."""

from flux.errors import suggests_names
from flux.layers.attention import KeyValueCache, MultiHeadAttention, RotaryEmbedding
from flux.layers.bidirectional import Bidirectional
from flux.layers.branches import Flatten, Maxout, PairwiseFusion, Parallel, SkipConnection
from flux.layers.cells import GRUCell, GRUv3Cell, LSTMCell, RNNCell, initialstates
from flux.layers.chain import Chain, activations
from flux.layers.conv import Conv, ConvTranspose, DepthwiseConv
from flux.layers.dense import Bilinear, Dense, Scale
from flux.layers.dropout import AlphaDropout, Dropout
from flux.layers.embedding import Embedding, EmbeddingBag
from flux.layers.layer import layer
from flux.layers.modes import testmode, trainmode
from flux.layers.norm import BatchNorm, GroupNorm, InstanceNorm, LayerNorm, RMSNorm
from flux.layers.pool import (
    AdaptiveMaxPool,
    AdaptiveMeanPool,
    GlobalMaxPool,
    GlobalMeanPool,
    MaxPool,
    MeanPool,
)
from flux.layers.recurrent import GRU, LSTM, RNN, GRUv3, Recurrence
from flux.layers.resize import PixelShuffle, Upsample
from flux.layers.summary import Summary, outputsize, summary
from flux.layers.weightnorm import WeightNorm

__all__ = [
    "AdaptiveMaxPool",
    "AdaptiveMeanPool",
    "AlphaDropout",
    "BatchNorm",
    "Bidirectional",
    "Bilinear",
    "Chain",
    "Conv",
    "ConvTranspose",
    "Dense",
    "DepthwiseConv",
    "Dropout",
    "Embedding",
    "EmbeddingBag",
    "Flatten",
    "GRU",
    "GRUCell",
    "GRUv3",
    "GRUv3Cell",
    "GlobalMaxPool",
    "GlobalMeanPool",
    "GroupNorm",
    "InstanceNorm",
    "LSTM",
    "LSTMCell",
    "KeyValueCache",
    "LayerNorm",
    "MaxPool",
    "Maxout",
    "MeanPool",
    "MultiHeadAttention",
    "PairwiseFusion",
    "Parallel",
    "PixelShuffle",
    "RMSNorm",
    "RNN",
    "RNNCell",
    "Recurrence",
    "Scale",
    "SkipConnection",
    "Summary",
    "activations",
    "initialstates",
    "RotaryEmbedding",
    "Upsample",
    "WeightNorm",
    "layer",
    "outputsize",
    "summary",
    "testmode",
    "trainmode",
]
suggests_names(__name__)
