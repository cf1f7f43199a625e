"""A training that is killed and resumed ends with the bits of one that was not."""

import random

from kill.check import differing, ended, killed, start


def test_five_kills_change_no_bit(tmp_path):
    whole = start(tmp_path / "whole")
    found = killed(tmp_path / "killed", 5, random.Random())
    expected = ended(whole, tmp_path / "whole")
    assert len(expected["loss"]) == 8 * 14
    assert differing(expected, found) == []
