"""Room: report. Money by month, what people ask for, the voices, and method and limits."""

from __future__ import annotations

from collections import Counter
from datetime import date
from typing import Any, Final

from dnr_core.model.health import MonthlyFigure
from dnr_core.model.need import RankedNeed
from dnr_core.model.themes import THEME_TITLES, THEMES
from dnr_core.ranking import at_risk
from dnr_core.ranking.talk import NO_THEME
from dnr_core.report import facts
from dnr_core.report import wording as say
from dnr_core.report.context import Context
from dnr_core.report.strips import month_of

MAX_MONTHS: Final = 24
VOICES: Final = 3
QUOTE_LENGTH: Final = 160


def money_document(context: Context) -> dict[str, Any] | None:
    """Return revenue by month and stream, the part at risk, and the KPIs."""
    health = context.health
    if health is None or not (health.revenue or health.kpis):
        return None
    revenue = [f for f in health.revenue if f.unit == "cents"]
    names = {stream.name for stream in context.archetype.revenue_streams}
    streams = [_series(context, group) for group in _grouped(revenue)]
    for stream in streams:
        stream["is_revenue"] = not names or stream["name"] in names
    return {
        "streams": streams,
        "median": say.money(health.revenue_monthly_median_cents, context.currency),
        "at_risk": _risk_by_month(context),
        "kpis": [_kpi(context, group) for group in _grouped(health.kpis)],
    }


def _grouped(figures: Any) -> list[list[MonthlyFigure]]:
    groups: dict[str, list[MonthlyFigure]] = {}
    for figure in figures:
        groups.setdefault(figure.name, []).append(figure)
    return [sorted(group, key=lambda f: f.month)[-MAX_MONTHS:] for group in groups.values()]


def _series(context: Context, group: list[MonthlyFigure]) -> dict[str, Any]:
    return {
        "name": group[0].name,
        "title": group[0].title or group[0].name.replace("_", " "),
        "unit": group[0].unit,
        "months": [
            {
                "month": figure.month.isoformat()[:7],
                "text": say.month_text(figure.month),
                "value": None if figure.value is None else round(figure.value, 6),
                "value_text": _figure_text(context, figure.unit, figure.value),
                "complete": figure.complete,
            }
            for figure in group
        ],
    }


def _figure_text(context: Context, unit: str, value: float | None) -> str:
    if value is None:
        return "not measured"
    if unit == "cents":
        amount = say.money(value, context.currency)
        return amount["text"] if amount else ""
    return say.percent(value, 3) if unit == "share" else say.short_number(value)


def _kpi(context: Context, group: list[MonthlyFigure]) -> dict[str, Any]:
    document = _series(context, group)
    full = [figure for figure in group if figure.complete and figure.value is not None]
    last = full[-1] if full else None
    by_month = {figure.month: figure.value for figure in full}
    before = _change(last, by_month, months_back=1)
    year = _change(last, by_month, months_back=12)
    document["last"] = {
        "text": _figure_text(context, group[0].unit, last.value) if last else "not measured",
        "month_text": say.month_text(last.month) if last else "",
        "change": before,
        "change_text": f"{_signed(before)} on the month before" if before is not None else "",
        "year_change": year,
        "year_text": f"{_signed(year)} on the same month of the last year"
        if year is not None
        else "",
    }
    return document


