"""Rows that need a later parent are matched with keys that were given up."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from dnr_core.builtin.kinds.orphans import nearest_later

side = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 2)), max_size=9)


def most(offers, needs):
    """The most pairs there can be, by trying the latest offers for the latest needs."""
    pairs = 0
    for group in range(3):
        free = sorted(time for time, own in offers if own == group)
        for time in sorted((time for time, own in needs if own == group), reverse=True):
            if free and free[-1] > time:
                free.pop()
                pairs += 1
    return pairs


@hypothesis_settings(max_examples=300, deadline=None, derandomize=True)
@given(offers=side, needs=side)
def test_as_many_as_can_be_are_matched_and_none_twice(offers, needs):
    """Every pair is of one group and strictly later, nothing is used twice, and no other way
    of matching gives more pairs."""

    def column(pairs, place):
        return np.array([pair[place] for pair in pairs], dtype=np.int64)

    offered, needed = nearest_later(
        column(offers, 0), column(offers, 1), column(needs, 0), column(needs, 1)
    )
    assert len(set(offered.tolist())) == len(offered) == len(needed) == len(set(needed.tolist()))
    for giver, taker in zip(offered, needed, strict=True):
        assert offers[giver][0] > needs[taker][0]
        assert offers[giver][1] == needs[taker][1]
    assert len(offered) == most(offers, needs)
