"""Theme shares, and intervals that are as wide as they should be."""

from __future__ import annotations

import math

from hypothesis import given, settings
from hypothesis import strategies as st

from dnr_core.demand.shares import Heard, theme_shares

LATE, DOUBLE = "freshness_ingest_lag", "duplicates_dedup"
WEIGHTS = {"slack": 0.6, "nlq": 0.4}


def _share(shares, source, theme, table=""):
    return next(s for s in shares if (s.source, s.theme, s.table) == (source, theme, table))


def test_a_share_is_weight_of_the_theme_over_weight_of_all_demand():
    """Items that are no demand do not count; an item on two tables counts half on each."""
    heard = [
        Heard("slack", "a", 3, LATE, ("t1", "t2")),
        Heard("slack", "b", 1, DOUBLE, ("t1",)),
        Heard("slack", "c", 9, ""),
    ]
    shares = theme_shares(heard, {"slack": 1.0}, resamples=50, seed=1)
    assert _share(shares, "slack", LATE).share == 0.75
    assert _share(shares, "slack", LATE, "t1").share == 0.375
    assert _share(shares, "all", DOUBLE, "t1").share == 0.25


def test_all_is_the_weighted_mean_of_the_sources():
    """Over all, a theme has the sources' shares times their weights."""
    heard = [Heard("slack", f"a{n}", 1, LATE if n < 3 else DOUBLE) for n in range(4)]
    heard += [Heard("nlq", f"q{n}", 1, DOUBLE) for n in range(4)]
    shares = theme_shares(heard, WEIGHTS, resamples=50, seed=1)
    assert math.isclose(_share(shares, "all", LATE).share, 0.6 * 0.75)
    assert math.isclose(_share(shares, "all", DOUBLE).share, 0.6 * 0.25 + 0.4)


def test_a_source_without_demand_leaves_its_weight_to_the_others():
    """Shares over all add up to 1 also where a source asks for nothing."""
    heard = [Heard("slack", "a", 1, LATE), Heard("nlq", "q", 1, "")]
    shares = theme_shares(heard, WEIGHTS, resamples=50, seed=1)
    assert _share(shares, "all", LATE).share == 1


def test_threads_are_resampled_whole():
    """Ten alike mails of one thread are one voice: the interval is wider than of ten threads."""
    apart = [Heard("slack", f"t{n}", 1, LATE if n < 20 else DOUBLE) for n in range(40)]
    together = [Heard("slack", f"t{n // 10}", 1, LATE if n < 20 else DOUBLE) for n in range(40)]
    narrow = _share(theme_shares(apart, {"slack": 1.0}, resamples=400, seed=1), "all", LATE)
    wide = _share(theme_shares(together, {"slack": 1.0}, resamples=400, seed=1), "all", LATE)
    assert wide.high - wide.low > 2 * (narrow.high - narrow.low)


def test_the_interval_has_the_width_of_theory():
    """The middle 80 % for a share of one half of 400 threads is about +- 1.28 x .025."""
    heard = [Heard("slack", f"t{n}", 1, LATE if n % 2 else DOUBLE) for n in range(400)]
    found = _share(theme_shares(heard, {"slack": 1.0}, resamples=2000, seed=3), "all", LATE)
    assert abs((found.high - found.low) / 2 - 1.2816 * 0.025) < 0.003


@settings(max_examples=30)
@given(
    st.lists(
        st.builds(
            Heard,
            source=st.sampled_from(["slack", "nlq"]),
            cluster=st.sampled_from(["a", "b", "c", "d"]),
            weight=st.integers(1, 5000),
            theme=st.sampled_from([LATE, DOUBLE, ""]),
            tables=st.lists(st.sampled_from(["t1", "t2", "t3"]), unique=True).map(tuple),
        ),
        max_size=30,
    ),
    st.randoms(),
)
def test_shares_are_shares_and_no_order_changes_them(heard, random):
    """Shares add up to 1, lie within their bounds, and are the same for any order of items."""
    shares = theme_shares(heard, WEIGHTS, resamples=20, seed=1)
    shuffled = heard.copy()
    random.shuffle(shuffled)
    assert theme_shares(shuffled, WEIGHTS, resamples=20, seed=1) == shares
    assert all(0 <= s.low <= s.share <= s.high <= 1 + 1e-12 for s in shares)
    if any(h.theme for h in heard):
        assert math.isclose(sum(s.share for s in shares if s.source == "all" and not s.table), 1)
