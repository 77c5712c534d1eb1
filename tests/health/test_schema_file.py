"""Room: tests. The schema file: drafted from odd databases, read back, refused field by field."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dnr_core.config import Settings
from dnr_core.errors import ConfigError, WarehouseError
from dnr_core.health import archetype_of, draft_schema, measure, open_warehouse, read_schema

ODD = """
    CREATE TABLE "Kunden Stamm" ("Kunden Nr" BIGINT PRIMARY KEY, "angelegt" TIMESTAMP);
    INSERT INTO "Kunden Stamm" SELECT range, TIMESTAMP '2024-01-01' FROM range(40);
    CREATE TABLE "order" ("group" BIGINT PRIMARY KEY, "Kunden Nr" BIGINT, "когда" TIMESTAMP,
                          "a""b" DECIMAL(10, 2), "total: net" DECIMAL(10, 2), yes VARCHAR,
                          FOREIGN KEY ("Kunden Nr") REFERENCES "Kunden Stamm" ("Kunden Nr"));
    INSERT INTO "order" SELECT range, range % 40, TIMESTAMP '2024-05-01' + INTERVAL (range) HOUR,
                               1, 2.5, 'x' FROM range(400);
    CREATE SCHEMA sales;
    CREATE TABLE sales.refund AS SELECT range AS refund_id, range % 400 AS "group" FROM range(30);
    CREATE VIEW seen AS SELECT * FROM "order";
"""


def content(**changes: Any) -> dict[str, Any]:
    """A sound file with top-level fields replaced."""
    return {
        "name": "shop",
        "tables": {
            "orders": {
                "kind": "fact",
                "key": "id",
                "event_time": "placed",
                "columns": {"id": "int64", "placed": "timestamp", "total": "decimal"},
            }
        },
        **changes,
    }


def test_odd_names_survive_the_draft(database: Callable[[str], str], tmp_path: Path) -> None:
    """Spaces, quotes, colons, reserved words, other scripts and schemas: drafted, read, measured."""
    url = database(ODD)
    text = draft_schema(url)
    file = tmp_path / "odd.yaml"
    file.write_text(text, encoding="utf-8")
    archetype = read_schema(file)
    orders = archetype.schema["order"]
    assert orders.event_time is not None
    assert orders.event_time.columns == ("когда",)
    assert orders.foreign_keys[0].to == "Kunden Stamm"
    assert archetype.schema["refund"].physical_name == ("sales", "refund")
    assert [stream.amount.product_of for stream in archetype.streams] == [("total: net",)]
    assert "Views are left out: seen" in text
    with open_warehouse(url, archetype) as warehouse:
        health = measure(warehouse, Settings())
    figures = {
        (row["table"], row["column"], row["metric"]): (row["numerator"], row["revenue_cents"])
        for row in health.totals.to_pylist()
        if row["scope"] == "history"
    }
    assert figures["order", "", "rows"] == (400, 100_000.0)
    assert figures["order", "Kunden Nr", "fk_failure"] == (0, 0.0)


def test_declared_keys_are_taken_and_guesses_marked(database: Callable[[str], str]) -> None:
    """What the database says needs no evidence; what it does not say carries its own."""
    lines = draft_schema(database(ODD)).splitlines()
    declared = next(line for line in lines if "to: Kunden Stamm" in line)
    assert declared.endswith("# declared in the database")
    key = next(line for line in lines if "key: refund_id" in line)
    assert key.endswith("# guessed: no nulls and no value twice in 30 rows")


def test_a_key_in_doubt_is_only_a_comment(database: Callable[[str], str]) -> None:
    """A column named after a table whose values are mostly not in it is not taken."""
    sql = """
        CREATE TABLE agents AS SELECT range AS agent_id FROM range(5);
        CREATE TABLE calls AS SELECT range AS call_id, range AS agent_id, TIMESTAMP '2024-01-01' AS called_at
        FROM range(50);
    """
    text = draft_schema(database(sql))
    assert "# not taken: {columns: agent_id, to: agents, to_columns: agent_id}" in text
    assert "5 of 50 values are in agents (10.0 %)" in text


def test_a_large_table_is_drafted_from_names(
    database: Callable[[str], str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Above the limit no value is counted; the draft says so, and a smaller table is as always."""
    sql = """
        CREATE TABLE agents AS SELECT range AS agent_id FROM range(5);
        CREATE TABLE calls AS SELECT range AS call_id, range % 5 AS agent_id,
               TIMESTAMP '2024-01-01' + INTERVAL (range) HOUR AS called_at, 2.5 AS fee FROM range(50);
    """
    url = database(sql)
    monkeypatch.setattr("dnr_core.health.introspect.COUNTED_ROWS", 49)
    text = draft_schema(url)
    assert "    # key: not looked for, the table is large" in text
    assert (
        "event_time: called_at  # guessed from its name; not looked at, the table is large" in text
    )
    assert "# guessed: same name; not looked at, the table is large" in text
    assert "key: agent_id  # guessed: no nulls and no value twice in 5 rows" in text
    file = tmp_path / "large.yaml"
    file.write_text(text, encoding="utf-8")
    assert read_schema(file).schema["calls"].foreign_keys[0].to == "agents"
    monkeypatch.undo()
    assert "key: call_id  # guessed: no nulls and no value twice in 50 rows" in draft_schema(url)


