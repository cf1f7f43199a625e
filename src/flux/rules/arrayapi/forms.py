"""Ways to write a rule once, for all libraries: a function's name, and formulas.

In every formula `xp` is the library, `ct` the cotangent of the result and `y` the result. Formulas
are Python and functions of the standard themselves: a second derivative is that of the formula.
"""

from __future__ import annotations

from collections.abc import Callable

from flux.ad.inert import nothing
from flux.ad.registry import inert
from flux.ad.runtime import call
from flux.ad.spaces import project
from flux.rules.arrayapi.space import as_array, carries, refused

__all__ = ["MAKERS", "NO_DERIVATIVE", "by_formulas", "like", "no_derivative", "rule", "unruled"]

MAKERS: dict[str, Callable] = {}
"""By the name of a function (`linalg.inv`): `maker(xp, f)` is its augmented form."""
NO_DERIVATIVE: set[str] = set()
"""Names of functions whose result does not depend on numbers, or only in jumps."""


def rule(functions: str, names: str, **formulas) -> None:
    """Register functions by name.

    Args:
        functions: their names.
        names: of all parameters that they may be given, those by position first; what else a
            library takes is refused.
        formulas: by parameter, `(xp, ct, y, **arguments)`; a parameter without one has no
            derivative.
    """

    def maker(xp, f):
        return by_formulas(xp, f, names.split(), formulas)

    MAKERS.update(dict.fromkeys(functions.split(), maker))


def by_formulas(xp, f, names, formulas):
    """The augmented form of `f`, a function of arrays and Python numbers."""

    def augmented(*args, **options):
        if not known(names, args, options):
            return unruled(f)(*args, **options)
        values = {**dict(zip(names, args, strict=False)), **options}
        if values.get("out") is not None:
            raise refused_out(f)
        y = f(*args, **options)
        arrays = {n: as_array(xp, v, y) if n in formulas else v for n, v in values.items()}

        def back(ct, store):
            if ct is None:
                return (None,) * len(values)
            ct = project(ct, y)
            if ct is None:
                return (None,) * len(values)
            cts = []
            for name, value in values.items():
                if name in formulas and carries(value):
                    part = formulas[name](xp, ct, y, **arrays)
                    cts = [*cts, project(part, value)]
                else:
                    cts = [*cts, None]
            return tuple(cts)

        return y, back

    return augmented


def known(names, args, options) -> bool:
    """Are all arguments those of the standard? An option that is `None` is none."""
    given = [name for name, value in options.items() if value is not None]
    return len(args) <= len(names) and not set(given).difference(names)


def like(functions: str):
    """Differentiate functions as the decorated equivalent; the value is the function's own.

    The equivalent takes the library first.
    """

    def register(equivalent):
        def maker(xp, f):
            return augmented_like(xp, f, equivalent)

        MAKERS.update(dict.fromkeys(functions.split(), maker))
        return equivalent

    return register


def augmented_like(xp, f, equivalent):
    def augmented(*args, **options):
        if options.get("out") is not None:
            raise refused_out(f)
        y = f(*args, **options)

        def back(ct, store):
            if ct is None:
                return (None,) * (len(args) + len(options))
            _, inner = call(equivalent, xp, *args, **options)
            return inner(ct, store)[1:]

        return y, back

    return augmented


def refused_out(f):
    return refused(f"`{f.__name__}(..., out=)`, which writes into an array,", "Use the result.")


def no_derivative(names: str) -> None:
    NO_DERIVATIVE.update(names.split())


def unruled(f):
    """The augmented form of a function without rule: refused where it matters."""

    def augmented(*args, **options):
        if any([carries(value) for value in (*args, *options.values())]):
            raise refused(
                f"`{getattr(f, '__module__', 'xp')}.{getattr(f, '__name__', f)}`, given these "
                "arguments,",
                "Write it with other functions, or cut it with flux.stop_gradient.",
            )
        return f(*args, **options), nothing(len(args) + len(options))

    return augmented


inert(known, refused_out)
