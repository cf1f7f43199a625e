"""Losses: how far a prediction is from its target, as one number to be made small.

Each is called as `loss(prediction, target, *, agg=mean)`. What the formula gives for each entry (or
each example) goes through `agg`: `mean`, a sum, or `flux.identity` to see them one by one. Shapes
must agree, nothing is broadcast; the target takes on the dtype of the prediction.

Classes are the last axis of a prediction unless `axis` says otherwise. Their targets are integer
labels (the shape without that axis) or one-hot rows, soft ones too (the same shape). A label that
is no class is a `LabelError` where its value is known. In a compiled program it is not known; there
the loss becomes NaN, at which training stops, and never a number that looks right.
"""

from flux.errors import suggests_names
from flux.losses.classification import (
    binary_crossentropy,
    binary_focal,
    crossentropy,
    focal,
    kl_divergence,
    label_smoothing,
    logit_binary_crossentropy,
    logit_crossentropy,
)
from flux.losses.overlap import dice, tversky
from flux.losses.regression import (
    hinge,
    huber,
    mae,
    mse,
    msle,
    poisson,
    siamese_contrastive,
    squared_hinge,
)
from flux.losses.sequences import ctc
from flux.losses.targets import check_labels, mean

__all__ = [
    "binary_crossentropy",
    "binary_focal",
    "check_labels",
    "crossentropy",
    "ctc",
    "dice",
    "focal",
    "hinge",
    "huber",
    "kl_divergence",
    "label_smoothing",
    "logit_binary_crossentropy",
    "logit_crossentropy",
    "mae",
    "mean",
    "mse",
    "msle",
    "poisson",
    "siamese_contrastive",
    "squared_hinge",
    "tversky",
]
suggests_names(__name__)
