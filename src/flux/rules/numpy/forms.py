"""Ways to write a rule in a line: the function, and the cotangent of each argument as a formula.

In every formula `ct` is the cotangent of the result and `y` the result. Formulas are Python and
NumPy themselves: a second derivative is that of the formula.
"""

from __future__ import annotations

import inspect

import numpy as np
from numpy import ndarray

from flux.ad.inert import nothing
from flux.ad.registry import AUGMENTED, inert
from flux.ad.runtime import call
from flux.ad.spaces import project
from flux.errors import NotDifferentiable, user_line
from flux.rules.copies import ON_COPIES, on_copies
from flux.rules.numpy.space import apart, differs, is_opaque, lost, of_items

__all__ = ["binary", "checked", "like", "names_of", "refused", "rule", "unary"]

NONE1 = (None,)
NONE2 = (None, None)


def unary(f, formula, of="yx"):
    """Register the ufunc `f` of one array; `formula(ct, y, x)` is the cotangent of `x`.

    With `of="y"` or `of="x"` it is `formula(ct, y)` or `formula(ct, x)`: the other is not kept.
    """
    if of == "yx":
        full = formula
    else:
        full = (lambda ct, y, x: formula(ct, y)) if of == "y" else (lambda ct, y, x: formula(ct, x))

    def augmented(x, *rest, **options):
        if rest or options or type(x) is not ndarray:
            return other(x, *rest, **options)
        y = f(x)
        if x.dtype is not y.dtype:
            return other(x)
        # Shape and dtype stay: there is nothing to project.
        if of == "yx":
            return y, lambda ct, store: NONE1 if ct is None else (formula(ct, y, x),)
        kept = y if of == "y" else x
        return y, lambda ct, store: NONE1 if ct is None else (formula(ct, kept),)

    @on_copies
    def other(x, *rest, **options):
        if rest or options:
            return general(x, *rest, **options)
        y = f(x)

        def back(ct, store):
            if ct is None:
                return NONE1
            return (part_of(x, full, (ct, y, as_array(x)), store),)

        return y, back

    general = augmented_by_name(f, ("x", "out"), {"x": lambda ct, y, x, **_: full(ct, y, x)})
    AUGMENTED[f] = augmented
    ON_COPIES.add(augmented)


def binary(f, left, right):
    """Register the ufunc `f` of two arrays that broadcast; a formula `(ct, y, a, b)` for each."""

    def augmented(a, b, *rest, **options):
        if rest or options:
            return general(a, b, *rest, **options)
        y = f(a, b)

        def back(ct, store):
            if ct is None:
                return NONE2
            values = (ct, y, as_array(a), as_array(b))
            return part_of(a, left, values, store), part_of(b, right, values, store)

        return y, back

    general = augmented_by_name(
        f,
        ("a", "b", "out"),
        {
            "a": lambda ct, y, a, b, **_: left(ct, y, a, b),
            "b": lambda ct, y, a, b, **_: right(ct, y, a, b),
        },
    )
    AUGMENTED[f] = augmented


def part_of(x, formula, values, store):
    """The cotangent of the argument `x` of a ufunc; `formula` is not asked if it carries none."""
    if not differs(x):
        return None
    if is_opaque(x):
        return lost(x)
    part = formula(*values)
    return apart(x, part_of_shape(part, x), store) if of_items(x) else project(part, x)


def part_of_shape(part, x):
    return project(part, np.array(x))


def rule(f, **formulas):
    """Register `f`; `formulas` by parameter name, each `(ct, y, **arguments)`.

    An argument without formula has no derivative. `names_of` says which parameters there are.
    """
    AUGMENTED[f] = augmented_by_name(f, names_of(f), formulas)


def names_of(f) -> tuple[str, ...]:
    """The names of the positional parameters of `f`."""
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return tuple([n for n, p in inspect.signature(f).parameters.items() if p.kind in kinds])


def augmented_by_name(f, names, formulas):
    """The augmented form of `f`; formulas take the arguments by name, in whatever way given."""

    def augmented(*args, **options):
        values = arguments(names, args, options)
        checked(f, values, formulas)
        arrays = {n: as_array(v) if n in formulas else v for n, v in values.items()}
        y = f(*args, **options)

        def back(ct, store):
            if ct is None:
                return (None,) * len(values)
            cts = []
            for name, value in values.items():
                if name in formulas and is_opaque(value):
                    cts = [*cts, lost(value)]
                elif name in formulas and differs(value):
                    part = project(formulas[name](ct, y, **arrays), arrays[name])
                    cts = [*cts, apart(value, part, store) if of_items(value) else part]
                else:
                    cts = [*cts, None]
            return tuple(cts)

        return y, back

    return augmented


def arguments(names, args, options):
    """Positional and keyword arguments by name, in the order of the call."""
    return {**dict(zip(names, args, strict=False)), **options}


def as_array(value):
    return np.array(value) if of_items(value) else value


def like(*callees):
    """Differentiate `callees` as the decorated equivalent; the value is the callee's own."""

    def register(equivalent):
        for callee in callees:
            AUGMENTED[callee] = augmented_like(callee, equivalent)
        return equivalent

    return register


def augmented_like(f, equivalent):
    def augmented(*args, **options):
        checked(f, options, ())
        y = f(*args, **options)

        def back(ct, store):
            if ct is None:
                return (None,) * (len(args) + len(options))
            _, inner = call(equivalent, *args, **options)
            return inner(ct, store)

        return y, back

    return augmented


def checked(f, values, formulas) -> None:
    """Refuse what would be dropped silently: `out`, and arrays in places without a formula."""
    if values.get("out") is not None:
        raise refused(f"`{f.__name__}(..., out=)`, which writes into an array,",
                      "Use the returned array instead of `out`.")  # fmt: skip
    if isinstance(f, np.ufunc) and values.get("where", True) is not True:
        raise refused(f"`np.{f.__name__}(..., where=)`", "Use np.where on the result.")


def refused(what: str, hint: str) -> NotDifferentiable:
    """The error for something that NumPy can do and that has no derivative here."""
    return NotDifferentiable(
        f"{what} is not covered by the automatic differentiation.", where=user_line(), hint=hint
    )


def no_rule(f, why: str, hint: str):
    """Register that `f` is refused where an argument carries a derivative."""

    def augmented(*args, **options):
        if any([differs(value) for value in (*args, *options.values())]):
            raise refused(why, hint)
        return f(*args, **options), nothing(len(args) + len(options))

    AUGMENTED[f] = augmented


inert(checked, refused, names_of)
