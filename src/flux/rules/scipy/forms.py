"""Ways to write SciPy's rules: ufuncs of several arrays, options that only tune."""

from __future__ import annotations

from flux.ad.registry import AUGMENTED
from flux.ad.unknown import unknown
from flux.errors import NotDifferentiable, user_line
from flux.rules.numpy.forms import as_array, names_of, part_of
from flux.rules.numpy.space import differs, of_items

__all__ = ["keeping", "several"]


def several(f, *formulas):
    """Register the ufunc `f` of arrays that broadcast; a formula `(ct, y, *arrays)` for each.

    `None` in the place of a formula: the derivative in this argument has no closed form.
    """

    def augmented(*args, **options):
        if options or len(args) != len(formulas):
            raise NotDifferentiable(
                f"`{f.__name__}` with `out` or options is not covered by the automatic "
                "differentiation.",
                where=user_line(),
                hint="Call it with its arguments alone.",
            )
        y = f(*args)

        def back(ct, store):
            if ct is None:
                return (None,) * len(args)
            values = (ct, y, *[as_array(x) for x in args])
            return tuple([
                part_or_unknown(f.__name__, i, args[i], formula, values, store)
                for i, formula in enumerate(formulas)
            ])  # fmt: skip

        return y, back

    AUGMENTED[f] = augmented


def part_or_unknown(name, place, x, formula, values, store):
    if not differs(x):
        return None
    if formula is not None:
        return part_of(x, formula, values, store)
    made = unknown(name, place)
    return made.asked() if of_items(x) else made


def keeping(*callees):
    """Take from `callees` the permission to overwrite their arguments, which a pullback needs."""
    for f in callees:
        AUGMENTED[f] = not_overwriting(AUGMENTED[f], names_of(f))


def not_overwriting(own, names):
    places = [i for i, name in enumerate(names) if name.startswith("overwrite")]

    def augmented(*args, **options):
        args = [False if i in places else value for i, value in enumerate(args)]
        named = {k: False if k.startswith("overwrite") else v for k, v in options.items()}
        return own(*args, **named)

    return augmented
