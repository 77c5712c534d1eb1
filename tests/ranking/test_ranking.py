"""What the ranking promises, on small companies made by hand."""

from __future__ import annotations

import math
import random
from datetime import timedelta
from types import ModuleType
from typing import Any

import pyarrow as pa
import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from dnr_core.builtin.scorers import formula
from dnr_core.config.settings import ReportSettings, Settings
from dnr_core.errors import PluginError
from dnr_core.model import DemandResult, HealthResult, Need, RankedNeed, Ranking, Scorer
from dnr_core.plugins import load_plugins
from dnr_core.ranking import need_title, rank

KEYS, LATE, COPIES = "join_keys_orphans", "freshness_ingest_lag", "duplicates_dedup"
METRIC = "metric_definition_mismatch"
CATALOGUE = load_plugins(discover=True)


def ranking(
    made: ModuleType,
    health: HealthResult | None = None,
    demand: DemandResult | None = None,
    catalogue: Any = CATALOGUE,
    **changes: Any,
) -> Ranking:
    settings = evolve(Settings(), report=evolve(ReportSettings(), **changes))
    return rank(made.shop(), settings, catalogue, health=health, demand=demand)


def find(found: Ranking, theme: str, table: str) -> RankedNeed:
    return next(n for n in found.needs if n.need.theme == theme and n.need.table == table)


def outline(found: Ranking) -> list[Any]:
    return [
        (
            n.rank,
            n.need.theme,
            n.need.table,
            round(n.score.value, 9),
            round(n.confidence, 9),
            n.certainty,
            n.hidden,
            n.rival,
        )
        for n in found.needs
    ]


@pytest.fixture(scope="module")
def sick(made: ModuleType) -> HealthResult:
    return made.health(
        {
            ("fact_order", "key_null"): 0.03,
            ("fact_order", "fk_failure"): lambda n: 0.05 + 0.004 * (n % 5),
            ("fact_payment", "duplicate"): lambda n: 0.006 + 0.001 * (n % 3),
            ("fact_payment", "late"): 0.5,
            ("fact_order", "late"): 0.01,
        }
    )


@pytest.fixture(scope="module")
def talk(made: ModuleType) -> DemandResult:
    return made.demand(
        {(KEYS, "fact_order"): 20, (LATE, "fact_payment"): 15, (METRIC, "fact_payment"): 10}
    )


def test_the_formula_is_the_weighted_sum_faded_by_age(made: ModuleType) -> None:
    """Every part of the score is what definitions.md says, by a calculation on paper."""
    found = ranking(
        made,
        made.health({("fact_order", "key_null"): 0.03}),
        made.demand({(KEYS, "fact_order"): 1, (METRIC, "fact_payment"): 9}),
    )
    need = find(found, KEYS, "fact_order")
    assert need.need.revenue_share == pytest.approx(0.03)
    assert need.score.parts == pytest.approx(
        {"revenue": 0.3, "demand": 0.1 / 0.25, "severity": (3.0 - 1) / 4, "recency": 1.0}
    )
    assert need.score.value == pytest.approx(0.6 * 0.3 + 0.25 * 0.4 + 0.15 * 0.5)
    assert need.money
    assert need.money.value == pytest.approx(0.03 * 30_000 * 100)


def test_late_money_counts_a_tenth_and_is_not_at_risk(made: ModuleType) -> None:
    """Half of all rows late is scored like a twentieth of the rows broken, outside the total."""
    found = ranking(made, made.health({("fact_payment", "late"): 0.5}))
    late = find(found, LATE, "fact_payment")
    assert late.score.parts["revenue"] == pytest.approx(0.5)
    assert late.rank == 1
    assert late.need.value == 400.0
    assert found.total is None


def test_talk_without_broken_rows_claims_no_money(made: ModuleType, sick: HealthResult) -> None:
    """A need from talk alone has no money, a capped revenue part, and is not in the total."""
    found = ranking(
        made, sick, made.demand({(METRIC, "fact_payment"): 99, (KEYS, "fact_order"): 1})
    )
    need = find(found, METRIC, "fact_payment")
    assert need.money is None
    assert need.score.parts["revenue"] == 0.10
    assert need.rank
    assert found.total
    at_risk = [n.money.value for n in found.top if n.money and n.need.metric != "late"]
    assert found.total.value == pytest.approx(sum(at_risk))


