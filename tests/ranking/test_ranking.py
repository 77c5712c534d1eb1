"""What the ranking promises, on small companies made by hand."""

from __future__ import annotations

import math
from datetime import timedelta
from types import ModuleType

import pytest

from dnr_core.model import DemandResult, HealthResult

KEYS, LATE, COPIES = "join_keys_orphans", "freshness_ingest_lag", "duplicates_dedup"
METRIC = "metric_definition_mismatch"


def test_the_formula_is_the_weighted_sum_faded_by_age(made: ModuleType) -> None:
    """Every part of the score is what definitions.md says, by a calculation on paper."""
    found = made.ranking(
        made.health({("fact_order", "key_null"): 0.03}),
        made.demand({(KEYS, "fact_order"): 1, (METRIC, "fact_payment"): 9}),
    )
    need = made.find(found, KEYS, "fact_order")
    assert need.need.revenue_share == pytest.approx(0.03)
    assert need.score.parts == pytest.approx(
        {"revenue": 0.3, "demand": 0.1 / 0.25, "severity": (3.0 - 1) / 4, "recency": 1.0}
    )
    assert need.score.value == pytest.approx(0.6 * 0.3 + 0.25 * 0.4 + 0.15 * 0.5)
    assert need.money
    assert need.money.value == pytest.approx(0.03 * 30_000 * 100)


def test_late_money_counts_a_tenth_and_is_not_at_risk(made: ModuleType) -> None:
    """Half of all rows late is scored like a twentieth of the rows broken, outside the total."""
    found = made.ranking(made.health({("fact_payment", "late"): 0.5}))
    late = made.find(found, LATE, "fact_payment")
    assert late.score.parts["revenue"] == pytest.approx(0.5)
    assert late.rank == 1
    assert late.need.value == 400.0
    assert found.total is None


def test_talk_without_broken_rows_claims_no_money(made: ModuleType, sick: HealthResult) -> None:
    """A need from talk alone has no money, a capped revenue part, and is not in the total."""
    found = made.ranking(sick, made.demand({(METRIC, "fact_payment"): 99, (KEYS, "fact_order"): 1}))
    need = made.find(found, METRIC, "fact_payment")
    assert need.money is None
    assert need.score.parts["revenue"] == 0.10
    assert need.rank
    assert found.total
    at_risk = [n.money.value for n in found.top if n.money and n.need.metric != "late"]
    assert found.total.value == pytest.approx(sum(at_risk))


def test_talk_alone_does_not_beat_broken_money(made: ModuleType) -> None:
    """A tenth of the revenue on broken keys is fixed before what everybody talks about."""
    found = made.ranking(
        made.health({("fact_order", "key_null"): 0.1}),
        made.demand({(METRIC, "fact_payment"): 100}),
    )
    assert [n.need.theme for n in found.top] == [KEYS, METRIC]


def test_the_top_three_differ_in_theme(made: ModuleType) -> None:
    """Of two needs of one theme, only the better is on a card, however strong both are."""
    found = made.ranking(
        made.health(
            {
                ("fact_order", "key_null"): 0.3,
                ("fact_payment", "key_null"): 0.2,
                ("fact_payment", "duplicate"): 0.01,
                ("fact_order", "late"): 0.2,
            }
        ),
    )
    assert [(n.need.theme, n.need.table) for n in found.top] == [
        (KEYS, "fact_order"),
        (LATE, "fact_order"),
        (COPIES, "fact_payment"),
    ]
    assert made.find(found, KEYS, "fact_payment").score.value > found.top[1].score.value


def test_rows_broken_twice_count_once(made: ModuleType) -> None:
    """Money on rows that are broken in two ways is counted once, in the need and in the total."""
    rates = {("fact_order", "key_null"): 0.02, ("fact_order", "fk_failure"): 0.06}
    apart = made.ranking(made.health(rates))
    same = made.ranking(made.health(rates, overlap=1.0))
    cents = 30_000 * 100
    assert made.find(apart, KEYS, "fact_order").need.revenue_cents == pytest.approx(0.08 * cents)
    assert made.find(same, KEYS, "fact_order").need.revenue_cents == pytest.approx(0.06 * cents)
    assert same.total
    assert same.total.value == pytest.approx(0.06 * cents)


def test_old_trouble_fades_and_fresh_trouble_does_not(made: ModuleType) -> None:
    """A need within its limit in the last week fades from its peak; one over it keeps its score."""
    old = made.health({("fact_order", "key_null"): lambda n: 0.2 if n < 100 else 0.005})
    need = made.find(made.ranking(old), KEYS, "fact_order")
    # Three more days have at least half of what the worst seven had.
    assert need.need.peak == made.LAST - timedelta(days=17)
    assert not need.need.over_slo_last_week
    assert need.score.parts["recency"] == pytest.approx(math.exp(-17 / 60))
    fresh = made.health({("fact_order", "key_null"): lambda n: 0.3 if n < 50 else 0.05})
    assert made.find(made.ranking(fresh), KEYS, "fact_order").score.parts["recency"] == 1.0


def test_one_old_message_ages_nothing_and_mended_rows_do(made: ModuleType) -> None:
    """Rows that are broken as ever are of today; where they were mended, the peak is when they were."""
    flat = made.health({("fact_order", "key_null"): 0.03})
    old = made.demand({(KEYS, "fact_order"): 1}, start=made.LAST - timedelta(days=40))
    assert made.find(made.ranking(flat, old), KEYS, "fact_order").need.peak == made.LAST
    mended = made.health({("fact_order", "key_null"): lambda n: 0.2 if n < 100 else 0.0})
    quiet = made.find(made.ranking(mended), KEYS, "fact_order").need
    assert quiet.peak == made.LAST - timedelta(days=17)


def test_a_planted_defect_becomes_the_first_need(made: ModuleType, talk: DemandResult) -> None:
    """Nulls in 40 % of one key: the right table, column, money and peak, on top."""
    health = made.health(
        {
            ("fact_payment", "key_null"): lambda n: 0.4 if n >= 110 else 0.0,
            ("fact_order", "duplicate"): 0.003,
        }
    )
    first = made.ranking(health, talk).top[0]
    assert (first.need.theme, first.need.table) == (KEYS, "fact_payment")
    assert first.need.columns == ("order_id",)
    assert first.need.affected_rows == 4000
    assert first.need.revenue_cents == pytest.approx(4000 * 100)
    assert first.need.peak == made.LAST
