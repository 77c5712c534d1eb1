"""An open connection of Ibis is a warehouse: every call of the API that takes a location takes it."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import ibis
import pytest

import dnr_core
from dnr_core.api.answer import _source
from dnr_core.api.context import open_context
from dnr_core.errors import ConfigError, WarehouseError

CONTEXT = open_context(environ={})
COLUMNS = "id BIGINT, customer BIGINT, placed TIMESTAMP, loaded TIMESTAMP, cents BIGINT"
ROWS = [
    (
        i - (i % 50 == 49),
        i % 12,
        f"2024-05-{1 + i // 24:02d} {i % 24:02d}:00:00",
        f"2024-05-{1 + i // 24:02d} {i % 24:02d}:30:00",
        525,
    )
    for i in range(480)
]
SCHEMA = """
name: shop
tz: America/New_York
tables:
  customers: {key: id, columns: {id: int64}}
  orders:
    kind: fact
    key: id
    event_time: placed
    loaded_at: loaded
    foreign_keys: [{columns: customer, to: customers, to_columns: id}]
    columns: {id: int64, customer: int64, placed: timestamp, loaded: timestamp, cents: int64}
money: [{name: sales, table: orders, amount: cents, keyed_by: id}]
"""


@pytest.fixture(params=["duckdb", "sqlite"])
def given(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Any, str]]:
    """An open connection, and the URL of a copy of its file."""
    copy = tmp_path / f"copy.{request.param}"
    path = tmp_path / f"shop.{request.param}"
    raw: Any = duckdb.connect(str(path)) if request.param == "duckdb" else sqlite3.connect(path)
    raw.execute("CREATE TABLE customers (id BIGINT PRIMARY KEY)")
    raw.execute(f"CREATE TABLE orders ({COLUMNS})")
    raw.executemany("INSERT INTO customers VALUES (?)", [(i,) for i in range(10)])
    raw.executemany("INSERT INTO orders VALUES (?, ?, ?, ?, ?)", ROWS)
    raw.commit()
    raw.close()
    shutil.copyfile(path, copy)
    if request.param == "duckdb":
        connection: Any = ibis.duckdb.connect(path, read_only=True)
        connection.raw_sql("SET TimeZone = 'Asia/Tokyo'")
    else:
        connection = ibis.sqlite.connect(path)
    yield connection, f"{request.param}:///{copy}"
    connection.disconnect()


@pytest.fixture
def schema(tmp_path: Path) -> Path:
    path = tmp_path / "shop.yaml"
    path.write_text(SCHEMA, encoding="utf-8")
    return path


def test_a_report_on_a_connection_is_the_one_on_its_url(
    given: tuple[Any, str], schema: Path, tmp_path: Path
) -> None:
    """The same document but for its source, which is no address in memory."""
    connection, url = given
    asked: dict[str, Any] = {"archetype": schema, "context": CONTEXT}
    mine = dnr_core.run_report(connection, out=tmp_path / "one", **asked)
    theirs = dnr_core.run_report(url, **asked)
    assert mine.health is not None
    assert theirs.health is not None
    assert mine.health.measures == theirs.health.measures
    place = {**theirs.document["place"], "source": f"a {connection.name} connection"}
    assert mine.document == {**theirs.document, "place": place}
    assert f"a {connection.name} connection" in (tmp_path / "one" / "report.html").read_text(
        "utf-8"
    )


def test_a_connection_is_looked_at_and_left_as_it_was(given: tuple[Any, str], schema: Path) -> None:
    """Opened, measured, explained and drafted, it is still open and in its own time zone."""
    connection, url = given
    with dnr_core.open_warehouse(connection, archetype=schema, context=CONTEXT) as warehouse:
        assert "orders" in warehouse
    health = dnr_core.measure_health(connection, archetype=schema, context=CONTEXT)
    total = {
        (r["table"], r["column"], r["metric"]): r["numerator"]
        for r in health.totals.to_pylist()
        if r["scope"] == "history"
    }
    assert total["orders", "", "duplicate"] == 9
    assert total["orders", "", "fk_failure"] == 80
    asked: dict[str, Any] = {"archetype": schema, "context": CONTEXT}
    proof = dnr_core.explain(connection, "orders", "fk_failure", **asked)
    assert proof == dnr_core.explain(url, "orders", "fk_failure", **asked)
    row = connection.raw_sql(proof.sql).fetchone()
    assert row[:2] == (80, 480)
    draft = dnr_core.draft_schema(connection)
    assert f"# Schema of the given {connection.name} connection" in draft
    assert draft.split("tables:", 1)[1] == dnr_core.draft_schema(url).split("tables:", 1)[1]
    if connection.name == "duckdb":
        zone = connection.raw_sql("SELECT current_setting('TimeZone')").fetchone()
        assert zone == ("Asia/Tokyo",)
    assert connection.raw_sql("SELECT count(*) FROM orders").fetchone() == (480,)


def test_without_an_archetype_a_connection_is_asked_for_one(given: tuple[Any, str]) -> None:
    """A connection has no manifest that says what company it is; the hint names the draft."""
    with pytest.raises(ConfigError, match="which archetype is this") as caught:
        dnr_core.run_report(given[0], context=CONTEXT)
    assert "schema FILE.yaml" in caught.value.hint


def test_a_file_that_this_program_holds_is_said_to_be_open(tmp_path: Path, schema: Path) -> None:
    """DuckDB lets one program open a file in one way; the hint says to give the connection."""
    path = tmp_path / "shop.duckdb"
    with duckdb.connect(str(path)), pytest.raises(WarehouseError, match="has it open") as caught:
        dnr_core.run_report(f"duckdb:///{path}", archetype=schema, context=CONTEXT)
    assert "give that connection" in caught.value.hint


def test_what_is_no_warehouse_is_named(schema: Path) -> None:
    """Something else in its place is one error that says what may be given."""
    wrong: Any = {"orders": []}
    with pytest.raises(WarehouseError, match="a dict is no warehouse") as caught:
        dnr_core.run_report(wrong, archetype=schema, context=CONTEXT)
    assert "ibis" in caught.value.hint


def test_the_source_on_the_page_has_no_secret() -> None:
    """Neither the password of a URL nor one in its query is named as the source of a report."""
    assert _source("postgresql://me:hunter2@host/shop", None) == "shop"
    assert _source("postgresql://host/shop?user=me&password=hunter2", None) == "shop"
