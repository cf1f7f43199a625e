"""Every exception that Flux raises, and the one place that words them.

FluxError
├── ArgumentError (ValueError, TypeError)  an argument of the wrong kind or out of range
├── NotDifferentiable (TypeError)     a construct or a callee that has no derivative
├── SourceError (TypeError)           the source of a function cannot be found or has changed
├── StagingError (TypeError)          a compiled function needs a value that only the data decide
├── ShapeError (ValueError)           an array of the wrong shape
├── LabelError (ValueError)           a class label out of range
├── DataFileError (ValueError)        a data file that is missing, truncated or damaged
├── ModelFileError (ValueError)       a file that is not a model, or not this model
├── NonFiniteLoss (ArithmeticError)   training met a loss that is NaN or infinite
├── NonFiniteValue (FloatingPointError)   `debug_nans`: the operation that made the first NaN
└── OutOfBounds (IndexError)          `check_bounds`: an index beyond the end of an axis

A message has four parts, in this order: where (in the user's terms), what was expected, what was
given, and a way out. `FluxError(what, where=..., hint=...)` puts them together.
"""

from __future__ import annotations

import difflib
import functools
import linecache
import os
import sys
from collections.abc import Callable, Iterable
from types import FrameType, ModuleType
from typing import Any, TypeVar, cast

__all__ = [
    "ArgumentError",
    "DataFileError",
    "FluxError",
    "LabelError",
    "ModelFileError",
    "NonFiniteLoss",
    "NonFiniteValue",
    "NotDifferentiable",
    "OutOfBounds",
    "ShapeError",
    "SourceError",
    "StagingError",
    "check_bool",
    "check_integer",
    "did_you_mean",
    "brief",
    "source_line",
    "suggests_names",
    "told_options",
    "user_line",
]

PACKAGE = os.path.dirname(os.path.abspath(__file__)) + os.sep
ZOO = PACKAGE + "zoo" + os.sep
"""Where our own files are written, and treated, as those of a user."""


class FluxError(Exception):
    """The base of all of Flux's exceptions.

    Args:
        what: what went wrong, with what was expected and what was given.
        where: the place in the user's code, as `source_line` or `user_line` words it.
        hint: a way out.

    >>> raise FluxError("the cake is a pie.", hint="Bake again.")
    Traceback (most recent call last):
    flux.errors.FluxError: the cake is a pie.
      Bake again.
    """

    def __init__(self, what: str, *, where: str | None = None, hint: str | None = None):
        self.what, self.where, self.hint = what, where, hint
        parts = [what]
        if where:
            parts.append(f"  at {where}")
        if hint:
            parts.extend("  " + line for line in hint.splitlines())
        super().__init__("\n".join(parts))


class ArgumentError(FluxError, ValueError, TypeError):
    """An argument of the wrong kind or out of range: who got it, what was expected and given.

    >>> import flux
    >>> flux.Dense(3, -1)
    Traceback (most recent call last):
    flux.errors.ArgumentError: Dense ...
    """


class NotDifferentiable(FluxError, TypeError):
    """A construct or a callee that the automatic differentiation does not cover.

    >>> import flux
    >>> def squares(x):
    ...     yield x * x
    >>> flux.gradient(lambda x: sum(squares(x)), 2.0)
    Traceback (most recent call last):
    flux.errors.NotDifferentiable: `squares` is a generator...
    """


class SourceError(FluxError, TypeError):
    """The source of a function cannot be found, or is not what was imported.

    >>> import flux
    >>> made = {}
    >>> exec("def f(x): return x * x", made)
    >>> flux.gradient(made["f"], 1.0)
    Traceback (most recent call last):
    flux.errors.SourceError: ...
    """


class StagingError(FluxError, TypeError):
    """A compiled function needs a Python value that only the data can decide.

    >>> import flux
    >>> import jax.numpy as jnp
    >>> @flux.jit
    ... def parts(x):
    ...     return (x, x) if x > 1 else (x,)
    >>> parts(jnp.array(3.0))
    Traceback (most recent call last):
    flux.errors.StagingError: ...
    """


class ShapeError(FluxError, ValueError):
    """An array whose shape does not fit; the message names the layer, expected and given.

    >>> import flux, numpy
    >>> flux.Dense(3, 2)(numpy.ones((5, 4)))
    Traceback (most recent call last):
    flux.errors.ShapeError: Dense(3, 2) got an input of shape (5, 4): its last axis must be 3...
    """


