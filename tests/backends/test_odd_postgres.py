"""A PostgreSQL database as odd as they come: drafted, read back and measured without an edit."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from dnr_core.config import Settings
from dnr_core.health import draft_schema, measure, open_warehouse, read_schema

if not os.environ.get("DNR_BACKENDS"):
    pytest.skip("PostgreSQL has a session of its own", allow_module_level=True)

SQL = '''
CREATE SCHEMA "Sales Dept"; CREATE SCHEMA "Archiv";
CREATE TYPE mood AS ENUM ('a', 'b');
CREATE TABLE "Customer" ("Id" serial PRIMARY KEY, "createdAt" timestamp, m mood, tags text[],
                         j jsonb, u uuid DEFAULT gen_random_uuid());
CREATE TABLE "Sales Dept"."Order" (
  "group" bigint PRIMARY KEY, "Customer ""Nr""" int REFERENCES "Customer" ("Id"),
  "когда" timestamptz, "select" numeric(10, 2), "total: net" money, "Preis€ total" numeric(10, 2));
CREATE TABLE "Archiv"."Order" (LIKE "Sales Dept"."Order");
CREATE TABLE "Archiv"."Zeilen" (order_no bigint, pos int, PRIMARY KEY (order_no, pos));
INSERT INTO "Customer" ("createdAt") SELECT timestamp '2024-01-01' FROM generate_series(1, 40);
INSERT INTO "Sales Dept"."Order"
SELECT i, i % 40 + 1, timestamptz '2024-05-01 00:00Z' + i * interval '1 hour', 2.5, 3, 4.25
FROM generate_series(1, 400) i;
INSERT INTO "Archiv"."Order" SELECT * FROM "Sales Dept"."Order" WHERE "group" < 100;
INSERT INTO "Archiv"."Zeilen" SELECT i, 1 FROM generate_series(1, 99) i;
CREATE VIEW "v w" AS SELECT * FROM "Archiv"."Order";
CREATE MATERIALIZED VIEW mv AS SELECT * FROM "Archiv"."Order";
'''


def test_an_odd_database_is_drafted_and_measured(postgres: Any, tmp_path: Path) -> None:
    """Several schemas with one table name, mixed case, quotes, reserved words, enums, arrays, views."""
    postgres.psql('CREATE DATABASE "Odd Shop"')
    postgres.psql(SQL, "Odd Shop")
    url = postgres.url("Odd%20Shop")
    text = draft_schema(url)
    assert text.startswith("# Schema of postgresql://boss@127.0.0.1")
    assert "\nname: odd_shop\n" in text
    assert "stored_tz: UTC  # zone of the 1 times stored without one (Customer.createdAt)" in text
    assert "# Views are left out: mv, v w." in text
    file = tmp_path / "odd.yaml"
    file.write_text(text, encoding="utf-8")
    archetype = read_schema(file)
    orders = archetype.schema["Sales Dept.Order"]
    assert orders.physical_name == ("Sales Dept", "Order")
    assert [key.columns for key in orders.foreign_keys] == [('Customer "Nr"',)]
    assert [s.amount.product_of for s in archetype.streams] == [("Preis€ total",)]
    with open_warehouse(url, archetype) as warehouse:
        health = measure(warehouse, Settings())
    rows = {
        r["table"]: (r["numerator"], r["revenue_cents"])
        for r in health.totals.to_pylist()
        if r["metric"] == "rows" and r["scope"] == "history"
    }
    assert rows == {
        "Sales Dept.Order": (400, 170_000.0),
        "Archiv.Order": (99, rows["Archiv.Order"][1]),
        "Zeilen": (99, None),
        "Customer": (40, None),
    }
