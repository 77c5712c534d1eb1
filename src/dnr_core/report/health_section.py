"""Room: report. Health by table: verdicts, the heat map by day, incidents."""

from __future__ import annotations

from datetime import date, timedelta
from math import isnan
from typing import Any, Final
from zoneinfo import ZoneInfo

from dnr_core.model.health import DetectedIncident, HealthResult
from dnr_core.ranking.measures import RATE_METRICS, Series, day_number
from dnr_core.report import facts
from dnr_core.report import wording as say
from dnr_core.report.context import Context

WORST_TABLES: Final = 40
MAX_BINS: Final = 92
HEAT_DAYS: Final = 60
MAX_INCIDENTS: Final = 24
NOTABLE_NOISE: Final = 1.5
LEAST_CHANCE: Final = 1e-9
"""Smaller p-values are shown as under this: what they stand on is not known so exactly."""
PROMISED_ROWS: Final = 500
"""From so many rows a day on finding an incident is promised; below, what could be seen is said."""
TALK_DAYS: Final = 3
COLUMNS: Final = (
    ("key_null", "Empty keys"),
    ("fk_failure", "Unmatched keys"),
    ("duplicate", "Duplicates"),
    ("late", "Slowest 5 % load after"),
)


def health_document(context: Context) -> dict[str, Any] | None:
    """Return the health of every table over the window; None without a warehouse."""
    if context.health is None:
        return None
    rows = sorted(
        (_table_row(context, table) for table in _tables(context)),
        key=lambda row: (-row["worst"], row["table"]),
    )
    return {
        "columns": [title for _, title in COLUMNS],
        "rows": rows[:WORST_TABLES],
        "left_out": max(0, len(rows) - WORST_TABLES),
        "tables": len(rows),
        "breached": sum(1 for row in rows if row["breached"]),
        "heat": heat_document(context, [row["table"] for row in rows[:WORST_TABLES]]),
        "guardrails": _guardrails(context),
        "keys": _keys(context),
        "not_measured": _gaps(context),
        "notes": list(context.health.notes),
    }


def _gaps(context: Context) -> list[dict[str, Any]]:
    """Return what was not measured and why, each sentence once."""
    found: dict[str, dict[str, Any]] = {}
    for gap in context.health.not_measured if context.health else ():
        column = f" ({gap.column})" if gap.column else ""
        text = f"{context.title(gap.table)}{column}: {gap.reason}"
        found.setdefault(
            text,
            {"table": gap.table, "column": gap.column, "metric": gap.metric, "text": text},
        )
    return list(found.values())[:WORST_TABLES]


def _keys(context: Context) -> list[dict[str, Any]]:
    """Return where broken keys concentrate: by key or column, and how they fail."""
    found: list[dict[str, Any]] = []
    parts = context.measures.parts if context.measures else {}
    for (table, metric), columns in parts.items():
        for column, total in columns.items():
            if metric in KEY_WORDS and total.numerator and total.denominator:
                found.append(
                    {
                        "table": table,
                        "title": context.title(table),
                        "column": column,
                        "metric": metric,
                        "what": KEY_WORDS[metric],
                        "rows": int(total.numerator),
                        "rows_text": say.count(total.numerator),
                        "share": round(total.numerator / total.denominator, 6),
                        "share_text": say.percent(total.numerator / total.denominator),
                        "money": say.money(total.revenue_cents, context.currency),
                    }
                )
    found.sort(key=lambda row: (-row["rows"], row["table"], row["column"], row["metric"]))
    return found[:WORST_TABLES]


KEY_WORDS: Final = {
    "key_null": "empty",
    "fk_missing": "not in the other table",
    "fk_temporal": "before the other row",
}


def _tables(context: Context) -> tuple[str, ...]:
    measures = context.measures
    return measures.tables if measures else ()


def _table_row(context: Context, table: str) -> dict[str, Any]:
    measures = context.measures
    if measures is None:
        return {}
    cells: list[dict[str, Any]] = []
    worst, breached = 0.0, False
    for metric, title in COLUMNS:
        total = measures.totals.get((table, metric))
        verdict = measures.verdict(table, metric)
        value = verdict.value if verdict else None
        if value is None or verdict is None:
            shown = None if total is None or not total.denominator else total
            text = say.percent(shown.numerator / shown.denominator) if shown else ""
            cells.append(
                {
                    "metric": metric,
                    "title": title,
                    "text": text or _why_not(context, table, metric),
                    "word": "",
                    "sign": "",
                    "margin_text": "",
                    "value": None,
                    "limit": None,
                }
            )
            continue
        over = value > verdict.slo
        worst = max(worst, value / max(verdict.slo, 1e-9))
        breached = breached or over
        margin = facts.value_text(metric, abs(verdict.slo - value))
        cells.append(
            {
                "metric": metric,
                "title": title,
                "value": round(value, 6),
                "limit": verdict.slo,
                "text": facts.value_text(metric, value),
                "word": "over" if over else "within",
                "sign": "▲" if over else "✓",
                "margin_text": f"{margin} {'over' if over else 'under'} the limit of "
                f"{facts.value_text(metric, verdict.slo)}",
                "since": say.day_text(verdict.since) if over and verdict.since else "",
            }
        )
    rows = measures.totals.get((table, "rows"))
    number = int(rows.numerator) if rows else 0
    # A table without an event time has no rows of the window, only rows.
    ever = 0 if number else int(measures.rows_ever.get(table, 0))
    return {
        "table": table,
        "title": context.title(table),
        "rows": number,
        "rows_text": f"{say.count(ever)} in all" if ever else say.count(number),
        "cells": cells,
        "worst": round(worst, 6),
        "breached": breached,
    }