class LabelError(FluxError, ValueError):
    """A class label that is not one of the classes.

    >>> import flux
    >>> flux.onehot("fish", ["cat", "dog"])
    Traceback (most recent call last):
    flux.errors.LabelError: ...
    """


class DataFileError(FluxError, ValueError):
    """A data file that is missing, truncated or damaged; the message names the offset or line.

    >>> import flux
    >>> flux.datasets.csv("no-such-file.csv")
    Traceback (most recent call last):
    flux.errors.DataFileError: ...
    """


class ModelFileError(FluxError, ValueError):
    """A file that is not a model file, is damaged, or holds another model.

    >>> import flux
    >>> flux.restore("no-such-file.safetensors", flux.Dense(3, 2))
    Traceback (most recent call last):
    flux.errors.ModelFileError: no-such-file.safetensors does not exist...
    """


class NonFiniteLoss(FluxError, ArithmeticError):
    """Training met a loss that is NaN or infinite; the model is as it was before that batch.

    >>> import flux, numpy
    >>> model = flux.Dense(1, 1)
    >>> opt = flux.setup(flux.optim.Descent(), model)
    >>> data = [(numpy.full((1, 1), numpy.nan),)]
    >>> flux.train(lambda model, x: model(x).sum(), model, data, opt, progress=False)
    Traceback (most recent call last):
    flux.errors.NonFiniteLoss: ...
    """


class NonFiniteValue(FluxError, FloatingPointError):
    """Under `flux.debug_nans`, an operation or its derivative gave NaN or an infinite number.

    >>> import flux, jax.numpy
    >>> with flux.debug_nans():
    ...     flux.jit(lambda x: jax.numpy.log(x))(-1.0)
    Traceback (most recent call last):
    flux.errors.NonFiniteValue: ...
    """


class OutOfBounds(FluxError, IndexError):
    """Under `flux.check_bounds`, an index that is not one of the places along its axis.

    >>> import flux, jax.numpy
    >>> with flux.check_bounds():
    ...     flux.jit(lambda x, i: x[i])(jax.numpy.ones(3), 5)
    Traceback (most recent call last):
    flux.errors.OutOfBounds: ...
    """


def source_line(filename: str, line: int, text: str | None = None) -> str:
    """Word a place in the user's code: `train.py line 12: total = external(x)`."""
    text = (text or linecache.getline(filename, line)).strip()
    place = f"{os.path.basename(filename)} line {line}"
    return f"{place}: {text}" if text else place


