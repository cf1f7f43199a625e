"""Derivatives of moving elements about: shapes, axes, order, joining, repeating, casts."""

from __future__ import annotations

from flux.ad.cotangents import dense
from flux.ad.registry import inert
from flux.ad.spaces import project
from flux.rules.arrayapi.forms import MAKERS, known, like, no_derivative, rule, unruled
from flux.rules.arrayapi.libraries import is_array
from flux.rules.arrayapi.reductions import cut, places
from flux.rules.arrayapi.space import carries, refused
from flux.rules.items import give_back, sequence

# -- the same elements in another shape or order ---------------------------------------------------


def undo_reshape(xp, ct, y, x, *_, **__):
    return xp.reshape(ct, x.shape)


def undo_permutation(xp, ct, y, x, axes=None):
    order = tuple(range(x.ndim))[::-1] if axes is None else [i % x.ndim for i in axes]
    return xp.permute_dims(ct, places(order))


def undo_roll(xp, ct, y, x, shift, axis=None):
    back = tuple([-n for n in shift]) if isinstance(shift, tuple | list) else -shift
    return xp.roll(ct, back, axis=axis)


rule("reshape", "x shape copy", x=undo_reshape)
rule("squeeze expand_dims", "x axis", x=undo_reshape)
rule("permute_dims transpose", "x axes", x=undo_permutation)
rule("matrix_transpose linalg.matrix_transpose", "x",
     x=lambda xp, ct, y, x: xp.matrix_transpose(ct))  # fmt: skip
rule("moveaxis", "x source destination", x=lambda xp, ct, y, x, source, destination: (
    xp.moveaxis(ct, destination, source)))  # fmt: skip
rule("flip", "x axis", x=lambda xp, ct, y, x, axis=None: xp.flip(ct, axis=axis))
rule("roll", "x shift axis", x=undo_roll)
rule("tril", "x k", x=lambda xp, ct, y, x, k=0: xp.tril(ct, k=k))
rule("triu", "x k", x=lambda xp, ct, y, x, k=0: xp.triu(ct, k=k))
rule("broadcast_to", "x shape", x=lambda xp, ct, y, x, shape: ct)


def undo_tile(xp, ct, y, x, repetitions):
    """The tiles are added up."""
    shape = (1,) * (len(repetitions) - x.ndim) + x.shape
    repetitions = (1,) * (len(shape) - len(repetitions)) + tuple(repetitions)
    pairs = [n for pair in zip(repetitions, shape, strict=True) for n in pair]
    total = xp.sum(xp.reshape(ct, tuple(pairs)), axis=tuple(range(0, 2 * len(shape), 2)))
    return xp.reshape(total, x.shape)


def undo_repeat(xp, ct, y, x, repeats, axis=None):
    """The repeats are added up: one sum for a number, one for each element for an array."""
    if axis is None:
        x, axis = xp.reshape(x, (-1,)), 0
    axis = axis % x.ndim
    if isinstance(repeats, int):
        shape = (*x.shape[: axis + 1], repeats, *x.shape[axis + 1 :])
        return xp.sum(xp.reshape(ct, shape), axis=axis + 1)
    parts, start = [], 0
    for count in counts(xp, repeats, x.shape[axis]):
        parts.append(xp.sum(cut(ct, axis, start, start + count), axis=axis, keepdims=True))
        start += count
    return xp.concat(parts, axis=axis)


def counts(xp, repeats, size) -> list[int]:
    """How often each element is repeated."""
    whole = xp.broadcast_to(xp.asarray(repeats), (size,))
    return [int(whole[i]) for i in range(size)]


inert(counts)
rule("tile", "x repetitions", x=undo_tile)
rule("repeat", "x repeats axis", x=lambda xp, ct, y, x, repeats, axis=None: (
    xp.reshape(undo_repeat(xp, ct, y, x, repeats, axis), x.shape)))  # fmt: skip


# -- joining and cutting ---------------------------------------------------------------------------


def joining(functions, parts_of):
    """Register joins of a sequence of arrays; `parts_of(xp, ct, shapes, axis)` cuts."""

    def maker(xp, f):
        def augmented(parts, *rest, **options):
            items = sequence(parts)
            if not known(["axis"], rest, options):
                return unruled(f)(items, *rest, **options)
            y = f(items, *rest, **options)
            axis = options.get("axis", rest[0] if rest else 0)

            def back(ct, store):
                nones = [None for _ in (*rest, *options)]
                if ct is None:
                    return (None, *nones)
                found = parts_of(xp, project(ct, y), [x.shape for x in items], axis)
                cts = [
                    project(part, x) if carries(x) else None
                    for part, x in zip(found, items, strict=True)
                ]
                return (give_back(parts, tuple(cts), store), *nones)

            return y, back

        return augmented

    MAKERS.update(dict.fromkeys(functions.split(), maker))


