"""Shared fixtures: 64-bit JAX where finite differences need it, seeds, the samples' import path."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
def rng():
    """A seeded NumPy generator."""
    import numpy as np

    return np.random.default_rng(0)
