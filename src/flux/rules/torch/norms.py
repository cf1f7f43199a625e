"""Batch and instance normalisation, which change running statistics in place.

With statistics of the batch the result does not depend on the running ones; with the running ones
it does, where PyTorch itself has no derivative.
"""

from __future__ import annotations

import inspect

import torch
from torch.nn import functional

from flux.ad.registry import AUGMENTED, inert
from flux.rules.torch.leaf import Leaf


def by_running_statistics(x, weight, bias, mean, var, eps):
    """``(x - mean) / sqrt(var + eps) * weight + bias``, per channel: axis 1."""
    shape = (1, -1, *[1] * (x.ndim - 2))
    y = (x - mean.reshape(shape)) * torch.rsqrt(var.reshape(shape) + eps)
    if weight is not None:
        y = y * weight.reshape(shape)
    return y if bias is None else y + bias.reshape(shape)


BY_RUNNING = Leaf(by_running_statistics, "by_running_statistics")


def of_batch(function, options):
    """The function of all that its result depends on."""
    return Leaf(lambda x, weight, bias: function(x, weight=weight, bias=bias, **options))


inert(of_batch)


def normalisation(function, of_batch_option: str):
    parameters = inspect.signature(function).parameters
    order = list(parameters)
    defaults = {name: parameters[name].default for name in order[1:]}

    def augmented(*args, **keywords):
        names = [*order[: len(args)], *keywords]
        given = {**defaults, **dict(zip(order, args, strict=False)), **keywords}
        parts = ["input", "weight", "bias"]
        if given[of_batch_option]:
            rest = {key: value for key, value in given.items() if key not in parts}
            y, inner = of_batch(function, rest)(*[given[key] for key in parts])
        else:
            parts += ["running_mean", "running_var", "eps"]
            y, inner = BY_RUNNING(*[given[key] for key in parts])

        def back(ct, store):
            found = dict(zip(parts, inner(ct, store), strict=True))
            return tuple([found.get(name) for name in names])

        return y, back

    return augmented


AUGMENTED[functional.batch_norm] = normalisation(functional.batch_norm, "training")
AUGMENTED[functional.instance_norm] = normalisation(functional.instance_norm, "use_input_stats")
