"""Room: health. A measured warehouse as plain values: `data_health.json` and `data_health.csv`."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any, Final

from attrs import asdict

from dnr_core.model.archetype import GuardrailResult
from dnr_core.model.health import MEASURE_COLUMNS, HealthResult, SloVerdict

FORMAT: Final = "dnr-data-health"
VERSION: Final = 1


def data_health_document(health: HealthResult) -> dict[str, Any]:
    """Return what `data_health.json` holds.

    Figures over the whole history and over the window, verdicts, incidents, revenue and KPIs by
    month, what was not measured and why; each guardrail stands under its own name.
    """
    tables: dict[str, dict[str, Any]] = {}
    for row in health.totals.to_pylist():
        figures = tables.setdefault(row["table"], {"history": [], "window": []})
        figures[row["scope"]].append(
            {
                "column": row["column"],
                "metric": row["metric"],
                "numerator": _number(row["numerator"]),
                "denominator": _number(row["denominator"]),
                "value": _number(row["value"]),
                "revenue_cents": _number(row["revenue_cents"]),
            }
        )
    document: dict[str, Any] = {
        "format": FORMAT,
        "version": VERSION,
        "status": "measured",
        "archetype": health.archetype,
        "backend": health.backend,
        "tz": health.tz,
        "as_of": _plain(health.as_of),
        "history": {"start": _plain(health.history_start), "end": _plain(health.history_end)},
        "window": {"start": _plain(health.window_start), "end": _plain(health.window_end)},
        "tables": tables,
        "slos": [_verdict(verdict) for verdict in health.slos],
        "incidents": [_plain(asdict(incident)) for incident in health.incidents],
        "column_days_tested": health.column_days_tested,
        "false_flags_expected": _number(health.false_flags_expected),
        "detectable_rise": {name: _number(rise) for name, rise in health.detectable_rise.items()},
        "revenue": [_plain(asdict(figure)) for figure in health.revenue],
        "revenue_monthly_median_cents": _number(health.revenue_monthly_median_cents),
        "kpis": [_plain(asdict(figure)) for figure in health.kpis],
        "not_measured": [asdict(gap) for gap in health.not_measured],
        "notes": list(health.notes),
    }
    for name, result in health.guardrails.items():
        document[name] = _guardrail(result)
    return document


def data_health_csv(health: HealthResult) -> str:
    """Return what `data_health.csv` holds: the long form by local day, then the totals.

    `scope` is "day", "history" or "window"; `day` is empty for totals.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("scope", *MEASURE_COLUMNS))
    for row in health.measures.to_pylist():
        writer.writerow(("day", *(_cell(row[name]) for name in MEASURE_COLUMNS)))
    for row in health.totals.to_pylist():
        writer.writerow((row["scope"], *(_cell(row[name]) for name in MEASURE_COLUMNS)))
    return text.getvalue()


def _verdict(verdict: SloVerdict) -> dict[str, Any]:
    return {**_plain(asdict(verdict)), "margin": _number(verdict.margin)}


def _guardrail(result: GuardrailResult) -> dict[str, Any]:
    return {
        "metrics": _plain(dict(result.metrics)),
        "checks": [_plain(dict(check)) for check in result.checks],
        "passed": result.passed,
    }


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, date):
        return value.isoformat()
    return _number(value)


def _number(value: Any) -> Any:
    # Twelve digits are more than any figure means, and hide the last bit of a processor.
    return float(f"{value:.12g}") if isinstance(value, float) else value


def _cell(value: Any) -> Any:
    value = _plain(value)
    return "" if value is None else value
