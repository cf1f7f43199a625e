"""Which callees are SciPy's, and what becomes of those that have no rule: they are refused."""

from __future__ import annotations

import functools
import sys
from types import FunctionType, MethodType

import numpy as np

from flux.ad.carries import carries
from flux.ad.inert import no_back, nothing
from flux.ad.registry import AUGMENTED, FINDERS, is_inert
from flux.errors import NotDifferentiable, user_line

__all__ = ["finder", "holds", "refusing"]


def finder(f):
    """The rule of a function, class or ufunc of SciPy; a refusal if there is none."""
    if not is_scipy(f):
        return None
    load_rules()  # the submodule may have been imported since the differentiation started
    found = AUGMENTED.get(f)
    if found is not None:
        return found
    return no_back(f) if is_inert(f) else refusing(f)


def is_scipy(f) -> bool:
    """Does `f` belong to SciPy? A decorated function is what its code says, not its name."""
    if isinstance(f, np.ufunc):
        special = sys.modules.get("scipy.special")
        return special is not None and getattr(special, f.__name__, None) is f
    if type(f) is FunctionType:
        module = f.__globals__.get("__name__")
    else:
        module = getattr(f, "__module__", None)
    return isinstance(module, str) and module.partition(".")[0] == "scipy"


def load_rules() -> None:
    from flux.rules import load

    load()


def refusing(f):
    """The augmented form of a callee without rule: for arguments that carry no derivative."""

    def augmented(*args, **options):
        values = (*args, *options.values())
        if any([holds(value) for value in values]):
            raise no_rule(f)
        return f(*args, **options), nothing(len(values))

    return augmented


def holds(value) -> bool:
    """Can `value` hold something with a derivative? Bound methods and partials are looked into."""
    if isinstance(value, MethodType):
        return carries(value.__self__)
    if isinstance(value, functools.partial):
        values = (value.func, *value.args, *value.keywords.values())
        return any([holds(item) for item in values])
    if isinstance(value, FunctionType):
        defaults = (*(value.__defaults__ or ()), *(value.__kwdefaults__ or {}).values())
        return carries(value) or any([carries(item) for item in defaults])
    if isinstance(value, list | tuple):
        return any([holds(item) for item in value])
    return carries(value)


def no_rule(f) -> NotDifferentiable:
    name = getattr(f, "__qualname__", None) or getattr(f, "__name__", repr(f))
    module = getattr(f, "__module__", None) or "scipy.special"
    public = ".".join([part for part in module.split(".") if not part.startswith("_")])
    return NotDifferentiable(
        f"`{public}.{name}` has no derivative rule.",
        where=user_line(),
        hint=f"Give it one with @flux.rule, declare that it has none with flux.nograd, or call it "
        f"before the differentiation if what `{name}` is given is constant.",
    )


FINDERS.append(finder)
