"""A few random programs of the many; `make fuzz` runs more."""

import pytest
from fuzz.check import check, check_compiled
from hypothesis import given, settings, strategies

OUTCOMES: list[str] = []


@settings(max_examples=40, derandomize=True, deadline=None)
@given(strategies.integers(0, 10**9))
def test_random_programs_have_the_derivatives_that_differences_give(seed):
    OUTCOMES.append(check(seed, second=seed % 4 == 0))


@settings(max_examples=25, derandomize=True, deadline=None)
@given(strategies.integers(0, 10**9))
def test_names_are_read_when_python_reads_them(seed):
    OUTCOMES.append(check(seed, second=seed % 4 == 0, kind="order"))


@settings(max_examples=80, derandomize=True, deadline=None)
@given(strategies.integers(0, 10**9))
def test_values_that_names_share(seed):
    OUTCOMES.append(check(seed, second=seed % 4 == 0, kind="shares"))


@settings(max_examples=20, derandomize=True, deadline=None)
@given(strategies.integers(0, 10**9), strategies.sampled_from(["program", "shares", "shares"]))
def test_compiled_programs_are_as_eager_ones(seed, kind):
    check_compiled(seed, kind)


def test_few_random_programs_are_refused():
    if not OUTCOMES:
        pytest.skip("needs the outcomes of the tests above")
    assert OUTCOMES.count("right") > 0.6 * len(OUTCOMES)
