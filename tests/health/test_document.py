"""Room: tests. The plain data behind `data_health.json` and `data_health.csv`."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from io import StringIO

import pytest
from attrs import evolve

from dnr_core.config import ReportSettings, Settings
from dnr_core.health import (
    archetype_of,
    data_health_csv,
    data_health_document,
    measure,
    open_warehouse,
)
from dnr_core.model import Guardrail, GuardrailResult, HealthResult, Kpi
from dnr_core.workspace import dump_json

SHOP = archetype_of(
    {
        "name": "shop",
        "tz": "UTC",
        "tables": {
            "orders": {
                "kind": "fact",
                "key": "id",
                "event_time": "placed",
                "columns": {"id": "int64", "placed": "timestamp"},
            }
        },
    },
    "shop.yaml",
)


class Limits:
    """Limits of the guardrail below."""

    most = 100


def _few(tables, limits, clock, execute):  # type: ignore[no-untyped-def]
    rows = execute(tables["orders"].agg(n=tables["orders"].count()))[0]["n"]
    check = {"name": "rows", "measured": rows, "limit": limits.most, "passed": rows <= limits.most}
    return GuardrailResult({"rows": rows}, (check,))


def _orders(context):  # type: ignore[no-untyped-def]
    orders = context.tables["orders"]
    rows = orders.mutate(month=context.local_month(orders.placed))
    return rows.group_by("month").agg(value=rows.count())


def _broken(context):  # type: ignore[no-untyped-def]
    raise ValueError("no such column")


def _health(database: Callable[[str], str]) -> HealthResult:
    archetype = evolve(
        SHOP,
        kpis=(
            Kpi("orders", "Orders", "count", _orders),
            Kpi("broken", "Broken", "count", _broken),
        ),
        guardrails=(Guardrail("few_orders", "Few orders", "shop.few", Limits, _few),),
    )
    url = database("""
        CREATE TABLE orders AS SELECT range % 140 AS id,
               TIMESTAMP '2024-04-30 12:00' + INTERVAL (range) HOUR AS placed FROM range(150)
    """)
    with open_warehouse(url, archetype) as warehouse:
        return measure(warehouse, Settings(), as_of=datetime(2024, 6, 1, tzinfo=UTC))


def test_the_document_is_plain_json(database: Callable[[str], str]) -> None:
    """It survives JSON without NaN, and a guardrail stands under its own name."""
    document = json.loads(dump_json(data_health_document(_health(database))))
    assert document["version"] == 1
    assert document["few_orders"] == {
        "checks": [{"limit": 100, "measured": 150, "name": "rows", "passed": False}],
        "metrics": {"rows": 150},
        "passed": False,
    }
    figures = {(f["scope"], f["metric"]): f for f in document["figures"] if f["table"] == "orders"}
    assert figures["history", "duplicate"]["numerator"] == 10
    assert figures["window", "rows"]["numerator"] == 114


def test_kpis_have_each_row_once_and_a_broken_one_is_told(database: Callable[[str], str]) -> None:
    """A KPI counts a repeated key once; one that fails is named, and the rest goes on."""
    health = _health(database)
    assert sum(f.value or 0 for f in health.kpis if f.name == "orders") == 140
    reasons = {line.metric: line.reason for line in health.not_measured}
    assert reasons["broken"] == "the KPI 'Broken' failed: ValueError: no such column"


def test_months_that_are_covered_in_part_say_so(database: Callable[[str], str]) -> None:
    """April has half a day of history and is not whole; May is."""
    whole = {str(f.month): f.complete for f in _health(database).kpis}
    assert whole == {"2024-04-01": False, "2024-05-01": True}


def test_the_csv_adds_up(database: Callable[[str], str]) -> None:
    """The daily lines of the CSV sum to its totals."""
    rows = list(csv.DictReader(StringIO(data_health_csv(_health(database)))))
    days = [r for r in rows if r["scope"] == "day" and r["metric"] == "rows"]
    total = next(r for r in rows if r["scope"] == "history" and r["metric"] == "rows")
    assert sum(int(r["numerator"]) for r in days) == int(total["numerator"]) == 150
    assert {r["day"] for r in days} >= {"2024-04-30", "2024-05-31"}


def test_a_trend_is_the_second_half_less_the_first(database: Callable[[str], str]) -> None:
    """Ten days of ten rows: 1 + 1 copies in the first five, 3 + 4 in the last: 14 - 4 points."""
    url = database("""
        CREATE TABLE orders AS
        SELECT CASE WHEN range IN (3, 23, 61, 62, 63, 91, 92, 93, 94)
                    THEN 10 * (range // 10) ELSE range END AS id,
               TIMESTAMP '2024-05-01 12:00' + INTERVAL (range // 10) DAY AS placed
        FROM range(100)
    """)
    settings = Settings(report=evolve(ReportSettings(), window_days=10, example_keys=0))
    with open_warehouse(url, SHOP) as warehouse:
        health = measure(warehouse, settings)
    (copies,) = [v for v in health.slos if v.kind == "dup_keys_pct"]
    assert (copies.value, copies.slo, copies.passed) == (9.0, 0.2, False)
    assert copies.trend == pytest.approx(14.0 - 4.0)
    assert copies.margin == pytest.approx(0.2 - 9.0)
    assert copies.since == date(2024, 5, 10)
