"""Every sample program: value as plain Python, gradient as finite differences, pullback twice."""

import copy
import math

import pytest
from programs import all_programs

import flux
from flux.tree.objects import fields, is_object, set_field

SAMPLES = all_programs()
CASES = [
    pytest.param(s, id=getattr(s.fn, "__name__", "object"), marks=pytest.mark.line(*s.lines))
    for s in SAMPLES
]


def floats(value, path=()):
    """Every float in an argument, with its path."""
    if isinstance(value, float):
        yield path, value
    elif isinstance(value, tuple | list):
        for i, item in enumerate(value):
            yield from floats(item, (*path, i))
    elif is_object(value):
        for name, item in fields(value).items():
            if item is not value:
                yield from floats(item, (*path, name))


def at(tree, path):
    for step in path:
        tree = tree[step] if isinstance(step, int) else getattr(tree, step)
    return tree


def moved(value, path, amount):
    """A copy of `value` with the float at `path` moved."""
    if not path:
        return value + amount
    first, rest = path[0], path[1:]
    if isinstance(value, tuple):
        items = [moved(v, rest, amount) if i == first else v for i, v in enumerate(value)]
        return type(value)(*items) if hasattr(value, "_fields") else tuple(items)
    made = copy.copy(value)
    set_field(made, first, moved(getattr(value, first), rest, amount))
    if getattr(made, "next", None) is value:
        made.next = made
    return made


@pytest.mark.parametrize("sample", CASES)
def test_value_and_gradient_agree_with_plain_python(sample):
    fn, args = sample.fn, sample.args
    value, back = flux.pullback(fn, *copy.deepcopy(args))
    assert value == fn(*copy.deepcopy(args))
    gradients = back(1.0)
    assert len(gradients) == len(args)
    for path, at_point in floats(args):
        step = 1e-6 * max(1.0, abs(at_point))
        high, low = (fn(*moved(args, path, s)) for s in (step, -step))
        expected = (high - low) / (2 * step)
        found = at(gradients, path)
        assert type(found) is float
        assert math.isclose(found, expected, rel_tol=2e-5, abs_tol=1e-7), (found, expected)
    again = back(1.0)
    assert [at(again, p) for p, _ in floats(args)] == [at(gradients, p) for p, _ in floats(args)]


CHANGED_BEFORE_RAISING = "raise_from"
"""Its pullback, differentiated again, catches an exception of a rule that has changed cells."""
SCALAR = [s for s in SAMPLES if s.args and all(type(a) is float for a in s.args)]


@pytest.mark.parametrize("sample", SCALAR, ids=lambda s: getattr(s.fn, "__name__", "object"))
def test_second_derivative_agrees_with_differences_of_the_first(sample):
    def slopes(*args):
        return sum(flux.gradient(sample.fn, *args))

    if getattr(sample.fn, "__name__", "") == CHANGED_BEFORE_RAISING:
        with pytest.raises(flux.NotDifferentiable, match="raised an exception after"):
            flux.gradient(slopes, *sample.args)
        return
    found = flux.gradient(slopes, *sample.args)
    for place, at_point in enumerate(sample.args):
        step = 1e-5 * max(1.0, abs(at_point))
        high, low = (slopes(*moved(sample.args, (place,), s)) for s in (step, -step))
        expected = (high - low) / (2 * step)
        assert math.isclose(found[place], expected, rel_tol=1e-4, abs_tol=1e-5)
