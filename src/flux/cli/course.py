"""Train a model of the zoo that has a course of its own: text, trees, games."""

from __future__ import annotations

from pathlib import Path
from time import perf_counter
from types import ModuleType

import flux
from flux import zoo

__all__ = ["follow"]


def follow(name: str, module: ModuleType, settings: zoo.Settings, out: Path, *, progress: bool):
    """Train, write the model into `out`, and print what it is good for.

    Ctrl-C keeps what was learned, and goes on as `KeyboardInterrupt`.
    """
    flux.seed(settings.seed)
    model = module.build()
    path = out / "model.safetensors"
    started = perf_counter()
    try:
        module.train(model, settings, progress=progress)
    except KeyboardInterrupt:
        print(f"\nStopped; what was learned is kept in {path}")
        raise
    finally:
        flux.save(path, model, zoo=name, **settings._asdict())
    seconds = perf_counter() - started
    print(f"{name}: trained in {seconds:.1f} s")
    for row, value in {**module.report(model), "model": str(path)}.items():
        print(f"  {row:<18} " + value.replace("\n", "\n" + 21 * " "))
