"""Derivatives of reading by index and by places, and of sorting.

The cotangent of a read is kept as a read until the whole is needed. Then slices are added in place;
all places that arrays name are summed at once by sorting, as the standard has no function for it.
"""

from __future__ import annotations

from numpy import ndarray

from flux.ad.cotangents import dense
from flux.ad.indexed import SCATTER, Indexed
from flux.ad.inert import nothing
from flux.ad.registry import AUGMENTED, inert
from flux.ad.spaces import project
from flux.rules.arrayapi.forms import MAKERS, known, no_derivative, rule, unruled
from flux.rules.arrayapi.libraries import NAMESPACES, Outline, is_array, is_inexact, namespace
from flux.rules.arrayapi.space import FOR_KIND

__all__ = ["has_repeats", "is_basic", "kept_index", "read"]

NONE2 = (None, None)
BASIC = (int, slice, type(...))


class Taken:
    """What `take` reads: `indices` along `axis`; or, where `each`, what `take_along_axis` reads."""

    __slots__ = ("axis", "each", "indices")

    def __init__(self, indices, axis, each: bool):
        self.indices, self.axis, self.each = indices, axis, each


def read(x, index):
    """The elements of `x` at `index`."""
    if type(index) is not Taken:
        return x[index]
    xp = NAMESPACES[type(x)]
    x = xp.reshape(x, (-1,)) if index.axis is None else x
    take = xp.take_along_axis if index.each else xp.take
    return take(x, index.indices, axis=0 if index.axis is None else index.axis)


def read_again(x, index):
    """`read`, and the cotangent of `x` as a read."""
    y = read(x, index)
    if not is_inexact(x):
        return y, nothing(2)
    index = kept_index(index)
    whole, part = Outline(x), Outline(y)

    def back(ct, store):
        if ct is None:
            return NONE2
        return Indexed(whole, index, project(dense(ct), part)), None

    return y, back


def kept_index(index):
    """An index that later changes of its arrays do not reach."""
    if type(index) is Taken:
        return Taken(kept_index(index.indices), index.axis, index.each)
    if isinstance(index, tuple | list):
        return type(index)([kept_index(part) for part in index])
    if isinstance(index, ndarray):
        return index.copy()
    return NAMESPACES[type(index)].asarray(index, copy=True) if is_array(index) else index


def is_basic(index) -> bool:
    """Is the index made of numbers and slices?"""
    parts = index if isinstance(index, tuple) else (index,)
    return all([type(part) in BASIC for part in parts])


# -- the sum of reads ------------------------------------------------------------------------------


def scatter(like, reads):
    """Zeros of the shape of `like`, with all reads added at their places."""
    xp = namespace(like)
    total = xp.zeros(like.shape, dtype=like.dtype, device=like.device)
    changes = hasattr(type(total), "__setitem__")
    numbers = None
    places, values = [], []
    for index, ct in reads:
        if changes and is_basic(index):
            total[index] = total[index] + ct
            continue
        if numbers is None:
            numbers = xp.reshape(xp.arange(like.size, device=like.device), like.shape)
        found = read(numbers, index)
        places.append(xp.reshape(found, (-1,)))
        values.append(xp.reshape(xp.broadcast_to(ct, found.shape), (-1,)))
    if places:
        summed = summed_at(xp, like.size, xp.concat(places), xp.concat(values))
        total = total + xp.reshape(summed, like.shape)
    return total


def summed_at(xp, size: int, places, values):
    """An array of length `size`: at each place the sum of the values that belong there.

    Places are sorted; then neighbours of one place are added pairwise until each stands once.
    """
    order = xp.argsort(places)
    places, values = xp.take(places, order, axis=0), xp.take(values, order, axis=0)
    while True:
        ranks = xp.arange(places.shape[0], device=places.device)
        odd = (ranks - xp.searchsorted(places, places)) % 2 == 1
        if not bool(xp.any(odd)):
            break
        second = xp.where(odd, values, xp.zeros_like(values))
        values = values + xp.concat([second[1:], xp.zeros_like(second[:1])])
        places, values = places[~odd], values[~odd]
    everywhere = xp.arange(size, device=places.device)
    at = xp.searchsorted(places, everywhere)
    at = xp.where(at < places.shape[0], at, xp.zeros_like(at))
    if places.shape[0] == 0:
        return xp.zeros((size,), dtype=values.dtype, device=values.device)
    found = xp.take(values, at, axis=0)
    return xp.where(xp.take(places, at, axis=0) == everywhere, found, xp.zeros_like(found))


def has_repeats(x, index) -> bool:
    """Does the index name an element of `x` more than once?"""
    if is_basic(index):
        return False
    xp = NAMESPACES[type(x)]
    places = read(xp.reshape(xp.arange(x.size, device=x.device), x.shape), index)
    places = xp.sort(xp.reshape(places, (-1,)))
    return bool(xp.any(places[1:] == places[:-1]))


def scatter_again(like, reads):
    """Scattering is linear: the cotangent of each read is read at its place."""

    def back(ct, store):
        if ct is not None:
            for i, (index, part) in enumerate(reads):
                store.add(reads, i, (None, project(read(ct, index), part)))
        return NONE2

    return scatter(like, reads), back


AUGMENTED[read] = read_again
AUGMENTED[scatter] = scatter_again
FOR_KIND["getitem"] = read_again
FOR_KIND["scatter"] = SCATTER[Outline] = scatter
inert(is_basic, kept_index, has_repeats, Taken)


def taking(each: bool, default):
    """Register `take` or `take_along_axis`."""

    def maker(xp, f):
        def augmented(x, indices, *rest, **options):
            if not known(["axis"], rest, options):
                return unruled(f)(x, indices, *rest, **options)
            axis = options.get("axis", rest[0] if rest else default)
            if default is None and axis is None and x.ndim == 1:
                axis = 0
            y, inner = read_again(x, Taken(indices, axis, each))

            def back(ct, store):
                return (inner(ct, store)[0], None, *[None for _ in (*rest, *options)])

            return y, back

        return augmented

    return maker


MAKERS["take"] = taking(False, None)
MAKERS["take_along_axis"] = taking(True, -1)


# -- sorting ---------------------------------------------------------------------------------------


def undo_sort(xp, ct, y, x, axis=-1, **options):
    """The cotangent of a permuted array is permuted back."""
    order = xp.argsort(x, axis=axis, **options)
    return xp.take_along_axis(ct, xp.argsort(order, axis=axis), axis=axis)


rule("sort", "x axis descending stable", x=undo_sort)
no_derivative("argsort nonzero searchsorted isin")
