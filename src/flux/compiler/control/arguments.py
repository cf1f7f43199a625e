"""Arguments as NumPy takes them, for JAX's functions of the same name.

NumPy takes lists and tuples of numbers for arrays, and knows options that JAX's functions do not.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from flux.ad.inert import no_back
from flux.ad.registry import AUGMENTED, INERT
from flux.errors import StagingError, user_line
from flux.rules.jax.leaf import Leaf

__all__ = ["as_numpy_has"]

NO_ARRAYS = frozenset(
    """
    axis axes axisa axisb axisc shape shapes new_shape reps pad_width dims dimensions source
    destination shift indices_or_sections s ord subscripts kth dtype object range
    """.split()
)
"""Parameters in which a list or tuple is no array."""
SEVERAL = frozenset("arrays tup choices condlist choicelist keys multi_index".split())
"""Parameters that take several arrays."""
AS_THEY_ARE = frozenset(
    [jnp.block, jnp.result_type, jnp.broadcast_shapes, jnp.asarray, jnp.array, jnp.einsum_path,
     jnp.piecewise, jnp.apply_along_axis, jnp.apply_over_axes, jnp.vectorize, jnp.frompyfunc]
)  # fmt: skip
"""Functions whose arguments are JAX's already, or other functions."""
OTHER_NAMES = {
    "clip": {"a": "arr", "a_min": "min", "a_max": "max"},
    "sort": {"kind": None},
    "argsort": {"kind": None},
}
"""Options by NumPy's names, and JAX's; `None` for one that changes nothing here."""
DEFAULTS = {"order": ("K", "C", "A"), "casting": ("same_kind", "unsafe"), "subok": (True, False),
            "where": (True,)}  # fmt: skip
"""Values of options that JAX's functions do not have, which change nothing."""


@functools.cache
def as_numpy_has(found: Callable, f: Callable) -> Callable:
    """`found`, of JAX's, with arguments as NumPy's function `f` takes them."""
    if found in AS_THEY_ARE:
        return found
    name = f.__name__
    parameters = () if isinstance(f, np.ufunc) else parameters_of(found)

    def function(*args, **options):
        options = known_options(name, parameters, options)
        first = parameters[0].name if parameters else ""
        if not args and first in options:
            args = (options.pop(first),)
        kind = options.pop("dtype", None) if isinstance(f, np.ufunc) else None
        arrays = [as_arrays(v, name_of(parameters, i)) for i, v in enumerate(args)]
        if kind is not None:
            arrays = [jnp.asarray(a, kind) for a in arrays]
        if isinstance(f, np.ufunc) and len(arrays) > f.nin:
            raise no_option(name, "out")
        return found(*arrays, **{key: as_arrays(v, key) for key, v in options.items()})

    function.__name__, function.__module__ = name, found.__module__
    AUGMENTED[function] = no_back(function) if found in INERT else Leaf(function, own=True)
    return function


def parameters_of(found: Callable) -> tuple:
    try:
        return tuple(inspect.signature(found).parameters.values())
    except (TypeError, ValueError):
        return ()


def name_of(parameters: tuple, place: int) -> str:
    """The name of the parameter at a place; the last one of several has many."""
    if place < len(parameters) and parameters[place].kind is not parameters[place].KEYWORD_ONLY:
        return parameters[place].name
    several = [p.name for p in parameters if p.kind is p.VAR_POSITIONAL]
    return several[0] if several else ""


def as_arrays(value, name: str):
    """A list or tuple as an array, or as arrays, if it stands for such in a parameter."""
    if not isinstance(value, list | tuple) or name in NO_ARRAYS:
        return value
    if name in SEVERAL:
        return [an_array(v) if isinstance(v, list | tuple) else v for v in value]
    return an_array(value)


def an_array(items):
    """The array of a list; one of NumPy's where nothing is traced, for JAX may need its values."""
    traced = any([isinstance(item, jax.Array) for item in jax.tree.leaves(items)])
    return jnp.asarray(items) if traced else np.asarray(items)


def known_options(name: str, parameters: tuple, options: dict[str, Any]) -> dict[str, Any]:
    """The options by JAX's names, without those that change nothing.

    Raises: `StagingError` for one that JAX's function has not.
    """
    names = [p.name for p in parameters if p.name != "out"]
    anything = any([p.kind is p.VAR_KEYWORD for p in parameters])
    found = {}
    for key, value in options.items():
        key = OTHER_NAMES.get(name, {}).get(key, key)
        if key is None or (key not in names and (value is None or is_default(key, value))):
            continue
        if key not in names and not anything and not (key == "dtype" and not parameters):
            raise no_option(name, key)
        found[key] = value
    return found


def is_default(key: str, value) -> bool:
    return isinstance(value, str | bool) and value in DEFAULTS.get(key, ())


def no_option(name: str, key: str) -> StagingError:
    hint = "Leave the option away, or compute the same with other functions."
    if key == "out":
        hint = "Use what it returns: arrays are not changed in place here."
    if key == "where":
        hint = "Use np.where on the result, and on what goes in where a value is not allowed."
    return StagingError(
        f"`np.{name}(..., {key}=)` is not covered in compiled code.", where=user_line(), hint=hint
    )
