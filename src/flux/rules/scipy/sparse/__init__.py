"""Derivatives of scipy.sparse: matrices as values (space), what they compute (matrices)."""

from flux.rules.scipy.sparse import matrices, space

__all__ = ["matrices", "space"]
