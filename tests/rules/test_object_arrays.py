"""Arrays of dtype object, and of fields: no derivative is lost in them silently."""

import copy

import numpy as np
import pytest

import flux

O = np.array([1.0, 2.0], dtype=object)  # noqa: E741
HELD = np.array([1.0, 2.0], dtype=object)
NAMES = np.array(["a", None, 3], dtype=object)
FUNCTIONS = np.array([np.sin, lambda x: x * x], dtype=object)
FIELDS = np.array([(1.0, 2), (3.0, 4)], dtype=[("a", "f8"), ("b", "i4")])


class Scale:
    def __init__(self, w, items=None):
        self.w, self.items = w, items


def product(values):
    total = 1.0
    for value in values:
        total = total * value
    return total


def scaled_in_place(x):
    y = O.copy()
    y += x
    y[1] = None
    return y[0]


def written_to_a_global(x):
    HELD[0] = x
    return HELD[0] * 1.0


def unpacked(x):
    a, b = x * O
    return a * b


LOSING = [
    lambda x: (x * O)[0], lambda x: (O - x)[[0, 1]][1], lambda x: (O**x)[0], lambda x: (x % O)[0],
    lambda x: np.sum(O * x), lambda x: (x / O).mean(), lambda x: np.prod(O * x),
    lambda x: np.dot(O * x, np.ones(2)), lambda x: (O * x) @ np.ones(2),
    lambda x: np.full(2, x, dtype=object)[0], lambda x: np.array([x, 2 * x], dtype=object)[0],
    lambda x: np.concatenate([O, np.array([x])])[2], lambda x: np.append(O, x)[2],
    lambda x: np.cumsum(np.array([x, x]), dtype=object)[1],
    lambda x: np.pad(O, 1, constant_values=x)[0],
    lambda x: np.array([x]).astype(object)[0], lambda x: (O * x).astype(float)[0],
    lambda x: np.add(O, x)[0], lambda x: np.maximum(O, x)[0],
    lambda x: np.where([True, False], O * x, 0)[0],
    lambda x: (O * x).item(0), lambda x: (O * x).tolist()[0],
    lambda x: (O * x).reshape(2, 1).T[0, 0],
    lambda x: np.frompyfunc(abs, 1, 1)(x * np.ones(2))[0],
    lambda x: np.vectorize(abs, otypes=[object])(x * np.ones(2))[0],
    lambda x: product(O * x), lambda x: sum(O * x), lambda x: list(O * x)[1], unpacked,
    lambda x: float((O * x)[:1].reshape(())), lambda x: copy.deepcopy(O * x)[0],
    scaled_in_place, written_to_a_global, lambda x: np.array((x, 1), FIELDS.dtype)["a"],
]  # fmt: skip


@pytest.mark.parametrize("f", LOSING)
def test_a_number_that_goes_through_an_array_of_objects_is_refused(f):
    with pytest.raises(flux.NotDifferentiable) as caught:
        flux.gradient(f, 2.0)
    assert "test_object_arrays.py" in str(caught.value)


@pytest.mark.parametrize(("f", "x"), [
    (lambda o: o[0] * o[1], O), (np.sum, O), (product, O), (lambda t: t[0][0], [O]),
    (lambda o: np.sum(o.astype(float)), O), (float, np.array(2.0, dtype=object)),
    (lambda model: model.items[0] * model.w, Scale(2.0, O)),
    (lambda layers: product([layer.w for layer in layers]),
     np.array([Scale(1.0), Scale(2.0)], dtype=object)),
    (lambda o: o[0][1], np.array([[1.0, 2.0], None], dtype=object)),
    (lambda s: s["a"].sum(), FIELDS), (lambda s: s[0]["a"], FIELDS),
])  # fmt: skip
def test_the_gradient_of_an_array_of_objects_is_refused(f, x):
    with pytest.raises(flux.NotDifferentiable, match="list|field|void"):
        flux.gradient(f, x)


def test_no_other_way_to_a_derivative_passes_by():
    for lost in (
        lambda: flux.pushforward(lambda x: (x * O)[0], 2.0)(1.0),
        lambda: flux.pullback(lambda x: x * O, 2.0)[1](np.ones(2)),
        lambda: flux.gradient(lambda x: (O * x)[:1].reshape(()), 2.0),
        lambda: flux.hessian(lambda x: np.sum(x * x * O), np.ones(2)),
    ):
        with pytest.raises(flux.errors.FluxError):
            lost()


@pytest.mark.parametrize(("f", "slope"), [
    (lambda x, names: x * len(names[0]), 1), (lambda x, names: x * names[2], 3),
    (lambda x, names: x if names[1] is None else 0.0, 1),
    (lambda x, names: x * len(np.concatenate([names, names]).copy()), 6),
    (lambda x, names: sum([x for name in names if name]), 2),
    (lambda x, names: x * names.shape[0] * (names == "a").sum(), 3),
    (lambda x, names: FUNCTIONS[1](x) * np.unique(names[:1]).size, 4),
    (lambda x, names: x * O[1] + x * np.sum(O) + x * product(O), 7),
    (lambda x, names: x if (O * x)[0] > 1 else -x, 1),
    (lambda x, names: (x, str(x * O))[0], 1),
])  # fmt: skip
def test_objects_that_no_derivative_meets_are_free(f, slope):
    assert flux.gradient(f, 2.0, NAMES) == (slope, None)


def test_an_array_of_objects_may_be_data():
    rows = np.array([np.ones(2), np.ones(3)], dtype=object)
    gradient = flux.grad(lambda w, rows: sum([np.sum(w * row) for row in rows]))
    assert gradient(2.0, rows) == 5.0


def test_pad_differentiates_its_constant():
    assert flux.gradient(lambda x: np.pad(x * np.ones(2), 1, constant_values=x * x).sum(), 3.0) == (
        14,
    )
