"""A real shop on SQLite: drafted, measured, and held against SQL written by hand."""

from __future__ import annotations

import gzip
import json
import os
import sqlite3
from pathlib import Path
from typing import Any

import dnr_core
from dnr_core.api.context import open_context

GIVEN = os.environ.get("DNR_REAL_DATA", "")


def test_a_real_shop_is_drafted_and_measured_without_an_edit(tmp_path: Path) -> None:
    """Rows, declared keys and money of Chinook are what SQL by hand finds."""
    database = Path(GIVEN) / "chinook" / "Chinook_Sqlite.sqlite"
    url = f"sqlite:///{database}"
    schema = tmp_path / "chinook.yaml"
    schema.write_text(dnr_core.draft_schema(url), encoding="utf-8")
    context = open_context(environ={})
    report = dnr_core.run_report(
        url, archetype=schema, window_days="all", out=tmp_path / "report", context=context
    )
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as connection:
        rows = {
            table: connection.execute(f'SELECT count(*) FROM "{table}"').fetchone()[0]
            for table in ("Invoice", "InvoiceLine", "Customer", "Track")
        }
        orphans = connection.execute(
            'SELECT count(*) FROM "InvoiceLine" l LEFT JOIN "Track" t ON t."TrackId" = l."TrackId" '
            'WHERE l."TrackId" IS NOT NULL AND t."TrackId" IS NULL'
        ).fetchone()[0]
    connection.close()
    health = json.loads((tmp_path / "report" / "data_health.json").read_text(encoding="utf-8"))
    text = json.dumps(health)
    assert report.health is not None
    totals = [t for t in report.health.totals.to_pylist() if t["scope"] == "history"]
    measured = {
        t["table"]: t["numerator"] or t["denominator"] for t in totals if t["metric"] == "rows"
    }
    for table, count in rows.items():
        assert measured[table] == count, table
    failing = [
        t["numerator"]
        for t in totals
        if t["table"] == "InvoiceLine" and t["metric"] == "fk_missing" and t["column"] == "TrackId"
    ]
    assert failing == [orphans]
    assert "not_measured" in text


def _totals(health: Any, table: str, metric: str, column: str = "") -> dict[str, Any]:
    return next(
        row
        for row in health.totals.to_pylist()
        if (row["table"], row["column"], row["metric"], row["scope"])
        == (table, column, metric, "history")
    )


def test_a_real_rental_shop_on_postgresql(tmp_path: Path, postgres: Any) -> None:
    """Views, partitions and functions are there; rows, keys, money and months are SQL's by hand."""
    import psycopg

    folder = Path(GIVEN) / "sakila"
    postgres.psql("CREATE ROLE postgres SUPERUSER; CREATE DATABASE sakila")
    postgres.psql((folder / "schema.sql").read_text(encoding="utf-8"), "sakila")
    with gzip.open(folder / "data-copy.sql.gz", "rt", encoding="utf-8") as rows:
        postgres.psql(rows.read(), "sakila")
    url = postgres.url("sakila")
    text = dnr_core.draft_schema(url)
    assert "customer_list" in text.rsplit("# Views are left out:", 1)[1]
    schema = tmp_path / "sakila.yaml"
    schema.write_text(text, encoding="utf-8")
    health = dnr_core.run_report(
        url,
        archetype=schema,
        window_days="all",
        out=tmp_path / "report",
        context=open_context(environ={}),
    ).health
    assert health is not None
    with psycopg.connect(url) as connection:
        connection.execute("SET TIME ZONE 'UTC'")

        def one(sql: str) -> Any:
            row = connection.execute(sql).fetchone()
            return row[0] if row else None

        for table in ("payment", "rental", "customer", "film", "inventory"):
            assert _totals(health, table, "rows")["numerator"] == one(
                f"SELECT count(*) FROM {table}"
            ), table
        orphans = one(
            "SELECT count(*) FROM payment p WHERE NOT EXISTS "
            "(SELECT 1 FROM rental r WHERE r.rental_id = p.rental_id) AND p.rental_id IS NOT NULL"
        )
        assert _totals(health, "payment", "fk_missing", "rental_id")["numerator"] == orphans
        cents = one("SELECT round(sum(amount) * 100) FROM payment")
        assert _totals(health, "payment", "rows")["revenue_cents"] == float(cents)
        months = connection.execute(
            "SELECT date_trunc('month', payment_date)::date, sum(amount) * 100 FROM payment GROUP BY 1"
        ).fetchall()
    found = {figure.month: figure.value for figure in health.revenue}
    for month, amount in months:
        assert found[month] == float(amount), month
