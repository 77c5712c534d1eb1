"""Room: tests. Where broken rows lie: named where it is no chance, and only there."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest

from dnr_core.config import Settings
from dnr_core.health import archetype_of, measure, open_warehouse
from dnr_core.health.drill import Drill, drill
from dnr_core.model import Archetype

AS_OF = datetime(2024, 7, 1, tzinfo=UTC)
ROWS = 9000


def shop() -> Archetype:
    """Orders of customers through channels, loaded within minutes."""
    return archetype_of(
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
                    "foreign_keys": [
                        {"columns": "customer", "to": "customers", "to_columns": "id"}
                    ],
                    "columns": {
                        "id": "int64",
                        "customer": "int64",
                        "channel": "string",
                        "note": "string",
                        "placed": "timestamp",
                        "loaded": "timestamp",
                        "total": "decimal",
                    },
                },
            },
            "money": [{"name": "sales", "table": "orders", "amount": "total", "minor_units": 1}],
        },
        "shop.yaml",
    )


def orders(customer: str, delay_minutes: str = "30") -> str:
    """Orders over June, 300 a day; `h` is the hash that decides at random, `hour` the event's."""
    return f"""
    CREATE TABLE customers AS SELECT range AS id FROM range(200);
    CREATE TABLE orders AS
    WITH base AS (
        SELECT range AS id, hash(range) % 1000 AS h, hash(range + 77) % 200 AS buyer,
               ['web', 'app', 'shop', 'phone'][(1 + hash(range + 5) % 4)::INT] AS channel,
               TIMESTAMP '2024-06-01' + to_minutes(range * 43200 // {ROWS}) AS placed
        FROM range({ROWS})
    ), timed AS (SELECT *, hour(placed) AS hour, day(placed) AS day FROM base)
    SELECT id, ({customer})::BIGINT AS customer, channel, 'order ' || id AS note, placed,
           placed + to_minutes(({delay_minutes})::BIGINT) AS loaded, 5.25 AS total
    FROM timed;
    """


def look(url: str, metric: str) -> Drill:
    with open_warehouse(url, shop()) as warehouse:
        settings = Settings()
        health = measure(warehouse, settings, as_of=AS_OF)
        return drill(warehouse, settings, health, [("orders", metric)])["orders", metric]


def places(found: Drill) -> dict[str, tuple[Any, ...]]:
    return {c.cut.label: c.values for c in found.found}


AT_RANDOM = "CASE WHEN h < 60 THEN NULL ELSE buyer END"


@pytest.mark.parametrize(
    ("customer", "where"),
    [
        (AT_RANDOM, {}),
        (
            "CASE WHEN channel = 'web' AND h < 200 OR h < 10 THEN NULL ELSE buyer END",
            {"column_channel": ("web",)},
        ),
        (
            "CASE WHEN day IN (11, 12) AND h < 500 OR h < 10 THEN NULL ELSE buyer END",
            {"day": (19885, 19886)},
        ),
        (
            "CASE WHEN hour BETWEEN 2 AND 5 AND h < 300 OR h < 10 THEN NULL ELSE buyer END",
            {"hour": (2, 3, 4, 5), "load_hour": (2, 3, 4, 5)},
        ),
    ],
    ids=["at random", "a channel", "two days", "four hours"],
)
def test_empty_keys_are_placed(
    customer: str, where: dict[str, Any], database: Callable[[str], str]
) -> None:
    """The planted channel, days or hours are named and nothing else; random gaps name nothing."""
    found = look(database(orders(customer)), "key_null")
    assert found.broken > 100
    assert found.looked > 80
    assert places(found) == where


def test_the_id_that_most_unmatched_keys_name(database: Callable[[str], str]) -> None:
    """One upstream id that is not there is found among thousands that are."""
    one = "CASE WHEN h < 40 THEN 4711 WHEN h < 60 THEN 9000 + id ELSE buyer END"
    found = look(database(orders(one)), "fk_failure")
    assert places(found) == {"id_customer": ("4711",)}
    (place,) = found.found
    assert place.broken == place.rows
    assert 0.6 < place.broken_share < 0.72


