"""Room: report. The join in one look: a need's daily rate, its flagged days, and who spoke of it."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from math import isnan
from statistics import median
from typing import Any, Final

from dnr_core.model.need import RankedNeed
from dnr_core.ranking.measures import EPOCH, day_number
from dnr_core.report import facts
from dnr_core.report import wording as say
from dnr_core.report.context import Context, anchor, last_days

STRIP_DAYS: Final = 90
BAND_MADS: Final = 3.0
"""The usual band is the median and so many scaled median deviations to either side."""


def strip_document(context: Context, ranked: RankedNeed) -> dict[str, Any] | None:
    """Return 90 local days of one need; None where there is no day to show."""
    end = context.end
    if end is None:
        return None
    need = ranked.need
    days = last_days(end, STRIP_DAYS)
    metrics = _metrics(context, ranked)
    metric = metrics[0] if metrics else ""
    rate, unit = _rate(context, need.table, metric, days)
    known = [value for value in rate if value is not None]
    band = _band(known)
    spoken = Counter(row["day"] for row in context.voices(need) if row["day"])
    flagged = [
        {
            "start": max(incident.start, days[0]).isoformat(),
            "end": incident.end.isoformat(),
            "kind": incident.kind,
            "text": f"{facts.INCIDENT_WORDS[incident.kind]}, {facts.span_text(incident)}",
        }
        for incident in facts.incidents_of(need, context.health, days_back=STRIP_DAYS)
    ]
    verdict = context.measures.verdict(need.table, metric) if context.measures and known else None
    limit = verdict.slo if verdict else None
    messages = [spoken.get(day, 0) for day in days]
    return {
        "id": anchor(ranked),
        "title": context.need_title(need),
        "metric_text": _metric_text(metric, unit),
        "unit": unit,
        "days": [day.isoformat() for day in days],
        "rate": [None if value is None else round(value, 4) for value in rate],
        "beside": _beside(context, need.table, metrics[1:], days),
        "band": band,
        "limit": limit,
        "flagged": flagged,
        "messages": messages,
        "messages_total": sum(messages),
        "read": context.demand is not None,
        "last_text": facts.value_text(metric, known[-1]) if known else "",
        "limit_text": facts.value_text(metric, limit) if limit is not None else "",
        "text": _summary(context, metric, known, flagged, sum(messages)),
        "first_day": say.day_text(days[0]),
        "last_day": say.day_text(days[-1]),
    }


def _metrics(context: Context, ranked: RankedNeed) -> list[str]:
    """Return the need's broken metrics; the one whose days are flagged comes first."""
    metrics = [breach.metric for breach in facts.breaches(ranked.need, context.measures)]
    flags = Counter(
        _FLAG_METRIC[incident.kind]
        for incident in facts.incidents_of(ranked.need, context.health, days_back=STRIP_DAYS)
    )
    return sorted(metrics, key=lambda metric: -flags[metric])


_FLAG_METRIC: Final = {
    "null_spike": "key_null",
    "orphan_spike": "fk_failure",
    "duplicate_spike": "duplicate",
    "volume_drop": "late",
    "write_gap": "late",
    "lag_surge": "late",
}


def _beside(
    context: Context, table: str, metrics: list[str], days: list[Any]
) -> list[dict[str, Any]]:
    """Return the need's other metrics in the same unit."""
    found = []
    for metric in metrics:
        rate, _ = _rate(context, table, metric, days)
        known = [value for value in rate if value is not None]
        if known:
            found.append(
                {
                    "metric": metric,
                    "rate": [None if value is None else round(value, 4) for value in rate],
                    "last_text": f"{_SHORT[metric]} {facts.value_text(metric, known[-1])}",
                }
            )
    return found


_SHORT: Final = {"key_null": "empty", "fk_failure": "unmatched"}


def _rate(
    context: Context, table: str, metric: str, days: list[Any]
) -> tuple[list[float | None], str]:
    measures = context.measures
    late = metric == "late"
    unit = "minutes" if late else "percent"
    if measures is None or not metric:
        return [None] * len(days), unit
    series = measures.series(table, "lag_p95_minutes" if late else metric)
    by_day: dict[int, float] = {}
    for number, top, rows, value in zip(
        series.days.tolist(),
        series.numerator.tolist(),
        series.denominator.tolist(),
        series.value.tolist(),
        strict=True,
    ):
        if late and not isnan(value):
            by_day[number] = value
        elif not late and rows > 0:
            by_day[number] = top / rows * 100.0
    return [by_day.get(day_number(day)) for day in days], unit


def _band(known: list[float]) -> list[float] | None:
    if len(known) < 14:
        return None
    middle = median(known)
    spread = 1.4826 * median([abs(value - middle) for value in known]) * BAND_MADS
    return [round(max(0.0, middle - spread), 4), round(middle + spread, 4)]


def _metric_text(metric: str, unit: str) -> str:
    if metric == "late":
        return "slowest 5 % of loads, minutes"
    if metric in facts.METRIC_WORDS:
        return f"{facts.METRIC_WORDS[metric]}, {unit} of rows"
    return "no rate is measured"


def _summary(
    context: Context,
    metric: str,
    known: list[float],
    flagged: list[dict[str, Any]],
    messages: int,
) -> str:
    parts = []
    if known:
        low, high = (facts.value_text(metric, v) for v in (min(known), max(known)))
        figure = facts.METRIC_WORDS.get(metric, "rate")
        if metric == "late":
            figure = f"slowest 5{say.THIN}% of loads"
        parts.append(f"daily {figure} between {low} and {high}")
    else:
        parts.append("no daily rate is measured")
    if flagged:
        parts.append(f"flagged: {say.listed([flag['text'] for flag in flagged], 3)}")
    else:
        parts.append("no day flagged")
    if context.demand is not None:
        parts.append(say.counted(messages, "message", "messages") + " about it")
    return say.capital("; ".join(parts)) + "."


def month_of(number: int) -> str:
    """Return the ISO month of a day number."""
    return (EPOCH + timedelta(days=number)).isoformat()[:7]
