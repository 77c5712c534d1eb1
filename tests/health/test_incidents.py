"""Room: tests. Incidents put into a quiet warehouse are found, and nothing else is."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from attrs import evolve

from dnr_core.config import ReportSettings, Settings
from dnr_core.health import (
    archetype_of,
    data_health_csv,
    data_health_document,
    measure,
    open_warehouse,
)
from dnr_core.health.shares import judge
from dnr_core.health.statistics import benjamini_hochberg
from dnr_core.model import DetectedIncident, HealthResult
from dnr_core.workspace import dump_json

# 120 days of 800 orders, spread over the day by a fixed scramble; 2 % null keys.
QUIET = """
    CREATE TABLE customers AS SELECT range AS id FROM range(100);
    CREATE TABLE orders AS
    WITH rows AS (SELECT range AS id, range // 800 AS day, range % 800 AS place FROM range(96000)),
    timed AS (SELECT *, TIMESTAMP '2024-02-01' + INTERVAL (day) DAY
                        + INTERVAL ((place * 7919) % 86400) SECOND AS placed,
                     hash(id) % 1000 AS luck FROM rows)
    SELECT id, CASE WHEN luck >= 20 THEN id % 100 END AS customer, placed,
           placed + INTERVAL (20 + luck % 60) MINUTE AS loaded
    FROM timed;
"""
SHOP = archetype_of(
    {
        "name": "shop",
        "tz": "UTC",
        "tables": {
            "customers": {"key": "id", "columns": {"id": "int64"}},
            "orders": {
                "kind": "fact",
                "key": "id",
                "event_time": "placed",
                "loaded_at": "loaded",
                "foreign_keys": [{"columns": "customer", "to": "customers", "to_columns": "id"}],
                "columns": {
                    "id": "int64",
                    "customer": "int64",
                    "placed": "timestamp",
                    "loaded": "timestamp",
                },
            },
        },
    },
    "shop.yaml",
)
SETTINGS = Settings(report=evolve(ReportSettings(), example_keys=0))


def _measure(url: str) -> HealthResult:
    with open_warehouse(url, SHOP) as warehouse:
        return measure(warehouse, SETTINGS, as_of=datetime(2024, 5, 31, tzinfo=UTC))


def _only(health: HealthResult) -> DetectedIncident:
    assert len(health.incidents) == 1, health.incidents
    return health.incidents[0]


def test_a_quiet_warehouse_has_no_incident(database: Callable[[str], str]) -> None:
    """Nothing happened, nothing is flagged, and the report says how much was looked at."""
    health = _measure(database(QUIET))
    assert health.incidents == ()
    assert health.column_days_tested == 3 * 120
    assert 0.05 <= health.detectable_rise["orders"] < 0.1


def test_threads_change_no_byte(database: Callable[[str], str]) -> None:
    """One thread or two, the document and the CSV are the same text."""
    url = database(QUIET + "INSERT INTO orders SELECT * FROM orders WHERE id % 97 = 0")
    texts = []
    for threads in (1, 2):
        with open_warehouse(url, SHOP) as warehouse:
            warehouse.connection.raw_sql(f"SET threads = {threads}")
            health = measure(warehouse, SETTINGS, as_of=datetime(2024, 5, 31, tzinfo=UTC))
        texts.append(dump_json(data_health_document(health)) + data_health_csv(health))
    assert texts[0] == texts[1]


def test_a_null_spike_is_found_on_its_day(database: Callable[[str], str]) -> None:
    """Ten points more nulls on one local day: kind, column, day, size and noise."""
    sql = QUIET + (
        "UPDATE orders SET customer = NULL WHERE placed::DATE = '2024-04-10' AND id % 10 = 0"
    )
    found = _only(_measure(database(sql)))
    assert (found.kind, found.column, str(found.start), str(found.end)) == (
        "null_spike",
        "customer",
        "2024-04-10",
        "2024-04-10",
    )
    assert found.value - found.usual > 0.08
    assert found.p_value is not None
    assert found.p_value < 1e-6


def test_orphans_of_two_days_are_one_incident(database: Callable[[str], str]) -> None:
    """Consecutive flagged days are one incident."""
    sql = QUIET + (
        "UPDATE orders SET customer = 999 WHERE placed::DATE IN ('2024-04-10', '2024-04-11')"
        " AND id % 8 = 0"
    )
    found = _only(_measure(database(sql)))
    assert (found.kind, str(found.start), str(found.end)) == (
        "orphan_spike",
        "2024-04-10",
        "2024-04-11",
    )


def test_copies_of_one_day_are_a_duplicate_spike(database: Callable[[str], str]) -> None:
    """Rows that come a second time are counted on the day on which they happened."""
    sql = (
        QUIET
        + """
        INSERT INTO orders SELECT id, customer, placed, loaded + INTERVAL 1 MINUTE FROM orders
        WHERE placed::DATE = '2024-03-05' AND id % 9 = 0
    """
    )
    found = _only(_measure(database(sql)))
    assert (found.kind, str(found.start), found.rows) == ("duplicate_spike", "2024-03-05", 89)


def test_a_day_with_half_of_its_rows_is_a_volume_drop(database: Callable[[str], str]) -> None:
    """Half of a day's rows are missing; loading went on, so there is no write gap."""
    sql = QUIET + "DELETE FROM orders WHERE placed::DATE = '2024-04-10' AND id % 2 = 0"
    found = _only(_measure(database(sql)))
    assert (found.kind, str(found.start)) == ("volume_drop", "2024-04-10")
    assert found.rows == 400


def test_a_gap_is_found_by_load_time_and_explains_its_lag(database: Callable[[str], str]) -> None:
    """Six hours without loading, then everything at once: one gap, and no lag surge beside it."""
    sql = (
        QUIET
        + """
        UPDATE orders SET loaded = TIMESTAMP '2024-04-10 16:00'
        WHERE loaded BETWEEN '2024-04-10 10:00' AND '2024-04-10 15:59:59'
    """
    )
    found = _only(_measure(database(sql)))
    assert found.kind == "write_gap"
    assert found.start_time == datetime(2024, 4, 10, 10, tzinfo=UTC)
    assert found.end_time == datetime(2024, 4, 10, 16, tzinfo=UTC)


def test_a_surge_on_a_part_of_the_rows_moves_p95_only(database: Callable[[str], str]) -> None:
    """Which statistic fired is part of the answer."""
    sql = (
        QUIET
        + """
        UPDATE orders SET loaded = placed + (loaded - placed) * 6
        WHERE placed::DATE = '2024-04-10' AND id % 10 < 2
    """
    )
    found = _only(_measure(database(sql)))
    assert (found.kind, found.fired, str(found.start)) == ("lag_surge", ("p95",), "2024-04-10")


def test_few_rows_a_day_are_said_to_be_too_few(database: Callable[[str], str]) -> None:
    """At 40 rows a day weeks are judged; at 4 nothing is, and the report says so."""
    weeks = _measure(database(QUIET + "DELETE FROM orders WHERE id % 20 <> 0"))
    assert weeks.column_days_tested == 3 * 17
    few = _measure(database(QUIET + "DELETE FROM orders WHERE id % 200 <> 0", "few.duckdb"))
    assert few.column_days_tested == 0
    assert [line.reason for line in few.not_measured] == [
        "too few rows a day to find spikes, drops, gaps or surges"
    ]


def test_noise_beyond_chance_raises_the_bar() -> None:
    """A column that jumps about by itself has a noise factor, and its jumps are no incident."""
    rows = [10_000] * 60
    events = [100 + 12 * (day * 29 % 11 - 5) for day in range(60)]
    days = judge(range(60), events, rows).days
    assert days[0].noise_factor > 2
    assert benjamini_hochberg([day.p_value for day in days]) == 0.0


def test_the_step_up_rule_is_that_of_benjamini_and_hochberg() -> None:
    """The example of their paper: fifteen p-values, four rejected at 5 %."""
    p_values = [0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344]
    p_values += [0.0459, 0.3240, 0.4262, 0.5719, 0.6528, 0.7590, 1.0]
    assert benjamini_hochberg(p_values, 0.05) == 0.0095
