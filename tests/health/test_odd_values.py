"""Values that a person would not expect: controls in keys, times as text, offsets in text."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest
from click.testing import CliRunner

import dnr_core
from dnr_core.api.context import open_context
from dnr_core.cli.app import root, run
from dnr_core.config import Settings
from dnr_core.config.visible import visible
from dnr_core.errors import WarehouseError
from dnr_core.health import archetype_of, measure, open_warehouse

ODD = ("a\0b", "\0", "\x1b[31mred\x07", "x\u2028y", "tab\tline\nq\"'", "\u202etxt", "\x9b2J", "<b>")
ROWS = [
    (
        ODD[i % 8] + str(i if i % 40 else 0),
        ODD[i % 8] if i % 9 else f"gone\0{i % 3}",
        ODD[1] if i % 9 == 0 else ODD[i // 5 % 8],
        f"2024-05-{1 + i // 48:02d} {i // 2 % 24:02d}:00:00",
        500,
    )
    for i in range(960)
]
COLUMNS = {"code": "string", "customer": "string", "region": "string", "placed": "timestamp"}
SCHEMA: dict[str, Any] = {
    "name": "shop",
    "tables": {
        "customers": {"key": "name", "columns": {"name": "string"}},
        "orders": {
            "kind": "fact",
            "key": "code",
            "event_time": "placed",
            "foreign_keys": [{"columns": "customer", "to": "customers", "to_columns": "name"}],
            "columns": {**COLUMNS, "cents": "int64"},
        },
    },
    "money": [{"name": "sales", "table": "orders", "amount": "cents", "keyed_by": "code"}],
}
UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]")


def _fill(raw: Any) -> None:
    raw.execute("CREATE TABLE customers (name TEXT)")
    raw.execute(
        "CREATE TABLE orders (code TEXT, customer TEXT, region TEXT, placed TIMESTAMP, cents BIGINT)"
    )
    raw.executemany("INSERT INTO customers VALUES (?)", [(name,) for name in ODD])
    raw.executemany("INSERT INTO orders VALUES (?, ?, ?, ?, ?)", ROWS)
    raw.commit()


@pytest.fixture(scope="module")
def shops(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The same rows in DuckDB, SQLite and Parquet. PostgreSQL stores no NUL."""
    folder = tmp_path_factory.mktemp("odd")
    with duckdb.connect(str(folder / "shop.duckdb")) as raw:
        _fill(raw)
        (folder / "files").mkdir()
        for table in ("customers", "orders"):
            raw.execute(f"COPY {table} TO '{folder}/files/{table}.parquet'")
    lite = sqlite3.connect(folder / "shop.sqlite")
    _fill(lite)
    lite.close()
    return {
        "duckdb": f"duckdb:///{folder}/shop.duckdb",
        "sqlite": f"sqlite:///{folder}/shop.sqlite",
        "parquet": str(folder / "files"),
    }


@pytest.mark.parametrize("backend", ["duckdb", "sqlite", "parquet"])
def test_keys_with_nul_are_keys_like_others(backend: str, shops: dict[str, str]) -> None:
    """Copies and orphans among keys with NUL and other controls are counted to the row."""
    with open_warehouse(shops[backend], archetype_of(SCHEMA, "shop")) as warehouse:
        health = measure(warehouse, Settings())
    totals = {
        r["metric"]: r["numerator"]
        for r in health.totals.to_pylist()
        if r["table"] == "orders" and r["scope"] == "history" and r["column"] == ""
    }
    codes = [row[0] for row in ROWS]
    assert totals["duplicate"] == len(codes) - len(set(codes)) == 23
    assert totals["fk_missing"] == sum(row[1] not in ODD for row in ROWS) == 107
    keys = {str(key["code"]) for proof in health.proofs for key in proof.keys}
    assert any("\0" in key for key in keys)
    assert keys <= set(codes)


def test_no_control_reaches_a_page_or_a_terminal(shops: dict[str, str], tmp_path: Path) -> None:
    """Page, Markdown and CSV have none, written out where a value is named; JSON has it exactly."""
    schema = tmp_path / "shop.yaml"
    schema.write_text(json.dumps(SCHEMA), encoding="utf-8")
    out = tmp_path / "reports" / "shop"
    report = dnr_core.run_report(
        shops["duckdb"],
        archetype=schema,
        out=out,
        window_days="all",
        context=open_context(environ={}),
    )
    for path in sorted(p for p in out.parent.rglob("*") if p.suffix in {".html", ".md", ".csv"}):
        text = path.read_text("utf-8")
        assert UNSEEN.search(text) is None, path.name
    page = (out / "report.html").read_text("utf-8")
    assert r"\u0000" in page
    assert r"\u001b[31mred" in page
    document = json.loads((out / "data_health.json").read_text("utf-8"))
    keys = [key["code"] for proof in document["proofs"] for key in proof["keys"]]
    assert any("\0" in key for key in keys)
    assert UNSEEN.search(report._repr_html_()) is None
    asked = ["explain", "orders", "duplicate", "--warehouse", shops["duckdb"]]
    for more in ([], ["--json"]):
        result = CliRunner().invoke(root, [*more, *asked, "--archetype", str(schema)])
        assert result.exit_code == 0, result.output
        assert UNSEEN.search(result.output) is None
        assert "x00" in result.output or "u0000" in result.output


