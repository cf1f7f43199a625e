"""Data: batches, labels, splits, and the embedded data sets."""

from flux.data.loader import DataLoader
from flux.data.observations import getobs, numobs
from flux.data.onehot import onecold, onehot, onehotbatch
from flux.data.splits import kfolds, splitobs

__all__ = [
    "DataLoader",
    "getobs",
    "kfolds",
    "numobs",
    "onecold",
    "onehot",
    "onehotbatch",
    "splitobs",
]
