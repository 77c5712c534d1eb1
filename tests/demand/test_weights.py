"""Source weights and post-stratification."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dnr_core.config.settings import WeightCaps
from dnr_core.demand.weights import SCALE, Stratum, item_weights, source_weights

BASE = {"nlq": 0.50, "slack": 0.30, "email": 0.20}
CAPS = WeightCaps()


def test_the_worked_example_of_the_definitions():
    """1,000 NLQ, 3,000 threads and 800 mails weigh .304, .546 and .150."""
    weights = source_weights(BASE, {"nlq": 1000, "slack": 3000, "email": 800}, CAPS)
    assert {name: round(value, 3) for name, value in weights.items()} == {
        "nlq": 0.304,
        "slack": 0.546,
        "email": 0.150,
    }


@settings(max_examples=40)
@given(st.fixed_dictionaries({name: st.integers(0, 10**7) for name in BASE}))
def test_weights_add_up_to_one_and_keep_their_caps(volumes):
    """Weights of present sources add up to 1 and lie in the caps; absent ones weigh nothing."""
    weights = source_weights(BASE, volumes, CAPS)
    present = [name for name in volumes if volumes[name]]
    assert all(weights[name] == 0 for name in volumes if not volumes[name])
    if present:
        assert math.isclose(math.fsum(weights.values()), 1)
    if len(present) > 1:
        assert all(CAPS.min - 1e-9 <= weights[name] <= CAPS.max + 1e-9 for name in present)


@settings(max_examples=40)
@given(st.fixed_dictionaries({name: st.integers(1, 10**6) for name in BASE}))
def test_those_not_at_a_cap_keep_their_proportions(volumes):
    """Clipping fixes the clipped ones and rescales the others alike."""
    weights = source_weights(BASE, volumes, CAPS)
    free = [n for n in volumes if CAPS.min + 1e-9 < weights[n] < CAPS.max - 1e-9]
    factors = [weights[name] / (BASE[name] * volumes[name]) for name in free]
    assert all(math.isclose(factor, factors[0], rel_tol=1e-6) for factor in factors)


@pytest.mark.parametrize("source", BASE)
def test_a_source_alone_weighs_one(source):
    """With one source there is nothing to weigh it against, whatever the caps."""
    assert source_weights(BASE, {**dict.fromkeys(BASE, 0), source: 5}, CAPS)[source] == 1


STRATA = st.lists(
    st.tuples(
        st.builds(
            Stratum,
            source=st.sampled_from(["slack", "email"]),
            tier=st.sampled_from(["score", "fallback"]),
            bucket=st.sampled_from(["analytics", "domain"]),
            month=st.integers(1, 3),
            day=st.integers(1, 4),
        ),
        st.booleans(),
    ),
    max_size=60,
)


@settings(max_examples=40)
@given(STRATA)
def test_the_decided_stand_for_all_that_were_kept(rows):
    """Within a source and tier with any decided item, weights add up to its kept items."""
    strata, decided = [row[0] for row in rows], [row[1] for row in rows]
    weights = item_weights(strata, decided)
    for tier in {(s.source, s.tier) for s in strata}:
        inside = [i for i, s in enumerate(strata) if (s.source, s.tier) == tier]
        total = sum(weights[i] for i in inside)
        if any(decided[i] for i in inside):
            assert abs(total - SCALE * len(inside)) <= len(inside)
        else:
            assert total == 0
    assert all(weight == 0 for weight, by in zip(weights, decided, strict=True) if not by)


def test_a_full_sample_weighs_every_item_alike():
    """Where everything was decided, each item stands for itself."""
    strata = [Stratum("slack", "score", b, m, m) for b in ("x", "y") for m in range(1, 9)]
    assert set(item_weights(strata, [True] * len(strata))) == {SCALE}


def test_a_thinly_sampled_month_counts_as_much_as_it_has():
    """Ten items of June, one of them asked, weigh as much as ten of May that all were."""
    strata = [Stratum("slack", "score", "x", 5, d) for d in range(10)]
    strata += [Stratum("slack", "score", "x", 6, 40) for _ in range(10)]
    weights = item_weights(strata, [True] * 10 + [True] + [False] * 9)
    assert weights[10] == 10 * SCALE
    assert weights[:10] == [SCALE] * 10
