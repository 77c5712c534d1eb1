"""A cap becomes quotas, and quotas become a draw."""

from __future__ import annotations

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from dnr_core.demand.sample import Candidate, affordable, draw, quotas

STRATA = st.tuples(st.sampled_from(["d1", "d2", "d3"]), st.sampled_from(["analytics", "domain"]))
COUNTS = st.dictionaries(STRATA, st.integers(1, 40), max_size=6)


@settings(max_examples=40)
@given(COUNTS, st.integers(0, 300), st.integers(0, 5))
def test_quotas_give_exactly_what_there_is_to_give(counts, total, seed):
    """Quotas add up to the total (or to all there is), and none exceeds its stratum."""
    given_out = quotas(counts, total, seed)
    assert sum(given_out.values()) == min(total, sum(counts.values()))
    assert all(0 <= given_out[key] <= counts[key] for key in counts)


@settings(max_examples=40)
@given(COUNTS, st.integers(0, 300), st.integers(0, 5))
def test_every_bucket_day_gets_two_where_two_each_fit(counts, total, seed):
    """Each stratum gets min(2, its count) as soon as the total allows that for all."""
    least = sum(min(2, count) for count in counts.values())
    given_out = quotas(counts, total, seed)
    if total >= least:
        assert all(given_out[key] >= min(2, counts[key]) for key in counts)
    else:
        assert max(given_out.values(), default=0) <= 2


@settings(max_examples=40)
@given(
    st.lists(st.tuples(st.integers(0, 10**6), STRATA, st.booleans()), unique_by=lambda t: t[0]),
    st.integers(0, 60),
    st.integers(0, 5),
    st.randoms(),
)
def test_a_draw_has_its_size_and_does_not_depend_on_order(rows, total, seed, random):
    """A draw has exactly the size asked for, and is the same for any order of the candidates."""
    candidates = [Candidate(f"i{number}", stratum, first) for number, stratum, first in rows]
    chosen = draw(candidates, total, seed, "slack")
    shuffled = candidates.copy()
    random.shuffle(shuffled)
    assert len(chosen) == min(total, len(candidates))
    assert draw(shuffled, total, seed, "slack") == chosen


@settings(max_examples=40)
@given(st.integers(0, 30), st.integers(0, 30), st.integers(0, 60))
def test_fallback_items_are_served_after_all_kept_by_score(first, others, total):
    """No item kept only by the fallback is drawn while one kept by score is left out."""
    candidates = [Candidate(f"s{n}", ("d", "b"), first=True) for n in range(first)]
    candidates += [Candidate(f"f{n}", ("d", "b"), first=False) for n in range(others)]
    kinds = Counter(item_id[0] for item_id in draw(candidates, total, 1, "slack"))
    assert kinds["s"] == min(total, first)


def test_the_seed_decides_who_is_drawn():
    """Another seed draws others: a draw is random, not the first of the list."""
    candidates = [Candidate(f"i{n}", ("d", "b")) for n in range(100)]
    draws = {draw(candidates, 10, seed, "slack") for seed in range(5)}
    assert len(draws) == 5
    assert draw(candidates, 10, 0, "email") not in draws


@settings(max_examples=40)
@given(
    st.floats(0, 5),
    st.dictionaries(st.sampled_from(["slack", "email", "nlq"]), st.integers(0, 500), min_size=1),
    st.floats(1e-5, 0.1),
)
def test_what_is_granted_never_costs_more_than_the_plan(usable, wanted, cost):
    """Granted items times their planned cost stay within the money, for any split of it."""
    costs = {source: cost * (1 + place) for place, source in enumerate(wanted)}
    granted = affordable(usable, wanted, costs, {"slack": 0.546, "email": 0.15, "nlq": 0.304})
    assert sum(granted[s] * costs[s] for s in granted) <= usable * (1 + 1e-9)
    assert all(0 <= granted[s] <= wanted[s] for s in wanted)


def test_what_a_small_source_does_not_need_goes_to_the_others():
    """Money that one source leaves is spent on the others, by their weights."""
    granted = affordable(
        1.0,
        {"slack": 1000, "email": 10, "nlq": 1000},
        dict.fromkeys(("slack", "email", "nlq"), 0.001),
        {"slack": 0.6, "email": 0.2, "nlq": 0.2},
    )
    assert granted["email"] == 10
    assert granted["slack"] + granted["nlq"] in {989, 990}
    assert granted["slack"] > 2.9 * granted["nlq"]
