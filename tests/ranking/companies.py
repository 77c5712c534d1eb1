"""Small companies by hand: what health and demand would say of them."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import pyarrow as pa
from attrs import evolve

from dnr_core.config.settings import ReportSettings, Settings
from dnr_core.model import (
    Amount,
    Archetype,
    Column,
    DemandResult,
    DetectedIncident,
    EventTime,
    ForeignKey,
    HealthResult,
    RevenueStream,
    Schema,
    SloVerdict,
    Table,
)
from dnr_core.model.health import MonthlyFigure, NotMeasured, Proof
from dnr_core.model.need import RankedNeed, Ranking
from dnr_core.plugins import load_plugins
from dnr_core.ranking import rank

LAST = date(2025, 6, 30)
MEASURES = pa.schema(
    [
        ("table", pa.string()),
        ("column", pa.string()),
        ("day", pa.date32()),
        ("metric", pa.string()),
        ("numerator", pa.int64()),
        ("denominator", pa.int64()),
        ("value", pa.float64()),
        ("revenue_cents", pa.float64()),
    ]
)
CATALOGUE = load_plugins(discover=True)
SLOS = {
    "key_null": ("key_null_pct", 1.0),
    "fk_failure": ("fk_orphan_pct", 2.0),
    "duplicate": ("dup_keys_pct", 0.2),
    "late": ("p95_ingest_lag_min", 90.0),
}


def shop(**changes: Any) -> Archetype:
    """A shop: orders and payments of buyers."""
    tables = (
        Table(
            "dim_buyer",
            (Column("buyer_id", "int64"), Column("created_at", "timestamp")),
            primary_key="buyer_id",
            created_at="created_at",
            title="buyers",
        ),
        Table(
            "fact_order",
            (
                Column("order_id", "int64"),
                Column("buyer_id", "int64"),
                Column("order_time", "timestamp"),
                Column("total_cents", "int64"),
                Column("loaded_at", "timestamp"),
            ),
            primary_key="order_id",
            foreign_keys=(
                ForeignKey("buyer_id", "dim_buyer", "buyer_id", parent_time="created_at"),
            ),
            event_time=EventTime("order_time"),
            loaded_at="loaded_at",
            kind="fact",
            title="orders",
        ),
        Table(
            "fact_payment",
            (
                Column("order_id", "int64"),
                Column("captured_at", "timestamp"),
                Column("fee_cents", "int64"),
                Column("loaded_at", "timestamp"),
            ),
            primary_key="order_id",
            foreign_keys=(
                ForeignKey("order_id", "fact_order", "order_id", parent_time="order_time"),
            ),
            event_time=EventTime("captured_at"),
            loaded_at="loaded_at",
            kind="fact",
            title="payments",
        ),
    )
    base: dict[str, Any] = {
        "streams": (RevenueStream("fees", "fact_payment", Amount("fee_cents"), title="Fees"),),
        "currency": "USD",
        "tz": "America/Los_Angeles",
    }
    return Archetype("shop", "Shop", Schema(tables), **{**base, **changes})


Rate = float | Callable[[int], float]
"""A share of rows, or one for each day number of the history."""


def health(
    rates: Mapping[tuple[str, str], Rate],
    *,
    days: int = 120,
    window_days: int = 30,
    rows_a_day: int = 1000,
    cents_a_row: float | None = 100.0,
    tables: tuple[str, ...] = ("fact_order", "fact_payment"),
    keys: Mapping[str, str] | None = None,
    incidents: tuple[DetectedIncident, ...] = (),
    overlap: float = 0.0,
    proofs: tuple[Proof, ...] = (),
    not_measured: tuple[NotMeasured, ...] = (),
    lag_minutes: float = 60.0,
) -> HealthResult:
    """A warehouse with the same rows every day and the given shares of broken ones.

    `overlap` is the part of rows broken in two ways that are the same rows.
    """
    first = LAST - timedelta(days=days - 1)
    window_start = LAST - timedelta(days=window_days - 1)
    keys = keys or {"fact_order": "buyer_id", "fact_payment": "order_id"}
    daily: list[dict[str, Any]] = []
    for table in tables:
        for number in range(days):
            day = first + timedelta(days=number)
            daily += _day(table, day, number, rates, rows_a_day, cents_a_row, keys, lag_minutes)
    measures = pa.Table.from_pylist(daily, schema=MEASURES)
    totals = [
        {**row, "scope": scope}
        for scope, start in (("history", first), ("window", window_start))
        for row in _totals([row for row in daily if row["day"] >= start])
    ]
    window = [row for row in totals if row["scope"] == "window"]
    month_cents = None if cents_a_row is None else rows_a_day * 30 * cents_a_row

    def affected(pairs: tuple[tuple[str, str, str], ...]) -> float | None:
        if cents_a_row is None:
            return None
        parts = [
            row["revenue_cents"]
            for row in window
            if (row["table"], row["column"], row["metric"]) in pairs
        ]
        return sum(parts) - overlap * (sum(parts) - max(parts, default=0.0))

    return HealthResult(
        archetype="shop",
        tz="America/Los_Angeles",
        as_of=datetime(2025, 7, 1, 7, tzinfo=UTC),
        window_start=window_start,
        window_end=LAST,
        history_start=first,
        history_end=LAST,
        measures=measures,
        totals=pa.Table.from_pylist(totals, schema=MEASURES.append(pa.field("scope", pa.string()))),
        slos=_verdicts(window),
        incidents=incidents,
        revenue=tuple(
            MonthlyFigure("fees", "Fees", "cents", month, month_cents)
            for month in (date(2025, 4, 1), date(2025, 5, 1), date(2025, 6, 1))
            if month_cents
        ),
        kpis=(),
        guardrails={},
        not_measured=not_measured,
        proofs=proofs,
        column_days_tested=days * 4,
        false_flags_expected=0.2,
        revenue_monthly_median_cents=month_cents,
        affected_total=affected,
    )


def _day(
    table: str,
    day: date,
    number: int,
    rates: Mapping[tuple[str, str], Rate],
    rows: int,
    cents: float | None,
    keys: Mapping[str, str],
    lag_minutes: float,
) -> list[dict[str, Any]]:
    found = [_row(table, "", day, "rows", rows, rows, float(rows), cents)]
    for metric in SLOS:
        rate = rates.get((table, metric), 0.0)
        share = rate(number) if callable(rate) else rate
        broken = round(rows * share)
        found.append(_row(table, "", day, metric, broken, rows, broken / rows, cents))
        if metric in {"key_null", "fk_failure"}:
            found.append(_row(table, keys[table], day, metric, broken, rows, broken / rows, cents))
        if metric == "fk_failure":
            parts = {"fk_missing": broken * 7 // 10, "fk_temporal": -(-broken * 3 // 10)}
            found += [
                _row(table, column, day, name, part, rows, part / rows, cents)
                for name, part in parts.items()
                for column in ("", keys[table])
            ]
    late = next(row for row in found if row["metric"] == "late")["numerator"] / rows
    p95 = 400.0 if late > 0.05 else lag_minutes
    found.append({**_row(table, "", day, "lag_p95_minutes", 0, rows, p95, None), "numerator": None})
    return found


def _row(
    table: str,
    column: str,
    day: date,
    metric: str,
    numerator: int,
    denominator: int,
    value: float,
    cents: float | None,
) -> dict[str, Any]:
    return {
        "table": table,
        "column": column,
        "day": day,
        "metric": metric,
        "numerator": numerator,
        "denominator": denominator,
        "value": value,
        "revenue_cents": None if cents is None else numerator * cents,
    }


def _totals(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    sums: dict[tuple[str, str, str], dict[str, Any]] = {}
    for row in rows:
        key = (row["table"], row["column"], row["metric"])
        if key not in sums:
            sums[key] = {**row, "day": None}
            continue
        total = sums[key]
        for name in ("numerator", "denominator", "revenue_cents"):
            if row[name] is not None:
                total[name] += row[name]
        if row["metric"] == "lag_p95_minutes":
            total["value"] = max(total["value"], row["value"])
        elif row["metric"] == "rows":
            total["value"] = float(total["numerator"])
        else:
            total["value"] = total["numerator"] / total["denominator"]
    return list(sums.values())


def _verdicts(window: list[dict[str, Any]]) -> tuple[SloVerdict, ...]:
    found = []
    lag = {row["table"]: row["value"] for row in window if row["metric"] == "lag_p95_minutes"}
    for row in window:
        if row["metric"] not in SLOS:
            continue
        kind, limit = SLOS[row["metric"]]
        value = lag[row["table"]] if row["metric"] == "late" else row["value"] * 100
        if row["metric"] == "late" and row["column"]:
            continue
        found.append(
            SloVerdict(
                row["table"],
                row["column"],
                kind,
                value,
                limit,
                value <= limit,
                since=None if value <= limit else date(2025, 6, 1),
                trend=0.1,
            )
        )
    return tuple(found)


def ranking(
    health: HealthResult | None = None,
    demand: DemandResult | None = None,
    catalogue: Any = CATALOGUE,
    **changes: Any,
) -> Ranking:
    settings = evolve(Settings(), report=evolve(ReportSettings(), **changes))
    return rank(shop(), settings, catalogue, health=health, demand=demand)


def find(found: Ranking, theme: str, table: str) -> RankedNeed:
    return next(n for n in found.needs if n.need.theme == theme and n.need.table == table)


def outline(found: Ranking) -> list[Any]:
    return [
        (
            n.rank,
            n.need.theme,
            n.need.table,
            round(n.score.value, 9),
            round(n.confidence, 9),
            n.certainty,
            n.hidden,
            n.rival,
        )
        for n in found.needs
    ]


def _talking() -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        "dnr_test_talking", Path(__file__).with_name("talking.py")
    )
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


_TALKING = _talking()
demand = _TALKING.demand
with_items = _TALKING.with_items
with_entities = _TALKING.with_entities
