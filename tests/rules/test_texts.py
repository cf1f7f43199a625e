"""A number that became a text and a number again: its derivative is lost, and that is said."""

import json
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest

import flux


def cut(x):
    first, second = f"{x},{2 * x}".split(",")
    return float(first) * float(second)


def grown(x):
    text = "1"
    for _ in range(2):
        text = text + f"{x:.0f}"
    return float(text)


def tried(x):
    text = str(x)
    try:
        return float(text)
    except ValueError:
        return 0.0


def kept(x):
    texts = {"rate": [f"{x}"]}
    return float(texts["rate"][0])


def read(text):
    return float(text)


LOSING = [
    lambda x: float(str(x)), lambda x: x * float(f"{x * x:.3f}"), lambda x: float(repr(x) + "1"),
    lambda x: complex(str(x)).real, lambda x: float(f"{x}" if x > 0 else "1"),
    lambda x: float("{}".format(x)), lambda x: float("%f" % x), lambda x: float(format(x, ".3f")),  # noqa: UP031, UP032
    lambda x: float("".join([str(x), "1"]).strip()[:3]), lambda x: read(str(x)),
    lambda x: sum(map(float, f"{x} {x}".split())), cut, grown, tried, kept,
    lambda x: json.loads(json.dumps({"a": [x]}))["a"][0], lambda x: float(Decimal(str(x))),
    lambda x: float(Fraction(str(x))), lambda x: float(Fraction(x)), lambda x: float(Decimal(x)),
    lambda x: float.fromhex(x.hex()), lambda x: x.as_integer_ratio()[0] / 2,
    lambda x: np.array([str(x)]).astype(float)[0], lambda x: np.float64(str(np.ones(2)[0] * x)),
    lambda x: np.frombuffer(np.array([x]).tobytes())[0],
]  # fmt: skip


@pytest.mark.parametrize("f", LOSING)
def test_a_number_read_from_a_text_of_a_number_is_refused(f):
    with pytest.raises(flux.NotDifferentiable) as caught:
        flux.gradient(f, 2.0)
    assert "test_texts.py" in str(caught.value)


@pytest.mark.parametrize(("f", "slope"), [
    (lambda x: x * float("2.5"), 2.5), (lambda x: x * float(f"{3}"), 3),
    (lambda x: (x * x, print(f"x = {x}", str(x)))[0], 4), (lambda x: x * len(str(x)), 3),
    (lambda x: {"2.0": x}[str(x)], 1), (lambda x: x if f"{x}" == "2.0" else 0.0, 1),
    (lambda x: x * int(f"{x:.0f}"), 2), (lambda x: x * json.loads("[2.0]")[0], 2),
    (lambda x: x * float(str(flux.stop_gradient(x))), 2),
    (lambda x: x * float(flux.nograd(lambda v: str(v))(x)), 2),
    (lambda x: x * float(Fraction(1, 2)), 0.5), (lambda x: x * float("1,2".split(",")[1]), 2),
])  # fmt: skip
def test_texts_that_no_derivative_meets_are_free(f, slope):
    assert flux.gradient(f, 2.0) == (slope,)