def test_missing_ids_that_all_differ_name_none(database: Callable[[str], str]) -> None:
    """Each id fails alone, so no id is named."""
    found = look(database(orders("CASE WHEN h < 60 THEN 9000 + id ELSE buyer END")), "fk_failure")
    assert places(found) == {}


def test_late_loads_of_some_hours(database: Callable[[str], str]) -> None:
    """Loads that a nightly job holds back are named by the hours of their events."""
    url = database(orders("buyer", "CASE WHEN hour < 4 THEN 400 ELSE 30 END"))
    found = look(url, "late")
    assert found.broken == ROWS // 6
    assert places(found)["hour"] == (0, 1, 2, 3)


def test_copies_of_one_day(database: Callable[[str], str]) -> None:
    """A day that was loaded twice is named; its rows count with their copies."""
    twice = "INSERT INTO orders SELECT * FROM orders WHERE placed::DATE = DATE '2024-06-20';"
    found = look(database(orders("buyer") + twice), "duplicate")
    assert places(found)["day"] == (19894,)
    assert found.broken == 600


def test_the_query_counts_what_is_said(database: Callable[[str], str]) -> None:
    """The printed SQL, run by itself, gives the rows and broken rows of the finding."""
    url = database(orders("CASE WHEN channel = 'web' AND h < 200 THEN NULL ELSE buyer END"))
    (place,) = look(url, "key_null").found
    with duckdb.connect(url.removeprefix("duckdb:///"), read_only=True) as raw:
        raw.execute("SET TimeZone = 'UTC'")
        rows = raw.execute(
            f"SELECT sum(rows), sum(broken) FROM ({place.sql}) WHERE value = 'web'"
        ).fetchall()
    assert rows == [(place.rows, place.broken)]


def test_another_backend_finds_the_same(tmp_path: Path, database: Callable[[str], str]) -> None:
    """SQLite, which keeps nothing in memory, names the same places with the same numbers."""
    sql = orders("CASE WHEN hour BETWEEN 2 AND 5 AND h < 300 OR h < 10 THEN NULL ELSE buyer END")
    url = database(sql)
    with duckdb.connect(url.removeprefix("duckdb:///"), read_only=True) as raw:
        rows = raw.execute(
            "SELECT id, customer, channel, note, placed::VARCHAR, loaded::VARCHAR, total::DOUBLE "
            "FROM orders"
        ).fetchall()
    path = tmp_path / "shop.sqlite"
    lite = sqlite3.connect(path)
    lite.execute("CREATE TABLE customers (id INTEGER PRIMARY KEY)")
    lite.execute(
        "CREATE TABLE orders (id BIGINT, customer BIGINT, channel TEXT, note TEXT, "
        "placed TIMESTAMP, loaded TIMESTAMP, total DOUBLE)"
    )
    lite.executemany("INSERT INTO customers VALUES (?)", [(i,) for i in range(200)])
    lite.executemany("INSERT INTO orders VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
    lite.commit()
    lite.close()
    here, there = look(url, "key_null"), look(f"sqlite:///{path}", "key_null")
    assert places(here)
    assert there.looked == here.looked
    assert [(c.cut, c.values, c.broken, c.rows) for c in there.found] == [
        (c.cut, c.values, c.broken, c.rows) for c in here.found
    ]


def test_random_gaps_hardly_ever_name_a_place(database: Callable[[str], str]) -> None:
    """Over six random ways to break rows, no place is named."""
    named = []
    for number in range(6):
        customer = f"CASE WHEN hash(id + {1000 * number + 13}) % 100 < 4 THEN NULL ELSE buyer END"
        named += look(database(orders(customer), f"shop{number}.duckdb"), "key_null").found
    assert named == []
