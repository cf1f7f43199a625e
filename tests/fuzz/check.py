"""Run one random program: value, gradient, second pullback, second derivative; compiled, too."""

from __future__ import annotations

import importlib.util
import linecache
import math
import random
import sys
import tempfile
from pathlib import Path

import jax
import jax.numpy as jnp
from fuzz.order import Expressions
from fuzz.shares import Shares
from fuzz.source import Writer

import flux

POINT = (0.37, -0.58)
UNSURE = "differences do not agree with each other: a kink is near"


def function_of(text: str, name: str):
    """The function `f` of a module with this text."""
    path = Path(tempfile.gettempdir()) / f"flux_{name}.py"
    path.write_text(text)
    linecache.checkcache(str(path))
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    finally:
        del sys.modules[name]
    return module.f


def differences(f, place: int, step: float) -> float:
    """The central difference of `f` in one argument."""
    high, low = list(POINT), list(POINT)
    high[place] += step
    low[place] -= step
    return (f(*high) - f(*low)) / (2 * step)


def slope(f, place: int) -> float | None:
    """The derivative by differences; `None` where two steps disagree."""
    a, b = differences(f, place, 1e-5), differences(f, place, 3e-6)
    return b if math.isclose(a, b, rel_tol=1e-4, abs_tol=1e-6) else None


def text_of(seed: int, kind: str, compiled: bool = False) -> str:
    """A program: of the language at large, of expressions in `order`, or one that `shares`."""
    rng = random.Random(seed)
    if kind == "order":
        return Expressions(rng, rng.randint(1, 4)).text()
    if kind == "shares":
        return Shares(rng).text()
    return Writer(rng, rng.randint(3, 14), compiled=compiled).text()


def check(seed: int, second: bool = False, kind: str = "program") -> str:
    """`right`, `unsure` (a kink is near), `refused`, or an `AssertionError` with the source."""
    text = text_of(seed, kind)
    try:
        f = function_of(text, f"{kind}_{seed}")
        expected = f(*POINT)
    except Exception:
        return "unsure"
    log = f.__globals__.get("LOG", [])
    noted = list(log)
    try:
        value, back = flux.pullback(f, *POINT)
    except flux.NotDifferentiable as error:
        if " line " not in str(error):
            raise AssertionError(report(seed, text, error)) from error
        return "refused"
    except Exception as error:
        raise AssertionError(report(seed, text, f"{type(error).__name__}: {error}")) from error
    assert value == expected, report(seed, text, f"value {value}, in Python {expected}")
    assert log == noted, report(seed, text, f"evaluated {log}, in Python {noted}")
    try:
        gradient = back(1.0)
        again = back(1.0)
    except Exception as error:
        note = f"pullback: {type(error).__name__}: {error}"
        raise AssertionError(report(seed, text, note)) from error
    same = str(again) == str(gradient)  # nan is no number's equal
    assert same, report(seed, text, f"the second pullback differs: {gradient}, {again}")
    for place in range(2):
        wanted = slope(f, place)
        if wanted is None or not math.isfinite(gradient[place]) and abs(value) == 1:
            return "unsure"  # the last `tanh` saturates, of infinite numbers
        close = math.isclose(gradient[place], wanted, rel_tol=1e-3, abs_tol=1e-5)
        note = f"argument {place}: gradient {gradient[place]}, differences {wanted}"
        assert close, report(seed, text, note)
    return second_derivative(f, seed, text) if second else "right"


def check_compiled(seed: int, kind: str = "program", second: bool = False) -> str:
    """The same outcomes for value and gradient of a compiled program next to eager ones."""
    text = text_of(seed, kind, compiled=True)
    try:
        f = function_of(text, f"compiled_{kind}_{seed}")
        value, grads = flux.withgradient(f, *POINT)
    except Exception:
        return "unsure"
    found = staged(lambda x, y: flux.withgradient(f, x, y), seed, text)
    alone = None if found is None else staged(f, seed, text)
    if alone is None:
        return "refused"
    numbers = [float(x) for x in (found[0], alone, *found[1])]
    for a, b in zip(numbers, (value, value, *grads), strict=True):
        close = math.isclose(a, b, rel_tol=1e-7, abs_tol=1e-10)
        assert close, report(seed, text, f"compiled {numbers}, eager {value}, {grads}")
    return compiled_second(f, seed, text) if second else "right"


def staged(f, seed: int, text: str, refusals=flux.StagingError, what: str = ""):
    """What a function gives once it is compiled; `None` if it is refused."""
    with jax.enable_x64(True):
        try:
            return flux.jit(f)(*[jnp.asarray(x) for x in POINT])
        except refusals:
            return None
        except Exception as error:
            note = f"{what}{type(error).__name__}: {error}"
            raise AssertionError(report(seed, text, note)) from error


SECOND = "second derivative: "


def slopes_of(f):
    """The sum of the gradients of `f`, to be differentiated."""

    def slopes(x, y):
        return sum(flux.gradient(f, x, y))

    return slopes


def compiled_second(f, seed: int, text: str) -> str:
    """The second derivative of a compiled program next to the eager one."""
    slopes = slopes_of(f)
    try:
        wanted = flux.gradient(slopes, *POINT)
    except flux.NotDifferentiable:
        return "refused"
    refusals = (flux.StagingError, flux.NotDifferentiable)
    found = staged(lambda x, y: flux.gradient(slopes, x, y), seed, text, refusals, SECOND)
    if found is None:
        return "refused"
    for a, b in zip(map(float, found), wanted, strict=True):
        close = math.isclose(a, b, rel_tol=1e-6, abs_tol=1e-9)
        close |= not math.isfinite(a) and not math.isfinite(b)
        assert close, report(seed, text, f"{SECOND}compiled {found}, eager {wanted}")
    return "right"


def second_derivative(f, seed: int, text: str) -> str:
    slopes = slopes_of(f)
    try:
        found = flux.gradient(slopes, *POINT)
    except flux.NotDifferentiable:
        return "refused"
    except Exception as error:
        note = f"{SECOND}{type(error).__name__}: {error}"
        raise AssertionError(report(seed, text, note)) from error
    for place in range(2):
        wanted = slope(slopes, place)
        if wanted is None:
            return "unsure"
        if not math.isfinite(found[place]) and abs(f(*POINT)) == 1:
            return "unsure"  # the last `tanh` saturates, of infinite numbers
        close = math.isclose(found[place], wanted, rel_tol=1e-2, abs_tol=1e-4)
        note = f"second derivative {place}: {found[place]}, differences {wanted}"
        assert close, report(seed, text, note)
    return "right"


def report(seed: int, text: str, note) -> str:
    body = text[text.index("def f(") :]
    return f"program {seed}: {note}\n{body}"
