"""Errors that only the data decide: the compiled program hands out the number of the first."""

from __future__ import annotations

import threading
from contextlib import contextmanager

import jax.numpy as jnp

from flux.compiler.namespaces import is_users
from flux.compiler.staging import is_of_making
from flux.errors import PACKAGE, FluxError, StagingError, user_line

__all__ = ["Checks", "NoneInsideTry", "Unreached", "collected", "current", "inside_try",
           "is_collecting", "is_users_error", "note_risk", "risks_so_far"]  # fmt: skip

LOCAL = threading.local()
UNBOUND = NameError, UnboundLocalError
PICKING = f"{PACKAGE}compiler/control/picking.py"
"""Where our own code is staged as the user's, and may raise as the user's."""


class Unreached(Exception):
    """The side of a branch that is reversed raised an exception: there is nothing to reverse."""


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

    def happen_if(self, test, error: BaseException) -> None:
        """Note that `error` is raised where `test`, a traced value, is true."""
        before, number = self.code, self.errors.number(error)
        self.code = jnp.where((before == 0) & test, number, before)

    def ends_loops(self, before: int) -> bool:
        """Is there an error, but those of unbound variables, among those after the first `before`?

        A loop of known length goes on with the zeros of a variable that is not bound.
        """
        return any([type(e) not in UNBOUND for e in self.errors.known[before:]])

    def error(self, code: int) -> BaseException:
        """The exception of a number, to be raised anew."""
        return self.errors.known[code - 1].with_traceback(None)


def current() -> Checks:
    """The checks of the program that is being made."""
    found = getattr(LOCAL, "checks", None)
    return Checks() if found is None else found


def is_collecting() -> bool:
    """Is one of our programs being made?"""
    return getattr(LOCAL, "checks", None) is not None


@contextmanager
def collected():
    """Collect the checks of one program."""
    before = getattr(LOCAL, "checks", None)
    LOCAL.checks = checks = Checks()
    try:
        yield checks
    finally:
        LOCAL.checks = before


class NoneInsideTry:
    """Refuse exceptions that only the data decide where the user's code would catch them.

    Attributes:
        caught: there are handlers; then what may raise for some data is refused, too.
    """

    def __init__(self, caught: bool):
        self.caught = caught

    def __enter__(self):
        self.checks, self.risks = current(), risks_so_far()
        self.before = self.checks.code

    def __exit__(self, kind, error, trace):
        risky = self.caught and risks_so_far() > self.risks
        if error is None and (risky or self.checks.code is not self.before):
            raise inside_try(user_line())


def note_risk() -> None:
    """Note a function that raises an error for some data, where its compiled form gives nan."""
    LOCAL.risks = risks_so_far() + 1


def risks_so_far() -> int:
    return getattr(LOCAL, "risks", 0)


def is_users_error(error: BaseException) -> bool:
    """Did a line of the user's raise it, and not the making of the program?

    To read a variable that is not bound, or an item that is not there, raises in code of ours.
    """
    if not isinstance(error, Exception) or isinstance(error, FluxError) or is_of_making(error):
        return False
    place = error.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    if place is None:
        return False
    code = place.tb_frame.f_code
    ours = type(error) in UNBOUND and code.co_name == "bound"
    return is_users(code.co_filename) or code.co_filename == PICKING or ours


def inside_try(where: str | None) -> StagingError:
    """The error for an exception that the user's code catches, and that only the data decide."""
    return StagingError(
        "Inside a `try`, an exception that only the data decide cannot be part of a compiled "
        "program.",
        where=where,
        hint="Decide with `if` what shall happen instead of the exception.",
    )
