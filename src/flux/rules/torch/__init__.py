"""Derivatives of PyTorch's tensors and functions, in eager mode; loaded once torch is imported."""

from flux.rules.torch import functions, methods, modules, norms, space, writes

__all__ = ["functions", "methods", "modules", "norms", "space", "writes"]
