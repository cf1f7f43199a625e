"""Convolution of JAX arrays: three bilinear functions, each the adjoint of the others.

`convolved` makes places of positions, `spread` takes it back in the input, `weighed` in the weight.
On a CPU windows over few channels are gone through in tiles, which is faster than XLA's way
(`bench/convolutions.py` measures both).
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import lax

from flux.ad import nograd, rule
from flux.functional.patches import Geometry
from flux.functional.tiles import band_of, fold_tiles, tiling_of, unfold_tiles

__all__ = ["convolved", "spread", "weighed"]

FEW = 8, 32
"""Input channels, and output channels, up to which tiles are faster."""


def convolved(x, weight, geometry, groups, /):
    """The sums under each window: ``(B, H, W, C), (KH, KW, C/groups, O) -> (B, H', W', O)``."""
    if _has_few(geometry, x.dtype, groups) and weight.shape[-1] <= FEW[1]:
        tiling = tiling_of(geometry)
        return _to_places(unfold_tiles(x, tiling) @ band_of(weight, tiling), tiling)
    return _by_xla(_made_once(x), weight, geometry, groups)


def spread(y, weight, geometry, groups, /):
    """The adjoint of `convolved` in its input: each place is spread over its window."""
    if _has_few(geometry, y.dtype, groups):
        tiling = tiling_of(geometry)
        return fold_tiles(_to_runs(y, tiling) @ band_of(weight, tiling).T, tiling)
    return _adjoint_by_xla(y, weight, geometry, groups)


def weighed(x, y, geometry, groups, /):
    """The adjoint of `convolved` in its weight: how each entry met input and place."""
    shape = (*geometry.window, x.shape[-1] // groups, y.shape[-1])
    weight, x = jax.ShapeDtypeStruct(shape, y.dtype), _made_once(x)
    return jax.linear_transpose(lambda w: _by_xla(x, w, geometry, groups), weight)(y)[0]


@rule(convolved)
def _convolved_rule(x, weight, geometry, groups, /):
    def back(ct):
        to_x = spread(ct, weight, geometry, groups)
        return to_x, weighed(x, ct, geometry, groups), None, None

    return convolved(x, weight, geometry, groups), back


@rule(spread)
def _spread_rule(y, weight, geometry, groups, /):
    def back(ct):
        to_y = convolved(ct, weight, geometry, groups)
        return to_y, weighed(ct, y, geometry, groups), None, None

    return spread(y, weight, geometry, groups), back


@rule(weighed)
def _weighed_rule(x, y, geometry, groups, /):
    def back(ct):
        to_x = spread(y, ct, geometry, groups)
        return to_x, convolved(x, ct, geometry, groups), None, None

    return weighed(x, y, geometry, groups), back


# -- which way ---------------------------------------------------------------------------------


@nograd
def _has_few(geometry: Geometry, dtype, groups: int) -> bool:
    few = groups == 1 and geometry.shape[-1] <= FEW[0] and max(geometry.window) > 1
    return few and on_cpu() and jnp.issubdtype(dtype, jnp.floating)


@nograd
def on_cpu() -> bool:
    """Do arrays live on a CPU where nothing else is said?"""
    return jax.default_backend() == "cpu"


def _made_once(x):
    """`x`, of which XLA's fusion believes that it is too expensive to be made a second time.

    The adjoint in the weight reads `x` transposed. On a CPU, XLA writes whatever elementwise made
    `x` (a normalisation, an activation) into this transposition again, and then reads it entry by
    entry. Quotients it does not repeat: this is one by 1, of which only the machine's compiler,
    which comes later, sees that it is 1.
    """
    if not on_cpu() or not jnp.issubdtype(x.dtype, jnp.floating):
        return x
    one = jnp.int32(1)
    return x / lax.clamp(one, x.astype(jnp.int32), one).astype(x.dtype)


# -- in tiles ----------------------------------------------------------------------------------


def _to_places(rows, tiling):
    """Runs of places, one a row, as places; the last run may reach beyond the last place."""
    batch, *places = tiling.geometry.shape[0], *tiling.geometry.places
    channels = rows.shape[-1] // tiling.together
    y = rows.reshape((batch, *places[:-1], tiling.runs * tiling.together, channels))
    return lax.slice_in_dim(y, 0, places[-1], axis=len(places))


def _to_runs(y, tiling):
    extra = tiling.runs * tiling.together - tiling.geometry.places[-1]
    edges = [(0, 0)] * (y.ndim - 2) + [(0, extra), (0, 0)]
    return jnp.pad(y, edges).reshape((-1, tiling.together * y.shape[-1]))


# -- by XLA --------------------------------------------------------------------------------------


def _by_xla(x, weight, geometry, groups):
    return lax.conv_general_dilated(
        x,
        weight,
        geometry.stride,
        _pads(geometry),
        rhs_dilation=geometry.dilation,
        dimension_numbers=_layout(len(geometry.window)),
        feature_group_count=groups,
    )


def _adjoint_by_xla(y, weight, geometry, groups):
    x = jax.ShapeDtypeStruct(geometry.shape, y.dtype)
    return jax.linear_transpose(lambda x: _by_xla(x, weight, geometry, groups), x)(y)[0]


@nograd
def _spans(geometry: Geometry) -> list[int]:
    """From the first entry of a window to its last."""
    return [d * (k - 1) for k, d in zip(geometry.window, geometry.dilation, strict=True)]


@nograd
def _pads(geometry: Geometry) -> list[tuple[int, int]]:
    """The zeros on both sides; negative where a place more than there are would fit."""
    found = []
    axes = zip(geometry.shape[1:-1], geometry.places, geometry.stride, geometry.pads, strict=True)
    for (n, places, stride, (lo, hi)), span in zip(axes, _spans(geometry), strict=True):
        spare = n + lo + hi - span - 1 - (places - 1) * stride
        found.append((lo, hi if spare < stride else hi - spare))
    return found


@nograd
def _layout(axes):
    """The names that XLA wants: examples first, channels last."""
    letters = "DHW"[3 - axes :]
    return (f"N{letters}C", f"{letters}IO", f"N{letters}C")
