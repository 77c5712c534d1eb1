"""A real shop on SQLite: drafted, measured, and held against SQL written by hand."""

from __future__ import annotations

import json
import os
import sqlite3
from pathlib import Path

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
