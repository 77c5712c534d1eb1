"""Room: tests. What a warehouse may be, and what happens where it is not as it should be."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest
from attrs import evolve

from dnr_core.config import ReportSettings, Settings
from dnr_core.errors import (
    ConfigError,
    InputError,
    TerminatedError,
    UnfinishedError,
    WarehouseError,
)
from dnr_core.health import archetype_of, measure, open_warehouse
from dnr_core.model import Archetype, Column, HealthResult, Schema, Table
from dnr_core.workspace import Manifest, write_manifest

QUICK = Settings(report=evolve(ReportSettings(), example_keys=0))
AS_OF = datetime(2024, 7, 1, tzinfo=UTC)
ORDERS = """
    CREATE TABLE customers AS SELECT range AS id FROM range(10);
    CREATE TABLE orders AS
    SELECT range AS id, range % 12 AS customer, TIMESTAMP '2024-06-01' + INTERVAL (range) HOUR AS placed,
           TIMESTAMP '2024-06-01' + INTERVAL (range * 60 + 30) MINUTE AS loaded, 5.25 AS total
    FROM range(480);
"""


def shop(**changes: object) -> Archetype:
    """An archetype of two tables; `changes` replace fields of `orders`."""
    orders = {
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
            "total": "decimal",
        },
    }
    return archetype_of(
        {
            "name": "shop",
            "tz": "UTC",
            "tables": {
                "customers": {"key": "id", "columns": {"id": "int64"}},
                "orders": {**orders, **changes},
            },
            "money": [{"name": "sales", "table": "orders", "amount": "total", "minor_units": 1}],
        },
        "shop.yaml",
    )


def run(url: str, archetype: Archetype | None = None) -> HealthResult:
    with open_warehouse(url, archetype or shop()) as warehouse:
        return measure(warehouse, QUICK, as_of=AS_OF)


def total(health: HealthResult, metric: str, table: str = "orders") -> dict[str, object]:
    return next(
        row
        for row in health.totals.to_pylist()
        if (row["table"], row["column"], row["metric"], row["scope"])
        == (table, "", metric, "history")
    )


def test_a_duckdb_file_is_never_written(database: Callable[[str], str]) -> None:
    """A write through the open connection is refused, and the file keeps its bytes."""
    url = database(ORDERS)
    path = Path(url.removeprefix("duckdb:///"))
    before = path.read_bytes()
    with open_warehouse(url, shop()) as warehouse:
        with pytest.raises(duckdb.Error, match="read-only"):
            warehouse.connection.raw_sql("DELETE FROM orders")
        measure(warehouse, Settings(), as_of=AS_OF)
    assert path.read_bytes() == before


def test_a_sqlite_file_is_never_written(tmp_path: Path) -> None:
    """SQLite refuses the write, and its figures are those that DuckDB has for the same rows."""
    import sqlite3

    path = tmp_path / "shop.sqlite"
    with sqlite3.connect(path) as raw:
        raw.execute("CREATE TABLE customers (id INTEGER PRIMARY KEY)")
        raw.execute(
            "CREATE TABLE orders (id BIGINT, customer BIGINT, placed TIMESTAMP, loaded TIMESTAMP, total DOUBLE)"
        )
        raw.executemany("INSERT INTO customers VALUES (?)", [(i,) for i in range(10)])
        with duckdb.connect() as memory:
            memory.execute(ORDERS)
            rows = memory.execute(
                "SELECT id, customer, placed::VARCHAR, loaded::VARCHAR, total::DOUBLE FROM orders"
            ).fetchall()
        raw.executemany("INSERT INTO orders VALUES (?, ?, ?, ?, ?)", rows)
    raw.close()
    with open_warehouse(f"sqlite:///{path}", shop()) as warehouse:
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            warehouse.connection.raw_sql("DELETE FROM orders")
        health = measure(warehouse, Settings(), as_of=AS_OF)
    assert total(health, "fk_failure")["numerator"] == 80
    assert total(health, "fk_failure")["revenue_cents"] == 80 * 525
    assert total(health, "lag_p95_minutes")["value"] == 30
    assert health.backend == "sqlite"


def test_a_folder_of_parquet_gives_the_same_as_the_database(
    database: Callable[[str], str], tmp_path: Path
) -> None:
    """One file a table, or a folder of parts: the figures are the database's."""
    url = database(ORDERS)
    folder = tmp_path / "files"
    (folder / "orders").mkdir(parents=True)
    with duckdb.connect(url.removeprefix("duckdb:///"), read_only=True) as connection:
        connection.execute(f"COPY customers TO '{folder}/customers.parquet'")
        connection.execute(f"COPY (FROM orders LIMIT 200) TO '{folder}/orders/part-0.parquet'")
        connection.execute(f"COPY (FROM orders OFFSET 200) TO '{folder}/orders/part-1.parquet'")
    assert run(str(folder)).totals == run(url).totals


