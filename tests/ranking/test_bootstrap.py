"""Resampling reaches every part of the score, by threads and local days, and is honest."""

from __future__ import annotations

from datetime import date, timedelta
from types import ModuleType
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from attrs import evolve

from dnr_core.model import DemandResult
from dnr_core.model.need import Interval
from dnr_core.ranking.talk import Talk
from dnr_core.ranking.talk_draws import TalkDraws

KEYS, LATE, COPIES = "join_keys_orphans", "freshness_ingest_lag", "duplicates_dedup"
METRIC, FIELD = "metric_definition_mismatch", "new_field_schema_request"


def changed(said: DemandResult, made: ModuleType, **columns: Any) -> DemandResult:
    """The same talk with columns that are a function of the row's number and the row."""
    rows = [
        {**row, **{name: value(number, row) for name, value in columns.items()}}
        for number, row in enumerate(said.items.to_pylist())
    ]
    return made.with_items(said, rows)


def width(found: Any, made: ModuleType, theme: str, table: str) -> float:
    """How wide the interval of a need's demand is."""
    demand: Interval | None = made.find(found, theme, table).demand
    assert demand
    return demand.high - demand.low


def test_mails_of_one_thread_are_one_voice(made: ModuleType) -> None:
    """Ninety mails in fifteen threads say less surely how many ask than ninety threads do."""
    asks = {(METRIC, "fact_order"): 60, (FIELD, "fact_order"): 30}
    apart = made.demand(asks, source="email")
    together = changed(apart, made, thread_id=lambda n, row: f"{row['theme']}{n // 6}")
    wide, narrow = (
        width(made.ranking(demand=said), made, METRIC, "fact_order") for said in (together, apart)
    )
    # Six times fewer voices: the square root of six, were there no chance in the draws.
    assert wide == pytest.approx(narrow * 6**0.5, rel=0.25)


def test_what_one_person_asks_the_data_in_a_day_is_one_voice(made: ModuleType) -> None:
    """Who tries ten queries in a row until one works asks once; on other days, anew."""
    asks = {(METRIC, "fact_order"): 50, (FIELD, "fact_order"): 50}
    said = made.demand(asks, source="nlq")
    tried = changed(
        said,
        made,
        user_id=lambda n, row: f"u{n // 10}",
        day=lambda n, row: date(2025, 5, 1),
    )
    returned = changed(tried, made, day=lambda n, row: date(2025, 5, 1) + timedelta(days=n % 10))
    few, many = (
        width(made.ranking(demand=each), made, METRIC, "fact_order") for each in (tried, returned)
    )
    assert few > 2 * many


def test_how_old_talk_is_is_as_unsure_as_the_talk(made: ModuleType) -> None:
    """A need whose last week has just enough messages to be of today fades in some resamples."""
    said = made.demand(
        {(METRIC, "fact_order"): 30, (FIELD, "fact_order"): 15, (KEYS, "fact_order"): 15,
         (COPIES, "fact_order"): 8}
    )  # fmt: skip
    long_ago, today = made.LAST - timedelta(days=90), made.LAST

    def day(number: int, row: dict[str, Any]) -> date:
        if row["theme"] != METRIC:
            return today
        # Twelve in one week, five in the last, the rest on days far from one another.
        if number < 12:
            return long_ago
        return today if number < 17 else long_ago - timedelta(days=10 * (number - 16))

    dated = changed(said, made, day=day)
    doubted = made.find(made.ranking(demand=dated), METRIC, "fact_order")
    assert doubted.need.days_since_peak == 0
    assert 0.5 < doubted.certainty < 0.99
    assert "uplicate" in doubted.rival
    unfaded = made.find(made.ranking(demand=dated, recency_days=1e15), METRIC, "fact_order")
    assert unfaded.certainty == 1.0


def test_whether_it_goes_on_is_as_unsure_as_the_last_days(made: ModuleType) -> None:
    """One bad day keeps the last week over its limit, and is drawn in two of three resamples."""
    bad = made.health({("fact_order", "key_null"): lambda n: 0.2 if n < 60 else 0.2 * (n == 115)})
    said = made.demand(
        {(KEYS, "fact_order"): 24, (METRIC, "fact_order"): 40, (FIELD, "fact_order"): 40,
         ("access_permissions_pii", "fact_order"): 9}
    )  # fmt: skip
    said = changed(
        said, made, day=lambda n, row: date(2025, 4, 12) if row["theme"] == KEYS else made.LAST
    )
    need = made.find(made.ranking(bad, said, recency_days=30.0), KEYS, "fact_order")
    assert need.need.over_slo_last_week
    assert need.rank == 3
    assert 0.5 < need.certainty < 0.9
    assert made.find(made.ranking(bad, said, recency_days=1e15), KEYS, "fact_order").certainty > 0.9


def test_resampled_demand_of_all_needs_adds_up(made: ModuleType) -> None:
    """In every resample the needs share all demand, guesses and messages without a table too."""
    said = made.demand(
        {(METRIC, "fact_order"): 20, (METRIC, "fact_payment"): 10, (METRIC, ""): 8,
         (KEYS, "fact_payment"): 12, (KEYS, "fact_order"): 3}
    )  # fmt: skip
    guessed = [
        {**row, "found_by": "provider", "confidence": 0.6} if number % 3 == 0 else row
        for number, row in enumerate(said.entities.to_pylist())
    ]
    talk = Talk(made.with_entities(said, guessed))
    voices = [voice for (_, table), voice in talk.voices.items() if table]
    drawn = TalkDraws(talk, 60, seed=4).shares(voices)
    assert drawn.sum(axis=1) == pytest.approx(np.ones(60))
    assert drawn.mean(axis=0) == pytest.approx([talk.share(v) for v in voices], abs=0.03)


def test_intervals_hold_the_truth_as_often_as_they_say(made: ModuleType) -> None:
    """Of 160 talks whose threads are of one theme each, four in five intervals hold the true share."""
    rng = np.random.default_rng(20)
    base = made.demand({(METRIC, "fact_order"): 1}, source="email")
    pattern = base.items.to_pylist()[0]
    held = 0
    for _ in range(160):
        rows = [
            {**pattern, "item_id": f"m{thread}.{mail}", "thread_id": f"t{thread}", "theme": theme,
             "weight": 1.0}
            for thread in range(50)
            for theme in (METRIC if rng.random() < 0.3 else FIELD,)
            for mail in range(rng.integers(1, 9))
        ]  # fmt: skip
        rows = [{**row, "weight": 1 / len(rows)} for row in rows]
        items = pa.Table.from_pylist(rows, schema=base.items.schema)
        talk = Talk(evolve(base, items=items, entities=base.entities.slice(0, 0)))
        drawn = np.sort(
            TalkDraws(talk, 100, seed=1).shares([talk.voices[METRIC, "fact_order"]])[:, 0]
        )
        held += drawn[10] <= 0.3 <= drawn[89]
    assert 0.70 < held / 160 < 0.88
