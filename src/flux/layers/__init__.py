"""Layers: objects with parameters that are called on arrays. Any callable is one."""

from flux.layers.branches import Flatten, Maxout, PairwiseFusion, Parallel, SkipConnection
from flux.layers.chain import Chain
from flux.layers.dense import Bilinear, Dense, Scale
from flux.layers.dropout import AlphaDropout, Dropout
from flux.layers.embedding import Embedding, EmbeddingBag
from flux.layers.layer import layer
from flux.layers.modes import testmode, trainmode
from flux.layers.norm import BatchNorm, GroupNorm, InstanceNorm, LayerNorm, RMSNorm
from flux.layers.summary import Summary, outputsize, summary

__all__ = [
    "AlphaDropout",
    "BatchNorm",
    "Bilinear",
    "Chain",
    "Dense",
    "Dropout",
    "Embedding",
    "EmbeddingBag",
    "Flatten",
    "GroupNorm",
    "InstanceNorm",
    "LayerNorm",
    "Maxout",
    "PairwiseFusion",
    "Parallel",
    "RMSNorm",
    "Scale",
    "SkipConnection",
    "Summary",
    "layer",
    "outputsize",
    "summary",
    "testmode",
    "trainmode",
]
