"""Check a derivative rule against finite differences, and against the conventions of rules."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from flux.ad.api import pullback
from flux.ad.spaces import total_of, zero_of

__all__ = ["check_rule"]


def check_rule(f: Callable, *args, rtol=1e-5, atol=1e-7, step=1e-6, seed=0, **keywords) -> None:
    """Compare the pullback of `f` with central differences along random directions.

    For random `ct` and `d`, the number `ct . (f(x + h*d) - f(x - h*d)) / 2h` has to equal
    `back(ct) . d`. Each gradient must have the structure, shapes and dtypes of its argument, with
    `None` where an argument has no derivative, and a second call of the pullback must repeat them.

    Args:
        f: a callable that Flux can differentiate, with or without a rule.
        args, keywords: its arguments, in double precision; all positional ones are moved.
        rtol, atol: how far the two numbers may be apart.
        step: the distance `h` that the arguments are moved.
        seed: of the random directions.

    Raises: `AssertionError` that says what was expected and what was found.

    >>> import numpy as np
    >>> import flux
    >>> from flux.ad.check import check_rule
    >>> check_rule(np.arctan2, np.array([1.0, 2.0]), 0.5)
    >>> def double(x):
    ...     return 2 * x
    >>> @flux.rule(double)
    ... def wrong(x):
    ...     return 2 * x, lambda ct: (3 * ct,)
    >>> check_rule(double, 1.0)
    Traceback (most recent call last):
    AssertionError: double: the pullback gives ... along a direction, finite differences ...
    """

    name = getattr(f, "__name__", repr(f))
    rng = np.random.default_rng(seed)
    y, back = pullback(f, *args, **keywords)
    ct, direction = random_like(y, rng), random_like(args, rng)
    found = back(ct)
    assert isinstance(found, tuple) and len(found) == len(args), (
        f"{name}: expected a tuple of {len(args)} gradients, got {found!r}"
    )
    for place, (gradient, value) in enumerate(zip(found, args, strict=True)):
        check_form(gradient, value, f"{name}, argument {place}")
    high = f(*moved(args, direction, step), **keywords)
    low = f(*moved(args, direction, -step), **keywords)
    expected = (product(ct, high) - product(ct, low)) / (2 * step)
    given = product(found, direction)
    assert np.isclose(given, expected, rtol=rtol, atol=atol), (
        f"{name}: the pullback gives {given} along a direction, finite differences {expected}"
    )
    again = product(back(ct), direction)
    assert again == given, f"{name}: the pullback gave {given}, and {again} when called again"


def parts_of(value) -> list | None:
    """The items of a container, in order; `None` for anything else."""
    if isinstance(value, tuple | list):
        return list(value)
    return list(value.values()) if isinstance(value, dict) else None


def rebuilt(value, parts: list):
    """A container as `value`, with other items."""
    if isinstance(value, dict):
        return dict(zip(value, parts, strict=True))
    return type(value)(*parts) if hasattr(value, "_fields") else type(value)(parts)


def random_like(value, rng):
    """Random numbers in the structure of `value`; `None` where there is no derivative."""
    parts = parts_of(value)
    if parts is not None:
        return rebuilt(value, [random_like(part, rng) for part in parts])
    zero: Any = zero_of(value)
    if zero is None:
        return None
    shape = getattr(value, "shape", ())
    random = rng.standard_normal(shape)
    if hasattr(zero, "new_tensor"):  # a tensor of PyTorch, which knows no dtypes of NumPy
        imaginary = 1j * rng.standard_normal(shape) if zero.is_complex() else 0.0
        return zero.new_tensor(random + imaginary)
    if type(zero) is float:
        return float(random)
    if hasattr(zero, "__array_namespace__") and not isinstance(zero, np.ndarray | np.generic):
        return random_array(zero, random, rng)
    dtype = getattr(zero, "dtype", None)
    if isinstance(zero, complex) or getattr(dtype, "kind", "f") == "c":
        random = random + 1j * rng.standard_normal(shape)
    return zero + (random if dtype is None else np.asarray(random, dtype))


def random_array(zero, random, rng):
    """Random numbers as an array of the library of `zero`."""
    xp = zero.__array_namespace__()
    if xp.isdtype(zero.dtype, "complex floating"):
        random = random + 1j * rng.standard_normal(zero.shape)
    return xp.asarray(random, dtype=zero.dtype, device=zero.device)


def moved(value, direction, step):
    """`value + step * direction`, leaf by leaf."""
    parts = parts_of(value)
    if parts is not None:
        pairs = zip(parts, parts_of(direction) or (), strict=True)
        return rebuilt(value, [moved(part, along, step) for part, along in pairs])
    return value if direction is None else value + step * direction


def product(a, b) -> float:
    """The sum of the products of all numbers in two structures, its real part."""
    parts = parts_of(a)
    if parts is not None:
        pairs = zip(parts, parts_of(b) or (), strict=True)
        return sum([product(x, y) for x, y in pairs])
    if a is None or b is None:
        return 0.0
    return complex(total_of(a * b)).real


def check_form(gradient, value, what: str) -> None:
    """A gradient has the structure, shape and dtype of its argument."""
    parts = parts_of(value)
    if parts is not None:
        inner = parts_of(gradient)
        if inner is None or len(inner) != len(parts):
            raise AssertionError(f"{what}: expected a {type(value).__name__}, got {gradient!r}")
        for i, (item, part) in enumerate(zip(inner, parts, strict=True)):
            check_form(item, part, f"{what}[{i}]")
        return
    zero = zero_of(value)
    expected, got = form(zero), form(gradient)
    assert expected == got, f"{what}: expected a gradient {expected}, got {got}"


def form(x) -> str:
    if x is None:
        return "None"
    return f"{x.dtype}{list(x.shape)}" if hasattr(x, "dtype") else type(x).__name__