def test_what_is_unseen_is_written_out() -> None:
    """Controls and marks that turn the reading order are; words of any script, tabs and lines stay."""
    assert visible("a\0\x1b[2J\x9b\u202eb\r") == r"a\u0000\u001b[2J\u009b\u202eb\u000d"
    assert visible("שלום\u200f Zoë\t1\n") == "שלום\u200f Zoë\t1\n"


TEXT_TIMES = """
    CREATE TABLE orders AS SELECT range AS code, (TIMESTAMP '2024-06-01' + INTERVAL (range) HOUR)::VARCHAR AS placed
    FROM range(48);
    CREATE VIEW orders_timed AS SELECT code, CAST(placed AS TIMESTAMP) AS placed FROM orders;
"""


def _orders(**fields: Any) -> Any:
    orders = {"kind": "fact", "key": "code", "event_time": "placed"}
    columns = {"code": "int64", "placed": "timestamp"}
    return archetype_of(
        {
            "name": "shop",
            "tz": "UTC",
            "tables": {"orders": {**orders, "columns": columns, **fields}},
        },
        "shop",
    )


def test_a_time_that_is_text_says_what_to_do(
    database: Callable[[str], str], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """The error names column and type, and its hint the cast in a view, which then is measured."""
    url = database(TEXT_TIMES)
    with pytest.raises(WarehouseError, match=r"orders\.placed should be time .* string") as caught:
        open_warehouse(url, _orders())
    for words in ("CAST(placed AS TIMESTAMP)", "`source` of orders", "name another column"):
        assert words in caught.value.hint
    with open_warehouse(url, _orders(source="orders_timed")) as warehouse:
        health = measure(warehouse, Settings())
    assert health.as_of == datetime(2024, 6, 3, tzinfo=UTC)
    schema = tmp_path / "shop.yaml"
    orders = "{kind: fact, event_time: placed, columns: {code: int64, placed: timestamp}}"
    schema.write_text(f"name: shop\ntables: {{orders: {orders}}}\n")
    asked = ["explain", "orders", "rows", "--warehouse", url, "--archetype", str(schema)]
    assert run(asked) == 3
    assert "CAST(placed AS TIMESTAMP)" in capsys.readouterr().err


def test_text_of_sqlite_with_an_offset_is_not_moved(tmp_path: Path) -> None:
    """Of times stored in a zone, those that carry an offset are instants; the others are walls."""
    zone = "America/New_York"
    moments = [
        # 20:00 and 23:59:59.9 on the wall, four hours behind UTC.
        ("2024-06-30 20:00:00", date(2024, 6, 30)),
        ("2024-06-30 23:59:59.999", date(2024, 6, 30)),
        # The same and others by their offset: 20:00, 23:30 and 00:30 on the wall.
        ("2024-07-01 00:00:00+00:00", date(2024, 6, 30)),
        ("2024-06-30 22:30:00.25-05:00", date(2024, 6, 30)),
        ("2024-07-01T04:30:00Z", date(2024, 7, 1)),
        # Over the switch of November: 01:30 on the wall, the second time.
        ("2024-11-03 06:30:00+00:00", date(2024, 11, 3)),
        # The newest instant is 23:30 on the wall, of the day before its date in UTC.
        ("2024-11-05 04:30:00+00:00", date(2024, 11, 4)),
    ]
    raw = sqlite3.connect(tmp_path / "shop.sqlite")
    raw.execute("CREATE TABLE orders (code BIGINT, placed TIMESTAMP)")
    raw.executemany(
        "INSERT INTO orders VALUES (?, ?)", [(i, m) for i, (m, _) in enumerate(moments)]
    )
    raw.commit()
    raw.close()
    archetype = archetype_of(
        {
            "name": "shop",
            "tz": zone,
            "stored_tz": zone,
            "tables": {
                "orders": {
                    "kind": "fact",
                    "key": "code",
                    "event_time": "placed",
                    "columns": {"code": "int64", "placed": "timestamp"},
                }
            },
        },
        "shop",
    )
    with open_warehouse(f"sqlite:///{tmp_path}/shop.sqlite", archetype) as warehouse:
        health = measure(warehouse, Settings())
    found = {
        row["day"]: row["numerator"]
        for row in health.measures.to_pylist()
        if row["metric"] == "rows" and row["numerator"]
    }
    days = [day for _, day in moments]
    assert found == {day: days.count(day) for day in days}
    assert health.as_of == datetime(2024, 11, 5, 5, tzinfo=UTC)
