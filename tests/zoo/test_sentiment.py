"""Reviews of unlike length, of which the order of the words decides."""

import numpy as np
import pytest

import flux
from flux.zoo import sentiment
from tests.zoo import short


@pytest.fixture(scope="module")
def trained():
    return short.trained("sentiment", 4)


def test_the_network_learns_what_a_bag_of_words_cannot(trained):
    assert trained.measures[-1] > 0.9
    assert sentiment.bag_of_words() < 0.6


def test_what_follows_the_end_of_a_review_does_not_count(trained):
    words, lengths = sentiment.as_numbers(["it was good", "it was good , but it was not so good"])
    read = flux.jit(trained.model)
    np.testing.assert_allclose(
        read(words, lengths)[:1], read(words[:1, :3], lengths[:1]), rtol=1e-5
    )


def test_two_turns_leave_the_sense_as_it_is():
    for seed in range(50):
        text, friendly = sentiment.write_clause(np.random.default_rng(seed))
        words = text.split()
        turns = sum(text.startswith(denial) for denial in sentiment.DENIALS)
        turns += sum(word in sentiment.TURNS for word in words)
        assert friendly == ((words[-1] in sentiment.GOOD) == (turns % 2 == 0))
