"""Compiled programs on disk: JAX's persistent cache, in the user's cache folder."""

from __future__ import annotations

import functools
import os
import sys
import warnings
from pathlib import Path
from typing import Any

import jax

__all__ = ["cache_folder", "use_persistent_cache"]


def cache_folder() -> Path | None:
    """Where compiled programs are kept; `FLUX_CACHE_DIR` overrides it, empty switches it off."""
    chosen = os.environ.get("FLUX_CACHE_DIR")
    if chosen is not None:
        return Path(chosen) if chosen else None
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "flux"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home())) / "flux" / "cache"
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "flux"


@functools.cache
def use_persistent_cache() -> None:
    """Switch the cache on, unless the user has configured JAX's own.

    JAX's warning of programs that XLA cannot write (`flux.compiler.heaps`) is not shown.
    """
    folder = cache_folder()
    config: Any = jax.config  # JAX makes its attributes at run time
    if folder is None or config.jax_compilation_cache_dir:
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return
    warnings.filterwarnings(
        "ignore", ".*compilation cache entry.*Multiple temp buffer", UserWarning
    )
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.3)