@pytest.mark.parametrize(
    ("location", "words"),
    [
        ("duckdb:///nowhere/shop.duckdb", "there is no file"),
        ("sqlite:///nowhere/shop.sqlite", "there is no file"),
        ("nowhere/at/all", "there is no folder or file"),
        ("postgres://me:hunter2@127.0.0.1:1/shop", "cannot reach postgres://me@127.0.0.1:1/shop"),
        ("nosuch://me:hunter2@host/db", "cannot reach nosuch://me@host/db"),
    ],
)
def test_what_cannot_be_reached_is_named_without_its_password(location: str, words: str) -> None:
    """An unreachable warehouse is one message with a hint, and never shows a password."""
    with pytest.raises(WarehouseError, match=words) as caught:
        open_warehouse(location, shop())
    assert "hunter2" not in f"{caught.value} {caught.value.hint}"
    assert caught.value.hint or "psycopg" in str(caught.value)


def test_a_locked_database_is_said_to_be_held(database: Callable[[str], str]) -> None:
    """A file that another process writes is not opened, and the message says why."""
    import subprocess
    import sys

    url = database(ORDERS)
    path = url.removeprefix("duckdb:///")
    code = f"import duckdb, sys; c = duckdb.connect({path!r}); print('open', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline().strip() == "open"
        with pytest.raises(WarehouseError, match="another program holds it"):
            open_warehouse(url, shop())
        holder.communicate()


def test_a_folder_without_manifest_is_unfinished(tmp_path: Path) -> None:
    """A made company's folder whose making did not finish is not reported on."""
    (tmp_path / "orders").mkdir()
    with pytest.raises(UnfinishedError, match=r"no manifest\.json"):
        open_warehouse(tmp_path)


def _made(folder: Path) -> None:
    (folder / "orders").mkdir(parents=True)
    with duckdb.connect() as connection:
        connection.execute(ORDERS)
        connection.execute(f"COPY customers TO '{folder}/customers.parquet'")
        connection.execute(f"COPY orders TO '{folder}/orders/part-0.parquet'")
    files = {"customers.parquet": "", "orders/part-0.parquet": ""}
    settings = {"as_of": "2024-06-20T00:00:00Z", "tz": "UTC", "months": 1}
    write_manifest(folder, Manifest("warehouse", "0", settings, files, archetype="shop"))


def test_truncated_parquet_is_named(tmp_path: Path) -> None:
    """A part file that was cut off is an error of the input that names the file."""
    _made(tmp_path)
    part = tmp_path / "orders" / "part-0.parquet"
    part.write_bytes(part.read_bytes()[:-100])
    with pytest.raises(InputError, match=r"part-0\.parquet is cut off"):
        open_warehouse(tmp_path, shop())


def test_a_missing_part_is_named(tmp_path: Path) -> None:
    """A part that the manifest names and the folder lacks is an error, not a smaller table."""
    _made(tmp_path)
    (tmp_path / "orders" / "part-0.parquet").unlink()
    with pytest.raises(InputError, match=r"lacks orders/part-0\.parquet"):
        open_warehouse(tmp_path, shop())


def test_the_manifest_says_as_of_and_archetype(tmp_path: Path) -> None:
    """A made folder needs no as-of, and another company's archetype is refused."""
    _made(tmp_path)
    with open_warehouse(tmp_path, shop()) as warehouse:
        health = measure(warehouse, QUICK)
    assert health.as_of == datetime(2024, 6, 20, tzinfo=UTC)
    with pytest.raises(WarehouseError, match="of archetype 'shop', not 'other'"):
        open_warehouse(tmp_path, evolve(shop(), name="other"))


