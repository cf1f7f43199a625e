"""Data: batches, labels, splits, sequences, and data sets."""

from flux.data.balance import oversample, undersample
from flux.data.loader import DataLoader
from flux.data.observations import getobs, mapobs, numobs
from flux.data.onehot import onecold, onehot, onehotbatch
from flux.data.sequences import pad_sequences, slidingwindow
from flux.data.splits import kfolds, splitobs
from flux.errors import suggests_names

__all__ = [
    "DataLoader",
    "getobs",
    "kfolds",
    "mapobs",
    "numobs",
    "onecold",
    "onehot",
    "onehotbatch",
    "oversample",
    "pad_sequences",
    "slidingwindow",
    "splitobs",
    "undersample",
]
suggests_names(__name__)
