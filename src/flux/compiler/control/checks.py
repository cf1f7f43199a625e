"""Errors that only the data decide: the compiled program hands out the number of the first."""

from __future__ import annotations

import threading
from contextlib import contextmanager

import jax
import jax.numpy as jnp
from jax.core import Tracer

from flux.errors import FluxError

__all__ = ["Checks", "collected", "current", "is_users_error"]

LOCAL = threading.local()


class Errors:
    """Exceptions by number, from 1."""

    __constant__ = True
    """Not part of the state that a trace changes and takes back."""

    def __init__(self):
        self.known: list[BaseException] = []

    def number(self, error: BaseException) -> int:
        self.known.append(error.with_traceback(None))
        return len(self.known)


class Checks:
    """The exceptions that a program may raise.

    Attributes:
        code: 0, or the number of the exception that is raised; traced where the data decide.
        errors: exceptions by number.
    """

    def __init__(self):
        self.code = 0
        self.errors = Errors()

    def happen(self, error: BaseException) -> None:
        """Note that the path which is traced raises `error`."""
        number = self.errors.number(error)
        if isinstance(self.code, int):
            self.code = self.code or number
        else:
            self.code = jnp.where(self.code == 0, number, self.code)

    def error(self, code: int) -> BaseException:
        """The exception of a number, to be raised anew."""
        return self.errors.known[code - 1].with_traceback(None)


def current() -> Checks:
    """The checks of the program that is being made."""
    found = getattr(LOCAL, "checks", None)
    return Checks() if found is None else found


@contextmanager
def collected():
    """Collect the checks of one program."""
    before = getattr(LOCAL, "checks", None)
    LOCAL.checks = checks = Checks()
    try:
        yield checks
    finally:
        LOCAL.checks = before


def is_users_error(error: BaseException) -> bool:
    """Did the user's code raise it, or did the making of the program fail?"""
    if isinstance(error, FluxError) or not isinstance(error, Exception):
        return False
    kinds = (jax.errors.JAXTypeError, jax.errors.JAXIndexError, jax.errors.UnexpectedTracerError)
    texts = [str(a) for a in error.args]
    return not isinstance(error, kinds) and not any(Tracer.__name__ in text for text in texts)
