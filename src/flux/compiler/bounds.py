"""`flux.check_bounds`: an index out of range is an error, where JAX takes another entry."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from contextlib import contextmanager
from types import MethodType, ModuleType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.core import Tracer

from flux.compiler.control.watch import Site, Watcher, watching
from flux.errors import OutOfBounds
from flux.ir import prims

__all__ = ["check_bounds"]


@contextmanager
def check_bounds():
    """Make an index that is out of range an error, in compiled functions, too.

    JAX reads the nearest entry in place of one that does not exist, and drops what is written to
    it. Inside, functions that are given to `flux.jit`, `flux.gradient` and their relatives,
    `flux.train` and `flux.trainstep` run operation by operation, which is slow and gives the same
    numbers. Looked at are `x[i]`, `x[i] = v`, `x[i] += v`, `x.at[i].set(v)` and its like,
    `jnp.take`, `jnp.take_along_axis`, `lax.dynamic_slice` and its like. A `mode=` says what is to
    happen to an index out of range, and is respected. In a function that `flux.vmap` or JAX calls
    indices are not looked at.

    Raises: `OutOfBounds` naming the index, the length and the user's line.

    >>> import flux, jax.numpy as jnp
    >>> @flux.jit
    ... def pick(x, i):
    ...     return x[i]
    >>> float(pick(jnp.arange(5.0), jnp.array(7)))
    4.0
    >>> with flux.check_bounds():
    ...     pick(jnp.arange(5.0), jnp.array(7))
    Traceback (most recent call last):
    flux.errors.OutOfBounds: index 7 is out of range for axis 0 of length 5, in `x[i]`...
    """
    with watching(Bounds()):
        yield


class Bounds(Watcher):
    """Looks at indices."""

    def before(self, site, callee, args, keywords):
        if site.prim is prims.getitem or site.prim is prims.update_item:
            if is_known(args[0]):
                check_index(site, args[0].shape, args[1])
        elif site.prim is prims.call_method:
            check_method(site, args[0], args[1], args[2:], keywords)
        elif site.prim is prims.call_star:
            check_call(site, args[0], args[1], args[2])
        elif callee is not None:
            check_call(site, callee, args, keywords)


def is_known(value) -> bool:
    return isinstance(value, jax.Array) and not isinstance(value, Tracer)


PLACES = ("_IndexUpdateRef", "AtIndex")
"""The types of `x.at[index]`: JAX's, and that of derivatives."""


def check_method(site: Site, owner, name: str, args: tuple, keywords: dict) -> None:
    """Check `x.at[i].set(v)` and its like, and functions of modules."""
    if type(owner).__name__ in PLACES:
        if is_known(owner.array) and keywords.get("mode") is None:
            check_index(site, owner.array.shape, owner.index)
    elif isinstance(owner, ModuleType):
        check_call(site, getattr(owner, name, None), args, keywords)
    elif is_known(owner) and name == "take":
        check_call(site, jnp.take, (owner, *args), keywords)


def check_call(site: Site, callee, args: tuple, keywords: dict) -> None:
    """Check a call of one of the functions below."""
    if isinstance(callee, MethodType):
        check_method(site, callee.__self__, callee.__name__, args, keywords)
        return
    check = next((check for fn, check in FUNCTIONS if fn is callee), None)
    if check is None:
        return
    try:
        given = inspect.signature(callee).bind(*args, **keywords)
    except TypeError:  # the call itself says what is wrong
        return
    if given.arguments.get("mode") is None and is_known(given.args[0]):
        check(site, *given.args, **given.kwargs)


# -- indices ---------------------------------------------------------------------------------------


def check_index(site: Site, shape: tuple[int, ...], index) -> None:
    """Check an index as Python and NumPy write it."""
    parts = index if isinstance(index, tuple) else (index,)
    used = sum([axes_of(part) for part in parts])
    axis = 0
    for part in parts:
        if part is Ellipsis:
            axis += max(0, len(shape) - used)
            continue
        if axes_of(part) == 1 and not isinstance(part, slice) and axis < len(shape):
            check_places(site, part, axis, shape[axis])
        axis += axes_of(part)


def axes_of(part) -> int:
    """How many axes a part of an index takes."""
    if part is None or part is Ellipsis:
        return 0
    if isinstance(part, bool):
        return 0
    return np.ndim(part) if getattr(part, "dtype", None) == np.bool_ else 1


def check_places(site: Site, places, axis: int, length: int, count: int = 1) -> None:
    """Check that `count` entries from each of `places` on lie in an axis."""
    if isinstance(places, Tracer) or isinstance(places, bool | np.bool_):
        return
    known = np.asarray(places)
    if known.dtype.kind not in "iu":
        return
    wrong = known[(known < -length) | (known + np.where(known < 0, length, 0) + count > length)]
    if wrong.size:
        which = (
            f"index {wrong.flat[0]}" if count == 1 else f"a slice of {count} from {wrong.flat[0]}"
        )
        others = f" (and {wrong.size - 1} more)" if wrong.size > 1 else ""
        raise OutOfBounds(
            f"{which}{others} is out of range for axis {axis} of length {length}, in "
            f"`{site.text()}`.",
            where=site.where(),
            hint=f"Indices are 0 to {length - 1}, or -{length} to -1 from the end."
            if length
            else "The axis is empty.",
        )


def check_take(site: Site, a, indices, axis=None, *rest, **options) -> None:
    if axis is None:
        check_places(site, indices, 0, a.size)
    else:
        check_places(site, indices, axis % a.ndim, a.shape[axis])


def check_along(site: Site, arr, indices, axis=None, *rest, **options) -> None:
    check_take(site, arr, indices, axis)


def check_slice(site: Site, operand, starts, sizes, *rest, **options) -> None:
    for axis, (start, size) in enumerate(zip(starts, sizes, strict=True)):
        check_places(site, start, axis, operand.shape[axis], size)


def check_update(site: Site, operand, update, starts, *rest, **options) -> None:
    check_slice(site, operand, starts, update.shape)


def check_slice_in(site: Site, operand, start, size, axis=0, *rest, **options) -> None:
    check_places(site, start, axis % operand.ndim, operand.shape[axis], size)


def check_index_in(site: Site, operand, index, axis=0, *rest, **options) -> None:
    check_places(site, index, axis % operand.ndim, operand.shape[axis])


def check_update_in(site: Site, operand, update, start, axis, *rest, **options) -> None:
    size = jnp.shape(update)[axis] if jnp.ndim(update) == operand.ndim else 1
    check_places(site, start, axis % operand.ndim, operand.shape[axis], size)


FUNCTIONS: list[tuple[Any, Callable]] = [
    (jnp.take, check_take),
    (jnp.take_along_axis, check_along),
    (lax.dynamic_slice, check_slice),
    (lax.dynamic_slice_in_dim, check_slice_in),
    (lax.dynamic_index_in_dim, check_index_in),
    (lax.dynamic_update_slice, check_update),
    (lax.dynamic_update_slice_in_dim, check_update_in),
    (lax.dynamic_update_index_in_dim, check_update_in),
]
