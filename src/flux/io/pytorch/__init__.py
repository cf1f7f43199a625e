"""Weights that PyTorch trained, in a model of this library."""

from flux.io.pytorch.load import load_torch

__all__ = ["load_torch"]
