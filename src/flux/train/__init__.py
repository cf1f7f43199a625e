"""The training loop and what belongs to it; called, the room is its main function `train`.

Python gives a package the names of its rooms when they are loaded, so `flux.train` is this module;
being callable, it is the function of that name as well, whatever was imported first.
"""

import sys
from types import ModuleType
from typing import Any

from flux.train.history import History
from flux.train.loop import Run, train
from flux.train.step import trainstep

__all__ = ["History", "Run", "train", "trainstep"]


class _Room(ModuleType):
    def __call__(self, *args: Any, **keywords: Any) -> Any:
        return self.train(*args, **keywords)


sys.modules[__name__].__class__ = _Room
