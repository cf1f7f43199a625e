"""Which global variables a function uses, and which functions are the user's."""

from __future__ import annotations

import dis
import functools
import sysconfig
from types import CodeType

from flux.errors import PACKAGE, ZOO

__all__ = ["LIBRARIES", "global_names", "is_users"]

LIBRARIES = tuple({sysconfig.get_paths()[key] for key in ("stdlib", "purelib", "platlib")})


def is_users(filename: str) -> bool:
    """Is a file neither ours nor part of an installed library? Interactive input is the user's."""
    return filename.startswith(ZOO) or not filename.startswith((PACKAGE, "<frozen", *LIBRARIES))


@functools.lru_cache(maxsize=4096)
def global_names(code: CodeType) -> tuple[frozenset[str], frozenset[str]]:
    """The global variables that a code object reads and assigns, those of inner functions too.

    >>> read, assigned = global_names(compile("lambda x: scale * abs(x)", "", "eval"))
    >>> sorted(read), sorted(assigned)
    (['abs', 'scale'], [])
    """
    found = {"LOAD": set(), "STORE": set(), "DELETE": set()}
    for instruction in dis.get_instructions(code):
        action, _, place = instruction.opname.partition("_")
        if place in ("GLOBAL", "NAME") and action in found:
            found[action].add(instruction.argval)
    read, assigned = found["LOAD"], found["STORE"] | found["DELETE"]
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            inner = global_names(constant)
            read |= inner[0]
            assigned |= {name for name in inner[1] if not is_class_body(constant)}
    return frozenset(read), frozenset(assigned)


def is_class_body(code: CodeType) -> bool:
    return "__qualname__" in code.co_names
