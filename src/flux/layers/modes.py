"""Training and testing behaviour: automatic, or set for a whole model."""

from __future__ import annotations

from flux.ad import within_gradient
from flux.layers.parts import modules

__all__ = ["testmode", "training", "trainmode"]


def training(layer) -> bool:
    """Should `layer` behave as in training? Its `active` says so; `None` means: in a gradient."""
    if layer.active is None:
        return within_gradient()
    return layer.active


def trainmode(model, mode: bool | None = True):
    """Make every layer of `model` behave as in training, whether or not a gradient is taken.

    Args:
        model: any model; it is changed in place.
        mode: `True`, `False` for testing, or `None` for automatic: training behaviour exactly
            while a gradient is taken, as every layer starts out.

    Returns:
        The model.

    >>> from flux.layers import Dropout
    >>> trainmode(Dropout(0.5))
    Dropout(0.5, active=True)
    """
    for part in modules(model):
        if "active" in vars(part):
            part.active = mode
    return model


def testmode(model, mode: bool | None = True):  # noqa: PT028
    """Make every layer of `model` behave as in testing, also while a gradient is taken.

    Args:
        model: any model; it is changed in place.
        mode: `True`, `False` for training, or `None` for automatic.

    Returns:
        The model.

    >>> from flux.layers import Dropout
    >>> testmode(Dropout(0.5)), testmode(Dropout(0.5), None)
    (Dropout(0.5, active=False), Dropout(0.5))
    """
    return trainmode(model, None if mode is None else not mode)


vars(testmode)["__test__"] = False  # pytest takes the name for a test
