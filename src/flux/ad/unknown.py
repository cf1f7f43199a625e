"""The cotangent of an argument for which there is no formula."""

from __future__ import annotations

from typing import Any

from flux.ad.registry import inert
from flux.errors import NotDifferentiable, user_line

__all__ = ["Text", "Unknown", "of_text", "text_only", "unknown"]


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


class Text(Unknown):
    """The cotangent of a text that a number was read from.

    A text that was made of a number hands it on to that number, whose derivative is lost.
    """

    def __init__(self):
        super().__init__(
            NotDifferentiable(
                "a number is read from a text that was made of a number: its derivative is lost.",
                where=user_line(),
                hint="Use the number itself, or flux.stop_gradient of it in the text.",
            )
        )

    __getitem__ = Unknown.itself


def of_text(ct, result: Any = None, store: Any = None) -> Text | None:
    """The cotangent `Text` of what was read from, if a derivative is asked of what was read.

    Args:
        ct: the cotangent of what was read.
        result: what was read, whose cotangents, if it is a list or dict, are in the store.
        store: the store of the reverse pass.
    """
    return Text() if ct is not None or is_asked(result, store) else None


def is_asked(result, store) -> bool:
    """Has a list or dict, or one inside it, a cotangent in the store?"""
    if not isinstance(result, list | dict):
        return False
    items = result if isinstance(result, list) else result.values()
    slots = store.of(result).values()
    return any([ct is not None for ct in slots]) or any([is_asked(item, store) for item in items])


def text_only(ct) -> Text | None:
    """`ct`, if it is that of a text that a number was read from."""
    return ct if type(ct) is Text else None


inert(unknown, of_text, text_only)
