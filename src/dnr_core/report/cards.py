"""Room: report. One card a need, equal in build, so that the eye compares."""

from __future__ import annotations

from math import sqrt
from typing import Any

from dnr_core.model.need import Need, RankedNeed
from dnr_core.model.themes import THEME_TITLES
from dnr_core.ranking import at_risk
from dnr_core.report import facts
from dnr_core.report import wording as say
from dnr_core.report.context import Context, anchor
from dnr_core.report.sides import HALF_80

CLOSE_CALL: float = 0.75
"""A need with less certainty than this is called a close call."""


def need_document(context: Context, ranked: RankedNeed) -> dict[str, Any]:
    """Return everything that the page says of one need."""
    need = ranked.need
    found = facts.breaches(need, context.measures)
    worth = facts.worth_cents(need, found)
    return {
        "id": anchor(ranked),
        "rank": ranked.rank,
        "title": context.need_title(need),
        "theme": need.theme,
        "theme_title": THEME_TITLES.get(need.theme, need.theme.replace("_", " ")),
        "table": need.table,
        "table_title": context.title(need.table),
        "columns": list(need.columns),
        "metric": need.metric,
        "money": money_document(context, ranked, worth),
        "cause": facts.cause(
            context.archetype,
            need,
            context.health,
            context.measures,
            context.drills.get((need.table, need.metric)),
        ),
        "asks": asks_document(context, ranked),
        "severity": {
            "text": facts.how_bad(found)
            if context.health
            else "Not measured: no warehouse was read",
            "value": _rounded(need.value),
            "limit": _rounded(need.slo),
            "affected_rows": need.affected_rows,
            "rows": need.rows,
            **_spread(context, need),
            "affected_text": affected_text(context, ranked),
        },
        "score": _rounded(ranked.score.value),
        "parts": {
            name: {"value": _rounded(value), "text": f"{value:.2f}"}
            for name, value in ranked.score.parts.items()
        },
        "score_text": f"{ranked.score.value:.3f}",
        "certainty": certainty_document(ranked, context),
        "confidence": {
            "value": _rounded(ranked.confidence),
            "text": f"{ranked.confidence:.2f}",
            "parts": {
                name: {"value": _rounded(value), "text": f"{value:.2f}"}
                for name, value in ranked.confidence_parts.items()
            },
        },
        "hidden": ranked.hidden,
        "next_step": facts.next_step(context.archetype, need, found, context.measures),
        "peak": need.peak.isoformat() if need.peak else None,
        "peak_text": say.day_text(need.peak),
        "days_since_peak": need.days_since_peak,
    }


def _spread(context: Context, need: Need) -> dict[str, float | None]:
    """Return the affected share with its 80 % range, from how it scatters from day to day.

    Formula: the linearised variance of a ratio of sums over days, `D / (D - 1) * sum((a - r n)^2)
    / sum(n)^2`, for `a` affected of `n` rows a day and their ratio `r`.
    """
    nothing: dict[str, float | None] = {"share": None, "share_low": None, "share_high": None}
    if context.measures is None or not need.metric:
        return nothing
    days = context.measures.window_series(need.table, need.metric)
    affected, rows = days.numerator.tolist(), days.denominator.tolist()
    total = sum(rows)
    if total <= 0:
        return nothing
    share = sum(affected) / total
    half = 0.0
    if len(rows) > 1:
        left = sum((a - share * n) ** 2 for a, n in zip(affected, rows, strict=True))
        half = HALF_80 * sqrt(len(rows) / (len(rows) - 1) * left) / total
    return {
        "share": round(share, 9),
        "share_low": round(max(0.0, share - half), 9),
        "share_high": round(min(1.0, share + half), 9),
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)


def affected_text(context: Context, ranked: RankedNeed) -> str:
    """Say how many rows of the window are affected."""
    need = ranked.need
    if not need.has_broken_rows:
        return "no broken rows measured"
    share = say.percent(need.affected_rows / need.rows) if need.rows else ""
    return (
        f"{say.count(need.affected_rows)} of {say.count(need.rows)} rows of "
        f"{context.title(need.table)} ({share}) in the window"
    )