def user_line() -> str | None:
    """Word the innermost line of the running program that is neither ours nor JAX's."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        filename = frame.f_code.co_filename
        if is_users(filename):
            return source_line(filename, frame.f_lineno)
        frame = frame.f_back
    return None


def is_users(filename: str) -> bool:
    """Is a file neither ours, nor installed, nor generated? An example of a docstring is a file."""
    generated = filename.startswith("<") and not filename.startswith("<doctest")
    library = filename.startswith(PACKAGE) or "site-packages" in filename
    return filename.startswith(ZOO) or not (generated or library)


def brief(value: Any) -> str:
    """A value in a message: a number, string or tuple of them as it is, anything else by its kind.

    >>> brief("0.1"), brief(-1), brief([1, 2]), brief(len)
    ("'0.1'", '-1', 'a list', 'the function `len`')
    """
    plain = (str, bytes, int, float, complex, type(None))
    if isinstance(value, plain) or (isinstance(value, tuple) and all(map(brief_part, value))):
        text = repr(value)
        return text if len(text) <= 60 else f"{text[:57]}..."
    if isinstance(value, type):
        return f"the class `{value.__name__}`"
    if callable(value) and hasattr(value, "__name__"):
        return f"the function `{value.__name__}`"
    kind = type(value).__name__
    return f"an {kind}" if kind[:1] in "AEIOUaeiou" else f"a {kind}"


def brief_part(value) -> bool:
    return isinstance(value, str | int | float | complex | type(None))


def check_integer(who: str, name: str, value: Any, least: int = 0) -> int:
    """`value` as an int.

    Raises: `ArgumentError` if it is no integer, or less than `least`.

    >>> check_integer("Dense", "n_out", -1)
    Traceback (most recent call last):
    flux.errors.ArgumentError: Dense expected an integer of at least 0 as n_out, and got -1...
    """
    whole = hasattr(value, "__index__") and not isinstance(value, bool)
    if not whole or getattr(value, "shape", ()) != () or value < least:
        raise ArgumentError(
            f"{who} expected an integer of at least {least} as {name}, and got {brief(value)}.",
            where=user_line(),
        )
    return value.__index__()


def check_bool(who: str, name: str, value: Any) -> bool:
    """`value` as a bool; `ArgumentError` if it is something else, a string for example."""
    if value is True or value is False or (value in (0, 1) and hasattr(value, "__index__")):
        return bool(value)
    raise ArgumentError(
        f"{who} expected True or False as {name}, and got {brief(value)}.", where=user_line()
    )


F = TypeVar("F", bound=Callable)


def told_options(who: str, **ways: str) -> Callable[[F], F]:
    """Answer options that other libraries have, and the decorated function has not.

    Args:
        who: the function, in the user's terms.
        ways: by the name of such an option, what is done here instead.

    Raises: `ArgumentError` from the decorated function, where one of them is given.

    >>> told_options("fill", colour="Say `color`.")(print)("x", colour=3)
    Traceback (most recent call last):
    flux.errors.ArgumentError: fill has no option `colour`, and got colour=3...
    """

    def decorated(function: F) -> F:
        @functools.wraps(function)
        def checked(*args, **options):
            for name in ways.keys() & options.keys():
                raise ArgumentError(
                    f"{who} has no option `{name}`, and got {name}={brief(options[name])}.",
                    where=user_line(),
                    hint=ways[name],
                )
            return function(*args, **options)

        return cast(F, checked)

    return decorated


ELSEWHERE = {
    "nn": "layers",
    "linear": "Dense",
    "sequential": "Chain",
    "module": "layer",
    "conv1d": "Conv",
    "conv2d": "Conv",
    "conv3d": "Conv",
    "maxpool2d": "MaxPool",
    "maxpooling2d": "MaxPool",
    "avgpool2d": "MeanPool",
    "averagepooling2d": "MeanPool",
    "batchnorm1d": "BatchNorm",
    "batchnorm2d": "BatchNorm",
    "batchnormalization": "BatchNorm",
    "layernormalization": "LayerNorm",
    "sgd": "Descent Momentum Nesterov",
    "backward": "gradient",
    "nograd": "stop_gradient",
    "manualseed": "seed",
    "crossentropyloss": "logit_crossentropy",
    "crossentropy": "logit_crossentropy",
    "bceloss": "binary_crossentropy",
    "bcewithlogitsloss": "logit_binary_crossentropy",
    "mseloss": "mse",
    "meansquarederror": "mse",
    "l1loss": "mae",
    "fit": "train",
}
"""What other libraries call our names, in small letters without underscores."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The end of a message about an unknown name: what is called so elsewhere, or the known
    names that are like it, if any.

    >>> did_you_mean("Dens", ["Conv", "Dense"])
    '; did you mean `Dense`?'
    >>> did_you_mean("Linear", ["Bilinear", "Dense"])
    "; other libraries' `Linear` is `Dense` here."
    """
    if name.startswith("__"):  # what Python and libraries ask of any module, often
        return "."
    lower = {each.lower(): each for each in known}
    elsewhere = ELSEWHERE.get(name.lower().replace("_", ""), "").split()
    if set(elsewhere) & {*lower.values()}:
        here = " or ".join([f"`{each}`" for each in elsewhere if each in lower.values()])
        return f"; other libraries' `{name}` is {here} here."
    found = difflib.get_close_matches(name.lower(), lower, n=3, cutoff=0.6)
    return f"; did you mean {' or '.join(f'`{lower[each]}`' for each in found)}?" if found else "."


class Room(ModuleType):
    """A module that answers an unknown name with those that are like it."""

    def __getattr__(self, name: str) -> Any:
        known = self.__dict__.get("__all__", ())
        raise AttributeError(
            f"module {self.__name__!r} has no attribute {name!r}{did_you_mean(name, known)}"
        )


def suggests_names(module: str) -> None:
    """Let a module, named by its `__name__`, answer an unknown name with those that are like it."""
    sys.modules[module].__class__ = Room
