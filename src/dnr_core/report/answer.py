"""Room: report. The first screen's words: line of place, the one sentence, footing."""

from __future__ import annotations

from typing import Any, Final

from dnr_core.report import wording as say
from dnr_core.report.context import Context

SOURCE_NOUNS: Final = {"slack": "threads", "email": "emails", "nlq": "questions"}


def place_document(context: Context, *, source: str, synthetic: bool) -> dict[str, Any]:
    """Return company, window, source, and how much was seen."""
    health, talked = context.health, context.talk_days()
    if health:
        window = f"{context.window_text()}, {health.tz} days"
        days = (health.window_end - health.window_start).days + 1
    else:
        window, days = "", None
        if talked:
            window = f"messages of {say.days_text(*talked)}"
    return {
        "company": context.archetype.title,
        "archetype": context.archetype.name,
        "window": window,
        "window_days": days,
        "window_days_text": f"{days} days" if days else "",
        "source": source,
        "currency": context.currency,
        "synthetic": synthetic,
        "seen": _seen(context),
    }


def _seen(context: Context) -> list[str]:
    """Say how much was seen: first what was seen in full, then what in part, then the spend."""
    whole, partly = [], []
    measures = context.measures
    if measures:
        facts = {table.name for table in context.archetype.schema.facts}
        # Events say more than snapshots, of which there are always many.
        rows = [
            (table in facts, measures.totals[table, "rows"].numerator, table)
            for table in measures.tables
            if (table, "rows") in measures.totals
        ]
        _, most, table = max(rows, default=(False, 0.0, ""))
        if most:
            whole.append(f"{say.short_number(most)} {context.title(table)} of the window")
    for source in context.demand.coverage if context.demand else ():
        noun = SOURCE_NOUNS.get(source.source, source.source)
        if source.items and source.decided >= source.items:
            whole.append(f"{say.count(source.items)} {noun}")
        elif source.items:
            partly.append(f"{say.percent(source.coverage)} of {say.count(source.items)} {noun}")
    seen = [f"all {', '.join(whole)}"] if whole else []
    spend = spend_text(context)
    return [*seen, *partly, *([spend] if spend else [])]


def spend_text(context: Context) -> str:
    """Write who read the messages, and what was spent of the cap."""
    if context.demand is None:
        return ""
    budget = context.demand.budget
    spent, cap = _usd(budget, "actual_usd"), _usd(budget, "cap_usd")
    if spent is None or cap is None:
        return ""
    return f"read by {context.demand.provider}, ${spent:.2f} of ${cap:.2f} spent"


def _usd(budget: Any, name: str) -> float | None:
    return float(budget[name]) if isinstance(budget.get(name), int | float) else None