def money_document(context: Context, ranked: RankedNeed, worth: float | None) -> dict[str, Any]:
    """Return the money of a need: at risk, late, or why it is not measured."""
    need = ranked.need
    amount = say.money_range(ranked.money, context.currency)
    # A share of money is printed per cent of the median month; of rows, of the table.
    share = say.percent(need.revenue_share) if need.revenue_share is not None else None
    if amount is None or not need.has_broken_rows:
        return {
            "kind": "none",
            "label": "Money",
            "text": "not measured",
            "range": "",
            "why": _no_money(context, ranked),
            "share": _rounded(need.revenue_share),
            "share_text": share,
            "worth": None,
            "worth_text": "",
        }
    if not at_risk(need) and need.metric != "late":
        return {
            "kind": "none",
            "label": "Money",
            "text": "none",
            "range": "",
            "why": f"No revenue hangs on the affected rows of {context.title(need.table)}",
            "share": 0.0,
            "share_text": None,
            "worth": None,
            "worth_text": "",
        }
    late = need.metric == "late"
    mended = say.money(worth, context.currency)
    return {
        **amount,
        "kind": "late" if late else "at_risk",
        "label": "Late a month" if late else "At risk a month",
        "range": f"80{say.THIN}% range {amount['range_text']}",
        "why": "",
        "share": _rounded(need.revenue_share),
        "share_text": share,
        "worth": mended,
        "worth_text": _worth_text(mended["text"], late=late) if mended else "",
    }


def _worth_text(amount: str, *, late: bool) -> str:
    if late:
        return f"Within its limit, {amount} a month comes on time"
    return f"Within its limits, {amount} a month is recovered"


def _no_money(context: Context, ranked: RankedNeed) -> str:
    need = ranked.need
    if context.health is None:
        return "Money not measured: no warehouse was read"
    if not context.has_money:
        if need.has_broken_rows and need.rows:
            share = say.percent(need.affected_rows / need.rows)
            return f"No money is declared; ranked on {share} of the rows of {context.title(need.table)}"
        return "No money is declared"
    if not need.has_broken_rows:
        return "Money not measured: no broken rows"
    return f"No revenue reaches {context.title(need.table)}"


def asks_document(context: Context, ranked: RankedNeed) -> dict[str, Any]:
    """Say who asks: how many asks, people and roles, and their share of the demand."""
    need = ranked.need
    if context.demand is None:
        text = "No messages were read"
    elif not need.demand_items:
        text = "Nobody asks about it"
    else:
        text = ", ".join(
            (
                say.counted(need.demand_items, "ask"),
                say.counted(need.people, "person", "people"),
                # Those whose team nobody knows are people, and no team.
                say.counted(len(set(need.roles) - {say.OTHER_ROLE}), "team"),
            )
        )
    share = ranked.demand
    return {
        "text": text,
        "items": need.demand_items,
        "people": need.people,
        "roles": dict(need.roles),
        "roles_text": say.listed(
            [f"{say.role_title(role)} {say.count(n)}" for role, n in need.roles.items()], 9
        ),
        "share": _rounded(share.value) if share else None,
        "share_low": _rounded(share.low) if share else None,
        "share_high": _rounded(share.high) if share else None,
        "share_text": (
            f"{say.percent(share.value)} of the demand (80{say.THIN}% range "
            f"{say.percent(share.low)} to {say.percent(share.high)})"
            if share and need.demand_items
            else ""
        ),
    }


def certainty_document(ranked: RankedNeed, context: Context) -> dict[str, Any]:
    """Say in words, number and reason how sure the need's place is."""
    share, top = ranked.certainty, context.settings.report.top
    if share is None:
        return {"value": None, "text": "", "word": "hidden", "rival": ""}
    # So many resamples cannot tell 99.9 % from certain.
    number = say.percent(share) if share <= 0.99 else f"over 99{say.THIN}%"
    place = f"the top {say.number_word(top)}"
    if not ranked.rank:
        text = f"{number}: reaches {place}" if share > 0 else f"stays outside {place}"
        return {"value": _rounded(share), "text": text, "word": "", "rival": ranked.rival}
    if _unrivalled(context):
        word, text = "sure", f"{number}: nothing else competes for its place"
    elif share >= CLOSE_CALL or not ranked.rival:
        word = "sure" if share >= 0.95 else "likely"
        text = f"{number}: it stays in {place}"
    else:
        word = "close call"
        text = f"{number}: close call with “{ranked.rival}”"
    return {"value": _rounded(share), "text": text, "word": word, "rival": ranked.rival}


def _unrivalled(context: Context) -> bool:
    """Tell whether there are no more themes to show than places on the cards."""
    themes = {ranked.need.theme for ranked in context.ranking.needs if not ranked.hidden}
    alone = {(r.need.theme, r.need.table) for r in context.ranking.needs if not r.hidden}
    return len(themes) <= context.settings.report.top and len(alone) == len(themes)
