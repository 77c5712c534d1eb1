"""Room: health. The result as plain data: what `data_health.json` and `data_health.csv` hold."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from datetime import date, datetime
from io import StringIO
from typing import Any, Final

from attrs import asdict

from dnr_core.model.archetype import GuardrailResult
from dnr_core.model.health import MEASURE_COLUMNS, HealthResult, MonthlyFigure

DOCUMENT_FORMAT: Final = "dnr-data-health"
DOCUMENT_VERSION: Final = 1
CSV_COLUMNS: Final = ("scope", *MEASURE_COLUMNS)


def data_health_document(health: HealthResult) -> dict[str, Any]:
    """Return the content of `data_health.json`.

    Figures are those of history and window; the daily ones are in the CSV. Shares are percent,
    money is cents. Each guardrail stands under its own name.
    """
    figures = [_plain(row) for row in health.totals.drop_columns(["day"]).to_pylist()]
    document: dict[str, Any] = {
        "format": DOCUMENT_FORMAT,
        "version": DOCUMENT_VERSION,
        "status": "measured",
        "archetype": health.archetype,
        "backend": health.backend,
        "tz": health.tz,
        "as_of": _plain(health.as_of),
        "window": {"start": _plain(health.window_start), "end": _plain(health.window_end)},
        "history": {"start": _plain(health.history_start), "end": _plain(health.history_end)},
        "figures": figures,
        "slos": [{**_plain(asdict(v)), "margin": _plain(v.margin)} for v in health.slos],
        "incidents": [_plain(asdict(incident)) for incident in health.incidents],
        "detection": {
            "column_days_tested": health.column_days_tested,
            "false_flags_expected": health.false_flags_expected,
            "detectable_rise": dict(sorted(health.detectable_rise.items())),
            "detectable": [asdict(line) for line in health.detectable],
        },
        "revenue": [_month(figure) for figure in health.revenue],
        "revenue_monthly_median_cents": health.revenue_monthly_median_cents,
        "kpis": [_month(figure) for figure in health.kpis],
        "not_measured": [asdict(line) for line in health.not_measured],
        "notes": list(health.notes),
        "proofs": [_plain(asdict(proof)) for proof in health.proofs],
    }
    taken = sorted(set(document) & set(health.guardrails))
    for name, result in sorted(health.guardrails.items()):
        # A guardrail whose name is one of the document's own keeps out of its way.
        document[f"guardrail_{name}" if name in taken else name] = guardrail_document(result)
    return document


def guardrail_document(result: GuardrailResult) -> dict[str, Any]:
    """Return a guardrail's metrics, its checks, and whether all of them passed."""
    return {
        "metrics": _plain(dict(result.metrics)),
        "checks": [_plain(dict(check)) for check in result.checks],
        "passed": result.passed,
    }


def data_health_csv(health: HealthResult) -> str:
    """Return the content of `data_health.csv`: a line a figure, by day first, then the totals.

    `scope` is "day", "no_day" (rows without a usable time), "history" or "window".
    """
    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    days = health.measures.column("day").to_pylist()
    scopes = ["no_day" if day is None else "day" for day in days]
    for scope, figures in (
        (scopes, health.measures),
        (health.totals.column("scope").to_pylist(), health.totals),
    ):
        # Column by column, because the file has a line for each day of each figure. The writer
        # puts a date as ISO has it, and nothing for None.
        columns = [figures.column(name).to_pylist() for name in MEASURE_COLUMNS]
        writer.writerows(zip(scope, *columns, strict=True))
    return text.getvalue()


def _month(figure: MonthlyFigure) -> dict[str, Any]:
    return dict(_plain(asdict(figure)))


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%SZ")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {str(key): _plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return value
