"""Places: order of input, unit of money, ties, certainty, and other scorers."""

from __future__ import annotations

import random
from types import ModuleType
from typing import Any

import pyarrow as pa
import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from dnr_core.builtin.scorers import formula
from dnr_core.errors import PluginError
from dnr_core.model import DemandResult, HealthResult, Need, Scorer
from dnr_core.ranking import need_title

KEYS, LATE, COPIES = "join_keys_orphans", "freshness_ingest_lag", "duplicates_dedup"
METRIC = "metric_definition_mismatch"


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
    assert made.outline(made.ranking(mixed, spoken)) == made.outline(made.ranking(sick, talk))


@hypothesis_settings(max_examples=12, deadline=None)
@given(factor=st.floats(1e-3, 1e4))
def test_the_unit_of_money_changes_nothing(factor: float, made: ModuleType) -> None:
    """Money in cents, dollars or yen gives the same places, scores and certainties."""
    rates = {
        ("fact_order", "key_null"): lambda n: 0.02 + 0.001 * (n % 7),
        ("fact_payment", "duplicate"): lambda n: 0.004 + 0.002 * (n % 3),
        ("fact_payment", "fk_failure"): lambda n: 0.03 + 0.01 * (n % 2),
    }
    one = made.ranking(made.health(rates, cents_a_row=100.0))
    other = made.ranking(made.health(rates, cents_a_row=100.0 * factor))
    assert made.outline(one) == made.outline(other)


def test_equal_scores_break_the_same_way(made: ModuleType) -> None:
    """Needs that are equal in all but their names stand in the order of their names."""
    rates = {("fact_payment", "key_null"): 0.02, ("fact_order", "key_null"): 0.02}
    found = made.ranking(made.health(rates))
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
    found = made.ranking(health, even, recency_days=1e15)
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
    steady = made.ranking(made.health({("fact_order", "key_null"): 0.1})).top[0].money
    wild = (
        made.ranking(made.health({("fact_order", "key_null"): lambda n: 0.9 * (n % 9 == 0)}))
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
    one, again = (made.ranking(sick, talk) for _ in range(2))
    other = made.ranking(sick, talk, seed=8)
    assert [n.demand for n in one.needs] == [n.demand for n in again.needs]
    assert [n.demand for n in one.needs] != [n.demand for n in other.needs]


def test_a_scorer_that_fails_is_named(made: ModuleType, sick: HealthResult) -> None:
    """A broken scorer stops the ranking with its name, the need and its fault."""

    def broken(need: Need, settings: Any) -> Any:
        raise ZeroDivisionError("no money")

    class Mine:
        def scorer(self, name: str) -> Scorer:
            return Scorer("mine", "mine", broken)

    with pytest.raises(PluginError, match=r"'mine' failed on .*ZeroDivisionError"):
        made.ranking(sick, catalogue=Mine())


def test_another_scorer_decides_the_order(made: ModuleType, sick: HealthResult) -> None:
    """The order, the cards and the certainty come from the scorer that the settings name."""

    class Upside:
        def scorer(self, name: str) -> Scorer:
            return Scorer(
                "upside",
                "upside down",
                lambda need, s: evolve(formula(need, s), value=1 - formula(need, s).value),
            )

    usual, turned = made.ranking(sick), made.ranking(sick, catalogue=Upside())
    shown = [n.need.theme for n in usual.needs if not n.hidden]
    assert [n.need.theme for n in turned.needs if not n.hidden] == shown[::-1]
    assert turned.scorer == "upside"
