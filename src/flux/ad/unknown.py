"""The cotangent of an argument for which there is no formula."""

from __future__ import annotations

from typing import Any

from flux.ad.registry import inert
from flux.errors import NotDifferentiable, user_line

__all__ = ["Unknown", "unknown"]


class Unknown:
    """The cotangent in place of one that has no formula: a gradient made of it is an error.

    An argument that is a constant drops it, which is right; one that carries a derivative does not
    get a zero. Arithmetic leaves it as it is; an array cannot be made of it.
    """

    __array_ufunc__ = None

    def __init__(self, error: NotDifferentiable):
        self.error = error

    def asked(self, *_, **__) -> Any:
        """Raise the error; called where the gradient of an argument is made."""
        raise self.error

    def itself(self, *_):
        return self

    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __neg__ = itself
    __array__ = __float__ = __complex__ = __getitem__ = __matmul__ = __rmatmul__ = asked


def unknown(name: str, place: int) -> Unknown:
    """The cotangent of the argument of `name` at `place`, which has no formula."""
    return Unknown(
        NotDifferentiable(
            f"the derivative of `{name}` in its argument number {place + 1} has no closed form.",
            where=user_line(),
            hint="Keep that argument constant: flux.stop_gradient, or a value from outside.",
        )
    )


inert(unknown)