def test_a_missing_table_is_a_partial_result(database: Callable[[str], str]) -> None:
    """Without the parent the key is not measured, and says so; everything else is."""
    health = run(database(ORDERS + "DROP TABLE customers; CREATE TABLE customer (id BIGINT);"))
    reasons = {(line.table, line.metric): line.reason for line in health.not_measured}
    assert "did you mean 'customer'" in reasons["customers", "rows"]
    assert reasons["orders", "fk_failure"] == "the table customers it names is not there"
    assert total(health, "rows")["numerator"] == 480


def test_a_database_of_something_else_is_an_error(database: Callable[[str], str]) -> None:
    """Where no table of the archetype is there, the message says what is."""
    with pytest.raises(WarehouseError, match="none of the tables of 'shop': it has invoices"):
        run(database("CREATE TABLE invoices (id BIGINT)"))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            "ALTER TABLE orders RENAME placed TO placed_at",
            "no column 'placed' .did you mean 'placed_at'",
        ),
        (
            "ALTER TABLE orders ALTER placed TYPE VARCHAR",
            "orders.placed should be time .timestamp. but is string",
        ),
        (
            "ALTER TABLE orders ALTER total TYPE VARCHAR",
            "orders.total should be number .decimal. but is string",
        ),
    ],
)
def test_a_wrong_column_is_named_with_what_is_there(
    database: Callable[[str], str], change: str, words: str
) -> None:
    """A column that is missing or of another type ends the run with its name and type."""
    with pytest.raises(WarehouseError, match=words):
        run(database(ORDERS + change))


def test_keys_of_different_types_are_not_compared(database: Callable[[str], str]) -> None:
    """A number against a text is no orphan: the key is not measured, with the two types."""
    url = database(
        ORDERS.replace("range AS id FROM range(10)", "range::VARCHAR AS id FROM range(10)")
    )
    archetype = shop()
    customers = evolve(
        archetype.schema["customers"],
        columns=(evolve(archetype.schema["customers"].columns[0], type="string"),),
    )
    schema = evolve(archetype.schema, tables=(customers, archetype.schema["orders"]))
    health = run(url, evolve(archetype, schema=schema))
    reasons = [line.reason for line in health.not_measured if line.metric == "fk_failure"]
    assert reasons == [
        "orders.customer is int64 and customers.id is string: such keys cannot be compared"
    ]


@pytest.mark.parametrize("where", ["WHERE false", ""])
def test_empty_and_all_null_tables_are_told(database: Callable[[str], str], where: str) -> None:
    """No rows, or no usable time, is a reason in words and never a share of nothing."""
    null = ORDERS.replace(
        "TIMESTAMP '2024-06-01' + INTERVAL (range) HOUR AS placed", "NULL::TIMESTAMP AS placed"
    )
    sql = null if not where else ORDERS + "DELETE FROM orders"
    health = run(database(sql))
    reasons = [line.reason for line in health.not_measured if line.table == "orders"]
    assert any("empty" in reason or "no row has a time" in reason for reason in reasons)
    shares = [row["value"] for row in health.totals.to_pylist() if row["metric"] == "late"]
    assert set(shares) == {None}


def test_without_any_event_an_as_of_is_asked_for(database: Callable[[str], str]) -> None:
    """A warehouse without events has no last day; the message says what to do."""
    with (
        open_warehouse(database(ORDERS + "DELETE FROM orders"), shop()) as warehouse,
        pytest.raises(InputError, match=r"no row of .* has an event time") as caught,
    ):
        measure(warehouse, QUICK)
    assert "--as-of" in caught.value.hint


def test_money_that_is_no_number_counts_as_none(database: Callable[[str], str]) -> None:
    """NaN and infinities do not poison sums, and sums of floats are exact to the micro-unit."""
    sql = ORDERS.replace(
        "5.25 AS total",
        "(CASE range WHEN 0 THEN 'NaN' WHEN 1 THEN 'inf' ELSE '0.1' END)::DOUBLE AS total",
    )
    assert total(run(database(sql)), "rows")["revenue_cents"] == 4_780.0


