"""What is sure, and what the ranking stands on where one side is missing."""

from __future__ import annotations

from types import ModuleType

import pytest
from attrs import evolve

from dnr_core.model import DemandResult, HealthResult

KEYS, LATE, COPIES = "join_keys_orphans", "freshness_ingest_lag", "duplicates_dedup"
METRIC = "metric_definition_mismatch"


def test_a_need_within_its_limit_that_nobody_asks_for_is_hidden(
    made: ModuleType, sick: HealthResult, talk: DemandResult
) -> None:
    """Low confidence hides a need, with the reason, and keeps it off the cards."""
    found = made.ranking(sick, talk)
    hidden = made.find(found, LATE, "fact_order")
    assert "under 0.55" in hidden.hidden
    assert not hidden.rank
    assert hidden.certainty is None
    assert made.find(made.ranking(sick, talk, min_confidence=0.0), LATE, "fact_order").hidden == ""


def test_confidence_leaves_out_what_has_no_source(made: ModuleType, sick: HealthResult) -> None:
    """Without talk, the chance of being over the limit stands in for class and entity."""
    need = made.find(made.ranking(sick), KEYS, "fact_order")
    assert need.confidence_parts == {"class": 1.0, "entity": 1.0, "coverage": 1.0, "agreement": 0.5}
    assert need.confidence == pytest.approx(0.95)
    unnamed = made.demand({(METRIC, "fact_order"): 5})
    unnamed = evolve(unnamed, entities=unnamed.entities.slice(0, 0))
    alone = made.find(made.ranking(None, unnamed), METRIC, "fact_order")
    assert "entity" not in alone.confidence_parts
    assert alone.confidence == pytest.approx((0.45 * 0.9 + 0.20 + 0.10 * 0.5) / 0.75)


def test_agreement_is_judged_only_where_both_sides_looked(
    made: ModuleType, sick: HealthResult, talk: DemandResult
) -> None:
    """Both name it: 1. Only one side can see it: 0.5. Both looked and differ: 0."""
    found = made.ranking(sick, talk)
    assert made.find(found, KEYS, "fact_order").need.agreement == 1.0
    assert made.find(found, METRIC, "fact_payment").need.agreement == 0.5
    assert made.find(found, COPIES, "fact_payment").need.agreement == 0.0


def test_without_talk_the_ranking_stands_on_money_and_says_so(
    made: ModuleType, sick: HealthResult
) -> None:
    """No messages: money and severity, in words on the result, and no demand interval."""
    found = made.ranking(sick)
    assert found.basis == "money and severity"
    assert any("No messages were read" in note for note in found.notes)
    assert found.top[0].demand is None


def test_without_money_the_ranking_stands_on_rows_and_says_so(made: ModuleType) -> None:
    """No declared money: the affected share of rows takes the place of the revenue share."""
    found = made.ranking(made.health({("fact_order", "key_null"): 0.03}, cents_a_row=None))
    need = found.top[0]
    assert need.need.revenue_cents is None
    assert need.need.revenue_share == pytest.approx(0.03)
    assert need.money is None
    assert found.total is None
    assert found.basis == "rows and severity"
    assert any("No money is declared" in note for note in found.notes)


def test_without_a_warehouse_the_ranking_stands_on_demand(
    made: ModuleType, talk: DemandResult
) -> None:
    """Talk alone ranks by demand, with certainty, and claims no money."""
    found = made.ranking(None, talk, recency_days=1e15)
    assert found.basis == "demand"
    assert [n.need.theme for n in found.top] == [KEYS, LATE, METRIC]
    assert all(n.money is None for n in found.needs)


def test_talk_that_names_no_table_is_a_need_only_where_nothing_else_is(made: ModuleType) -> None:
    """Demand without a table counts in the themes; alone, it still makes the ranking."""
    both = made.ranking(None, made.demand({(KEYS, "fact_order"): 1, (METRIC, ""): 50}))
    assert [(n.need.theme, n.need.table) for n in both.needs] == [(KEYS, "fact_order")]
    alone = made.ranking(None, made.demand({(METRIC, ""): 50}))
    assert [(n.need.theme, n.need.table) for n in alone.needs] == [(METRIC, "")]


def test_nothing_at_all_gives_an_empty_ranking(made: ModuleType) -> None:
    """No evidence makes no need, and neither side makes a note."""
    assert made.ranking(made.health({})).needs == ()
    assert made.ranking().notes == ("Neither a warehouse nor messages were read.",)
