"""Files: models and optimiser states as safetensors, and the weights of PyTorch's models."""

from flux.io.checkpoint import restore, save
from flux.io.pytorch import load_torch

__all__ = ["load_torch", "restore", "save"]