def test_an_empty_database_is_an_error(database: Callable[[str], str]) -> None:
    """There is nothing to draft, and the message says so."""
    with pytest.raises(WarehouseError, match="has no table that can be read"):
        draft_schema(database("SELECT 1"))


def _orders(**fields: Any) -> dict[str, Any]:
    return {"tables": {"orders": {"columns": {"id": "int64"}, **fields}}}


def _money(**fields: Any) -> dict[str, Any]:
    return {"money": [{"name": "sales", "table": "orders", "amount": "total", **fields}]}


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"tabels": {}}, "tabels is not known; did you mean 'tables'"),
        ({"tz": "Mars/Olympus"}, "tz is 'Mars/Olympus'; an IANA time zone"),
        ({"tables": {}}, "tables is empty"),
        (
            _orders(kind="facts"),
            "tables.orders.kind is 'facts'; allowed: dimension, fact, snapshot; did you mean 'fact'",
        ),
        (_orders(columns={"id": "int46"}), "orders.columns.id.type is 'int46'; allowed: int64"),
        (
            _orders(key="idd"),
            "tables.orders.key names 'idd', which is no column of it; did you mean 'id'",
        ),
        (
            _orders(foreign_keys=[{"columns": "id", "to": "order"}]),
            "to names 'order', which is no table of this file; did you mean 'orders'",
        ),
        (_money(amount="totl"), "'totl', which is no column of orders; did you mean 'total'"),
        (_money(minor_units=0), "minor_units is 0; a whole number above 0"),
        (_money(where=[{"column": "total", "op": "is"}]), "op is 'is'; allowed: eq"),
    ],
)
def test_a_wrong_field_is_named(changed: dict[str, Any], words: str) -> None:
    """Each fault has its path, its value, what is allowed, and the nearest known name."""
    with pytest.raises(ConfigError, match=words):
        archetype_of(content(**changed), "shop.yaml")


def test_all_faults_are_told_at_once() -> None:
    """A file with three faults takes one edit, not three."""
    with pytest.raises(ConfigError) as caught:
        archetype_of(
            content(
                tz="Mars/Olympus",
                tables={"orders": {"kind": "facts", "key": "di", "columns": {"id": "int64"}}},
                money=[],
                naem="x",
            ),
            "shop.yaml",
        )
    assert str(caught.value).startswith("shop.yaml: ")
    assert {"naem", "tz"} <= {word.rstrip(";") for word in str(caught.value).split()}


def test_a_file_that_is_no_yaml_is_refused(tmp_path: Path) -> None:
    """A broken file is a usage error with its place."""
    file = tmp_path / "broken.yaml"
    file.write_text("tables: [", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"broken\.yaml"):
        read_schema(file)
    with pytest.raises(ConfigError, match="cannot read"):
        read_schema(tmp_path / "nowhere.yaml")
