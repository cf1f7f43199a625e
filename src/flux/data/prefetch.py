"""Work ahead: run an iterator in a thread, so that the next batch is ready when it is asked for."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

__all__ = ["ahead"]

DONE, ITEM, FAILED = range(3)
LOOK = 0.05  # seconds after which a waiting thread looks whether anybody still wants its items


def ahead(source: Iterable, depth: int) -> Iterator:
    """The items of `source`, of which a thread makes up to `depth` before they are asked for.

    An exception of `source` is raised here, in its turn. When the loop over the items ends early,
    so does the thread; it never keeps the program from ending.

    >>> list(ahead(range(4), depth=2))
    [0, 1, 2, 3]
    """
    items: queue.Queue = queue.Queue(depth)
    left = threading.Event()
    threading.Thread(target=_work, args=(source, items, left), daemon=True).start()
    try:
        while True:
            kind, value = items.get()
            if kind == DONE:
                return
            if kind == FAILED:
                raise value
            yield value
    finally:
        left.set()


def _work(source: Iterable, items: queue.Queue, left: threading.Event) -> None:
    try:
        for item in source:
            if not _put(items, (ITEM, item), left.is_set):
                return
        _put(items, (DONE, None), left.is_set)
    except BaseException as problem:  # whatever it is, it belongs to the one who asks for items
        _put(items, (FAILED, problem), left.is_set)


def _put(items: queue.Queue, item: tuple[int, Any], unwanted: Callable[[], bool]) -> bool:
    while not unwanted():
        try:
            items.put(item, timeout=LOOK)
            return True
        except queue.Full:
            continue
    return False
