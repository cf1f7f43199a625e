"""Whole models as trees of arrays: map, list, read, fill, flatten, split, cast, move."""

from flux.models.devices import cpu, gpu, to
from flux.models.fmap import fmap, modules
from flux.models.precision import bf16, f16, f32, f64
from flux.models.split import split
from flux.models.state import load, state
from flux.models.vector import destructure

__all__ = [
    "bf16",
    "cpu",
    "destructure",
    "f16",
    "f32",
    "f64",
    "fmap",
    "gpu",
    "load",
    "modules",
    "split",
    "state",
    "to",
]