def parts_of_concatenation(xp, ct, shapes, axis):
    sizes = [shape_size(s) if axis is None else s[axis] for s in shapes]
    parts, start = [], 0
    for size, shape in zip(sizes, shapes, strict=True):
        parts.append(xp.reshape(cut(ct, axis or 0, start, start + size), shape))
        start += size
    return parts


def shape_size(shape) -> int:
    size = 1
    for n in shape:
        size *= n
    return size


def parts_of_stack(xp, ct, shapes, axis):
    ct = xp.moveaxis(ct, axis, 0)
    return [ct[i, ...] for i in range(len(shapes))]


joining("concat concatenate", parts_of_concatenation)
joining("stack", parts_of_stack)
inert(shape_size)


@like("unstack")
def unstack(xp, x, /, *, axis=0):
    moved = xp.moveaxis(x, axis, 0)
    return tuple([moved[i, ...] for i in range(moved.shape[0])])


def several(f, equivalent):
    """A function whose result may be a list: its cotangents come from the store."""

    def augmented(*arrays, **options):
        made = f(*arrays, **options)

        def back(ct, store):
            if isinstance(made, list):
                ct = tuple([store.take(made, i) for i in range(len(made))])
            nones = [None for _ in options]
            if ct is None:
                return (*[None for _ in arrays], *nones)
            return (*equivalent(dense(ct), arrays, options), *nones)

        return made, back

    return augmented


def broadcast_arrays(xp, f):
    def parts(cts, arrays, options):
        return [project(ct, x) for ct, x in zip(cts, arrays, strict=True)]

    return several(f, parts)


def meshgrid(xp, f):
    def parts(cts, arrays, options):
        count = len(arrays)
        first = options.get("indexing", "xy") == "xy" and count > 1
        order = [1, 0, *range(2, count)] if first else list(range(count))
        cts = [None if ct is None else xp.sum(ct, axis=tuple([i for i in range(count) if i != at]))
               for ct, at in zip(cts, order, strict=True)]  # fmt: skip
        return [project(ct, x) for ct, x in zip(cts, arrays, strict=True)]

    return several(f, parts)


MAKERS["broadcast_arrays"] = broadcast_arrays
MAKERS["meshgrid"] = meshgrid


# -- arrays made of numbers and other arrays -------------------------------------------------------


def asarray(xp, f):
    """Of numbers, arrays, nested lists and tuples of them. The pullback does not hold the result,
    so that it may be changed in place."""

    def augmented(value, *rest, **options):
        def back(ct, store):
            nones = [None for _ in (*rest, *options)]
            return (None if ct is None else entries(value, ct, store), *nones)

        return f(value, *rest, **options), back

    return augmented


def entries(value, ct, store):
    """The cotangent of an array as that of what it was made from."""
    if isinstance(value, tuple):
        return tuple([entries(item, ct[i, ...], store) for i, item in enumerate(value)])
    if isinstance(value, list):
        for i, item in enumerate(value):
            store.add(value, i, entries(item, ct[i, ...], store))
        return None
    return project(ct, value)


MAKERS["asarray"] = MAKERS["array"] = MAKERS["astype"] = asarray
rule("full", "shape fill_value dtype device", fill_value=lambda xp, ct, y, fill_value, **_: ct)
rule("full_like", "x fill_value dtype device", fill_value=lambda xp, ct, y, fill_value, **_: ct)


def ramp(xp, y, start, num, endpoint):
    """0 at the start of `linspace`, 1 at its stop."""
    if start.ndim:
        raise refused("`linspace` between arrays", "Write `start + share * (stop - start)`.")
    steps = xp.astype(xp.arange(num, device=y.device), y.dtype)
    return steps / max(num - 1 if endpoint else num, 1)


def to_start(xp, ct, y, start, stop, num, endpoint=True, **_):
    return ct * (1 - ramp(xp, y, start, num, endpoint))


def to_stop(xp, ct, y, start, stop, num, endpoint=True, **_):
    return ct * ramp(xp, y, stop, num, endpoint)


rule("linspace", "start stop num endpoint dtype device", start=to_start, stop=to_stop)


def from_dlpack(xp, f):
    def augmented(*args, **options):
        raise refused("`from_dlpack`, which shares memory,", "Convert before, or use xp.asarray.")

    return augmented


MAKERS["from_dlpack"] = from_dlpack
inert(is_array)
no_derivative("""
    arange empty empty_like eye ones ones_like zeros zeros_like broadcast_shapes can_cast finfo
    iinfo isdtype result_type __array_namespace_info__ __array_namespace__ tril_indices
    triu_indices
""")