def _why_not(context: Context, table: str, metric: str) -> str:
    """Say in few words why a table has no figure."""
    schema = context.archetype.schema
    if table not in schema:
        return "not measured"
    known = schema[table]
    lacks = {
        "key_null": (known.required_keys, "no keys"),
        "fk_failure": (known.foreign_keys, "no foreign keys"),
        "duplicate": (known.business_key, "no business key"),
        "late": (known.loaded_at, "no load time"),
    }
    has, words = lacks[metric]
    if not has:
        return words
    return "not measured" if known.event_time or known.created_at else "no event time"


def heat_document(context: Context, tables: list[str]) -> dict[str, Any] | None:
    """Return the worst overage by table and local day (or bin of days), over limits of 1."""
    measures, health = context.measures, context.health
    if measures is None or health is None or not tables:
        return None
    window = measures.window_days
    span = window if window > HEAT_DAYS else HEAT_DAYS
    first = max(measures.last - span + 1, _history_start(context))
    length = max(1, -(-(measures.last - first + 1) // MAX_BINS))
    bins = [
        (start, min(start + length - 1, measures.last))
        for start in range(first, measures.last + 1, length)
    ]
    rows = {
        table: [_overage(context, table, start, end) for start, end in bins]
        for table in tables
        if any(measures.series(table, m).days.size for m in RATE_METRICS)
    }
    # A row without a square would say nothing, and look as if it said that all is well.
    shown = [table for table, row in rows.items() if any(value is not None for value in row)]
    cells = [rows[table] for table in shown]
    return {
        "tables": shown,
        "titles": [context.title(table) for table in shown],
        "bins": [_day(start).isoformat() for start, _ in bins],
        "bin_days": length,
        "bin_text": "one local day" if length == 1 else f"{length} local days",
        "overage": cells,
        "incidents": [
            {"table": i.table, "start": i.start.isoformat(), "end": i.end.isoformat()}
            for i in health.incidents
            if i.table in shown and day_number(i.end) >= first and i.start <= health.window_end
        ],
        "span_text": say.days_text(_day(first), health.window_end),
        "days_over": [sum(1 for value in row if value is not None and value > 1) for row in cells],
        "days_known": [sum(1 for value in row if value is not None) for row in cells],
    }


def _history_start(context: Context) -> int:
    health = context.health
    return day_number(health.history_start) if health and health.history_start else 0


def _day(number: int) -> date:
    return date(1970, 1, 1) + timedelta(days=number)


def _overage(context: Context, table: str, start: int, end: int) -> float | None:
    """Return the worst value over its limit in the bin; None where there were no rows."""
    measures = context.measures
    worst: float | None = None
    for metric in RATE_METRICS if measures else ():
        if measures is None:
            continue
        late = metric == "late"
        part = measures.series(table, "lag_p95_minutes" if late else metric).within(start, end)
        verdict = measures.verdict(table, metric)
        if verdict is None:
            continue
        value = _worst_minutes(part) if late else _percent(part)
        if value is None:
            continue
        over = value / max(verdict.slo, 1e-9)
        worst = over if worst is None else max(worst, over)
    return None if worst is None else round(min(worst, 99.0), 3)


def _percent(part: Series) -> float | None:
    rows = float(part.denominator.sum())
    return float(part.numerator.sum()) / rows * 100.0 if rows > 0 else None


def _worst_minutes(part: Series) -> float | None:
    known = [value for value in part.value.tolist() if not isnan(value)]
    return max(known, default=None)


def _guardrails(context: Context) -> list[dict[str, Any]]:
    found = []
    titles = {g.name: g.title for g in context.archetype.guardrails}
    for name, result in sorted((context.health.guardrails if context.health else {}).items()):
        checks = _read(result, "checks") or ()
        for check in checks:
            measured, limit = check.get("measured"), check.get("limit")
            found.append(
                {
                    "guardrail": name,
                    "title": titles.get(name, name),
                    "check": str(check.get("name", "")).replace("_pct", " %").replace("_", " "),
                    "measured_text": _figure(measured),
                    "limit_text": _limit(measured, limit, passed=bool(check.get("passed"))),
                    "passed": bool(check.get("passed")),
                    "word": "passed" if check.get("passed") else "failed",
                }
            )
    return found


def _read(result: Any, name: str) -> Any:
    return result.get(name) if isinstance(result, dict) else getattr(result, name, None)


def _limit(measured: Any, limit: Any, *, passed: bool) -> str:
    """Write a limit with its side, which the figure and its verdict tell unless both are equal."""
    numbers = all(isinstance(v, int | float) and not isinstance(v, bool) for v in (measured, limit))
    if not numbers or measured == limit:
        return _figure(limit)
    return f"at {'least' if (measured >= limit) == passed else 'most'} {_figure(limit)}"


def _figure(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return "not measured" if value is None else str(value).lower()
    if isinstance(value, int | float):
        return say.plain(say.significant(float(value), 3))
    return str(value)


def incidents_document(context: Context) -> dict[str, Any]:
    """Return what happened, where, how long, how large, what it cost, which talk followed."""
    health = context.health
    if health is None:
        return {"rows": [], "left_out": 0, "total": 0, "reach": []}
    found = sorted(health.incidents, key=lambda i: (_size(i), i.table, i.start), reverse=True)
    shown = sorted(found[:MAX_INCIDENTS], key=lambda i: (i.start, i.table, i.column), reverse=True)
    return {
        "rows": [_incident(context, incident) for incident in shown],
        "left_out": max(0, len(found) - MAX_INCIDENTS),
        "total": len(found),
        "reach": _reach(context, health),
    }


def _reach(context: Context, health: HealthResult) -> list[str]:
    """Say, of each table with few rows a day, which rise of a share could have been seen."""
    by_table: dict[str, tuple[float, float]] = {}
    for line in health.detectable:
        if line.kind.endswith("_spike") and line.smallest is not None:
            rows, most = by_table.get(line.table, (0.0, 0.0))
            by_table[line.table] = (max(rows, line.rows_a_day), max(most, line.smallest))
    return [
        f"{say.capital(context.title(table))} ({say.count(rows)} rows a day): a one-day rise "
        f"of at least {say.plain(say.significant(100 * rise))} points could have been seen"
        for table, (rows, rise) in sorted(by_table.items())
        if rows < PROMISED_ROWS
    ]


def _size(incident: DetectedIncident) -> float:
    return incident.rows * abs(incident.value - incident.usual)


def _incident(context: Context, incident: DetectedIncident) -> dict[str, Any]:
    days = (incident.end - incident.start).days + 1
    last = incident.end + timedelta(days=TALK_DAYS)
    talk = {
        (row["source"], row["item_id"])
        for row in context.items
        if row["table"] == incident.table and row["day"] and incident.start <= row["day"] <= last
    }
    return {
        "kind": incident.kind,
        "what": say.capital(facts.INCIDENT_WORDS[incident.kind]),
        "table": incident.table,
        "title": context.title(incident.table),
        "column": incident.column,
        "start": incident.start.isoformat(),
        "end": incident.end.isoformat(),
        "when": facts.span_text(incident) + _hours(context, incident),
        "long": say.counted(days, "day"),
        "size": f"{_incident_value(incident, incident.value)}, "
        f"usually {_incident_value(incident, incident.usual)}",
        "rows": incident.rows,
        "rows_text": say.count(incident.rows),
        "money": say.money(incident.revenue_cents, context.currency),
        "talk": len(talk),
        "talk_text": _talk_text(context, incident, len(talk)),
        "noise_text": _chance_text(incident),
    }


def _talk_text(context: Context, incident: DetectedIncident, messages: int) -> str:
    if context.demand is None:
        return "not read"
    days = context.talk_days()
    before = days is not None and incident.end + timedelta(days=TALK_DAYS) < days[0]
    return "none kept so far back" if before else say.counted(messages, "message")


def _chance_text(incident: DetectedIncident) -> str:
    """Say how it went on, how unlikely it is, and how noisy the column is by itself."""
    told = {"step": ["stayed"], "ramp": ["rose bit by bit and stayed"]}.get(incident.shape, [])
    if incident.p_value is not None:
        p = incident.p_value
        told = [*told, f"p under {LEAST_CHANCE:.0e}" if p < LEAST_CHANCE else f"p {p:.1e}"]
    if incident.noise_factor and incident.noise_factor >= NOTABLE_NOISE:
        noise = say.plain(say.significant(incident.noise_factor))
        told = [*told, f"{noise} times noisier than chance"]
    return "; ".join(told)


def _hours(context: Context, incident: DetectedIncident) -> str:
    """Return the local hours of an incident that has them."""
    if incident.start_time is None or incident.end_time is None or context.health is None:
        return ""
    zone = ZoneInfo(context.health.tz)
    start, end = (moment.astimezone(zone) for moment in (incident.start_time, incident.end_time))
    return f", {start:%H:%M} to {end:%H:%M}"


def _incident_value(incident: DetectedIncident, value: float) -> str:
    if incident.kind == "lag_surge":
        return say.minutes(value)
    if incident.kind in {"volume_drop", "write_gap"}:
        return say.counted(round(value), "row")
    return say.percent(value)
