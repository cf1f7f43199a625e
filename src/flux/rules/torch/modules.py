"""Modules of PyTorch: their `forward` is differentiated as any other method.

The gradient of a module is a module of the same class, with cotangents for parameters.
"""

from __future__ import annotations

from torch.nn import Module

from flux.ad import registry
from flux.ad.runtime import call
from flux.rules.torch.space import refused

HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


def finder(f):
    """A module is called by its `forward`; hooks are not."""
    if not isinstance(f, Module):
        return None
    if any(getattr(f, name) for name in HOOKS):
        raise refused("a module with hooks", "Remove the hooks, or call functions instead.")
    return lambda *args, **keywords: applied(f, args, keywords)


def applied(module, args, keywords):
    y, inner = call(type(module).forward, module, *args, **keywords)

    def back(ct, store):
        return inner(ct, store)[1:]

    return y, back


registry.FINDERS.append(finder)
