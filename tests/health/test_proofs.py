"""Room: tests. The printed query gives the figure, and the printed keys are affected rows."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path

import duckdb
import pytest

from dnr_core.config import Settings
from dnr_core.errors import ConfigError
from dnr_core.health import archetype_of, explain, measure, open_warehouse
from dnr_core.model import HealthResult

AS_OF = datetime(2024, 7, 1, 7, tzinfo=UTC)
SQL = """
    CREATE TABLE customers AS
    SELECT range AS id, TIMESTAMP '2024-01-01' + INTERVAL (range * 30) DAY AS created FROM range(8);
    CREATE TABLE orders AS
    SELECT CASE WHEN range % 50 = 49 THEN range - 1 ELSE range END AS id,
           CASE WHEN range % 7 <> 0 THEN range % 11 END AS customer,
           TIMESTAMP '2024-05-01' + INTERVAL (range * 37) MINUTE AS placed,
           TIMESTAMP '2024-05-01' + INTERVAL (range * 37 + range % 130) MINUTE AS loaded,
    FROM range(2300);
    CREATE TABLE lines AS
    SELECT CASE WHEN range % 20 <> 0 THEN range // 2 END AS "order id", range % 2 AS line,
           TIMESTAMP '2024-05-02' + INTERVAL (range * 18) MINUTE AS loaded FROM range(4700);
"""
TABLES = {
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
            {"columns": "customer", "to": "customers", "to_columns": "id", "parent_time": "created"}
        ],
        "columns": {
            "id": "int64",
            "customer": "int64",
            "placed": "timestamp",
            "loaded": "timestamp",
        },
    },
    "lines": {
        "kind": "fact",
        "key": ["order id", "line"],
        "event_time": {"through": "orders", "columns": "placed"},
        "loaded_at": "loaded",
        "foreign_keys": [{"columns": "order id", "to": "orders", "to_columns": "id"}],
        "columns": {"order id": "int64", "line": "int64", "loaded": "timestamp"},
    },
}
SHOP = archetype_of({"name": "shop", "tz": "America/Los_Angeles", "tables": TABLES}, "shop.yaml")


@pytest.fixture
def url(database: Callable[[str], str]) -> str:
    return database(SQL)


def _total(health: HealthResult, table: str, column: str, metric: str) -> dict[str, object]:
    return next(
        row
        for row in health.totals.to_pylist()
        if (row["table"], row["column"], row["metric"], row["scope"])
        == (table, column, metric, "window")
    )


def _run(connection: duckdb.DuckDBPyConnection, sql: str) -> list[dict[str, object]]:
    cursor = connection.execute(sql)
    names = [column[0] for column in cursor.description or ()]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def _check(health: HealthResult, connection: duckdb.DuckDBPyConnection) -> int:
    for proof in health.proofs:
        figure = _run(connection, proof.sql)[0]
        total = _total(health, proof.table, proof.column, proof.metric)
        for name, value in figure.items():
            assert value == total[name], (proof.table, proof.column, proof.metric)
        if proof.keys_sql:
            keys = _run(connection, proof.keys_sql)
            assert 0 < len(keys) == len(proof.keys) <= 5
            for found, shown in zip(keys, proof.keys, strict=True):
                # A key with a null is shown by what else is known of its row, never as null.
                whole = {n: v for n, v in found.items() if v is not None and n in shown}
                assert whole == {n: v for n, v in shown.items() if n in found}
                assert None not in shown.values()
                assert shown
    return len(health.proofs)


def test_every_printed_query_gives_its_figure(url: str) -> None:
    """Run as a stranger would, on a connection of one's own: the same numbers and keys."""
    with open_warehouse(url, SHOP) as warehouse:
        health = measure(warehouse, Settings(), as_of=AS_OF)
    with duckdb.connect(url.removeprefix("duckdb:///"), read_only=True) as connection:
        assert _check(health, connection) >= 8


def test_in_a_folder_the_query_reads_its_files(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The query of a folder runs inside that folder, with nothing set up before."""
    folder = tmp_path / "files"
    folder.mkdir()
    with duckdb.connect(url.removeprefix("duckdb:///"), read_only=True) as connection:
        for table in TABLES:
            connection.execute(f"COPY {table} TO '{folder}/{table}.parquet'")
    with open_warehouse(folder, SHOP) as warehouse:
        health = measure(warehouse, Settings(), as_of=AS_OF)
    monkeypatch.chdir(folder)
    with duckdb.connect() as connection:
        assert _check(health, connection) >= 8
    assert str(tmp_path) not in "".join(proof.sql for proof in health.proofs)


def test_one_day_can_be_explained(url: str) -> None:
    """A single local day's split of failures is that of the daily measures."""
    day = date(2024, 6, 10)
    with open_warehouse(url, SHOP) as warehouse:
        health = measure(warehouse, Settings(), as_of=AS_OF)
        found = {
            metric: explain(warehouse, Settings(), "orders", metric, day=day, as_of=AS_OF)
            for metric in ("fk_missing", "fk_temporal", "late", "rows")
        }
    daily = {
        row["metric"]: (row["numerator"], row["denominator"])
        for row in health.measures.to_pylist()
        if (row["table"], row["column"], row["day"]) == ("orders", "", day)
    }
    with duckdb.connect(url.removeprefix("duckdb:///"), read_only=True) as connection:
        for metric, proof in found.items():
            figure = _run(connection, proof.sql)[0]
            assert (figure["numerator"], figure["denominator"]) == daily[metric], metric
    assert daily["fk_missing"][0] > 0


def test_no_keys_are_read_where_none_are_allowed(url: str) -> None:
    """With `example_keys` 0 nothing but aggregates leaves the warehouse."""
    from attrs import evolve

    from dnr_core.config import ReportSettings

    settings = Settings(report=evolve(ReportSettings(), example_keys=0))
    with open_warehouse(url, SHOP) as warehouse:
        health = measure(warehouse, settings, as_of=AS_OF)
    assert health.proofs
    assert all(not proof.keys and proof.keys_sql is None for proof in health.proofs)


@pytest.mark.parametrize(
    ("table", "metric", "column", "hint"),
    [
        ("order", "late", "", "did you mean 'orders'"),
        ("orders", "fk_mising", "", "did you mean 'fk_missing'"),
        ("orders", "key_null", "custommer", "did you mean 'customer'"),
    ],
)
def test_a_wrong_name_is_answered_with_the_nearest(
    url: str, table: str, metric: str, column: str, hint: str
) -> None:
    """`explain` of something unknown says what was probably meant."""
    with open_warehouse(url, SHOP) as warehouse, pytest.raises(ConfigError) as caught:
        explain(warehouse, Settings(), table, metric, column=column)
    assert hint in caught.value.hint


def test_a_row_whose_key_has_a_null_is_named_by_what_else_is_known(url: str) -> None:
    """An order line without its order number is shown with its line and its load time."""
    with open_warehouse(url, SHOP) as warehouse:
        proof = explain(warehouse, Settings(), "lines", "key_null", as_of=AS_OF)
    # Line 4680 of order null was the last to be loaded: 58.5 days after 2 May.
    assert proof.keys[0] == {"line": 0, "load time": "2024-06-29T12:00:00+00:00"}
    assert all("order id" not in key for key in proof.keys)