def test_the_default_as_of_is_the_end_of_the_last_day(database: Callable[[str], str]) -> None:
    """A real warehouse is looked at from the end of its last local day with events."""
    with open_warehouse(database(ORDERS), shop()) as warehouse:
        health = measure(warehouse, QUICK)
    assert health.as_of == datetime(2024, 6, 21, tzinfo=UTC)
    assert str(health.window_end) == "2024-06-20"


def test_limits_of_unknown_tables_are_refused(database: Callable[[str], str]) -> None:
    """An override for a table that is not there names the nearest one."""
    settings = Settings(
        report=evolve(ReportSettings(), table_slos={"order": {"key_null_pct": 2.0}})
    )
    with (
        open_warehouse(database(ORDERS), shop()) as warehouse,
        pytest.raises(ConfigError, match="no table or key 'order'") as caught,
    ):
        measure(warehouse, settings)
    assert "orders" in caught.value.hint


def test_a_table_and_a_key_may_have_limits_of_their_own(database: Callable[[str], str]) -> None:
    """The nearest limit wins: the key's, else the table's, else the common one."""
    limits = {"orders": {"fk_orphan_pct": 50.0}, "orders.customer": {"fk_orphan_pct": 10.0}}
    settings = Settings(report=evolve(ReportSettings(), table_slos=limits, example_keys=0))
    with open_warehouse(database(ORDERS), shop()) as warehouse:
        health = measure(warehouse, settings, as_of=AS_OF)
    found = {v.column: (v.slo, v.passed) for v in health.slos if v.kind == "fk_orphan_pct"}
    assert found == {"": (50.0, True), "customer": (10.0, False)}


def test_times_stored_without_a_zone_are_read_as_the_schema_says(
    database: Callable[[str], str],
) -> None:
    """UTC unless `stored_tz` names a zone; which of the two it was stands in the notes."""
    url, zone = database(ORDERS), "America/New_York"
    local = evolve(shop(), tz=zone, stored_tz=zone)
    with open_warehouse(url, local) as warehouse:
        health = measure(warehouse, QUICK)
    # The last order was placed at 23:00 on 20 June by the clock on the wall.
    assert health.as_of == datetime(2024, 6, 21, 4, tzinfo=UTC)
    days = {r["day"]: r["numerator"] for r in health.measures.to_pylist() if r["metric"] == "rows"}
    assert set(days.values()) == {10, 24}
    assert f"times without a zone are read as {zone}: orders.placed, orders.loaded" in health.notes
    with open_warehouse(url, evolve(shop(), tz=zone)) as warehouse:
        health = measure(warehouse, QUICK)
    assert health.as_of == datetime(2024, 6, 21, 4, tzinfo=UTC)
    assert any("read as UTC" in note for note in health.notes)


def test_duckdb_draws_no_progress_bar_of_its_own(database: Callable[[str], str]) -> None:
    """Its bar would appear on a long query, over the progress that dnr shows."""
    url = database("CREATE TABLE t (id BIGINT)")
    archetype = Archetype("x", "X", Schema((Table("t", (Column("id", "int64"),)),)))
    with open_warehouse(url, archetype) as warehouse:
        setting = "SELECT current_setting('enable_progress_bar')"
        assert warehouse.connection.raw_sql(setting).fetchone() == (False,)


def test_a_query_that_is_interrupted_is_no_fault_of_the_warehouse(
    database: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """SIGTERM in the middle of a query ends the run, though DuckDB wraps it in an error of its own.

    What DuckDB raises was seen on it; `nox -s faults` sends the signal itself, at random moments.
    """

    def stopped(*_: object) -> None:
        try:
            raise TerminatedError
        except TerminatedError as end:
            raise RuntimeError("Query interrupted") from end

    with open_warehouse(database(ORDERS), shop()) as warehouse:
        monkeypatch.setattr("dnr_core.health.connect.fetch", stopped)
        with pytest.raises(TerminatedError):
            warehouse.rows(warehouse.table("orders"))
