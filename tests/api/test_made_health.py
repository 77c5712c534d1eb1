"""`data_health.json` and `.csv` of both made companies: the published schema, and SQL beside them."""

from __future__ import annotations

import csv
import json
from importlib.resources import files
from typing import Any

import duckdb
import jsonschema
import pytest

GUARDRAILS = {"neobank": "invoice_aggregates", "marketplace": "marketplace_evening_window"}
EVENING = """
WITH days AS (
  SELECT (captured_at::TIMESTAMPTZ AT TIME ZONE 'America/Los_Angeles')::DATE AS day, count(*) AS n,
         count(*) FILTER (hour(captured_at::TIMESTAMPTZ AT TIME ZONE 'America/Los_Angeles') BETWEEN 17 AND 21) AS late
  FROM '{data}/fact_payment/**/*.parquet' GROUP BY 1)
SELECT sum(n) AS payments, 100 * sum(late) / sum(n) AS share_pct,
       100 * count(*) FILTER (100 * late >= 30 * n) / count(*) AS days_reaching_pct FROM days
"""
INVOICES = """
SELECT count(*) AS invoices,
       100 * (count(invoice_id) - count(DISTINCT invoice_id)) / count(*) AS duplicate_pct
FROM '{data}/fact_subscription_invoice/**/*.parquet'
"""


@pytest.mark.parametrize("name", sorted(GUARDRAILS))
def test_data_health_of_a_made_company(name: str, made: dict[str, Any]) -> None:
    """Valid by its schema, with the company's guardrail as SQL finds it; the CSV has the same totals."""
    company = made[name]
    document = json.loads((company.reports / "data_health.json").read_text("utf-8"))
    schemas = files("dnr_core.report").joinpath("schemas")
    rules = json.loads(schemas.joinpath("data_health.schema.json").read_text("utf-8"))
    jsonschema.Draft202012Validator(rules).validate(document)
    guardrail = document[GUARDRAILS[name]]
    assert set(guardrail) == {"metrics", "checks", "passed"}
    assert guardrail["passed"] == all(check["passed"] for check in guardrail["checks"])
    sql = (EVENING if name == "marketplace" else INVOICES).format(data=company.data)
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        found = connection.execute(sql)
        names = [column[0] for column in found.description]
        expected = dict(zip(names, found.fetchone(), strict=True))
    for metric, value in expected.items():
        assert guardrail["metrics"][metric] == pytest.approx(float(value)), metric
    with (company.reports / "data_health.csv").open(encoding="utf-8", newline="") as lines:
        rows = [row for row in csv.DictReader(lines) if row["scope"] in {"history", "window"}]
    keys = ("scope", "table", "column", "metric")
    texts = {tuple(row[k] for k in keys): row for row in rows}
    assert set(texts) == {tuple(f[k] for k in keys) for f in document["figures"]}
    for figure in document["figures"]:
        row = texts[tuple(figure[k] for k in keys)]
        for part in ("numerator", "denominator", "value", "revenue_cents"):
            assert row[part] == ("" if figure[part] is None else str(figure[part])), figure