def _change(
    last: MonthlyFigure | None, by_month: dict[date, float | None], *, months_back: int
) -> float | None:
    if last is None or not last.value:
        return None
    number = last.month.year * 12 + last.month.month - 1 - months_back
    before = by_month.get(date(number // 12, number % 12 + 1, 1))
    return round(last.value / before - 1, 6) if before else None


def _signed(change: float) -> str:
    sign = "+" if change > 0 else say.MINUS if change < 0 else "±"
    return f"{sign}{say.percent(abs(change))}"


def _risk_by_month(context: Context) -> list[dict[str, Any]]:
    """Return revenue on rows that the cards' needs broke, by local month, each row once or more."""
    measures, ranking = context.measures, context.ranking
    mine = [ranked.need for ranked in ranking.top if at_risk(ranked.need)]
    if measures is None or not mine:
        return []
    by_month: Counter[str] = Counter()
    for need in mine:
        for breach in facts.breaches(need, measures):
            series = measures.series(need.table, breach.metric)
            for number, cents in zip(
                series.days.tolist(), series.revenue_cents.tolist(), strict=True
            ):
                by_month[month_of(number)] += round(cents)
    return [
        {
            "month": month,
            "text": say.month_text(date(int(month[:4]), int(month[5:]), 1)),
            "value": by_month[month],
            "value_text": (say.money(by_month[month], context.currency) or {}).get("text", ""),
        }
        for month in sorted(by_month)[-MAX_MONTHS:]
    ]


def themes_document(context: Context) -> dict[str, Any]:
    """Return the demand by theme, source, month and role; `status` "skipped" without talk."""
    demand = context.demand
    if demand is None:
        return {"status": "skipped", "rows": [], "months": [], "roles": [], "sources": []}
    shares = {(s.source, s.theme): s for s in demand.shares if not s.table}
    names = dict.fromkeys([*THEMES, *(s.theme for s in demand.shares if not s.table)])
    sources = [source.source for source in demand.coverage if source.items]
    rows = [
        _theme_row(shares, theme, sources)
        for theme in names
        if ("all", theme) in shares and theme not in NO_THEME
    ]
    rows.sort(key=lambda row: (-row["share"], row["theme"]))
    return {
        "status": "measured",
        "rows": rows,
        "sources": [_source(source) for source in demand.coverage if source.items],
        **_by_month(context, [row["theme"] for row in rows]),
        "roles": _roles(context),
        **_asks(context),
        "notes": list(demand.notes),
        "provider": demand.provider,
        "model": demand.model,
    }


def _asks(context: Context) -> dict[str, Any]:
    items = {(row["source"], row["item_id"]) for row in context.items}
    unmet = {(row["source"], row["item_id"]) for row in context.items if row["unmet"]}
    unnamed = sum(row["weight"] for row in context.items if not row["table"])
    days = context.talk_days()
    span = f" in messages of {say.days_text(*days)}" if days else ""
    return {
        "items": len(items),
        "unmet": len(unmet),
        "items_text": f"{say.counted(len(items), 'ask')}{span}",
        "unnamed_text": (
            f"{say.percent(unnamed)} of the demand names no table; it makes no need of its own, "
            "and adds to those of its theme that others name."
            if unnamed > 0
            else ""
        ),
        "unmet_text": f"{say.count(len(unmet))} of them unmet" if unmet else "",
    }


def _theme_row(shares: Any, theme: str, sources: list[str]) -> dict[str, Any]:
    whole = shares["all", theme]
    by_source = {}
    for source in sources:
        share = shares.get((source, theme))
        by_source[source] = {
            "share": round(share.share, 6) if share else 0.0,
            "text": say.percent(share.share) if share else "0",
            "range_text": f"{say.percent(share.low)} to {say.percent(share.high)}" if share else "",
            "items": share.items if share else 0,
        }
    return {
        "theme": theme,
        "title": say.capital(THEME_TITLES.get(theme, theme.replace("_", " "))),
        "share": round(whole.share, 6),
        "low": round(whole.low, 6),
        "high": round(whole.high, 6),
        "text": say.percent(whole.share),
        "range_text": f"{say.percent(whole.low)} to {say.percent(whole.high)}",
        "items": whole.items,
        "items_text": say.count(whole.items),
        "sources": by_source,
    }


def _source(source: Any) -> dict[str, Any]:
    reasons = []
    if source.below_floor:
        reasons.append("under the coverage floor")
    if source.partial:
        reasons.append("some calls failed")
    if source.stopped:
        reasons.append(f"stopped: {source.stopped.replace('_', ' ')}")
    return {
        "source": source.source,
        "title": {"slack": "Slack", "email": "Email", "nlq": "Questions"}.get(
            source.source, source.source
        ),
        "items": source.items,
        "kept": source.kept,
        "sampled": source.sampled,
        "decided": source.decided,
        "text": f"{say.percent(source.coverage)} of {say.count(source.items)} items seen",
        "weight": round(source.weight, 6),
        "weight_text": say.percent(source.weight),
        "note": ", ".join(reasons),
    }


def _by_month(context: Context, themes: list[str]) -> dict[str, Any]:
    items: dict[str, Counter[str]] = {theme: Counter() for theme in themes}
    seen: set[tuple[str, str]] = set()
    for row in context.items:
        key = (row["source"], row["item_id"])
        if key in seen or row["day"] is None or row["theme"] not in items:
            continue
        seen.add(key)
        items[row["theme"]][row["day"].isoformat()[:7]] += 1
    months = sorted({month for counter in items.values() for month in counter})[-MAX_MONTHS:]
    return {
        "months": months,
        "by_month": {theme: [items[theme][month] for month in months] for theme in themes},
    }


def _roles(context: Context) -> list[dict[str, Any]]:
    roles: Counter[str] = Counter()
    people: dict[str, set[str]] = {}
    seen: set[tuple[str, str]] = set()
    for row in context.items:
        key = (row["source"], row["item_id"])
        role = row["role"] or "unknown"
        people.setdefault(role, set()).add(row["user_id"] or "")
        if key not in seen:
            roles[role] += 1
            seen.add(key)
    total = sum(roles.values())
    return [
        {
            "role": role,
            "title": say.role_title(role),
            "items": number,
            "items_text": say.count(number),
            "share_text": say.percent(number / total),
            "people": len(people[role]),
        }
        for role, number in sorted(roles.items(), key=lambda pair: (-pair[1], pair[0]))
    ]


def voices_document(context: Context, ranked: RankedNeed) -> list[dict[str, Any]]:
    """Return a few short quotes, unmet ones first, the newest first, one a person."""
    rows = [row for row in context.voices(ranked.need) if row["quote"]]
    rows.sort(
        key=lambda row: (
            not row["unmet"],
            -round(row["theme_confidence"] or 0.0, 2),
            -(row["day"] or date.min).toordinal(),
            row["source"],
            row["item_id"],
        )
    )
    chosen: list[dict[str, Any]] = []
    people: set[str] = set()
    for row in rows:
        if row["user_id"] in people or len(chosen) == VOICES:
            continue
        people.add(row["user_id"])
        text = " ".join(str(row["quote"]).split())
        chosen.append(
            {
                "id": row["item_id"],
                "source": row["source"],
                "user": row["user_id"] or "unknown",
                "role": say.role_title(row["role"] or "unknown"),
                "day": say.day_text(row["day"]),
                "quote": text if len(text) <= QUOTE_LENGTH else text[: QUOTE_LENGTH - 1] + "…",
                "met": not row["unmet"],
            }
        )
    return chosen
