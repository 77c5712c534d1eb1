"""Answers held against a true ranking: each score on cases counted by hand."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnr_core.evaluation.oracle import Oracle, TrueNeed
from dnr_core.evaluation.ranking_scores import (
    answer_scores,
    baseline_scores,
    calibration_error,
    certainties,
    reliability,
)
from dnr_core.model import Need, RankedNeed, Ranking, Score

KEYS, LATE, COPIES, PII = (
    "join_keys_orphans",
    "freshness_ingest_lag",
    "duplicates_dedup",
    "access_permissions_pii",
)


def need(theme: str, table: str = "fact_a", **more: object) -> Need:
    """A need of which only what is given matters."""
    empty: dict[str, object] = {
        "columns": (), "metric": "key_null", "affected_rows": 1, "rows": 9, "revenue_cents": None,
        "revenue_share": None, "table_revenue_share": None, "demand_share": 0.0,
        "demand_items": 0, "people": 0, "roles": {}, "value": None, "slo": None,
        "over_slo_last_week": False, "peak": None, "days_since_peak": 0, "has_broken_rows": True,
    }  # fmt: skip
    return Need(theme, table, **{**empty, **more})  # type: ignore[arg-type]


def true(theme: str, score: float, cents: float, table: str = "fact_a") -> TrueNeed:
    """A true need of that score and worth."""
    return TrueNeed(need(theme, table), Score(score, {}), cents)


ORACLE_NEEDS = (
    true(KEYS, 0.8, 700),
    true(KEYS, 0.6, 600, "fact_b"),
    true(LATE, 0.4, 200),
    true(COPIES, 0.2, 100),
    true(PII, 0.1, 0),
)
ORACLE = Oracle(ORACLE_NEEDS, (ORACLE_NEEDS[0], ORACLE_NEEDS[2], ORACLE_NEEDS[3]))
TRUE = [n.key for n in ORACLE.top]


def test_the_true_answer_is_perfect() -> None:
    """The oracle's own answer has no fault in any score."""
    assert answer_scores(ORACLE, TRUE).as_dict() == {
        "top1": 1.0, "overlap": 1.0, "ndcg": 1.0, "regret": 0.0,
    }  # fmt: skip


def test_scores_by_hand() -> None:
    """A wrong order costs the first hit and some gain; a wrong need costs overlap and money."""
    swapped = answer_scores(ORACLE, [TRUE[1], TRUE[0], TRUE[2]])
    ideal = 0.8 + 0.4 / math.log2(3) + 0.2 / 2
    assert swapped.top1 == 0.0
    assert swapped.overlap == 1.0
    assert swapped.ndcg == pytest.approx((0.4 + 0.8 / math.log2(3) + 0.1) / ideal)
    assert swapped.regret == 0.0
    other = answer_scores(ORACLE, [TRUE[0], (PII, "fact_a"), ("nonsense", "fact_a")])
    assert other.overlap == pytest.approx(1 / 3)
    assert other.ndcg == pytest.approx((0.8 + 0.1 / math.log2(3)) / ideal)
    assert other.regret == pytest.approx(0.3)


def test_a_second_need_of_a_theme_gains_nothing() -> None:
    """An answer that names one theme twice has no more gain from the second."""
    twice = answer_scores(ORACLE, [TRUE[0], (KEYS, "fact_b"), TRUE[1]])
    without = answer_scores(ORACLE, [TRUE[0], ("nonsense", "x"), TRUE[1]])
    assert twice.ndcg == without.ndcg


def test_nothing_to_name_is_right_where_nothing_is_wrong() -> None:
    """An empty answer is right for a company without needs, and a need there is not."""
    nothing = Oracle((), ())
    assert answer_scores(nothing, []).overlap == 1.0
    assert answer_scores(nothing, [(KEYS, "fact_a")]).top1 == 0.0


def ranked(one: Need, rank: int, certainty: float | None, hidden: str = "") -> RankedNeed:
    """A need in its place."""
    return RankedNeed(one, Score(0.5, {}), rank, 0.9, {}, certainty, None, None, hidden)


def test_baselines_go_by_one_thing_each() -> None:
    """Each baseline names what its measure says, one a theme; chance is near what chance gives."""
    ranking = Ranking(
        (
            ranked(need(KEYS, revenue_cents=700.0, value=1.1, slo=1.0), 1, 1.0),
            ranked(need(LATE, revenue_cents=900.0, value=8.0, slo=1.0, metric="late"), 2, 1.0),
            ranked(need(PII, demand_share=0.4), 0, 0.1),
            ranked(need(COPIES, demand_share=0.1, value=4.0, slo=1.0, revenue_cents=1.0), 3, 1.0),
        ),
        None,
        "",
    )
    scores = baseline_scores(ORACLE, ranking, seed=1)
    assert scores["most_revenue"].top1 == 0.0
    assert scores["most_revenue"].overlap == 1.0
    assert scores["worst_defect_rate"].overlap == 1.0
    assert scores["most_talked_about"].overlap == pytest.approx(2 / 3)
    assert scores["random"].overlap == pytest.approx(3 / 4, abs=0.1)
    assert scores == baseline_scores(ORACLE, ranking, seed=1)


def test_every_need_has_a_certainty_hidden_and_unknown_ones_zero() -> None:
    """Needs that are hidden or that the report does not know count as surely not in the top."""
    ranking = Ranking((ranked(need(KEYS), 1, 0.9), ranked(need(LATE), 0, None, "hidden")), None, "")
    pairs = certainties(ORACLE, ranking)
    assert len(pairs) == len(ORACLE_NEEDS)
    assert sorted(pairs) == [(0.0, False), (0.0, False), (0.0, True), (0.0, True), (0.9, True)]


def test_calibration_error_by_hand() -> None:
    """Bins hold equally many; the error is the mean gap between certainty and outcome."""
    pairs = [(0.0, False)] * 5 + [(1.0, True)] * 4 + [(1.0, False)]
    bins = reliability(pairs, bins=2)
    assert [(b.certainty, b.share, b.count) for b in bins] == [(0.0, 0.0, 5.0), (1.0, 0.8, 5.0)]
    assert calibration_error(bins) == pytest.approx(0.1)
    assert calibration_error(reliability([])) is None


@given(
    st.lists(st.tuples(st.sampled_from([0.0, 0.2, 0.5, 1.0]), st.booleans()), min_size=1),
    st.randoms(use_true_random=False),
)
def test_equal_certainties_have_no_order(pairs: list[tuple[float, bool]], order: object) -> None:
    """Bins are of equal mass, lose no need, and do not depend on the order of equals."""
    mixed = list(pairs)
    order.shuffle(mixed)  # type: ignore[attr-defined]
    bins, others = reliability(pairs), reliability(mixed)
    assert [b.as_dict() for b in bins] == [b.as_dict() for b in others]
    assert sum(b.count for b in bins) == pytest.approx(len(pairs))
    assert max(b.count for b in bins) == pytest.approx(min(b.count for b in bins))
