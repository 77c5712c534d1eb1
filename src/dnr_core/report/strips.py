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
    rate, unit = _rate(context, ranked, days)
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
    limit = need.slo if known and need.metric else None
    messages = [spoken.get(day, 0) for day in days]
    return {
        "id": anchor(ranked),
        "title": context.need_title(need),
        "metric_text": _metric_text(need.metric, unit),
        "unit": unit,
        "days": [day.isoformat() for day in days],
        "rate": [None if value is None else round(value, 4) for value in rate],
        "band": band,
        "limit": limit,
        "flagged": flagged,
        "messages": messages,
        "messages_total": sum(messages),
        "read": context.demand is not None,
        "last_text": facts.value_text(need.metric, known[-1]) if known else "",
        "limit_text": facts.value_text(need.metric, limit) if limit is not None else "",
        "text": _summary(context, ranked, known, flagged, sum(messages)),
        "first_day": say.day_text(days[0]),
        "last_day": say.day_text(days[-1]),
    }


def _rate(context: Context, ranked: RankedNeed, days: list[Any]) -> tuple[list[float | None], str]:
    need, measures = ranked.need, context.measures
    late = need.metric == "late"
    unit = "minutes" if late else "percent"
    if measures is None or not need.metric or need.metric == "rows":
        return [None] * len(days), unit
    series = measures.series(need.table, "lag_p95_minutes" if late else need.metric)
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
    ranked: RankedNeed,
    known: list[float],
    flagged: list[dict[str, Any]],
    messages: int,
) -> str:
    need = ranked.need
    parts = []
    if known:
        low, high = (facts.value_text(need.metric, v) for v in (min(known), max(known)))
        parts.append(
            f"daily {facts.METRIC_WORDS.get(need.metric, 'rate')} between {low} and {high}"
        )
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