def test_talk_alone_does_not_beat_broken_money(made: ModuleType) -> None:
    """A tenth of the revenue on broken keys is fixed before what everybody talks about."""
    found = ranking(
        made,
        made.health({("fact_order", "key_null"): 0.1}),
        made.demand({(METRIC, "fact_payment"): 100}),
    )
    assert [n.need.theme for n in found.top] == [KEYS, METRIC]


def test_the_top_three_differ_in_theme(made: ModuleType) -> None:
    """Of two needs of one theme, only the better is on a card, however strong both are."""
    found = ranking(
        made,
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
    assert find(found, KEYS, "fact_payment").score.value > found.top[1].score.value


def test_rows_broken_twice_count_once(made: ModuleType) -> None:
    """Money on rows that are broken in two ways is counted once, in the need and in the total."""
    rates = {("fact_order", "key_null"): 0.02, ("fact_order", "fk_failure"): 0.06}
    apart = ranking(made, made.health(rates))
    same = ranking(made, made.health(rates, overlap=1.0))
    cents = 30_000 * 100
    assert find(apart, KEYS, "fact_order").need.revenue_cents == pytest.approx(0.08 * cents)
    assert find(same, KEYS, "fact_order").need.revenue_cents == pytest.approx(0.06 * cents)
    assert same.total
    assert same.total.value == pytest.approx(0.06 * cents)


def test_old_trouble_fades_and_fresh_trouble_does_not(made: ModuleType) -> None:
    """A need within its limit in the last week fades from its peak; one over it keeps its score."""
    old = made.health({("fact_order", "key_null"): lambda n: 0.2 if n < 100 else 0.005})
    need = find(ranking(made, old), KEYS, "fact_order")
    assert need.need.peak == made.LAST - timedelta(days=20)
    assert not need.need.over_slo_last_week
    assert need.score.parts["recency"] == pytest.approx(math.exp(-20 / 60))
    fresh = made.health({("fact_order", "key_null"): lambda n: 0.3 if n < 50 else 0.05})
    assert find(ranking(made, fresh), KEYS, "fact_order").score.parts["recency"] == 1.0


def test_messages_move_the_peak(made: ModuleType) -> None:
    """The peak is where rows and messages together are densest, not rows alone."""
    flat = made.health({("fact_order", "key_null"): 0.03})
    quiet = find(ranking(made, flat), KEYS, "fact_order").need
    spoken = made.demand({(KEYS, "fact_order"): 1}, start=made.LAST - timedelta(days=40))
    loud = find(ranking(made, flat, spoken), KEYS, "fact_order").need
    assert quiet.peak == made.LAST
    assert loud.peak
    assert made.LAST - timedelta(days=40) <= loud.peak <= made.LAST - timedelta(days=34)


def test_a_need_within_its_limit_that_nobody_asks_for_is_hidden(
    made: ModuleType, sick: HealthResult, talk: DemandResult
) -> None:
    """Low confidence hides a need, with the reason, and keeps it off the cards."""
    found = ranking(made, sick, talk)
    hidden = find(found, LATE, "fact_order")
    assert "under 0.55" in hidden.hidden
    assert not hidden.rank
    assert hidden.certainty is None
    assert find(ranking(made, sick, talk, min_confidence=0.0), LATE, "fact_order").hidden == ""


def test_confidence_leaves_out_what_has_no_source(made: ModuleType, sick: HealthResult) -> None:
    """Without talk, the chance of being over the limit stands in for class and entity."""
    need = find(ranking(made, sick), KEYS, "fact_order")
    assert need.confidence_parts == {"class": 1.0, "entity": 1.0, "coverage": 1.0, "agreement": 0.5}
    assert need.confidence == pytest.approx(0.95)
    unnamed = made.demand({(METRIC, "fact_order"): 5})
    unnamed = evolve(unnamed, entities=unnamed.entities.slice(0, 0))
    alone = find(ranking(made, None, unnamed), METRIC, "fact_order")
    assert "entity" not in alone.confidence_parts
    assert alone.confidence == pytest.approx((0.45 * 0.9 + 0.20 + 0.10 * 0.5) / 0.75)


def test_agreement_is_judged_only_where_both_sides_looked(
    made: ModuleType, sick: HealthResult, talk: DemandResult
) -> None:
    """Both name it: 1. Only one side can see it: 0.5. Both looked and differ: 0."""
    found = ranking(made, sick, talk)
    assert find(found, KEYS, "fact_order").need.agreement == 1.0
    assert find(found, METRIC, "fact_payment").need.agreement == 0.5
    assert find(found, COPIES, "fact_payment").need.agreement == 0.0


def test_without_talk_the_ranking_stands_on_money_and_says_so(
    made: ModuleType, sick: HealthResult
) -> None:
    """No messages: money and severity, in words on the result, and no demand interval."""
    found = ranking(made, sick)
    assert found.basis == "money and severity"
    assert any("No messages were read" in note for note in found.notes)
    assert found.top[0].demand is None


def test_without_money_the_ranking_stands_on_rows_and_says_so(made: ModuleType) -> None:
    """No declared money: the affected share of rows takes the place of the revenue share."""
    found = ranking(made, made.health({("fact_order", "key_null"): 0.03}, cents_a_row=None))
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
    found = ranking(made, None, talk, recency_days=1e15)
    assert found.basis == "demand"
    assert [n.need.theme for n in found.top] == [KEYS, LATE, METRIC]
    assert all(n.money is None for n in found.needs)


def test_talk_that_names_no_table_is_a_need_only_where_nothing_else_is(made: ModuleType) -> None:
    """Demand without a table counts in the themes; alone, it still makes the ranking."""
    both = ranking(made, None, made.demand({(KEYS, "fact_order"): 1, (METRIC, ""): 50}))
    assert [(n.need.theme, n.need.table) for n in both.needs] == [(KEYS, "fact_order")]
    alone = ranking(made, None, made.demand({(METRIC, ""): 50}))
    assert [(n.need.theme, n.need.table) for n in alone.needs] == [(METRIC, "")]


def test_nothing_at_all_gives_an_empty_ranking(made: ModuleType) -> None:
    """No evidence makes no need, and neither side makes a note."""
    assert ranking(made, made.health({})).needs == ()
    assert ranking(made).notes == ("Neither a warehouse nor messages were read.",)


def test_the_order_of_the_input_changes_nothing(
    made: ModuleType, sick: HealthResult, talk: DemandResult
) -> None:
    """Rows of measures, totals, items and verdicts in any order give the same ranking."""
    order = random.Random(3)

    def shuffled(table: pa.Table) -> pa.Table:
        rows = list(range(table.num_rows))
        order.shuffle(rows)
        return table.take(rows)

    mixed = evolve(
        sick,
        measures=shuffled(sick.measures),
        totals=shuffled(sick.totals),
        slos=tuple(reversed(sick.slos)),
    )
    spoken = evolve(talk, items=shuffled(talk.items), entities=shuffled(talk.entities))
    assert outline(ranking(made, mixed, spoken)) == outline(ranking(made, sick, talk))


@hypothesis_settings(max_examples=12, deadline=None)
@given(factor=st.floats(1e-3, 1e4))
def test_the_unit_of_money_changes_nothing(factor: float, made: ModuleType) -> None:
    """Money in cents, dollars or yen gives the same places, scores and certainties."""
    rates = {
        ("fact_order", "key_null"): lambda n: 0.02 + 0.001 * (n % 7),
        ("fact_payment", "duplicate"): lambda n: 0.004 + 0.002 * (n % 3),
        ("fact_payment", "fk_failure"): lambda n: 0.03 + 0.01 * (n % 2),
    }
    one = ranking(made, made.health(rates, cents_a_row=100.0))
    other = ranking(made, made.health(rates, cents_a_row=100.0 * factor))
    assert outline(one) == outline(other)


def test_equal_scores_break_the_same_way(made: ModuleType) -> None:
    """Needs that are equal in all but their names stand in the order of their names."""
    rates = {("fact_payment", "key_null"): 0.02, ("fact_order", "key_null"): 0.02}
    found = ranking(made, made.health(rates))
    assert [n.need.table for n in found.needs if n.need.theme == KEYS] == [
        "fact_order",
        "fact_payment",
    ]


def test_a_sure_place_is_sure_and_a_coin_toss_is_shown_as_one(made: ModuleType) -> None:
    """Third and fourth place that differ by noise share the certainty and name each other."""
    health = made.health(
        {("fact_order", "key_null"): 0.2, ("fact_payment", "late"): 0.9}, rows_a_day=1000
    )
    even = made.demand(
        {
            (METRIC, "fact_order"): 20,
            ("new_field_schema_request", "fact_order"): 20,
            (KEYS, "fact_order"): 40,
            (LATE, "fact_payment"): 40,
        }
    )
    found = ranking(made, health, even, recency_days=1e15)
    first, third = found.top[0], found.top[2]
    fourth = next(
        n for n in found.needs if n.need.demand_share == third.need.demand_share and not n.rank
    )
    assert first.certainty == 1.0
    assert third.certainty
    assert fourth.certainty
    assert 0.3 < third.certainty < 0.7
    assert third.certainty + fourth.certainty == pytest.approx(1.0)
    title = need_title(made.shop().schema, fourth.need.theme, fourth.need.table)
    assert third.rival == title


def test_intervals_hold_the_value_and_widen_with_noise(made: ModuleType) -> None:
    """A steady rate has a narrow range of money, an erratic one a wide one."""
    steady = ranking(made, made.health({("fact_order", "key_null"): 0.1})).top[0].money
    wild = (
        ranking(made, made.health({("fact_order", "key_null"): lambda n: 0.9 * (n % 9 == 0)}))
        .top[0]
        .money
    )
    assert steady
    assert wild
    assert steady.low <= steady.value <= steady.high
    assert wild.low < wild.value < wild.high
    assert (wild.high - wild.low) / wild.value > 10 * (steady.high - steady.low) / steady.value


def test_the_bootstrap_repeats_by_seed(
    made: ModuleType, sick: HealthResult, talk: DemandResult
) -> None:
    """The same seed gives the same intervals; another one does not."""
    one, again = (ranking(made, sick, talk) for _ in range(2))
    other = ranking(made, sick, talk, seed=8)
    assert [n.demand for n in one.needs] == [n.demand for n in again.needs]
    assert [n.demand for n in one.needs] != [n.demand for n in other.needs]


def test_a_planted_defect_becomes_the_first_need(made: ModuleType, talk: DemandResult) -> None:
    """Nulls in 40 % of one key: the right table, column, money and peak, on top."""
    health = made.health(
        {
            ("fact_payment", "key_null"): lambda n: 0.4 if n >= 110 else 0.0,
            ("fact_order", "duplicate"): 0.003,
        }
    )
    first = ranking(made, health, talk).top[0]
    assert (first.need.theme, first.need.table) == (KEYS, "fact_payment")
    assert first.need.columns == ("order_id",)
    assert first.need.affected_rows == 4000
    assert first.need.revenue_cents == pytest.approx(4000 * 100)
    assert first.need.peak == made.LAST


def test_a_scorer_that_fails_is_named(made: ModuleType, sick: HealthResult) -> None:
    """A broken scorer stops the ranking with its name, the need and its fault."""

    def broken(need: Need, settings: Any) -> Any:
        raise ZeroDivisionError("no money")

    class Mine:
        def scorer(self, name: str) -> Scorer:
            return Scorer("mine", "mine", broken)

    with pytest.raises(PluginError, match=r"'mine' failed on .*ZeroDivisionError"):
        ranking(made, sick, catalogue=Mine())


def test_another_scorer_decides_the_order(made: ModuleType, sick: HealthResult) -> None:
    """The order, the cards and the certainty come from the scorer that the settings name."""

    class Upside:
        def scorer(self, name: str) -> Scorer:
            return Scorer(
                "upside",
                "upside down",
                lambda need, s: evolve(formula(need, s), value=1 - formula(need, s).value),
            )

    usual, turned = ranking(made, sick), ranking(made, sick, catalogue=Upside())
    shown = [n.need.theme for n in usual.needs if not n.hidden]
    assert [n.need.theme for n in turned.needs if not n.hidden] == shown[::-1]
    assert turned.scorer == "upside"
