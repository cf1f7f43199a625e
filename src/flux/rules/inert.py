"""What has no derivative: types, tests, texts, modules of the system, random numbers, threads."""

from __future__ import annotations

import dataclasses
import operator
import random
import threading

from flux.ad.carries import carries, is_capturing
from flux.ad.inert import no_back, not_differentiable, nothing
from flux.ad.registry import AUGMENTED, INERT_MODULES, augments, inert

inert(len, isinstance, issubclass, callable, hasattr, id, hash, type, repr, str, int, bool, print,
      range, slice, format, ord, chr, bin, hex, oct, bytes, object, object.__init__, super,
      frozenset, operator.eq, operator.ne, operator.lt, operator.le, operator.gt, operator.ge,
      operator.not_, operator.is_, operator.is_not, operator.contains, operator.truth,
      dataclasses.fields, dataclasses.is_dataclass)  # fmt: skip
INERT_MODULES.update(
    "os sys time logging warnings re json pathlib datetime threading inspect types typing "
    "collections.abc string textwrap uuid secrets hashlib traceback rich".split()
)
inert(random.Random.random, random.Random.randrange, random.Random.randint, random.Random.seed,
      random.Random.getrandbits, random.Random._randbelow,  # pyright: ignore[reportAttributeAccessIssue]
      random.Random.getstate,
      random.Random.setstate, random.random, random.randrange, random.randint, random.seed,
      random.getrandbits)  # fmt: skip
AUGMENTED[slice] = no_back(slice)
AUGMENTED[frozenset] = no_back(frozenset)


@augments(threading.Thread.start)
def start(thread):
    """A thread runs on its own: nothing of it could be reversed."""
    target = getattr(thread, "_target", None)
    if is_capturing(target) or any([carries(value) for value in getattr(thread, "_args", ())]):
        raise not_differentiable(threading.Thread.start)
    return thread.start(), nothing(1)
