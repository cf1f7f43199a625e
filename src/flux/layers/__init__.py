"""Layers: objects with parameters that are called on arrays. Any callable is one."""

from flux.layers.branches import Flatten, Maxout, PairwiseFusion, Parallel, SkipConnection
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
from flux.layers.summary import Summary, outputsize, summary

__all__ = [
    "AdaptiveMaxPool",
    "AdaptiveMeanPool",
    "AlphaDropout",
    "BatchNorm",
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
    "GlobalMaxPool",
    "GlobalMeanPool",
    "GroupNorm",
    "InstanceNorm",
    "LayerNorm",
    "MaxPool",
    "Maxout",
    "MeanPool",
    "PairwiseFusion",
    "Parallel",
    "RMSNorm",
    "Scale",
    "SkipConnection",
    "Summary",
    "activations",
    "layer",
    "outputsize",
    "summary",
    "testmode",
    "trainmode",
]