def answer_document(context: Context, needs: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the one-sentence answer and the numbers in it."""
    top = [need for need in needs if need["rank"]]
    total = say.money_range(context.ranking.total, context.currency)
    risky = [need for need in top if need["money"]["kind"] == "at_risk"]
    late = [need for need in top if need["money"]["kind"] == "late"]
    document: dict[str, Any] = {
        "total": total,
        "late": [need["money"]["cents"] for need in late],
        "basis": context.ranking.basis,
        "first_recovers": None,
    }
    if not top:
        return {**document, "sentence": _nothing(context, needs), "beside": ""}
    if total and risky:
        first = risky[0]
        worth = first["money"]["worth"]["cents"] / total["cents"] if total["cents"] else 0.0
        document["first_recovers"] = round(min(1.0, worth), 6)
        return {
            **document,
            "sentence": _money_sentence(risky, total, worth),
            "beside": _beside(needs, late, at_risk=_of_revenue(context, total)),
        }
    return {
        **document,
        "sentence": _plain_sentence(context, top),
        "beside": _beside(needs, late),
    }


def _nothing(context: Context, needs: list[dict[str, Any]]) -> str:
    unread = _unread(context)
    if unread and context.health is None:
        return f"Nothing can be said: {unread}."
    if unread:
        return (
            f"The warehouse shows no data problem; {unread}, so what people ask for is not known."
        )
    hidden = sum(1 for need in needs if need["hidden"])
    if hidden:
        return (
            f"No data problem is sure enough to name: {say.counted(hidden, 'candidate')} "
            "stayed under the confidence limit."
        )
    return "No data problem stands out: nothing is broken or asked for in this window."


def _unread(context: Context) -> str:
    """Say that nobody answered about the messages; empty where anybody did, or nothing was asked."""
    sources = context.demand.coverage if context.demand else ()
    asked = sum(source.kept for source in sources)
    answered = sum(max(0, source.decided + source.kept - source.items) for source in sources)
    if not asked or answered:
        return ""
    return f"none of {say.counted(asked, 'message')} could be classified"


def _money_sentence(risky: list[dict[str, Any]], total: dict[str, Any], worth: float) -> str:
    put = f"{total['text']} a month (80{say.THIN}% range {total['range_text']}) at risk"
    name = risky[0]["title"][:1].lower() + risky[0]["title"][1:]
    if len(risky) == 1:
        return f"One data problem puts {put}: {name}."
    words = say.fraction_words(worth)
    number = say.capital(say.number_word(len(risky)))
    which = "the first" if risky[0]["rank"] == 1 else name
    return f"{number} data problems put {put}; fixing {which} recovers {words}."


def _plain_sentence(context: Context, top: list[dict[str, Any]]) -> str:
    first = top[0]
    name = first["title"][:1].lower() + first["title"][1:]
    alone = len(top) == 1
    number = say.capital(say.number_word(len(top)))
    many = "One data problem stands out" if alone else f"{number} data problems stand out"
    lead = f"{many}: {name}" if alone else f"{many}; first {name}"
    if context.health is None:
        share = say.percent(first["asks"]["share"])
        then = f": {name}" if alone else f"; first {name}"
        return f"{many} in what people ask{then}, with {share} of the demand."
    if not context.has_money and first["severity"]["affected_rows"]:
        rows, every = first["severity"]["affected_rows"], first["severity"]["rows"]
        return f"{lead}, on {say.percent(rows / every)} of the rows in the window."
    if first["money"]["kind"] == "late":
        return f"{lead}; {first['money']['text']} a month arrives late."
    return f"{lead}. No measured money is at risk."


def _of_revenue(context: Context, total: dict[str, Any]) -> str:
    """Say what the total is: of which money, and which part of a usual month's."""
    said = "at risk is revenue on broken rows"
    monthly = context.health.revenue_monthly_median_cents if context.health else None
    return f"{said}, {say.percent(total['cents'] / monthly)} of a usual month" if monthly else said


def _beside(needs: list[dict[str, Any]], late: list[dict[str, Any]], *, at_risk: str = "") -> str:
    """Say what the amounts mean, and where the rest of what would be a card stands."""
    top = [need for need in needs if need["rank"]]
    parts = [at_risk] if at_risk else []
    parts += [f"{n['money']['text']} a month of {n['table_title']} arrives late" for n in late]
    rest = [n for n in top if n["money"]["kind"] == "none"]
    if rest and at_risk:
        parts.append(f"for {say.number_word(len(rest))} more, money is not measured")
    kinds, last = {need["theme"] for need in top}, min(need["score"] for need in top)
    if any(
        not need["rank"] and not need["hidden"] and need["theme"] in kinds and need["score"] >= last
        for need in needs
    ):
        parts.append("each card scores highest of its kind, more under All needs")
    return say.capital("; ".join(parts)) + "." if parts else ""


def footing_document(context: Context, *, synthetic: bool) -> dict[str, Any]:
    """Return the footing: tests and false flags to expect, spend, what the page cannot know."""
    health = context.health
    parts = []
    if health and health.column_days_tested:
        parts.append(
            f"{say.count(health.column_days_tested)} column-days tested for incidents, "
            f"{say.plain(say.significant(health.false_flags_expected))} false flags to expect"
        )
    spend = spend_text(context)
    if spend:
        parts.append(f"messages {spend}")
    parts.append("what nobody measured and nobody wrote, this page cannot know")
    if synthetic:
        parts.append("a made company: how right this page is stands in reports/eval/")
    return {
        "parts": [say.capital(part) for part in parts],
        "column_days_tested": health.column_days_tested if health else None,
        "false_flags_expected": round(health.false_flags_expected, 6) if health else None,
    }
