"""Where broken rows concentrate: every backend names the same places, with the same counts."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest
from attrs import evolve

from dnr_core.config import ReportSettings, Settings
from dnr_core.health import archetype_of, measure, open_warehouse
from dnr_core.health.drill import Drill, drill
from dnr_core.model import Archetype

AS_OF = datetime(2024, 7, 1, 4, tzinfo=UTC)
# With all tests, the one that differs most; the session of backends has them all.
OTHERS = (
    ("parquet", "sqlite", "polars", "datafusion", "postgres", "pyspark")
    if os.environ.get("DNR_BACKENDS")
    else ("sqlite",)
)
METRICS = ("key_null", "fk_failure", "duplicate", "late")
SETTINGS = Settings(report=evolve(ReportSettings(), example_keys=0))


def shop() -> Archetype:
    """Orders of customers through channels, in New York."""
    return archetype_of(
        {
            "name": "shop",
            "tz": "America/New_York",
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
                        "gift": "bool",
                        "placed": "timestamp",
                        "loaded": "timestamp",
                        "total": "int64",
                    },
                },
            },
            "money": [{"name": "sales", "table": "orders", "amount": "total"}],
        },
        "shop.yaml",
    )


def broken_orders(path: Path) -> Path:
    """June with 100 orders a day: nulls from one channel, one customer that is not there, copies of
    one day, and loads at 14 h UTC that are late. Some channels are empty.
    """
    with duckdb.connect(str(path)) as connection:
        connection.execute(
            """
            CREATE TABLE customers AS SELECT range AS id FROM range(200);
            CREATE TABLE orders AS
            WITH base AS (
                SELECT range AS id, range % 23 AS h, range % 200 AS buyer,
                       [NULL, 'web', 'a''b', 'ü'][1 + (range % 4)::INT] AS channel,
                       TIMESTAMP '2024-06-01 04:00' + to_minutes(range * 43200 // 3000) AS placed
                FROM range(3000)
            )
            SELECT id, CASE WHEN channel = 'ü' AND h < 7 THEN NULL
                            WHEN buyer IN (3, 4) THEN 900 ELSE buyer END AS customer,
                   channel, id % 3 = 0 AS gift, placed,
                   placed + to_minutes(CASE WHEN hour(placed) = 14 THEN 300 ELSE 20 END) AS loaded,
                   id % 50 + 1 AS total
            FROM base;
            INSERT INTO orders SELECT * REPLACE (loaded + INTERVAL 1 HOUR AS loaded) FROM orders
            WHERE placed BETWEEN TIMESTAMP '2024-06-12 05:00' AND TIMESTAMP '2024-06-12 18:00';
            """
        )
    return path


def looked(location: str) -> dict[str, Drill]:
    """What is found of every metric; queries differ by dialect and are left out."""
    with open_warehouse(location, shop()) as warehouse:
        health = measure(warehouse, SETTINGS, as_of=AS_OF)
        found = drill(warehouse, SETTINGS, health, [("orders", metric) for metric in METRICS])
    assert all(c.sql for each in found.values() for c in each.found)
    return {
        metric: evolve(each, found=tuple(evolve(c, sql="") for c in each.found))
        for (_, metric), each in found.items()
    }


@pytest.fixture(scope="session")
def on_duckdb(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Drill]]:
    file = broken_orders(tmp_path_factory.mktemp("drill") / "shop.duckdb")
    return file, looked(f"duckdb:///{file}")


def test_places_are_those_that_were_broken(on_duckdb: tuple[Path, dict[str, Drill]]) -> None:
    """What is compared is telling: each metric has the place that was broken for it."""
    places: dict[str, dict[str, Any]] = {
        metric: {c.cut.label: c.values for c in each.found} for metric, each in on_duckdb[1].items()
    }
    assert places["key_null"]["column_channel"] == ("ü",)
    assert places["fk_failure"]["id_customer"] == ("900",)
    assert len(places["duplicate"]["day"]) == 1
    assert places["late"]["hour"] == (10,)


@pytest.mark.parametrize("engine", OTHERS)
def test_every_backend_finds_the_same_places(
    engine: str, on_duckdb: tuple[Path, dict[str, Drill]], put: Callable[[str, str, Path], str]
) -> None:
    """Counts, shares, values and how many were looked at: equal, to the row, on every backend."""
    file, expected = on_duckdb
    assert looked(put(engine, "drilled", file)) == expected
