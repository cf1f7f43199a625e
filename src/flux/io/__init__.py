"""Files: models and optimiser states as safetensors."""

from flux.io.checkpoint import restore, save

__all__ = ["restore", "save"]
