"""The printed SQL of a figure, run by the backend's own driver as a stranger would: the same figure."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import pytest

from dnr_core.config import Settings
from dnr_core.health import archetype_of, measure, open_warehouse
from dnr_core.model import Archetype

SQL = """
CREATE TABLE customers AS
SELECT range AS id, TIMESTAMP '2024-01-01' + INTERVAL (range * 30) DAY AS created FROM range(8);
CREATE TABLE orders AS
SELECT CASE WHEN range % 50 = 49 THEN range - 1 ELSE range END AS id,
       CASE WHEN range % 7 <> 0 THEN range % 11 END AS customer,
       TIMESTAMPTZ '2024-10-20 00:00:00+00' + INTERVAL (range * 37) MINUTE AS placed,
       TIMESTAMP '2024-10-20' + INTERVAL (range * 37 + range % 130) MINUTE AS loaded
FROM range(700);
"""
SHOP: Archetype = archetype_of(
    {
        "name": "shop",
        "tz": "America/Los_Angeles",
        "tables": {
            "customers": {
                "key": "id",
                "created_at": "created",
                "columns": {"id": "int64", "created": "timestamp"},
            },
            "orders": {
                "kind": "fact",
                "key": "id",
                "event_time": "placed",
                "loaded_at": "loaded",
                "foreign_keys": [
                    {
                        "columns": "customer",
                        "to": "customers",
                        "to_columns": "id",
                        "parent_time": "created",
                    }
                ],
                "columns": {
                    "id": "int64",
                    "customer": "int64",
                    "placed": "timestamp",
                    "loaded": "timestamp",
                },
            },
        },
    },
    "shop",
)
Run = Callable[[str], list[dict[str, Any]]]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("shop") / "shop.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(SQL)
    return path


def _by_cursor(cursor: Any, sql: str) -> list[dict[str, Any]]:
    cursor.execute(sql)
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def _driver(backend: str, location: str) -> Run:
    """Run SQL without Ibis and without dnr, each session in a zone of its own where it has one."""
    match backend:
        case "duckdb" | "parquet" | "polars":
            file = location.removeprefix("duckdb:///") if backend == "duckdb" else ":memory:"

            def run(sql: str) -> list[dict[str, Any]]:
                with duckdb.connect(file, read_only=backend == "duckdb") as connection:
                    connection.execute("SET TimeZone = 'Asia/Tokyo'")
                    return _by_cursor(connection, sql)

        case "sqlite":

            def run(sql: str) -> list[dict[str, Any]]:
                with closing(sqlite3.connect(location.removeprefix("sqlite:///"))) as connection:
                    return _by_cursor(connection.cursor(), sql)

        case "postgres":

            def run(sql: str) -> list[dict[str, Any]]:
                import psycopg

                with psycopg.connect(location) as connection, connection.cursor() as cursor:
                    return _by_cursor(cursor, sql)

        case "pyspark":

            def run(sql: str) -> list[dict[str, Any]]:
                from pyspark.sql import SparkSession

                session = SparkSession.getActiveSession().newSession()
                assert "SET TIME ZONE 'UTC'" in sql
                session.sql("SET TIME ZONE 'UTC'")
                # Java stays in the folder in which it was started.
                sql = sql.replace("parquet.`", f"parquet.`{Path.cwd()}/")
                return [row.asDict() for row in session.sql(sql).collect()]

        case _:

            def run(sql: str) -> list[dict[str, Any]]:
                import datafusion

                context = datafusion.SessionContext().enable_url_table()
                return list(context.sql(sql).to_arrow_table().to_pylist())

    return run


def test_the_printed_sql_gives_the_figure_and_the_keys(
    backend: str,
    shop: Path,
    put: Callable[[str, str, Path], str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Pasted into the backend's own client, in another time zone, each query gives its figure."""
    location = put(backend, "shop", shop)
    with open_warehouse(location, SHOP) as warehouse:
        health = measure(warehouse, Settings())
        if warehouse.folder is not None:
            monkeypatch.chdir(warehouse.folder)
    run = _driver(backend, location)
    totals = {
        (row["table"], row["column"], row["metric"]): row
        for row in health.totals.to_pylist()
        if row["scope"] == "window"
    }
    assert {proof.metric for proof in health.proofs} == {
        *("key_null", "fk_failure", "duplicate", "late", "lag_p95_minutes")
    }
    for proof in health.proofs:
        (figure,) = run(proof.sql)
        total = totals[proof.table, proof.column, proof.metric]
        for name, value in figure.items():
            assert float(value) == pytest.approx(total[name], rel=1e-9), (proof.metric, name)
        if proof.keys_sql:
            found = [{"id": row["id"]} for row in run(proof.keys_sql)]
            assert found == [dict(key) for key in proof.keys]
            assert found
